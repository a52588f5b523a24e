"""
Web, two workers and beat, killed at any moment while people trade: nothing lost, nothing sent twice.

`CHAOS_KILLS` sets the number of kills (40 by default), `CHAOS_SEED` repeats a run's choices and
`CHAOS_WORKERS` the number of workers. With DATABASE_URL and REDIS_URL set it uses a fresh database and an
empty Redis database of those servers.
"""

import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.chaos.trader import Trader
from tradingsite.management.commands import desk as desk_command
from tradingsite.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("CHAOS_KILLS", "40"))
WORKERS = int(os.environ.get("CHAOS_WORKERS", "2"))
BROWSERS_EACH = 2
PAUSE_SECONDS = (0.3, 2.0)
STOPPED_SECONDS = (0.2, 2.5)
PASSWORD = "correct-horse-battery"
BENT = ("NotBookable", "RowsChanged", "IntegrityError")  # what no recorded error of a pass may be
REDIS_DATABASES = range(9, 15)
REDIS_MARK = "paperdesk-chaos"
REDIS_KEYS = ("celery*", "unacked*", "_kombu*", "*paperdesk*")

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="relies on the kernel ending the children of a dead test"),
]


class Place:
    """A database, a queue and a folder of our own, and the environment that names them."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.log = folder, folder / "desk.log"
        self.database = self.redis_url = self.last_answer = ""
        self.environment = {
            **os.environ,
            "DATA_FOLDER": str(folder / "var"),
            "DATABASE_URL": self.fresh_database(os.environ.get("DATABASE_URL", "")),
            "REDIS_URL": self.empty_redis(os.environ.get("REDIS_URL", "")),
            "DESK_CLOCK": "replay",
            "REPLAY_START": "2026-11-13T14:45:00+00:00",
            "REPLAY_SPEED": "30",
            "TICK_SECONDS": "10",
            "SWEEP_SECONDS": "30",
            "DESK_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }

    def fresh_database(self, url: str) -> str:
        if not url.startswith("postgres"):
            return ""
        self.server = url
        self.database = f"paperdesk_chaos_{os.getpid()}_{secrets.token_hex(3)}"
        self.on_server(f"CREATE DATABASE {self.database}")
        return urlunsplit(urlsplit(url)._replace(path=f"/{self.database}"))

    def on_server(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)

    def empty_redis(self, url: str) -> str:
        """Take a database of the server that nobody uses, and mark it as taken."""
        if not url:
            return ""
        import redis

        for number in REDIS_DATABASES:
            wanted = urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
            with redis.Redis.from_url(wanted) as client:
                if client.dbsize() == 0 and client.set(REDIS_MARK, os.getpid(), nx=True):
                    self.redis_url = wanted
                    return wanted
        pytest.skip("No database of the Redis server is empty.")

    def lose_queue(self) -> None:
        """Throw away every message that waits; only ours are here."""
        if not self.redis_url:
            for message in (self.folder / "var" / "queue").glob("*.celery.msg"):
                message.unlink(missing_ok=True)
            return
        import redis

        with redis.Redis.from_url(self.redis_url) as client:
            client.delete("celery", "unacked", "unacked_index", "unacked_mutex")

    def clear(self) -> None:
        if self.database:
            self.on_server(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        if self.redis_url:
            import redis

            with redis.Redis.from_url(self.redis_url) as client:
                for pattern in REDIS_KEYS:
                    client.delete(REDIS_MARK, *client.scan_iter(pattern))

    def manage(self, *words: str) -> str:
        return self.run("manage.py", *words)

    def ask(self, verb: str, **asked: object) -> dict:
        said = self.run("-m", "tests.chaos.desk_side", verb, given=json.dumps(asked))
        return json.loads(said.strip().splitlines()[-1])

    def run(self, *words: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment, input=given, text=True, capture_output=True,
            timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def is_ready(self) -> bool:
        return self.answers("/readyz")

    def is_healthy(self) -> bool:
        return self.answers("/healthz")

    def answers(self, address: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{address}", timeout=3) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            self.last_answer = error.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            self.last_answer = str(error)
        return False


class Fleet:
    """The real processes under the real supervisor, which here restarts a dead one without waiting."""

    def __init__(self, place: Place, *, workers: int) -> None:
        programs = desk_command.programs(place.port)
        (worker,) = [each for each in programs if each.name == "worker"]
        programs += [
            replace(worker, name=f"worker {number}", command=(*worker.command, "-n", f"worker{number}@%h"))
            for number in range(2, workers + 1)
        ]
        shell = ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', str(place.log)]
        programs = [
            replace(each, command=(*shell, *each.command), environment={**place.environment, **each.environment})
            for each in programs
        ]
        self.said: list[str] = []
        self.supervisor = Supervisor(programs, folder=str(ROOT), say=self.said.append)

    def mend(self) -> None:
        self.supervisor.mend()
        for child in self.supervisor.children:
            child.start_due_at, child.wait_seconds = 0.0, 1.0
        self.supervisor.mend()

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal to a process; False when it is just not there."""
        for child in self.supervisor.children:
            if child.program.name == name and child.process is not None and child.process.poll() is None:
                os.killpg(child.process.pid, number)
                return True
        return False

    @contextlib.contextmanager
    def kept_up(self) -> Iterator[None]:
        """Let whatever died come back, and stay, while the last acts get their answers."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(0.1):
                self.mend()

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def names(self) -> list[str]:
        return [child.program.name for child in self.supervisor.children]


class Killer:
    """Kills, stops for a while, and loses the queue, by one seed."""

    def __init__(self, fleet: Fleet, place: Place, traders: list[Trader], *, seed: int) -> None:
        self.fleet, self.place, self.traders = fleet, place, traders
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.stops = self.losses = 0

    def run(self, *, kills: int) -> None:
        while self.kills.total() < kills:
            self.wait()
            name = self.choose()
            luck = self.random.random()
            if luck < 0.12:
                self.stop_for_a_while(name)
            elif luck < 0.18:
                self.place.lose_queue()
                self.losses += 1
            else:
                self.kills[name] += self.fleet.signal(name, signal.SIGKILL)
            self.fleet.mend()

    def wait(self) -> None:
        """Wait a random time; then, often, for the moment at which an act is under way."""
        end = time.monotonic() + self.random.uniform(*PAUSE_SECONDS)
        while time.monotonic() < end:
            self.fleet.mend()
            time.sleep(0.05)
        if self.random.random() < 0.7:
            self.random.choice(self.traders).in_flight.wait(timeout=1.0)
            time.sleep(self.random.uniform(0.0, 0.15))

    def choose(self) -> str:
        """Any process; the web one more often, for it is where orders begin."""
        return self.random.choice([*self.fleet.names(), "web"])

    def stop_for_a_while(self, name: str) -> None:
        self.fleet.signal(name, signal.SIGSTOP)
        time.sleep(self.random.uniform(*STOPPED_SECONDS))
        self.fleet.signal(name, signal.SIGCONT)
        self.stops += 1


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return condition()


@pytest.fixture
def place(tmp_path):
    here = Place(tmp_path)
    yield here
    here.clear()


@pytest.fixture
def fleet(place):
    place.manage("desk", "--once-setup", "--no-demo")
    running = Fleet(place, workers=WORKERS)
    yield running
    for name in running.names():
        running.signal(name, signal.SIGCONT)
    running.supervisor.stop()


def test_processes_killed_at_any_moment_lose_nothing_and_send_nothing_twice(place, fleet, capsys):
    seed = int(os.environ.get("CHAOS_SEED", secrets.randbelow(10**6)))
    people = place.ask("prepare", password=PASSWORD)["people"]
    fleet.mend()
    assert within(40, place.is_ready), place.log.read_text()[-4000:]
    traders = [
        Trader(base=f"http://127.0.0.1:{place.port}", password=PASSWORD, seed=seed + number, **person)
        for number, person in enumerate(people * BROWSERS_EACH)
    ]
    for trader in traders:
        trader.sign_in()

    killer = Killer(fleet, place, traders, seed=seed)
    begun, enough = time.monotonic(), threading.Event()
    threads = [threading.Thread(target=trader.trade, args=(enough,), daemon=True) for trader in traders]
    for thread in threads:
        thread.start()
    killer.run(kills=KILLS)
    under_fire = time.monotonic() - begun
    enough.set()
    with fleet.kept_up():
        for thread in threads:
            thread.join(timeout=150)
        settled = place.ask("settle")
        is_healthy = within(60, place.is_healthy)
        until_healthy = time.monotonic() - begun - under_fire
        verdict = place.ask("judge", acts=[asdict(trader.acts) for trader in traders])
    summary = {
        "seed": seed,
        "kills": dict(killer.kills),
        "stops": killer.stops,
        "queue lost": killer.losses,
        "seconds under fire": round(under_fire, 1),
        "seconds to settle": round(settled["seconds"], 1),
        "seconds until healthy": round(until_healthy, 1),
        "open ends at the end of the faults": len(settled["open_ends_at_first"]),
        "tickets": sum(len(trader.acts.tickets) for trader in traders),
        "closes": sum(len(trader.acts.closes) for trader in traders),
        "cancels": sum(len(trader.acts.cancels) for trader in traders),
        "requests": sum(trader.acts.requests for trader in traders),
        "acts pressed again": sum(trader.acts.pressed_again for trader in traders),
        **verdict["figures"],
    }
    with capsys.disabled():
        print("", f"chaos: {json.dumps(summary, default=str)}", *verdict["faults"], sep="\n")
    assert [fault for trader in traders for fault in trader.acts.unexpected] == [], summary
    assert verdict["faults"] == [], summary
    assert not [each for each in verdict["figures"]["errors"] if any(name in each for name in BENT)], summary
    assert is_healthy, place.last_answer + place.log.read_text()[-4000:]
    place.manage("check_books")
    place.manage("rebuild_books", "--compare")
    place.manage("verify_journal")
    assert summary["tickets"] > KILLS / 2, "too little happened between the kills to prove anything"
