"""
One instrument's observations in one stretch of time, and where on it an order must be looked at. Pure.

Everything here is comparison of int64 columns. It never decides a fill: it finds the observations at
which the exact rules must be asked, and leaves out only those at which they would answer "waits".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brokers.enums import OrderType, Side
from brokers.instruments import IncrementRule
from brokers.market_data.replay.quotes import Observations
from brokers.simulator.book import WorkingOrder
from brokers.simulator.candidates import NEVER, Series, series_table
from brokers.simulator.presets import Trigger
from brokers.simulator.terms import Observation

STEP_SECONDS = 5
PERCENT = 100_000_000


@dataclass(kw_only=True)
class Tape:
    """Observations of one instrument with times in epoch seconds; at most one session's worth."""

    observations: Observations
    opens_at: int
    closes_at: int
    source: str
    market_identity: str

    def __len__(self) -> int:
        return len(self.observations.at)

    def at(self, index: int) -> int:
        return int(self.observations.at[index])

    def start_after(self, epoch: int) -> int:
        """Return the index of the first observation later than this time."""
        return int(np.searchsorted(self.observations.at, epoch, side="right"))

    def observation(self, index: int) -> Observation:
        """Return one observation as the exact rules read it."""
        seen = self.observations
        at = int(seen.at[index])
        return Observation(
            at=at,
            last_units=int(seen.last[index]),
            bid_units=int(seen.bid[index]),
            ask_units=int(seen.ask[index]),
            bid_size=int(seen.bid_size[index]),
            ask_size=int(seen.ask_size[index]),
            is_regular=bool(seen.is_regular[index]),
            is_halted=bool(seen.is_halted[index]),
            is_opening_print=at == self.opens_at,
            is_closing_print=at == self.closes_at,
            step=at // STEP_SECONDS,
            source=self.source,
            market_identity=self.market_identity,
        )

    # ------------------------------------------------------------------ columns

    @cached_property
    def is_open(self) -> np.ndarray:
        """Regular hours, trading."""
        return self.observations.is_regular & ~self.observations.is_halted

    @cached_property
    def is_open_extended(self) -> np.ndarray:
        return ~self.observations.is_halted

    def far(self, side: Side) -> np.ndarray:
        return self.observations.ask if side is Side.BUY else self.observations.bid

    def trigger_prices(self, side: Side, trigger: Trigger) -> np.ndarray:
        """Return the price that may wake a stop at each observation, 0 where there is none to trust."""
        bid, ask, last = self.observations.bid, self.observations.ask, self.observations.last
        if trigger is Trigger.QUOTE:
            return self.far(side)
        both = (bid > 0) & (ask > 0)
        if trigger is Trigger.MARK:
            return np.where(both, (bid + ask + 1) // 2, 0)
        spread = ask - bid
        outside = both & ((last < bid - spread) | (last > ask + spread))
        return np.where(outside, 0, last)

    @cached_property
    def extremes(self) -> np.ndarray:
        """
        Return the furthest answer to each question of `candidates.Series`: regular hours, then all hours.

        Taken over every way of triggering and with touches, so it holds whatever an account has chosen.
        """
        found = np.full((2, len(Series)), NEVER, dtype=np.int64)
        for extended in (False, True):
            for trigger in Trigger:
                table = series_table(self.observations, trigger=trigger, touches=True, extended=extended)
                if table.shape[1]:
                    found[int(extended)] = np.minimum(found[int(extended)], table.min(axis=1))
        return found


# ---------------------------------------------------------------------- one order


def next_index(
    order: WorkingOrder,
    tape: Tape,
    *,
    start: int,
    trigger: Trigger,
    on_touch: bool,
    increments: IncrementRule,
) -> int | None:
    """Return the first observation from `start` on at which the exact rules must be asked."""
    hits = _mask(order, tape, start=start, trigger=trigger, on_touch=on_touch, increments=increments)
    first = int(np.argmax(hits)) if len(hits) else 0
    return start + first if len(hits) and hits[first] else None


def _mask(
    order: WorkingOrder,
    tape: Tape,
    *,
    start: int,
    trigger: Trigger,
    on_touch: bool,
    increments: IncrementRule,
) -> np.ndarray:
    is_open = (tape.is_open_extended if order.extended_hours else tape.is_open)[start:]
    far, last = tape.far(order.side)[start:], tape.observations.last[start:]
    if order.order_type is OrderType.MARKET or (order.is_triggered and order.limit_units is None):
        return is_open & (far > 0)
    if order.order_type is OrderType.LIMIT or order.is_triggered:
        return is_open & _limit_hits(order, far, last, on_touch=on_touch)
    prices = tape.trigger_prices(order.side, trigger)[start:]
    stop = order.stop_units
    if order.order_type is OrderType.TRAILING_STOP:
        marks = watermarks(order, np.where(is_open, prices, 0))
        stop = trailing_stops(order, marks, increments=increments)
    reached = prices >= stop if order.side is Side.BUY else prices <= stop
    return is_open & (prices > 0) & reached


def _limit_hits(order: WorkingOrder, far: np.ndarray, last: np.ndarray, *, on_touch: bool) -> np.ndarray:
    limit = order.limit_units
    if order.side is Side.BUY:
        through = (last <= limit) if on_touch else (last < limit)
        return ((far > 0) & (far <= limit)) | ((last > 0) & through)
    through = (last >= limit) if on_touch else (last > limit)
    return (far >= limit) | through


def watermarks(order: WorkingOrder, prices: np.ndarray) -> np.ndarray:
    """Return a trailing stop's watermark after each price; prices of 0 do not count, 0 is none yet."""
    if order.side is Side.SELL:
        return np.maximum.accumulate(np.maximum(prices, order.watermark_units or 0))
    high = np.iinfo(np.int64).max
    known = np.where(prices > 0, prices, high)
    marks = np.minimum.accumulate(np.minimum(known, order.watermark_units or high))
    return np.where(marks == high, 0, marks)


def trailing_stops(order: WorkingOrder, marks: np.ndarray, *, increments: IncrementRule) -> np.ndarray:
    """Return the stop at each watermark, rounded to the increment: up for buys, down for sells."""
    sign = order.side.sign
    if order.trail_amount_units is not None:
        exact = marks + sign * order.trail_amount_units
    else:
        # In two parts, because watermark x percent leaves 64 bits from a price of 60,000 on.
        factor = PERCENT + sign * order.trail_percent_units
        whole, rest = marks // PERCENT, marks % PERCENT
        product = rest * factor
        part = -(-product // PERCENT) if order.side is Side.BUY else product // PERCENT
        exact = whole * factor + part
    step = np.where(exact < increments.threshold_units, increments.below_units, increments.from_units)
    return -(-exact // step) * step if order.side is Side.BUY else exact // step * step
