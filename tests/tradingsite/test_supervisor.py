"""The supervisor restarts what dies, stops what runs, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from tradingsite import supervisor
from tradingsite.supervisor import Program, Supervisor

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
)


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def said():
    return []


@pytest.fixture
def desk(tmp_path, said):
    made = []

    def build(*commands):
        programs = [Program(f"child {number}", command) for number, command in enumerate(commands)]
        made.append(Supervisor(programs, folder=str(tmp_path), say=said.append))
        return made[-1]

    yield build
    for each in made:
        each.stop()


def test_a_killed_child_starts_again_and_the_operator_is_told(desk, said):
    each = desk(SLEEPER, SLEEPER)
    each.mend()
    first, second = (child.process.pid for child in each.children)
    each.children[0].wait_seconds = 0.01
    os.kill(first, signal.SIGKILL)

    def is_back():
        each.mend()
        return each.children[0].process is not None and each.children[0].process.pid != first

    assert within(5, is_back)
    assert each.children[1].process.pid == second
    assert said == ["The child 0 process was ended by SIGKILL; it starts again in 0 s."]


def test_a_child_that_keeps_dying_waits_longer_each_time_up_to_a_limit(desk, said):
    each = desk((sys.executable, "-S", "-c", "raise SystemExit(3)"))
    child = each.children[0]
    waits = []
    for _ in range(7):
        child.start_due_at = 0.0
        each.mend()
        child.process.wait()
        each.mend()
        waits.append(child.wait_seconds)
    assert waits == [2, 4, 8, 16, 30, 30, 30]
    assert said[0] == "The child 0 process ended with exit code 3; it starts again in 1 s."


def test_a_child_that_lived_long_starts_again_with_the_shortest_wait(desk, said):
    each = desk(SLEEPER)
    each.mend()
    child = each.children[0]
    child.wait_seconds = 16.0
    child.started_at -= supervisor.STEADY_SECONDS
    child.process.kill()
    child.process.wait()
    each.mend()
    assert said == ["The child 0 process was ended by SIGKILL; it starts again in 1 s."]


def test_stop_ends_every_child(desk):
    each = desk(SLEEPER, SLEEPER)
    each.mend()
    pids = [child.process.pid for child in each.children]
    each.stop()
    assert not any(is_running(pid) for pid in pids)


def test_a_child_that_ignores_the_request_is_killed_after_the_grace(desk, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.3)
    each = desk(STUBBORN)
    each.mend()
    pid = each.children[0].process.pid
    # Until it has installed its handler the request would end it.
    assert within(5, lambda: int(_field(pid, "SigIgn"), 16) & (1 << (signal.SIGTERM - 1)))
    each.stop()
    assert not is_running(pid)


def _field(pid, name):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def test_run_announces_once_and_stops_when_told(desk):
    each = desk(SLEEPER)
    until, announced = threading.Event(), []
    ready = iter([False, True, True])

    def is_ready():
        return next(ready)

    def announce():
        announced.append(each.children[0].process.pid)
        until.set()

    each.run(until=until, ready=is_ready, announce=announce)
    assert len(announced) == 1
    assert not is_running(announced[0])


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel ends children with their parent")
def test_children_do_not_outlive_a_killed_supervisor():
    script = textwrap.dedent(
        """
        import sys, time
        from tradingsite.supervisor import Program, Supervisor
        desk = Supervisor([Program("child", sys.argv[1:])], folder=".", say=print)
        desk.mend()
        print(desk.children[0].process.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script, *SLEEPER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        parent.wait()
    assert within(5, lambda: not is_running(pid))
