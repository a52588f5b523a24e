"""A desk of its own in a process of its own, and a real Chromium that fails a test on any error it reports."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "alice@example.com", "correct-horse-battery"
START_SECONDS = 40
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
# Answers the desk gives on purpose, and a network that a test cut; the browser reports both as errors.
ON_PURPOSE = re.compile(
    r"(responded with a status of|Response Status Error Code) (401|404|409|422|429)\b"
    r"|ERR_INTERNET_DISCONNECTED|htmx:sendError|htmx:afterRequest"
)

SEED = f"""
from decimal import Decimal
from brokers.enums import OrderType, Side, TimeInForce
from brokers.market_data import clock, prices, sources
from portfolio import orders, portfolios, positions
from portfolio.enums import Origin
from portfolio.models import User
sources.list_instruments()
alice = User.objects.create_user("{EMAIL}", "{PASSWORD}")
desk = portfolios.open(user=alice, name="Swing desk", cash=Decimal(100_000), actor="desk", now=clock.now())
def submit(symbol, **wish):
    intent = orders.OrderIntent(portfolio=desk, origin=Origin.MANUAL, intent_key=f"seed:{{symbol}}:{{wish}}",
        symbol=symbol, side=Side.BUY, time_in_force=TimeInForce.DAY, actor=f"user:{{alice.pk}}", **wish)
    orders.submit([intent], now=clock.now())
for symbol in ("SPY", "QQQ", "AAPL"):
    submit(symbol, order_type=OrderType.MARKET, quantity=Decimal(10))
submit("MSFT", order_type=OrderType.LIMIT, quantity=Decimal(3), limit_price=Decimal("1.00"))
submit("AMZN", order_type=OrderType.MARKET, quantity=Decimal(9_000))
"""

MARK = """
from brokers.market_data import clock, prices
from portfolio import orders, positions
from portfolio.models import Portfolio, Position
desk = Portfolio.objects.get(name="Swing desk")
now = clock.now()
orders.sync([desk], now=now)
held = Position.objects.exclude(quantity=0).values_list("instrument__symbol", flat=True)
positions.mark([desk], prices.latest(held, now), now=now)
"""


@dataclass(frozen=True)
class RunningDesk:
    """The address of a running web process, and a way to run code against its database."""

    url: str
    environment: dict[str, str]

    def run(self, code: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def mark(self) -> None:
        """Do what a tick does for the pages: bring in fills and mark what is held."""
        self.run(MARK)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def running_desk(tmp_path_factory) -> Iterator[RunningDesk]:
    port = free_port()
    environment = {
        **os.environ,
        "DATA_FOLDER": str(tmp_path_factory.mktemp("desk")),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "DESK_ENV_FILE": "",
        "DESK_HTTPS": "false",
        "DEBUG": "false",
        "SECRET_KEY": "for-tests-only-" * 4,
        "FIELD_ENCRYPTION_KEYS": "1:" + "dGVz" * 10 + "dGU=",
        "ANCHOR_KEY": "YW5j" * 10 + "aG8=",
        "DESK_ID": "0123456789abcdef" * 2,
        "DESK_CLOCK": "replay",
        "REPLAY_START": "2026-11-13T16:00:00+00:00",
        "REPLAY_SPEED": "1",
        "DJANGO_SETTINGS_MODULE": "tradingsite.settings",
    }
    desk = RunningDesk(f"http://127.0.0.1:{port}", environment)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    desk.run(SEED)
    desk.mark()
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tradingsite.asgi:application", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_up(desk.url, server)
        yield desk
    finally:
        server.terminate()
        server.wait(timeout=10)


def wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, f"The web process ended with exit code {server.returncode}."
        try:
            urllib.request.urlopen(f"{url}/accounts/login/", timeout=2)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"The web process did not answer within {START_SECONDS} s.")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("There is no Chromium on this machine; set CHROMIUM to its path.")
    return {
        "executable_path": found,
        "args": ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
    }


@pytest.fixture(scope="session")
def session_cookies(browser: Browser, running_desk) -> list[Any]:
    """Sign in once; each test starts with the cookies of that session."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{running_desk.url}/accounts/login/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{running_desk.url}/")
    cookies = context.cookies()
    context.close()
    return cookies


@pytest.fixture
def open_page(browser: Browser, running_desk, session_cookies) -> Iterator[Any]:
    """Return a function that opens a signed-in page; whatever the browser complains about fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(path: str = "/", *, viewport: dict[str, int] = DESKTOP, dark: bool = False) -> Page:
        context = browser.new_context(
            base_url=running_desk.url,
            viewport=viewport,
            color_scheme="dark" if dark else "light",
            timezone_id="Asia/Tokyo",  # not the desk's: a page that shows the browser's time is found out
        )
        contexts.append(context)
        context.add_cookies(session_cookies)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complain(message.type, message.text))
        page.goto(path)
        return page

    def complain(kind: str, words: str) -> None:
        if kind == "error" and not ON_PURPOSE.search(words):
            complaints.append(words)

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
