"""Rules about what an order says: its quantity, its prices, and which of them belong to its type. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from brokers import instruments, money
from brokers.enums import OrderType, Side
from brokers.errors import Refusal
from brokers.messages import InstrumentFacts, NewOrder
from brokers.simulator.surroundings import Surroundings, is_fractional, places, plain, type_in_words

NOTIONAL_MIN = Decimal("1.00")
TRAIL_PERCENT_MIN, TRAIL_PERCENT_MAX = Decimal("0.1"), Decimal("50")
QUANTITY_MAX = Decimal(1_000_000_000)
PRICE_MAX = Decimal(10_000_000)
_NEEDS_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_NEEDS_STOP = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


def quantity(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if (order.quantity is None) == (order.notional is None):
        given = "none of both" if order.quantity is None else "both"
        yield Refusal("QUANTITY_OR_NOTIONAL", f"An order has a quantity or an amount of money; this one has {given}.")
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
            f"The quantity {plain(quantity)} is above {plain(QUANTITY_MAX)}, the most in one order.",
            measured=plain(quantity),
            limit=plain(QUANTITY_MAX),
        )


def _given_notional(notional: Decimal, side: Side) -> Iterator[Refusal]:
    if side is Side.SELL:
        yield Refusal("QUANTITY_OR_NOTIONAL", "Only a buy can be given as an amount of money; a sell needs a quantity.")
    elif not notional.is_finite() or notional <= 0:
        yield Refusal(
            "QUANTITY_NOT_POSITIVE",
            f"The amount of money must be above 0; it is {notional}.",
            measured=str(notional),
            limit="0",
        )
    elif notional < NOTIONAL_MIN:
        yield Refusal(
            "NOTIONAL_TOO_SMALL",
            f"An order by amount buys for at least {NOTIONAL_MIN}; it says {notional}.",
            measured=str(notional),
            limit=str(NOTIONAL_MIN),
        )
    elif places(notional) > 2 or notional > QUANTITY_MAX:
        yield Refusal(
            "QUANTITY_OR_NOTIONAL",
            f"An amount has at most two decimals and is at most {plain(QUANTITY_MAX)}; it says {notional}.",
            measured=str(notional),
        )


def price_fields(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    kind = type_in_words(order)
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
            f"The {name} price {price} is not above 0 and at most {plain(PRICE_MAX)}.",
            measured=str(price),
            limit=plain(PRICE_MAX),
        )


def _trail_fields(order: NewOrder, kind: str) -> Iterator[Refusal]:
    given = [trail for trail in (order.trail_amount, order.trail_percent) if trail is not None]
    if order.order_type is not OrderType.TRAILING_STOP:
        if given:
            yield Refusal("PRICE_NOT_ALLOWED", f"A {kind} order does not trail; it has {given[0]}.")
    elif len(given) != 1:
        yield Refusal("TRAIL_ONE_OF", f"A trailing stop trails by an amount or a percentage; it has {len(given)}.")
    elif order.trail_amount is not None:
        yield from _trail_amount(order.trail_amount)
    elif order.trail_percent is not None:
        yield from _trail_percent(order.trail_percent)


def _trail_amount(amount: Decimal) -> Iterator[Refusal]:
    if not amount.is_finite() or not 0 < amount <= PRICE_MAX or places(amount) > money.MONEY_SCALE:
        yield Refusal(
            "TRAIL_ONE_OF",
            f"A trailing stop trails by an amount above 0 with at most six decimals; it says {amount}.",
            measured=str(amount),
        )


def _trail_percent(percent: Decimal) -> Iterator[Refusal]:
    is_inside = percent.is_finite() and TRAIL_PERCENT_MIN <= percent <= TRAIL_PERCENT_MAX
    if not is_inside or places(percent) > money.MONEY_SCALE:
        yield Refusal(
            "TRAIL_ONE_OF",
            f"A trailing stop trails by {TRAIL_PERCENT_MIN} to {TRAIL_PERCENT_MAX} percent; it says {percent}.",
            measured=str(percent),
            limit=f"{TRAIL_PERCENT_MIN}-{TRAIL_PERCENT_MAX}",
        )


def increments(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
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


def whole_quantity(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    facts = around.instrument
    assert facts is not None
    if not is_fractional(order):
        return
    asked = "an amount of money" if order.quantity is None else f"{plain(order.quantity)} shares"
    if not facts.is_fractionable:
        yield Refusal(
            "WHOLE_QUANTITY",
            f"{facts.symbol} trades only in whole shares; the order is for {asked}.",
            limit="1",
        )
    elif order.quantity is not None and places(order.quantity) > money.QUANTITY_SCALE:
        yield Refusal("WHOLE_QUANTITY", f"A quantity has at most nine decimals; the order is for {asked}.")
    elif order.order_type is OrderType.TRAILING_STOP:
        yield Refusal("WHOLE_QUANTITY", f"A trailing stop needs whole shares; the order is for {asked}.", limit="1")
