"""One symbol in one session: its prints, quotes and volume from 04:00 to 20:00 New York."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import draws, intraday, quotes
from .daily import DailySeries, fund_growth, to_grid
from .intraday import STEP_SECONDS, MinuteBars
from .quotes import Observations
from .universe import UniverseRow

# All sessions of the exchange open at 09:30 New York, so the other hours follow from the open.
PRE_OPEN_SECONDS = 5 * 3600 + 1800
EXTENDED_END_SECONDS = 10 * 3600 + 1800
EXTENDED_END_HALF_DAY_SECONDS = 7 * 3600 + 1800
FULL_SESSION_SECONDS = 6 * 3600 + 1800
PRE_OPEN_NOISE = 0.45
# Asked for more steps than this at once, the whole day is computed and kept.
STEPS_COMPUTED_ALONE = 600


@dataclass(frozen=True, slots=True)
class Hours:
    """The times of a session in epoch seconds: 04:00 New York, open, close, end of extended hours."""

    ordinal: int
    pre_open_at: int
    open_at: int
    close_at: int
    end_at: int

    @property
    def steps(self) -> int:
        """Count the five-second steps from open to close."""
        return (self.close_at - self.open_at) // STEP_SECONDS


def hours(*, ordinal: int, open_at: int, close_at: int) -> Hours:
    """Work out a session's extended hours: until 20:00 New York, on half days until 17:00."""
    is_half_day = close_at - open_at < FULL_SESSION_SECONDS
    end = EXTENDED_END_HALF_DAY_SECONDS if is_half_day else EXTENDED_END_SECONDS
    return Hours(ordinal, open_at - PRE_OPEN_SECONDS, open_at, close_at, open_at + end)


