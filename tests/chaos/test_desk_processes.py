"""The real desk with its three processes: killed one by one, stopped, and killed whole."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the children of a process from /proc"),
]


class Desk:
    """A desk on its own folder and port."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / "desk.log"
        self.environment = {
            **os.environ,
            "DATA_FOLDER": str(folder / "var"),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "DESK_PORT": str(self.port),
        }
        self.start()

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "desk", "--no-demo"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def children(self):
        """Return name -> process id of the running web, worker and schedule."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        names = {"uvicorn": "web", "worker": "worker", "beat": "schedule"}
        found = {}
        for pid in pids:
            words = _command(pid)
            found |= {name: int(pid) for word, name in names.items() if word in words}
        return found

    def wait_until_ready(self):
        within(40, lambda: self.is_ready() or self.process.poll() is not None)
        assert self.is_ready(), self.log.read_text()

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(pid):
    return bool(_command(pid)) and _command(pid) != [""]


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def desk(tmp_path):
    running = Desk(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.wait()


def test_each_process_that_is_killed_comes_back_and_a_stop_leaves_nothing(desk):
    desk.wait_until_ready()
    before = desk.children()
    assert set(before) == {"web", "worker", "schedule"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_are_new():
        now = desk.children()
        return set(now) == set(before) and not set(now.values()) & set(before.values())

    assert within(20, all_are_new), desk.log.read_text()
    assert within(20, desk.is_ready), desk.log.read_text()
    for name in before:
        assert f"The {name} process was ended by SIGKILL" in desk.log.read_text()

    after = desk.children()
    asked_at = time.monotonic()
    desk.process.send_signal(signal.SIGINT)
    assert desk.process.wait(timeout=10) == 0
    assert time.monotonic() - asked_at < 6
    assert not any(is_running(pid) for pid in after.values())


def test_a_desk_killed_whole_leaves_no_process_and_starts_again_where_it_stood(desk):
    desk.wait_until_ready()
    before = desk.children()
    desk.process.kill()
    desk.process.wait()
    assert within(5, lambda: not any(is_running(pid) for pid in before.values()))
    desk.start()
    desk.wait_until_ready()
    assert desk.log.read_text().count("Schedules created: tick, sweep.") == 1
