from datetime import timedelta
from decimal import Decimal

from brokers.enums import OrderStatus, OrderType, Side, TimeInForce
from brokers.messages import NewOrder
from brokers.simulator import venue

from .scripted import OPEN


def order(name="one", side=Side.BUY, quantity="10", order_type=OrderType.MARKET, **fields):
    return NewOrder(
        client_order_id=name,
        symbol="AAPL",
        side=side,
        quantity=None if quantity is None else Decimal(quantity),
        order_type=order_type,
        **fields,
    )


def send(account, market, *orders, now=OPEN + timedelta(minutes=1)):
    return venue.submit_many(account.account_id, orders, now=now, market=market)


def test_a_market_order_in_session_fills_at_once_at_the_ask(account, market):
    (report,) = send(account, market, order())
    assert report.status is OrderStatus.FILLED
    found = venue.reports({account.account_id: OPEN})[account.account_id]
    (fill,) = found.fills
    assert (fill.quantity, fill.price) == (Decimal(10), Decimal("150.02"))
    assert venue.account_report(account.account_id).cash == Decimal("98499.80")
    (position,) = venue.position_reports(account.account_id)
    assert (position.quantity, position.average_price) == (Decimal(10), Decimal("150.02"))


def test_a_market_order_before_the_open_waits_for_the_first_observation(account, market):
    (report,) = send(account, market, order(), now=OPEN - timedelta(minutes=5))
    assert report.status is OrderStatus.ACCEPTED
    reached = venue.advance([account.account_id], now=OPEN + timedelta(seconds=3), market=market)
    assert reached[account.account_id] == OPEN + timedelta(seconds=3)
    (fill,) = venue.reports({account.account_id: OPEN})[account.account_id].fills
    assert fill.executed_at == OPEN


def test_a_resting_limit_fills_at_its_own_price_when_the_ask_comes_down(account, market):
    limit = order(order_type=OrderType.LIMIT, limit_price=Decimal("149.90"), time_in_force=TimeInForce.DAY)
    (report,) = send(account, market, limit)
    assert report.waiting_for == "ask 150.02 > limit 149.90"
    assert venue.account_report(account.account_id).reserved == Decimal("1499.00")
    at = OPEN + timedelta(minutes=2)
    market.quote(at, "149.70", "149.80")
    venue.advance([account.account_id], now=at + timedelta(seconds=1), market=market)
    (fill,) = venue.reports({account.account_id: OPEN})[account.account_id].fills
    assert (fill.price, fill.executed_at) == (Decimal("149.90"), at)
