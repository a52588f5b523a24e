"""Fixtures: a paper portfolio for alice and one for bob, in the replay market, and a hand to place orders."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from brokers.enums import OrderType, Side
from brokers.market_data import sources
from portfolio import orders, portfolios
from portfolio.enums import Origin
from portfolio.models import Order, Portfolio


@pytest.fixture
def listed(db) -> None:
    sources.list_instruments()


@pytest.fixture
def desk(alice, listed, now) -> Portfolio:
    """Alice's portfolio with 100,000, opened a minute ago."""
    opened = now - timedelta(minutes=1)
    return portfolios.open(user=alice, name="Swing desk", cash=Decimal(100_000), actor="test", now=opened)


@pytest.fixture
def other_desk(bob, listed, now) -> Portfolio:
    opened = now - timedelta(minutes=1)
    return portfolios.open(user=bob, name="Swing desk", cash=Decimal(100_000), actor="test", now=opened)


@pytest.fixture
def intent() -> Callable[..., orders.OrderIntent]:
    def make(portfolio: Portfolio, key: str = "form:1", **changes: object) -> orders.OrderIntent:
        wanted = {
            "portfolio": portfolio,
            "origin": Origin.MANUAL,
            "intent_key": key,
            "symbol": "SPY",
            "side": Side.BUY,
            "order_type": OrderType.MARKET,
            "quantity": None if "notional" in changes else Decimal(10),
            "actor": "test",
        }
        return orders.OrderIntent(**{**wanted, **changes})

    return make


@pytest.fixture
def place(intent, now) -> Callable[..., list[Order]]:
    """Submit one order and bring in what the venue says at once."""

    def send(portfolio: Portfolio, key: str = "form:1", *, at: datetime = now, **changes: object) -> list[Order]:
        sent = orders.submit([intent(portfolio, key, **changes)], now=at)
        orders.sync([portfolio], now=at)
        portfolio.refresh_from_db()
        for order in sent:
            order.refresh_from_db()
        return sent

    return send
