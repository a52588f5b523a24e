"""Run the whole desk on this machine: prepare it, then supervise web, worker and beat."""

import contextlib
import errno
import fcntl
import os
import secrets
import signal
import socket
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from brokers.market_data import clock, sources
from monitoring import sweep
from tradingsite import checks
from tradingsite.celery import make_queue_folders
from tradingsite.management.commands.demo import DEMO_EMAIL
from tradingsite.supervisor import Program, Supervisor

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Command(BaseCommand):
    help = "Prepare the desk on its first start and run it: pages, worker and schedule. Ctrl-C stops all."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.DESK_PORT, help="instead of DESK_PORT")
        parser.add_argument("--no-demo", action="store_true", help="do not create the demo user and its data")
        parser.add_argument("--once-setup", action="store_true", help="prepare everything, then end")

    def handle(self, *args: Any, port: int, no_demo: bool, once_setup: bool, **options: Any) -> None:
        make_data_folder()
        with only_desk_here(settings.DATA_FOLDER):
            if not once_setup:
                require_free_port(settings.DESK_HOST, port)
            self._prepare(demo=not no_demo)
            if once_setup:
                self.stdout.write("The desk is prepared. Start it with: python manage.py desk")
            else:
                self._run(port)

    def _prepare(self, *, demo: bool) -> None:
        settings.STATIC_ROOT.mkdir(exist_ok=True)
        make_queue_folders()
        require_database()
        self._say("Preparing the database …")
        call_command("migrate", verbosity=0, interactive=False)
        checks.stop_unless_sound()
        start_clock()
        if clock.is_replay():
            sources.list_instruments()
        call_command("setup_schedules", stdout=self.stdout)
        if demo and not get_user_model().objects.exists():
            self._say("Living through three weeks of the replay market for the demo user …")
            call_command("demo", email=DEMO_EMAIL, password=demo_password(), stdout=self.stdout)
        sweep.run(now=clock.now())  # what was left half done when the desk last stopped

    def _run(self, port: int) -> None:
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()  # its threads must not be there when we fork
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: stopping.set())
        self._say("Starting pages, worker and schedule …")
        supervisor = Supervisor(programs(port), folder=str(settings.BASE_DIR), say=self._say)
        supervisor.run(
            until=stopping,
            ready=lambda: answers(settings.DESK_HOST, port),
            announce=lambda: self._announce(port),
        )
        self._say("The desk is closed. Everything is kept; the next start goes on from here.")

    def _announce(self, port: int) -> None:
        host = EVERY_ADDRESS.get(settings.DESK_HOST, settings.DESK_HOST)
        self._say("")
        self._say(f"  Paperdesk is open at  http://{_bracketed(host)}:{port}/")
        self._say(f"  Sign in               {_sign_in()}")
        self._say(f"  Trading               {_trading()}")
        self._say(f"  Data and keys         {settings.DATA_FOLDER} and .env; keep copies of both")
        self._say("  Stop                  Ctrl-C")
        self._say("")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def programs(port: int) -> list[Program]:
    """Return the three processes of the desk, each with the name that its database timeouts follow."""
    celery = (sys.executable, "-m", "celery", "-A", "tradingsite", "--quiet")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    web = (sys.executable, "-m", "uvicorn", "tradingsite.asgi:application")
    address = ("--host", settings.DESK_HOST, "--port", str(port))
    # Open streams hold up a shutdown, so it has a limit below the supervisor's own.
    manners = ("--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "3")
    return [
        Program("web", (*web, *address, *manners, "--lifespan", "off"), {"DESK_PROCESS": "web"}),
        Program(
            "worker",
            (*celery, "worker", "-P", "threads", "-c", "2", "-l", "WARNING", *quiet),
            {"DESK_PROCESS": "worker"},
        ),
        Program(
            "schedule",
            (*celery, "beat", "-S", settings.CELERY_BEAT_SCHEDULER, "-l", "WARNING", "--pidfile="),
            {"DESK_PROCESS": "worker"},
        ),
    ]


def make_data_folder() -> None:
    try:
        settings.DATA_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"The folder of DATA_FOLDER, {settings.DATA_FOLDER}, cannot be made: {error.strerror}."
        ) from error


@contextlib.contextmanager
def only_desk_here(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: two desks on one folder would ring every bell twice."""
    with (folder / "desk.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CommandError(
                f"A desk already runs from {folder} (process {file.read().strip() or 'unknown'}). "
                "Stop that one first, or set DATA_FOLDER for a second one."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def require_free_port(host: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise CommandError(f"--port is {port}, but must be a whole number from 1 to 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CommandError(f"DESK_HOST {host} is not an address of this machine.") from error
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CommandError(_port_sentence(error, host, port)) from error


def _port_sentence(error: OSError, host: str, port: int) -> str:
    advice = "Set DESK_PORT in .env, or start with --port, to use another one."
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program. {advice}"
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} is reserved for the administrator of this machine. {advice}"
    return f"DESK_HOST {host} cannot be used: {error.strerror}."


def require_database() -> None:
    # Asked without the pool, which would try for ten seconds and hide the reason.
    probe = connection.copy()
    probe.settings_dict["OPTIONS"].pop("pool", None)
    try:
        probe.ensure_connection()
        probe.close()
    except OperationalError as error:
        raise CommandError(
            f"The database of DATABASE_URL does not answer: {str(error).strip().splitlines()[0]}"
        ) from error


def start_clock() -> None:
    """Set the first anchor of replay time, or follow a REPLAY_SPEED that was changed since."""
    if clock.is_replay():
        try:
            clock.start()
        except clock.ClockRefused as error:
            raise CommandError(str(error)) from error


def demo_password() -> str:
    """Return the demo user's password, made once and kept where only the desk's owner can read it."""
    path = settings.DATA_FOLDER / "demo-password"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(9) + "\n")
    return path.read_text().strip()


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((EVERY_ADDRESS.get(host, host), port), timeout=0.5).close()
    except OSError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _sign_in() -> str:
    if (settings.DATA_FOLDER / "demo-password").exists():
        return f"{DEMO_EMAIL}, password {demo_password()} (kept in {settings.DATA_FOLDER.name}/demo-password)"
    return "with your own user; `python manage.py createsuperuser` makes the first"


def _trading() -> str:
    prices = "synthetic prices in replay time" if settings.DESK_CLOCK == "replay" else "real time"
    if settings.LIVE_TRADING_ENABLED:
        return f"LIVE trading is enabled; each portfolio says whether it is PAPER or LIVE; {prices}"
    return f"PAPER: no order leaves this machine's simulated venue or a paper account; {prices}"
