"""
What an order holds back of the cash until it trades or ends, and what may still be spent. Pure.

The percentages are Alpaca's published order checks. Sells of what is held reserve quantity, not cash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from brokers import money
from brokers.enums import InstrumentKind, OrderType, PositionEffect, Side
from brokers.money import QUANTITY
from brokers.simulator.commission import NO_CHARGES, Costs, FeeRow, TradedQuantity, costs_of_slice
from brokers.simulator.presets import SimulationSettings

MARKET_PERCENT = 104
STOP_PERMILLE_CHEAP, STOP_PERMILLE_DEAR = 1_040, 1_025  # of a thousand
STOP_DEAR_FROM = 50 * money.MONEY
SHORT_PERCENT = 103

_AT_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    An order as far as its reserve goes; prices and quantities in units.

    `ask_units` is None when the market is closed or has no ask; then the last price stands for it. For a
    trailing stop `stop_units` is the stop it would have now.
    """

    kind: InstrumentKind
    side: Side
    effect: PositionEffect
    order_type: OrderType
    quantity_units: int | None
    notional_units: int | None = None
    limit_units: int | None = None
    stop_units: int | None = None
    ask_units: int | None = None
    last_units: int | None = None
    multiplier: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A reserve in money units, and what it consists of. `price_units` is what one unit is taken for."""

    reserve_units: int
    price_units: int
    notional_units: int
    commission_units: int
    fees_units: int


def estimate(
    asked: Asked,
    *,
    settings: SimulationSettings,
    rates: Sequence[FeeRow],
    trade_date: date,
    month_units: int = 0,
) -> Estimate | None:
    """
    Return what an order reserves, rounded up to the cent; None when no price is known to reckon with.

    Closing a position by a sell reserves nothing; its costs come out of the proceeds.
    """
    price = price_per_unit(asked)
    if price is None:
        return None
    notional = _notional(asked, price)
    costs = _costs(asked, price, settings=settings, rates=rates, trade_date=trade_date, month_units=month_units)
    is_free = asked.side is Side.SELL and asked.effect is PositionEffect.CLOSE
    total = 0 if is_free else money.round_up_to_cent(notional + costs.total_units)
    return Estimate(
        reserve_units=total,
        price_units=price,
        notional_units=notional,
        commission_units=costs.commission_units,
        fees_units=costs.fees_units,
    )


def price_per_unit(asked: Asked) -> int | None:
    """Return the price in units that one share is taken for; None when it would need one we do not have."""
    if asked.side is Side.SELL:
        return _sell_price(asked)
    if asked.order_type in _AT_LIMIT:
        return asked.limit_units
    if asked.order_type is OrderType.MARKET:
        known = asked.ask_units or asked.last_units
        return money.divide_up(known * MARKET_PERCENT, 100) if known else None
    return _stop_reserve(asked.stop_units)


def value_units(asked: Asked) -> int | None:
    """
    Return what an order is worth in money units, rounded down; None when no price is known.

    Reckoned at its limit, its stop or the market, without what a reserve adds on top.
    """
    if asked.quantity_units is None:
        return asked.notional_units
    price = _own_price(asked)
    return None if price is None else price * asked.quantity_units * asked.multiplier // QUANTITY


def remaining_reserve(reserve_units: int, *, before_units: int, after_units: int) -> int:
    """Return what an order still reserves when of `before_units` to fill only `after_units` are left."""
    if after_units <= 0 or before_units <= 0:
        return 0
    return min(reserve_units, money.round_up_to_cent(money.divide_up(reserve_units * after_units, before_units)))


def buying_power(*, cash_units: int, reserved_units: int) -> int:
    """Return what a cash account may still spend: its cash less what its working orders reserve."""
    return cash_units - reserved_units


def _sell_price(asked: Asked) -> int | None:
    """A sale is reckoned at its limit or the market; a short one at the dearer of limit and ask x 1.03."""
    if asked.effect is PositionEffect.CLOSE:
        return _own_price(asked)
    market = asked.ask_units or asked.last_units
    if market is None:
        return None
    return max(asked.limit_units or 0, money.divide_up(market * SHORT_PERCENT, 100))


def _own_price(asked: Asked) -> int | None:
    return asked.limit_units or asked.stop_units or asked.ask_units or asked.last_units


def _stop_reserve(stop_units: int | None) -> int | None:
    if stop_units is None:
        return None
    permille = STOP_PERMILLE_CHEAP if stop_units < STOP_DEAR_FROM else STOP_PERMILLE_DEAR
    return money.divide_up(stop_units * permille, 1_000)


def _notional(asked: Asked, price_units: int) -> int:
    if asked.quantity_units is None:
        return asked.notional_units or 0
    return money.divide_up(price_units * asked.quantity_units * asked.multiplier, QUANTITY)


def _costs(
    asked: Asked,
    price_units: int,
    *,
    settings: SimulationSettings,
    rates: Sequence[FeeRow],
    trade_date: date,
    month_units: int,
) -> Costs:
    quantity = asked.quantity_units
    if quantity is None:
        quantity = (asked.notional_units or 0) * QUANTITY // (price_units * asked.multiplier)
    traded = TradedQuantity(
        kind=asked.kind,
        side=asked.side,
        quantity_units=quantity,
        price_units=price_units,
        multiplier=asked.multiplier,
        month_units=month_units,
    )
    return costs_of_slice(settings, traded, before=NO_CHARGES, rates=rates, trade_date=trade_date)
