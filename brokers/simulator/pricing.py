"""The price of a fill: rounded against the trader, held to its limit, and checked against the market."""

from __future__ import annotations

from brokers.enums import Side
from brokers.instruments import IncrementRule, round_down_to, round_up_to
from brokers.money import MONEY
from brokers.simulator.terms import OrderTerms, Rule, Verdict, waits


class EnvelopeViolation(ArithmeticError):
    """A fill would lie outside the market or beyond its limit. Refuse it and alert: the venue is wrong."""


def final_price(verdict: Verdict, *, side: Side, slippage_units: int, increments: IncrementRule) -> tuple[int, int]:
    """
    Return (price before rounding, price) of a fill in units.

    Rounding to the increment is always against the trader, exact multiples stay. A sell gets at least
    one increment: less is not a price.
    """
    if verdict.at_limit:
        return verdict.base_units, verdict.base_units
    unrounded = verdict.base_units + side.sign * slippage_units
    price = worse(side, unrounded, increments=increments)
    if side is Side.SELL:
        price = max(price, increments.at(1))
    if verdict.limit_units is None:
        return unrounded, price
    bounded = min if side is Side.BUY else max
    return unrounded, bounded(verdict.limit_units, price)


def check_envelope(
    verdict: Verdict, *, side: Side, price_units: int, slippage_units: int, increments: IncrementRule
) -> None:
    """
    Refuse a price that no market could have given: beyond the limit, or outside market and slippage.

    Each outer edge is rounded outward to the increment. A resting limit fills at its own price, wherever
    the quote stands. Raises `EnvelopeViolation`.
    """
    limit = verdict.limit_units
    if limit is not None and not within_limit(side, price_units, limit):
        raise EnvelopeViolation(f"A {side} at {spoken(price_units)} would break its limit {spoken(limit)}.")
    if verdict.at_limit and verdict.rule is not Rule.BAR_LIMIT:
        return
    lowest = worse(Side.SELL, verdict.lowest_units - slippage_units, increments=increments)
    highest = worse(Side.BUY, verdict.highest_units + slippage_units, increments=increments)
    if not lowest <= price_units <= highest:
        raise EnvelopeViolation(
            f"A {side} at {spoken(price_units)} would lie outside {spoken(lowest)} to {spoken(highest)}."
        )


def worse(side: Side, price_units: int, *, increments: IncrementRule) -> int:
    """Round a price to its increment against the trader: up for buys, down for sells."""
    step = increments.at(price_units)
    return round_up_to(price_units, step) if side is Side.BUY else round_down_to(price_units, step)


def spoken(price_units: int) -> str:
    """Write a price with its decimals, at least two: 150.04, 0.9999."""
    sign, size = "-" if price_units < 0 else "", abs(price_units)
    decimals = f"{size % MONEY:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{size // MONEY}.{decimals}"


def at_print(terms: OrderTerms, price_units: int, *, rule: Rule, spread_units: int) -> Verdict:
    """Match an order in an auction at its print: no spread, slippage applies, a limit must hold."""
    limit = terms.limit_units
    if not price_units:
        return waits(terms, "there was no print")
    if limit is not None and not within_limit(terms.side, price_units, limit):
        return waits(terms, beyond_limit(terms.side, price_units, limit, name="print"))
    return Verdict(
        rule=rule,
        reference_units=price_units,
        base_units=price_units,
        spread_units=spread_units,
        limit_units=limit,
        lowest_units=price_units,
        highest_units=price_units,
        watermark_units=terms.watermark_units,
        is_triggered=terms.is_triggered,
    )


def reached(side: Side, price_units: int, stop_units: int) -> bool:
    """Return whether a price wakes a stop; met exactly counts."""
    return price_units >= stop_units if side is Side.BUY else price_units <= stop_units


def within_limit(side: Side, price_units: int, limit_units: int) -> bool:
    """Return whether a price, if there is one, is the limit or better."""
    if price_units <= 0:
        return False
    return price_units <= limit_units if side is Side.BUY else price_units >= limit_units


def beyond_limit(side: Side, price_units: int, limit_units: int, *, name: str) -> str:
    """Say why a limit order waits: `ask 150.04 > limit 150.00`."""
    if not price_units:
        return f"there is no {name}"
    return f"{name} {spoken(price_units)} {'>' if side is Side.BUY else '<'} limit {spoken(limit_units)}"
