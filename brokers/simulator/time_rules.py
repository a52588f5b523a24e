"""Rules about when an order may be sent and how long it may last. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from brokers.enums import OrderType, TimeInForce
from brokers.errors import Refusal
from brokers.messages import NewOrder
from brokers.simulator import hours
from brokers.simulator.surroundings import Surroundings, is_fractional, type_in_words

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_AUCTION = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_EXTENDED_TIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC})


def time_in_force(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    yield from _time_for_type(order, around)
    if order.extended_hours:
        yield from _extended_hours(order)
    if order.time_in_force in _AUCTION:
        yield from _auction_window(order, around.now)
    yield from _expires_on(order, around.now)


def _time_for_type(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    kind, tif = type_in_words(order), order.time_in_force
    if tif in _AT_ONCE | _AUCTION and order.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        yield _tif(order, f"{tif} is for market and limit orders; this is a {kind} order.")
    elif is_fractional(order) and tif is not TimeInForce.DAY:
        yield _tif(order, f"An order for a part of a share is good for the day only, not {tif}.")
    elif tif in _AT_ONCE and not hours.is_open(around.now):
        opens = hours.next_open(around.now)
        yield _tif(
            order,
            f"{tif} is for an open market, and it is closed until {opens:%Y-%m-%d %H:%M} UTC; "
            "use DAY to wait for the open.",
        )


def _tif(order: NewOrder, message: str) -> Refusal:
    return Refusal("TIF_NOT_ALLOWED", message, measured=order.time_in_force)


def _extended_hours(order: NewOrder) -> Iterator[Refusal]:
    fits = order.order_type is OrderType.LIMIT and order.time_in_force in _EXTENDED_TIMES
    if not fits or is_fractional(order):
        kind = type_in_words(order)
        yield Refusal(
            "EXTENDED_HOURS_RULE",
            "Outside regular hours only limit orders for whole shares, DAY or GTC, are taken; "
            f"this is a {kind} order, {order.time_in_force}.",
            measured=f"{order.order_type} {order.time_in_force}",
        )


def _auction_window(order: NewOrder, now: datetime) -> Iterator[Refusal]:
    window = hours.auction_window(order.time_in_force, now)
    if not window.start <= now < window.end:
        yield Refusal(
            "AUCTION_WINDOW",
            f"{order.time_in_force} orders are taken from {window.start:%Y-%m-%d %H:%M} until before "
            f"{window.end:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M:%S}.",
            measured=now.isoformat(),
            limit=f"{window.start.isoformat()} - {window.end.isoformat()}",
        )


def _expires_on(order: NewOrder, now: datetime) -> Iterator[Refusal]:
    if order.time_in_force is not TimeInForce.GTD:
        if order.expires_on is not None:
            yield _expiry(order.expires_on, f"Only a GTD order has a last day; this one is {order.time_in_force}.")
        return
    if order.expires_on is None:
        yield Refusal("EXPIRES_ON", "A GTD order needs its last day.")
        return
    latest = hours.new_york_date(now) + timedelta(days=hours.GTC_DAYS)
    if order.expires_on > latest:
        yield _expiry(order.expires_on, f"The last day {order.expires_on} is after {latest}, 90 days from today.")
    elif hours.gtd_end(order.expires_on) <= now:
        yield _expiry(order.expires_on, f"The last session up to {order.expires_on} has already closed.")


def _expiry(day: date, message: str) -> Refusal:
    return Refusal("EXPIRES_ON", message, measured=day.isoformat())


def market_open(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if around.settings.queue_when_closed or order.time_in_force in _AUCTION:
        return
    is_open = hours.is_open(around.now) or (order.extended_hours and hours.is_extended(around.now))
    if not is_open:
        yield Refusal(
            "MARKET_CLOSED",
            f"The market is closed until {hours.next_open(around.now):%Y-%m-%d %H:%M} UTC, and this account "
            "does not queue orders.",
            measured=around.now.isoformat(),
        )
