"""A trade that holds ten shares, and a stop that rests on it."""

from decimal import Decimal

import pytest

from brokers.enums import OrderType, Side, TimeInForce
from portfolio.models import Order, Trade


@pytest.fixture
def trade(desk, place) -> Trade:
    place(desk)
    return Trade.objects.get()


@pytest.fixture
def stop(desk, trade, place) -> Order:
    """A stop far below that rests for all of the trade."""
    (order,) = place(
        desk, "form:stop", side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal("200.00"),
        time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    trade.refresh_from_db()
    return order
