"""Rules about an order and what the account already has: position, held quantity, shorts, its other orders. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from brokers.enums import AccountKind, OrderType, PositionEffect, Side, TimeInForce
from brokers.errors import Refusal
from brokers.messages import NewOrder
from brokers.simulator.presets import StopOnWrongSide
from brokers.simulator.surroundings import (
    RestingOrder,
    Surroundings,
    is_closing,
    is_fractional,
    plain,
    position_effect,
)


def stop_side(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    is_refused = around.settings.stop_on_wrong_side is StopOnWrongSide.REJECT
    if not is_refused or order.stop_price is None or around.last is None:
        return
    is_reached = around.last >= order.stop_price if order.side is Side.BUY else around.last <= order.stop_price
    if is_reached:
        side = "buy stop must be above" if order.side is Side.BUY else "sell stop must be below"
        yield Refusal(
            "STOP_ON_WRONG_SIDE",
            f"A {side} the last price {plain(around.last)}; it is {plain(order.stop_price)}.",
            measured=plain(order.stop_price),
            limit=plain(around.last),
        )


def effect(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    inferred = position_effect(order, position=around.position)
    if order.position_effect is None or order.position_effect is inferred:
        return
    side = order.side.lower()
    yield Refusal(
        "EFFECT_MISMATCH",
        f"The order says {side} to {order.position_effect.lower()}, but with a position of "
        f"{plain(around.position)} {order.symbol} it is a {side} to {inferred.lower()}.",
        measured=f"{side}_to_{inferred.lower()}",
        limit=f"{side}_to_{order.position_effect.lower()}",
    )


def held(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if not is_closing(order, around) or order.quantity is None:
        return
    position, free = abs(around.position), abs(around.position) - around.held
    is_said_to_close = order.position_effect is PositionEffect.CLOSE
    if order.quantity > free and (order.quantity <= position or is_said_to_close):
        yield Refusal(
            "QUANTITY_HELD",
            f"The order closes {plain(order.quantity)} {order.symbol}, but of {plain(position)} only "
            f"{plain(free)} are free; other orders hold {plain(around.held)}.",
            measured=plain(order.quantity),
            limit=plain(free),
        )


def crosses_zero(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if not is_closing(order, around):
        return
    position = abs(around.position)
    if order.quantity is None or order.quantity > position:
        asked = f"{plain(order.notional or Decimal(0))} in money" if order.quantity is None else plain(order.quantity)
        yield Refusal(
            "CROSSES_ZERO",
            f"The order for {asked} would close the position of {plain(around.position)} {order.symbol} and "
            f"open the other way: close with {plain(position)} first.",
            measured=asked,
            limit=plain(position),
        )


def short(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if order.side is not Side.SELL or is_closing(order, around):
        return
    facts = around.instrument
    assert facts is not None
    if around.account_kind is AccountKind.CASH or not around.may_short:
        yield Refusal(
            "SHORT_NOT_ALLOWED",
            f"There are no {facts.symbol} to sell, and this account may not sell short.",
            measured=plain(around.position),
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
    last = "unknown" if around.last is None else plain(around.last)
    yield Refusal(
        "SHORT_UNDER_PRICE",
        f"{order.symbol} can be sold short from {minimum} up; its last price is {last}.",
        measured=last,
        limit=str(minimum),
    )


def wash_trade(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
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
