"""
May this order be accepted? The venue's rejections, pure, in the order of the published table.

The first group of rules that fails is reported with all its codes, so nobody reads about buying power
while the symbol is misspelled. Every refusal is a sentence with the numbers behind it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from brokers import instruments, money
from brokers.enums import (
    AccountKind,
    AccountStatus,
    InstrumentKind,
    OrderType,
    PositionEffect,
    Side,
    TimeInForce,
)
from brokers.errors import Refusal
from brokers.messages import InstrumentFacts, NewOrder
from brokers.simulator import hours
from brokers.simulator.presets import SimulationSettings, StopOnWrongSide

CLIENT_ORDER_ID_LENGTH_MAX = 128
NOTIONAL_MIN = Decimal("1.00")
TRAIL_PERCENT_MIN, TRAIL_PERCENT_MAX = Decimal("0.1"), Decimal("50")
QUANTITY_MAX = Decimal(1_000_000_000)
PRICE_MAX = Decimal(10_000_000)
FAR_FROM_LAST_FRACTION = Decimal("0.20")
LARGE_SHARE_OF_VOLUME = Decimal("0.10")

_SHARE_KINDS = frozenset({InstrumentKind.EQUITY, InstrumentKind.ETF})
_NEEDS_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_NEEDS_STOP = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_AUCTION = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_EXTENDED_TIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC})


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order that works in the same instrument, as the wash-trade rule sees it."""

    client_order_id: str
    side: Side
    order_type: OrderType
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    What the venue knows when an order arrives.

    `position` is signed; `held` is the part of it that working orders already promise to close, >= 0.
    `instrument` is None when no instrument has the symbol. Prices are None when there is none.
    """

    now: datetime
    account_status: AccountStatus
    account_kind: AccountKind
    may_short: bool
    instrument: InstrumentFacts | None
    settings: SimulationSettings
    last: Decimal | None = None
    position: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    average_daily_volume: Decimal | None = None
    is_client_order_id_taken: bool = False
    resting: tuple[RestingOrder, ...] = ()


def refusals(order: NewOrder, around: Surroundings) -> tuple[Refusal, ...]:
    """Return all refusals of the first group of rules that fails; empty when the order may be taken."""
    for group in _GROUPS:
        found = tuple(group(order, around))
        if found:
            return found
    return ()


def buying_power_refusal(
    order: NewOrder, *, reserve_units: int, buying_power_units: int
) -> tuple[Refusal, ...]:
    """Return the refusal when an order needs more than may still be spent; met exactly is enough."""
    if reserve_units <= buying_power_units:
        return ()
    needed, available = _money(reserve_units), _money(buying_power_units)
    return (
        Refusal(
            "INSUFFICIENT_BUYING_POWER",
            f"This order in {order.symbol} needs {needed} and the account has {available} to spend.",
            measured=needed,
            limit=available,
        ),
    )


def position_effect(order: NewOrder, *, position: Decimal) -> PositionEffect:
    """Return whether an order opens or closes, given the signed position: against it means closing."""
    is_against = position * order.side.sign < 0
    return PositionEffect.CLOSE if is_against else PositionEffect.OPEN


def warnings(order: NewOrder, around: Surroundings) -> tuple[str, ...]:
    """Return what is worth a second look but is not refused."""
    return tuple(_warnings(order, around))


# ------------------------------------------------------------------ account, id, symbol, quantity


def _account(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if around.account_status is AccountStatus.ARCHIVED:
        yield Refusal("ACCOUNT_ARCHIVED", "This account is archived and takes no more orders.")
    is_closing = position_effect(order, position=around.position) is PositionEffect.CLOSE
    if around.account_status is AccountStatus.RESTRICTED and not is_closing:
        yield Refusal("ACCOUNT_RESTRICTED", "This account is restricted: it takes only orders that close.")


def _client_order_id(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    length = len(order.client_order_id)
    if not 1 <= length <= CLIENT_ORDER_ID_LENGTH_MAX:
        yield Refusal(
            "CLIENT_ORDER_ID_REUSED",
            f"A client order id has 1 to {CLIENT_ORDER_ID_LENGTH_MAX} characters; this one has {length}.",
            measured=str(length),
            limit=str(CLIENT_ORDER_ID_LENGTH_MAX),
        )
    elif around.is_client_order_id_taken:
        yield Refusal(
            "CLIENT_ORDER_ID_REUSED",
            f"The client order id {order.client_order_id} belongs to another order, with other content.",
            measured=order.client_order_id,
        )


def _symbol(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    facts = around.instrument
    if facts is None:
        yield Refusal("SYMBOL_UNKNOWN", f"There is no instrument {order.symbol}.", measured=order.symbol)
    elif facts.kind not in _SHARE_KINDS:
        yield Refusal(
            "SYMBOL_NOT_TRADABLE",
            f"{order.symbol} is not a stock or fund, and this venue trades only these.",
            measured=facts.kind,
        )
    elif not facts.is_active:
        yield Refusal("SYMBOL_NOT_TRADABLE", f"{order.symbol} is no longer listed.", measured=order.symbol)


def _quantity(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if (order.quantity is None) == (order.notional is None):
        given = "none of both" if order.quantity is None else "both"
        yield Refusal(
            "QUANTITY_OR_NOTIONAL", f"An order has a quantity or an amount of money; this one has {given}."
        )
        return
    if order.quantity is not None:
        yield from _given_quantity(order.quantity)
    if order.notional is not None:
        yield from _given_notional(order.notional, order.side)


def _given_quantity(quantity: Decimal) -> Iterator[Refusal]:
    if not quantity.is_finite() or quantity <= 0:
        yield Refusal(
            "QUANTITY_NOT_POSITIVE",
            f"The quantity must be above 0; it is {quantity}.",
            measured=str(quantity),
            limit="0",
        )
    elif quantity > QUANTITY_MAX:
        yield Refusal(
            "QUANTITY_TOO_LARGE",
            f"The quantity {_plain(quantity)} is above {_plain(QUANTITY_MAX)}, the most in one order.",
            measured=_plain(quantity),
            limit=_plain(QUANTITY_MAX),
        )


def _given_notional(notional: Decimal, side: Side) -> Iterator[Refusal]:
    if side is Side.SELL:
        yield Refusal(
            "QUANTITY_OR_NOTIONAL", "Only a buy can be given as an amount of money; a sell needs a quantity."
        )
    elif not notional.is_finite() or notional < NOTIONAL_MIN:
        yield Refusal(
            "QUANTITY_NOT_POSITIVE",
            f"An order by amount buys for at least {NOTIONAL_MIN}; it says {notional}.",
            measured=str(notional),
            limit=str(NOTIONAL_MIN),
        )
    elif _places(notional) > 2 or notional > QUANTITY_MAX:
        yield Refusal(
            "QUANTITY_OR_NOTIONAL",
            f"An amount has at most two decimals and is at most {_plain(QUANTITY_MAX)}; it says {notional}.",
            measured=str(notional),
        )


# ------------------------------------------------------------------ prices


def _price_fields(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    kind = order.order_type.replace("_", " ").lower()
    yield from _price_field(order.limit_price, "limit", kind, is_needed=order.order_type in _NEEDS_LIMIT)
    yield from _price_field(order.stop_price, "stop", kind, is_needed=order.order_type in _NEEDS_STOP)
    yield from _trail_fields(order, kind)


def _price_field(price: Decimal | None, name: str, kind: str, *, is_needed: bool) -> Iterator[Refusal]:
    if price is None:
        if is_needed:
            yield Refusal(f"{name.upper()}_PRICE_REQUIRED", f"A {kind} order needs a {name} price.")
    elif not is_needed:
        yield Refusal(
            "PRICE_NOT_ALLOWED", f"A {kind} order takes no {name} price; it has {price}.", measured=str(price)
        )
    elif not price.is_finite() or not 0 < price <= PRICE_MAX:
        yield Refusal(
            "PRICE_NOT_ALLOWED",
            f"The {name} price {price} is not above 0 and at most {_plain(PRICE_MAX)}.",
            measured=str(price),
            limit=_plain(PRICE_MAX),
        )


def _trail_fields(order: NewOrder, kind: str) -> Iterator[Refusal]:
    given = [trail for trail in (order.trail_amount, order.trail_percent) if trail is not None]
    if order.order_type is not OrderType.TRAILING_STOP:
        if given:
            yield Refusal("PRICE_NOT_ALLOWED", f"A {kind} order does not trail; it has {given[0]}.")
    elif len(given) != 1:
        yield Refusal(
            "TRAIL_ONE_OF", f"A trailing stop trails by an amount or a percentage; it has {len(given)}."
        )
    elif order.trail_amount is not None:
        yield from _trail_amount(order.trail_amount)
    elif order.trail_percent is not None:
        yield from _trail_percent(order.trail_percent)


def _trail_amount(amount: Decimal) -> Iterator[Refusal]:
    if not amount.is_finite() or not 0 < amount <= PRICE_MAX or _places(amount) > money.MONEY_SCALE:
        yield Refusal(
            "TRAIL_ONE_OF",
            f"A trailing stop trails by an amount above 0 with at most six decimals; it says {amount}.",
            measured=str(amount),
        )


def _trail_percent(percent: Decimal) -> Iterator[Refusal]:
    is_inside = percent.is_finite() and TRAIL_PERCENT_MIN <= percent <= TRAIL_PERCENT_MAX
    if not is_inside or _places(percent) > money.MONEY_SCALE:
        yield Refusal(
            "TRAIL_ONE_OF",
            f"A trailing stop trails by {TRAIL_PERCENT_MIN} to {TRAIL_PERCENT_MAX} percent; it says {percent}.",
            measured=str(percent),
            limit=f"{TRAIL_PERCENT_MIN}-{TRAIL_PERCENT_MAX}",
        )


def _increments(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    facts = around.instrument
    assert facts is not None  # an earlier group refuses unknown symbols
    for name, price in (("limit", order.limit_price), ("stop", order.stop_price)):
        if price is None:
            continue
        increment = price_increment(facts, price)
        if price % increment:
            yield Refusal(
                "PRICE_INCREMENT",
                f"The {name} price {price} is not a multiple of {increment}, the price step of {facts.symbol} there.",
                measured=str(price),
                limit=str(increment),
            )


def price_increment(facts: InstrumentFacts, price: Decimal) -> Decimal:
    """Return the price step of a share at a price."""
    return instruments.price_increment(
        kind=facts.kind,
        price=price,
        symbol=facts.symbol,
        override=facts.price_increment,
        penny_programme=False,
    )


def _whole_quantity(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    facts = around.instrument
    assert facts is not None
    if not is_fractional(order):
        return
    asked = "an amount of money" if order.quantity is None else f"{_plain(order.quantity)} shares"
    if not facts.is_fractionable:
        yield Refusal(
            "WHOLE_QUANTITY",
            f"{facts.symbol} trades only in whole shares; the order is for {asked}.",
            limit="1",
        )
    elif order.quantity is not None and _places(order.quantity) > money.QUANTITY_SCALE:
        yield Refusal("WHOLE_QUANTITY", f"A quantity has at most nine decimals; the order is for {asked}.")
    elif order.order_type is OrderType.TRAILING_STOP:
        yield Refusal(
            "WHOLE_QUANTITY", f"A trailing stop needs whole shares; the order is for {asked}.", limit="1"
        )


def is_fractional(order: NewOrder) -> bool:
    """Return whether an order is by amount of money or for a part of a share."""
    return order.quantity is None or order.quantity != order.quantity.to_integral_value()


# ------------------------------------------------------------------ time


def _time_in_force(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    yield from _time_for_type(order, around)
    if order.extended_hours:
        yield from _extended_hours(order)
    if order.time_in_force in _AUCTION:
        yield from _auction_window(order, around.now)
    yield from _expires_on(order, around.now)


def _time_for_type(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    kind, tif = order.order_type.replace("_", " ").lower(), order.time_in_force
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
        kind = order.order_type.replace("_", " ").lower()
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
            yield _expiry(
                order.expires_on, f"Only a GTD order has a last day; this one is {order.time_in_force}."
            )
        return
    if order.expires_on is None:
        yield Refusal("EXPIRES_ON", "A GTD order needs its last day.")
        return
    latest = hours.new_york_date(now) + timedelta(days=hours.GTC_DAYS)
    if order.expires_on > latest:
        yield _expiry(
            order.expires_on, f"The last day {order.expires_on} is after {latest}, 90 days from today."
        )
    elif hours.gtd_end(order.expires_on) <= now:
        yield _expiry(order.expires_on, f"The last session up to {order.expires_on} has already closed.")


def _expiry(day: date, message: str) -> Refusal:
    return Refusal("EXPIRES_ON", message, measured=day.isoformat())


# ------------------------------------------------------------------ market and position


def _stop_side(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    is_refused = around.settings.stop_on_wrong_side is StopOnWrongSide.REJECT
    if not is_refused or order.stop_price is None or around.last is None:
        return
    is_reached = (
        around.last >= order.stop_price if order.side is Side.BUY else around.last <= order.stop_price
    )
    if is_reached:
        side = "buy stop must be above" if order.side is Side.BUY else "sell stop must be below"
        yield Refusal(
            "STOP_ON_WRONG_SIDE",
            f"A {side} the last price {_plain(around.last)}; it is {_plain(order.stop_price)}.",
            measured=_plain(order.stop_price),
            limit=_plain(around.last),
        )


def _market_open(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
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


def _effect(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    inferred = position_effect(order, position=around.position)
    if order.position_effect is None or order.position_effect is inferred:
        return
    side = order.side.lower()
    yield Refusal(
        "EFFECT_MISMATCH",
        f"The order says {side} to {order.position_effect.lower()}, but with a position of "
        f"{_plain(around.position)} {order.symbol} it is a {side} to {inferred.lower()}.",
        measured=f"{side}_to_{inferred.lower()}",
        limit=f"{side}_to_{order.position_effect.lower()}",
    )


def _closing(order: NewOrder, around: Surroundings) -> bool:
    return position_effect(order, position=around.position) is PositionEffect.CLOSE


def _held(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if not _closing(order, around) or order.quantity is None:
        return
    position, free = abs(around.position), abs(around.position) - around.held
    is_said_to_close = order.position_effect is PositionEffect.CLOSE
    if order.quantity > free and (order.quantity <= position or is_said_to_close):
        yield Refusal(
            "QUANTITY_HELD",
            f"The order closes {_plain(order.quantity)} {order.symbol}, but of {_plain(position)} only "
            f"{_plain(free)} are free; other orders hold {_plain(around.held)}.",
            measured=_plain(order.quantity),
            limit=_plain(free),
        )


def _crosses_zero(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if not _closing(order, around):
        return
    position = abs(around.position)
    if order.quantity is None or order.quantity > position:
        asked = (
            f"{_plain(order.notional or Decimal(0))} in money"
            if order.quantity is None
            else _plain(order.quantity)
        )
        yield Refusal(
            "CROSSES_ZERO",
            f"The order for {asked} would close the position of {_plain(around.position)} {order.symbol} and "
            f"open the other way: close with {_plain(position)} first.",
            measured=asked,
            limit=_plain(position),
        )


def _short(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if order.side is not Side.SELL or _closing(order, around):
        return
    facts = around.instrument
    assert facts is not None
    if around.account_kind is AccountKind.CASH or not around.may_short:
        yield Refusal(
            "SHORT_NOT_ALLOWED",
            f"There are no {facts.symbol} to sell, and this account may not sell short.",
            measured=_plain(around.position),
        )
    if not facts.is_shortable or is_fractional(order):
        yield Refusal("SHORT_NOT_SHORTABLE", f"{facts.symbol} cannot be sold short in this quantity.")
    yield from _short_price(order, around)
    if order.time_in_force is TimeInForce.GTC and not around.settings.short_gtc:
        yield Refusal("SHORT_GTC", "A short sale is good for the day, not GTC.", measured="GTC")


def _short_price(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    minimum = around.settings.short_price_minimum
    if minimum is None or (around.last is not None and around.last >= minimum):
        return
    last = "unknown" if around.last is None else _plain(around.last)
    yield Refusal(
        "SHORT_UNDER_PRICE",
        f"{order.symbol} can be sold short from {minimum} up; its last price is {last}.",
        measured=last,
        limit=str(minimum),
    )


def _wash_trade(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if not around.settings.wash_trades or order.order_type is OrderType.TRAILING_STOP:
        return
    for other in around.resting:
        if other.side is not order.side and _may_meet(order, other):
            yield Refusal(
                "WASH_TRADE",
                f"Your order {other.client_order_id} waits on the other side of {order.symbol} and the two "
                "could trade with each other.",
                measured=other.client_order_id,
            )
            return


def _may_meet(order: NewOrder, other: RestingOrder) -> bool:
    if other.order_type is OrderType.TRAILING_STOP:
        return False
    if order.limit_price is None or other.limit_price is None:
        return True
    buy, sell = order.limit_price, other.limit_price
    if order.side is Side.SELL:
        buy, sell = sell, buy
    return buy >= sell


# ------------------------------------------------------------------ warnings


def _warnings(order: NewOrder, around: Surroundings) -> Iterator[str]:
    if order.limit_price is not None and around.last:
        away = abs(order.limit_price - around.last) / around.last
        if away > FAR_FROM_LAST_FRACTION:
            yield (
                f"The limit price {_plain(order.limit_price)} is {away:.0%} away from the last price "
                f"{_plain(around.last)}."
            )
    volume = around.average_daily_volume
    if order.quantity is not None and volume and order.quantity > LARGE_SHARE_OF_VOLUME * volume:
        yield (
            f"{_plain(order.quantity)} shares are {order.quantity / volume:.0%} of the {_plain(volume)} "
            f"{order.symbol} traded on an average day."
        )
    if order.expires_on is not None and order.expires_on == hours.new_york_date(around.now):
        yield "The order ends today."


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(units: int) -> str:
    return f"{money.money_value(units):,.2f}"


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


_GROUPS: tuple[Callable[[NewOrder, Surroundings], Iterator[Refusal]], ...] = (
    _account,
    _client_order_id,
    _symbol,
    _quantity,
    _price_fields,
    _increments,
    _whole_quantity,
    _time_in_force,
    _stop_side,
    _market_open,
    _effect,
    _held,
    _crosses_zero,
    _short,
    _wash_trade,
)
