"""Keep a few child processes running: start them, restart one that dies, stop them all."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

POLL_SECONDS = 0.2
RESTART_SECONDS_MIN = 1.0
RESTART_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0  # a child that lived this long starts again with the shortest wait
STOP_SECONDS = 4.0
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: a name for people, the command, and variables on top of our own environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Child:
    """One program and how it is doing. Times are of the monotonic clock."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_due_at: float = 0.0
    wait_seconds: float = RESTART_SECONDS_MIN


class Supervisor:
    """
    Run programs until told to stop.

    Each child leads a process group of its own, so Ctrl-C in the terminal reaches only us and we stop
    the children in order. On Linux the kernel kills them when we ourselves are killed.
    """

    def __init__(self, programs: Sequence[Program], *, folder: str, say: Callable[[str], None]) -> None:
        self.children = [Child(program) for program in programs]
        self.folder = folder
        self.say = say

    def run(self, *, until: threading.Event, ready: Callable[[], bool], announce: Callable[[], None]) -> None:
        """Start everything, call `announce` once when `ready`, and mend until the event is set."""
        announced = False
        try:
            while not until.is_set():
                self.mend()
                if not announced and ready():
                    announce()
                    announced = True
                until.wait(POLL_SECONDS)
        finally:
            self.stop()

    def mend(self) -> None:
        """Start each child that is due and note each that has died."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._note_death(child, now)
            if child.process is None and now >= child.start_due_at:
                child.process = _start(child.program, self.folder)
                child.started_at = now

    def stop(self) -> None:
        """Ask all children to end, give them STOP_SECONDS together, then kill what is left."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()
        for child in self.children:
            child.process = None

    def _note_death(self, child: Child, now: float) -> None:
        assert child.process is not None
        if now - child.started_at >= STEADY_SECONDS:
            child.wait_seconds = RESTART_SECONDS_MIN
        how = _ending(child.process.returncode)
        self.say(f"The {child.program.name} process {how}; it starts again in {child.wait_seconds:.0f} s.")
        child.process = None
        child.start_due_at = now + child.wait_seconds
        child.wait_seconds = min(child.wait_seconds * 2, RESTART_SECONDS_MAX)


def _start(program: Program, folder: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(program.command),
        cwd=folder,
        env={**os.environ, **program.environment},
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with(os.getpid()),
    )


def _die_with(parent: int) -> Callable[[], None] | None:
    if _libc is None:
        return None

    def before_exec() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the line above took effect.
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it ended by itself


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
