"""Orders worth less than 1.00: refused, but for what closes a position."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.enums import OrderStatus, Side
from brokers.errors import OrderRejected
from brokers.simulator import venue

from .orders import fills, limit, order, send
from .scripted import OPEN


@pytest.mark.parametrize(
    ("small", "enough"),
    [
        (order(quantity="0.0066"), order(quantity="0.0067")),  # at 150.02: 0.990132 and 1.005134
        (limit("100.00", quantity="0.009999999"), limit("100.00", quantity="0.01")),
        (order(quantity=None, notional=Decimal("0.99")), order(quantity=None, notional=Decimal("1.00"))),
    ],
)
def test_an_order_is_worth_at_least_a_dollar(account, market, small, enough):
    (refused,) = send(account, market, small)
    assert isinstance(refused, OrderRejected)
    assert refused.code == "NOTIONAL_TOO_SMALL"
    (taken,) = send(account, market, enough)
    assert taken.status in (OrderStatus.FILLED, OrderStatus.ACCEPTED)


def test_the_refusal_names_both_numbers(account, market):
    (refused,) = send(account, market, order(quantity="0.00001"))
    assert "worth 0.0015," in str(refused)
    assert "at least 1.00" in str(refused)
    assert fills(account) == ()


def test_the_reserve_on_top_of_the_price_makes_no_order_large_enough(account, market):
    # 0.0065 x 150.02 = 0.97513; with the 4 % of the reserve it would be 1.014.
    (refused,) = send(account, market, order(quantity="0.0065"))
    assert refused.code == "NOTIONAL_TOO_SMALL"


def test_what_closes_may_be_worth_anything(account, market):
    send(account, market, order(quantity="1"))
    (most,) = send(account, market, order(name="most", side=Side.SELL, quantity="0.99999"))
    assert most.status is OrderStatus.FILLED
    later = OPEN + timedelta(minutes=2)
    (rest,) = send(account, market, order(name="rest", side=Side.SELL, quantity="0.00001"), now=later)
    assert rest.status is OrderStatus.FILLED
    assert venue.position_reports(account.account_id) == []
