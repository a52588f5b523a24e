"""Matching against bars, where only open, high, low and close are known: always the worse reading."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from brokers.enums import OrderType, Side, TimeInForce
from brokers.instruments import IncrementRule, round_up_to
from brokers.money import divide_up
from brokers.simulator.pricing import at_print, reached, spoken, within_limit
from brokers.simulator.terms import MarketBar, OrderTerms, Rule, Verdict, waits
from brokers.simulator.trailing import moved_watermark, stop_price

BPS = 10_000
_ONE_LOOK = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Exit(StrEnum):
    TARGET = "TARGET"
    STOP = "STOP"


def against_bar(terms: OrderTerms, bar: MarketBar, *, increments: IncrementRule, spread_bps: Decimal) -> Verdict:
    """
    Decide whether an order trades in a bar that starts at or after it became active.

    Bars are made of prints, so half of an assumed spread (`spread_bps`) is added to every price but a
    resting limit's own. Immediate orders see the open alone.
    """
    seen = _Bar(terms, bar, increments, spread_bps)
    if terms.time_in_force in (TimeInForce.OPG, TimeInForce.CLS):
        return seen.auction()
    if bar.is_halted:
        return waits(terms, "trading is halted")
    if terms.order_type is OrderType.LIMIT or (terms.is_triggered and terms.order_type is OrderType.STOP_LIMIT):
        return seen.limit()
    if terms.order_type is OrderType.MARKET or terms.is_triggered:
        return seen.at_price(bar.open_units, Rule.BAR_OPEN)
    match terms.order_type:
        case OrderType.STOP:
            return seen.stop()
        case OrderType.STOP_LIMIT:
            return seen.stop_limit()
        case _:
            return seen.trailing()


def half_spread(price_units: int, *, increments: IncrementRule, spread_bps: Decimal) -> int:
    """Return half the assumed spread in units: at least half an increment, rounded up to the increment."""
    step = increments.at(price_units)
    numerator, denominator = spread_bps.as_integer_ratio()
    scale = BPS * denominator
    widest = max(step * scale, numerator * price_units)
    return round_up_to(divide_up(widest, 2 * scale), step)


class _Bar:
    """One order in one bar."""

    def __init__(self, terms: OrderTerms, bar: MarketBar, increments: IncrementRule, spread_bps: Decimal) -> None:
        self.terms, self.bar = terms, bar
        self.side = terms.side
        self.increments = increments
        # One spread for the whole bar, of its open: the price that is known first.
        self.half = half_spread(bar.open_units, increments=increments, spread_bps=spread_bps)
        # The extreme a buy stop waits for, and the one a buy limit waits for; sells mirror.
        is_buy = terms.side is Side.BUY
        self.adverse = bar.high_units if is_buy else bar.low_units
        self.favourable = bar.low_units if is_buy else bar.high_units

    def auction(self) -> Verdict:
        is_opening = self.terms.time_in_force is TimeInForce.OPG
        if not (self.bar.is_first if is_opening else self.bar.is_last):
            name = "opening" if is_opening else "closing"
            return waits(self.terms, f"the {name} print", was_looked_at=False)
        if self.bar.is_halted:
            return waits(self.terms, "trading is halted")
        price = self.bar.open_units if is_opening else self.bar.close_units
        rule = Rule.OPENING_PRINT if is_opening else Rule.CLOSING_PRINT
        return at_print(self.terms, price, rule=rule, spread_units=2 * self.half)

    def limit(self) -> Verdict:
        limit = self.terms.limit_units
        if within_limit(self.side, self.far(self.bar.open_units), limit):
            return self.at_price(self.bar.open_units, Rule.BAR_OPEN, limit=limit)
        if self.terms.time_in_force not in _ONE_LOOK and self.traded_through(limit):
            own = self.at_price(self.bar.open_units, Rule.BAR_LIMIT, limit=limit)
            return replace(own, base_units=limit, at_limit=True)
        name, where = ("low", "under") if self.side is Side.BUY else ("high", "above")
        text = f"{name} {spoken(self.favourable)} is not {where} limit {spoken(limit)}"
        return waits(self.terms, text)

    def stop(self) -> Verdict:
        return self.at_stop(self.terms.stop_units, Rule.BAR_STOP) or self.not_reached(self.terms.stop_units)

    def stop_limit(self) -> Verdict:
        terms, bar, limit = self.terms, self.bar, self.terms.limit_units
        if not reached(self.side, self.adverse, terms.stop_units):
            return self.not_reached(terms.stop_units)
        self.terms = replace(terms, is_triggered=True)
        is_gap = reached(self.side, bar.open_units, terms.stop_units)
        if is_gap and within_limit(self.side, self.far(bar.open_units), limit):
            return self.at_price(bar.open_units, Rule.BAR_STOP_GAP, limit=limit)
        if within_limit(self.side, bar.close_units, limit):
            # Only the close is certainly after the trigger.
            further = max if self.side is Side.BUY else min
            base = further(terms.stop_units, bar.close_units)
            return self.at_price(base, Rule.BAR_STOP_LIMIT, limit=limit)
        sign = ">" if self.side is Side.BUY else "<"
        return waits(self.terms, f"close {spoken(bar.close_units)} {sign} limit {spoken(limit)}")

    def trailing(self) -> Verdict:
        if self.terms.watermark_units is None:
            # The open is the first print since the order became active.
            self.terms = replace(self.terms, watermark_units=self.bar.open_units)
        stopped = self.at_stop(stop_price(self.terms, increments=self.increments), Rule.BAR_TRAILING_STOP)
        if stopped is not None:
            return stopped
        watermark = moved_watermark(self.side, self.terms.watermark_units, self.favourable)
        self.terms = replace(self.terms, watermark_units=watermark)
        stop = stop_price(self.terms, increments=self.increments)
        if not reached(self.side, self.bar.close_units, stop):
            return self.not_reached(stop, price=self.bar.close_units, name="close")
        # The close came after the extreme that moved the stop.
        self.terms = replace(self.terms, is_triggered=True)
        return self.at_price(stop, Rule.BAR_TRAILING_STOP)

    def at_stop(self, stop: int, rule: Rule) -> Verdict | None:
        """Return a stop's fill: at the open when it opens beyond it, else at the stop; None: not reached."""
        if not reached(self.side, self.adverse, stop):
            return None
        self.terms = replace(self.terms, is_triggered=True)
        if reached(self.side, self.bar.open_units, stop):
            return self.at_price(self.bar.open_units, Rule.BAR_STOP_GAP)
        return self.at_price(stop, rule)

    def at_price(self, price: int, rule: Rule, *, limit: int | None = None) -> Verdict:
        half = self.half
        return Verdict(
            rule=rule,
            reference_units=price,
            base_units=price + self.side.sign * half,
            half_spread_units=half,
            spread_units=2 * half,
            limit_units=limit,
            lowest_units=self.bar.low_units - half,
            highest_units=self.bar.high_units + half,
            watermark_units=self.terms.watermark_units,
            is_triggered=self.terms.is_triggered,
        )

    def not_reached(self, stop: int, *, price: int | None = None, name: str = "") -> Verdict:
        sign, extreme = ("<", "high") if self.side is Side.BUY else (">", "low")
        price = self.adverse if price is None else price
        return waits(self.terms, f"{name or extreme} {spoken(price)} {sign} stop {spoken(stop)}")

    def traded_through(self, limit: int) -> bool:
        """Return whether a print lay at least one increment beyond the limit: then it must have filled."""
        if self.side is Side.BUY:
            return 0 < self.favourable <= limit - self.increments.at(limit - 1)
        return self.favourable >= limit + self.increments.at(limit)

    def far(self, price: int) -> int:
        return price + self.side.sign * self.half


def first_exit(
    side: Side, *, target_units: int, stop_units: int, bar: MarketBar, entered_at_open: bool = True
) -> Exit | None:
    """
    Return which of two exits a bar fills when finer data cannot tell; None: neither.

    `side` is the exits' own: SELL out of a long position. An open beyond one of them decides. Otherwise
    the stop came first if the bar reached it, the worse reading. After an entry inside the bar
    (`entered_at_open` false) the open is past, and the target needs the close beyond it.
    """
    is_sell = side is Side.SELL
    adverse = bar.low_units if is_sell else bar.high_units
    favourable = bar.high_units if is_sell else bar.low_units

    def is_beyond_target(price: int) -> bool:
        return price > target_units if is_sell else price < target_units

    if entered_at_open and is_beyond_target(bar.open_units):
        return Exit.TARGET
    if reached(side, adverse, stop_units):
        return Exit.STOP
    decisive = favourable if entered_at_open else bar.close_units
    return Exit.TARGET if is_beyond_target(decisive) else None