@dataclass(kw_only=True)
class SymbolSession:
    """
    One symbol's whole session, computed piece by piece as it is asked for.

    It knows the day's end from the start: callers must never ask it for steps
    after their present. `base` is the base's session for a leveraged fund, which
    shares the base's halts so that its price stays the base's image.
    """

    seed: int
    symbol: str
    hours: Hours
    series: DailySeries
    row: int
    half_spread_bps: float
    base_volume: int
    fund: UniverseRow | None = None
    base: "SymbolSession | None" = None
    _whole: np.ndarray | None = field(default=None, init=False)

    # ------------------------------------------------------------------ observations

    def observations(self, *, after: int, until: int) -> list[Observations]:
        """Return pre-open, regular and after-hours parts with after < at <= until, empty ones left out."""
        day = self.hours
        pre_open_until = min(until, day.open_at - 1) if self._has_pre_open else after
        parts = (
            (self._pre_open, _steps_between(day.pre_open_at, after, pre_open_until)),
            (self._regular, _steps_between(day.open_at, after, min(until, day.close_at))),
            (
                self._after_hours,
                _steps_between(day.close_at, max(after, day.close_at), min(until, day.end_at - 1)),
            ),
        )
        return [observe(asked) for observe, asked in parts if len(asked)]

    def observation_at(self, at: int) -> Observations | None:
        """Return the newest observation at or before `at`, which must not lie before the pre-open."""
        day = self.hours
        if at < day.open_at:
            return self._pre_open(_step(at - day.pre_open_at)) if self._has_pre_open else None
        if at < day.close_at + STEP_SECONDS:
            return self._regular(_step(min(at, day.close_at) - day.open_at))
        return self._after_hours(_step(min(at, day.end_at - STEP_SECONDS) - day.close_at))

    @property
    def _has_pre_open(self) -> bool:
        """Say whether there was a close before, around which to quote: not so for a first imported bar."""
        return bool(self.series.reference[self.row] > 0)

    def _regular(self, asked: np.ndarray) -> Observations:
        last = self.prints(asked)
        multiple = quotes.spread_multiples(asked=asked, steps=self.hours.steps, windows=self._windows)
        bid, ask = quotes.sides(middle=last, half_spread_bps=self.half_spread_bps, multiple=multiple * self._volatility)
        bid_size, ask_size = quotes.sizes(size_key=self._size_key, asked=asked, base_volume=self.base_volume)
        halted = intraday.is_halted(asked, self.halt)
        if halted.any():
            bid, ask, bid_size, ask_size = (np.where(halted, 0, side) for side in (bid, ask, bid_size, ask_size))
        at = self.hours.open_at + asked * STEP_SECONDS
        return Observations(at, last, bid, ask, bid_size, ask_size, np.ones(len(at), bool), halted)

    def _pre_open(self, asked: np.ndarray) -> Observations:
        last = max(int(to_grid(self.series.reference[self.row], grid=int(self.series.grid[self.row]))), 1)
        at = self.hours.pre_open_at + asked * STEP_SECONDS
        return self._extended(at, last, np.maximum(np.rint(self._pre_open_middle(asked)).astype(np.int64), 1))

    def _after_hours(self, asked: np.ndarray) -> Observations:
        """Quote around the close; tomorrow's news is not known yet."""
        last = int(self.series.bars.close[self.row])
        return self._extended(self.hours.close_at + asked * STEP_SECONDS, last, np.full(len(asked), last))

    def _extended(self, at: np.ndarray, last: int, middle: np.ndarray) -> Observations:
        multiple = quotes.EXTENDED_MULTIPLE * self._volatility
        bid, ask = quotes.sides(middle=middle, half_spread_bps=self.half_spread_bps, multiple=multiple)
        size, never = np.full(len(at), quotes.ROUND_LOT, np.int64), np.zeros(len(at), bool)
        return Observations(at, np.full(len(at), last, np.int64), bid, ask, size, size, never, never)

    def _pre_open_middle(self, asked: np.ndarray) -> np.ndarray:
        """Return the middle of the pre-open quotes in units, not rounded, on today's split basis."""
        if self.base is not None:
            return self._fund_price(self.base._pre_open_middle(asked))
        series, row = self.series, self.row
        start = series.reference[row] - series.bars.dividend[row]
        t = asked * STEP_SECONDS / PRE_OPEN_SECONDS
        stream = np.full(len(asked), self._key("pre-open"), np.uint64)
        noise = PRE_OPEN_NOISE * series.deviation[row] * series.volatility[row] * start
        return start + (series.bars.open[row] - start) * t + noise * intraday.bridge(stream, t)

    # ------------------------------------------------------------------ prints and volume

    def prints(self, asked: np.ndarray) -> np.ndarray:
        """Return the prices in units at these steps of the regular session."""
        if self._whole is None and len(asked) > STEPS_COMPUTED_ALONE:
            self._whole = self._compute(np.arange(self.hours.steps + 1))
        return self._compute(asked) if self._whole is None else self._whole[asked]

    def _compute(self, asked: np.ndarray) -> np.ndarray:
        if self.base is not None:
            return to_grid(self._fund_price(self.base.prints(asked)))
        return intraday.prints(self._path, asked)

    def _fund_price(self, base_units: np.ndarray) -> np.ndarray:
        base = self.base.series
        return self.series.carried[self.row] * fund_growth(
            row=self.fund,
            base_units=base_units,
            dividend=base.bars.dividend[self.base.row],
            reference=base.reference[self.base.row],
        )

    @cached_property
    def minute_shares(self) -> tuple[int, np.ndarray, int]:
        """Return shares of the opening auction, of each minute, and of the closing auction."""
        return intraday.minute_shares(
            volume=int(self.series.bars.volume[self.row]),
            minutes=self.hours.steps // intraday.STEPS_PER_MINUTE,
            minute_key=self._key("minute volume"),
            halt=self.halt,
        )

    def minute_bars(self, *, until: int) -> MinuteBars:
        """Build the minute bars of all prints up to `until`."""
        shown = max(0, (min(until, self.hours.close_at) - self.hours.open_at) // STEP_SECONDS + 1)
        if self._whole is None:
            self._whole = self._compute(np.arange(self.hours.steps + 1))
        return intraday.minute_bars(
            open_at=self.hours.open_at,
            steps=self.hours.steps,
            path=self._whole[:shown],
            shares=self.minute_shares,
        )

    @cached_property
    def halt(self) -> intraday.Halt:
        """Return the day's halt, if any."""
        if self.base is not None:
            return self.base.halt
        return intraday.draw_halt(halt_key=self._key("halt"), steps=self.hours.steps)

    # ------------------------------------------------------------------ what is drawn once a day

    @cached_property
    def _path(self) -> intraday.DayPath:
        bars, row = self.series.bars, self.row
        return intraday.day_path(
            units=tuple(int(column[row]) for column in (bars.open, bars.high, bars.low, bars.close)),
            grid=int(self.series.grid[row]),
            steps=self.hours.steps,
            day_key=self._key("path"),
            halt=self.halt,
        )

    @cached_property
    def _windows(self) -> np.ndarray:
        return quotes.wide_windows(wide_key=self._key("wide"), steps=self.hours.steps)

    @cached_property
    def _size_key(self) -> int:
        return self._key("size")

    @cached_property
    def _volatility(self) -> float:
        return float(self.series.volatility[self.row])

    def _key(self, stream: str) -> int:
        return draws.draw_one(draws.key(self.seed, stream, self.symbol), self.hours.ordinal)


def _step(seconds: int) -> np.ndarray:
    return np.array([seconds // STEP_SECONDS])


def _steps_between(origin: int, after: int, until: int) -> np.ndarray:
    """Return the steps counted from `origin` with after < time <= until, none before the origin."""
    first = max(0, (after - origin) // STEP_SECONDS + 1)
    return np.arange(first, (until - origin) // STEP_SECONDS + 1)
