"""Where a trailing stop stands: its watermark and the stop that follows it. Prices are units."""

from __future__ import annotations

from brokers.enums import OrderType, Side
from brokers.instruments import IncrementRule
from brokers.money import MONEY, divide_up
from brokers.simulator.pricing import worse
from brokers.simulator.terms import OrderTerms

PERCENT = 100 * MONEY


def moved_watermark(side: Side, watermark_units: int | None, price_units: int) -> int:
    """Return a trailing stop's watermark after a price: the lowest so far for buys, the highest for sells."""
    if watermark_units is None:
        return price_units
    better = min if side is Side.BUY else max
    return better(watermark_units, price_units)


def stop_price(terms: OrderTerms, *, increments: IncrementRule) -> int:
    """
    Return the stop in units: the order's own, or the trailing one at its watermark.

    A trailing stop is rounded to the increment, up for buys and down for sells.
    """
    if terms.order_type is not OrderType.TRAILING_STOP:
        return terms.stop_units
    watermark, sign = terms.watermark_units, terms.side.sign
    if terms.trail_amount_units is not None:
        return worse(terms.side, watermark + sign * terms.trail_amount_units, increments=increments)
    product = watermark * (PERCENT + sign * terms.trail_percent_units)
    exact = divide_up(product, PERCENT) if terms.side is Side.BUY else product // PERCENT
    return worse(terms.side, exact, increments=increments)
