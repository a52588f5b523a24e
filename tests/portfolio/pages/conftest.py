"""A desk whose clock stands where the test puts it, alice's book, and browsers signed in as alice and bob."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from brokers.enums import OrderType, Side, TimeInForce
from brokers.market_data import clock, prices, sources
from portfolio import orders, portfolios, positions
from portfolio.enums import Origin
from portfolio.models import Order, Portfolio, User


@dataclass
class DeskTime:
    """The desk's time, moved by hand."""

    at: datetime

    def forward(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def desk_time(monkeypatch, now) -> DeskTime:
    time = DeskTime(now)
    monkeypatch.setattr(clock, "now", lambda: time.at)
    monkeypatch.setattr(
        clock,
        "status",
        lambda: clock.ClockStatus(
            now=time.at,
            real_now=time.at,
            speed=Decimal(1),
            is_replay=True,
            is_paused=False,
            label="SYNTHETIC",
            switching_at=None,
        ),
    )
    return time


@pytest.fixture
def listed(db) -> None:
    sources.list_instruments()


@dataclass
class Desk:
    """Alice's portfolio and the ways a test changes it, all through the desk's verbs."""

    portfolio: Portfolio
    time: DeskTime

    def submit(self, symbol: str, **wish: Any) -> Order:
        intent = orders.OrderIntent(
            **{
                "portfolio": self.portfolio,
                "origin": Origin.MANUAL,
                "intent_key": f"form:{uuid.uuid4()}",
                "symbol": symbol,
                "side": Side.BUY,
                "order_type": OrderType.MARKET,
                "time_in_force": TimeInForce.DAY,
                "actor": f"user:{self.portfolio.user_id}",
                **wish,
            }
        )
        return orders.submit([intent], now=self.time.at)[0]

    def buy(self, symbol: str, quantity: int = 10) -> Order:
        """Buy at the market, wait for the fill and mark it."""
        order = self.submit(symbol, quantity=Decimal(quantity))
        self.catch_up()
        order.refresh_from_db()
        return order

    def catch_up(self, seconds: int = 10) -> None:
        self.time.forward(seconds)
        orders.sync([self.portfolio], now=self.time.at)
        held = self.portfolio.positions.exclude(quantity=0).values_list("instrument__symbol", flat=True)
        found = prices.latest(held, self.time.at)
        positions.mark([self.portfolio], found, now=self.time.at)
        self.portfolio.refresh_from_db()


@pytest.fixture
def desk(alice, listed, desk_time) -> Desk:
    opened = portfolios.open(
        user=alice,
        name="Swing desk",
        cash=Decimal(100_000),
        actor=f"user:{alice.pk}",
        now=desk_time.at,
    )
    return Desk(opened, desk_time)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def browser_of_alice(alice) -> Client:
    return signed_in(alice)


@pytest.fixture
def browser_of_bob(bob) -> Client:
    return signed_in(bob)
