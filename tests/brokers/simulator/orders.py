"""Short ways to write orders and to read one account back."""

from datetime import timedelta
from decimal import Decimal

from brokers.enums import OrderType, Side
from brokers.messages import NewOrder
from brokers.simulator import venue

from .scripted import OPEN


def order(*, name="one", side=Side.BUY, quantity="10", order_type=OrderType.MARKET, symbol="AAPL", **fields):
    return NewOrder(
        client_order_id=name,
        symbol=symbol,
        side=side,
        quantity=None if quantity is None else Decimal(quantity),
        order_type=order_type,
        **fields,
    )


def limit(price, *, name="limit", **fields):
    return order(name=name, order_type=OrderType.LIMIT, limit_price=Decimal(price), **fields)


def stop(price, *, name="stop", **fields):
    return order(name=name, order_type=OrderType.STOP, stop_price=Decimal(price), **fields)


def trailing(*, name="trailing", **fields):
    return order(name=name, order_type=OrderType.TRAILING_STOP, **fields)


def send(account, market, *orders, now=OPEN + timedelta(minutes=1)):
    return venue.submit_many(account.account_id, orders, now=now, market=market)


def advance(account, market, now):
    """Carry an account all the way to now."""
    reached = None
    while reached is None or reached < now:
        reached = venue.advance([account.account_id], now=now, market=market)[account.account_id]
    return reached


def everything(account):
    return venue.reports({account.account_id: OPEN - timedelta(days=400)})[account.account_id]


def fills(account):
    return everything(account).fills


def activities(account):
    return everything(account).activities


def report(account, name):
    return next(each for each in everything(account).orders if each.client_order_id == name)
