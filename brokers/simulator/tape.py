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

    # ------------------------------------------------------------------ quick bounds for a whole batch

    @cached_property
    def limit_reach(self) -> dict[Side, int | None]:
        """Return, a side, the least generous limit at which any regular observation could fill; None: none."""
        return {side: self._limit_reach(side, self.is_open) for side in Side}

    @cached_property
    def extended_limit_reach(self) -> dict[Side, int | None]:
        return {side: self._limit_reach(side, self.is_open_extended) for side in Side}

    def _limit_reach(self, side: Side, is_open: np.ndarray) -> int | None:
        far, last = self.far(side), self.observations.last
        prices = np.concatenate((far[is_open & (far > 0)], last[is_open & (last > 0)]))
        if not len(prices):
            return None
        return int(prices.min() if side is Side.BUY else prices.max())

    @cached_property
    def print_range(self) -> tuple[int, int] | None:
        """Return lowest and highest of all that may wake a stop: prints, bids and asks in regular hours."""
        columns = [self.observations.last, self.observations.bid, self.observations.ask]
        prices = np.concatenate([column[self.is_open & (column > 0)] for column in columns])
        return (int(prices.min()), int(prices.max())) if len(prices) else None


# ---------------------------------------------------------------------- one order


def may_trade(order: WorkingOrder, tape: Tape) -> bool:
    """Say quickly whether anything on the tape could concern an order; True when in doubt."""
    if order.order_type is OrderType.MARKET or (order.is_triggered and order.limit_units is None):
        return bool(len(tape))
    if order.order_type is OrderType.LIMIT or order.is_triggered:
        reach = (tape.extended_limit_reach if order.extended_hours else tape.limit_reach)[order.side]
        if reach is None or order.limit_units is None:
            return False
        return order.limit_units >= reach if order.side is Side.BUY else order.limit_units <= reach
    if order.order_type is OrderType.TRAILING_STOP:
        return bool(len(tape))
    spread = tape.print_range
    if spread is None or order.stop_units is None:
        return False
    return order.stop_units <= spread[1] if order.side is Side.BUY else order.stop_units >= spread[0]


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
        # Watermark x percent stays below 2^63 for prices up to 50,000: beyond, split the product.
        factor = PERCENT + sign * order.trail_percent_units
        whole, rest = marks // PERCENT, marks % PERCENT
        product = rest * factor
        part = -(-product // PERCENT) if order.side is Side.BUY else product // PERCENT
        exact = whole * factor + part
    step = np.where(exact < increments.threshold_units, increments.below_units, increments.from_units)
    return -(-exact // step) * step if order.side is Side.BUY else exact // step * step
