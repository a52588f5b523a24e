"""
Prints inside a day: a bridge between the extremes that hits open, high, low and close exactly.

A session has 12 steps of five seconds a minute, 0 at the open and N at the close.
Any step is found alone, so asking for one print or for a whole day gives the same.
"""

from dataclasses import dataclass

import numpy as np

from . import draws

STEP_SECONDS = 5
STEPS_PER_MINUTE = 12
LEVELS = 13
HALT_CHANCE = 0.0005
HALT_MINUTES_MIN, HALT_MINUTES_MAX = 5, 30
OPENING_PERCENT = 2
CONTINUOUS_SHARE = 0.88
_SEGMENT_GAMMA = 0xD1342543DE82EF95
_POWERS = np.array([[1 << level] for level in range(LEVELS)], dtype=np.float64)
_OFFSETS = _POWERS.astype(np.uint64)
_WEIGHTS = np.sqrt(12.0) * np.sqrt(0.25 / _POWERS)


@dataclass(frozen=True, slots=True)
class MinuteBars:
    """Bars of whole minutes, the last one perhaps unfinished: `at` is the minute's start in epoch seconds."""

    at: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


@dataclass(frozen=True, slots=True)
class Halt:
    """Steps without trading, `start` inclusive to `end` exclusive; trading reopens at `end`. 0, 0 = none."""

    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPath:
    """
    One symbol's path through one session, ready to be asked for any step.

    Prices are floats in grid steps. Three segments join the open, the two
    extremes and the close; each array has one entry a segment.
    """

    steps: int
    low: float
    high: float
    close: float
    grid: int
    halt: Halt
    joint: np.ndarray
    start_value: np.ndarray
    end_value: np.ndarray
    start_time: np.ndarray
    duration: np.ndarray
    scale: np.ndarray
    stream: np.ndarray


def business_time(x: np.ndarray) -> np.ndarray:
    """Return the share of a day's activity up to fraction `x` of the session; U-shaped, 0 at 0 and 1 at 1."""
    centred = 2 * x - 1
    return 0.6 * x + 0.2 * (centred * centred * centred + 1)


def day_path(*, units: tuple[int, int, int, int], grid: int, steps: int, day_key: int, halt: Halt) -> DayPath:
    """
    Lay out the path of a day with this open, high, low and close in units.

    All four must be multiples of `grid`. `day_key` decides everything random.
    """
    opened, high, low, closed = (float(price // grid) for price in units)
    t_high, t_low = _extreme_steps(opened, high, low, closed, steps, day_key, halt)
    first, second = sorted(((t_high, high), (t_low, low)))
    times = np.array([0, first[0], second[0], steps])
    values = np.array([opened, first[1], second[1], closed])
    clock = business_time(times / steps)
    duration = clock[1:] - clock[:-1]
    return DayPath(
        steps=steps, low=low, high=high, close=closed, grid=grid, halt=halt,
        joint=times[1:3], start_value=values[:-1], end_value=values[1:], start_time=clock[:-1],
        duration=np.where(duration > 0, duration, 1.0),
        scale=0.5 * (high - low) * np.sqrt(np.maximum(duration, 0.0)),
        stream=_segment_streams(day_key),
    )  # fmt: skip


def prints(path: DayPath, steps: np.ndarray) -> np.ndarray:
    """Return the prices in units at these steps (0 … N); during a halt the last print before it."""
    asked = _before_halt(steps, path.halt)
    segment = np.searchsorted(path.joint, asked, side="right")
    start = path.start_value[segment]
    t = (business_time(asked / path.steps) - path.start_time[segment]) / path.duration[segment]
    x = start + (path.end_value[segment] - start) * t
    x = x + path.scale[segment] * bridge(path.stream[segment], t)
    price = np.where(t <= 0, start, _fold(x, path.low, path.high))
    price = np.where(asked >= path.steps, path.close, price)
    return np.floor(price + 0.5).astype(np.int64) * path.grid


def bridge(stream: np.ndarray, t: np.ndarray) -> np.ndarray:
    """
    Return a Brownian bridge on [0, 1] at times `t`, by Schauder functions (Lévy's construction).

    `stream` is one key per time. The levels are added in order: a pairwise sum
    would make the last bit depend on how many times are asked at once.
    """
    scaled = _POWERS * t
    cell = np.floor(scaled)
    chance = draws.uniform(stream, _OFFSETS + cell.astype(np.uint64))
    tent = 1.0 - np.abs(2.0 * (scaled - cell) - 1.0)
    return np.add.accumulate(_WEIGHTS * (chance - 0.5) * tent, axis=0)[-1]


def draw_halt(*, halt_key: int, steps: int) -> Halt:
    """Draw whether and when trading halts: 5 to 30 whole minutes, not the first minute and not the last."""
    if draws.uniform_one(halt_key, 0) >= HALT_CHANCE:
        return Halt()
    choices = HALT_MINUTES_MAX - HALT_MINUTES_MIN + 1
    length = HALT_MINUTES_MIN + int(draws.uniform_one(halt_key, 1) * choices)
    latest = steps // STEPS_PER_MINUTE - 1 - length
    if latest < 1:
        return Halt()
    start = 1 + int(draws.uniform_one(halt_key, 2) * latest)
    return Halt(start * STEPS_PER_MINUTE, (start + length) * STEPS_PER_MINUTE)


def is_halted(steps: np.ndarray, halt: Halt) -> np.ndarray:
    """Say of each step whether trading is halted."""
    return (steps >= halt.start) & (steps < halt.end)


def minute_shares(*, volume: int, minutes: int, minute_key: int, halt: Halt) -> tuple[int, np.ndarray, int]:
    """
    Divide a day's volume: opening auction, each minute's trading, closing auction, in whole shares.

    The three add up to `volume`. A halted minute trades nothing; its share goes
    to the closing auction like every remainder.
    """
    opening = volume * OPENING_PERCENT // 100
    k = np.arange(minutes)
    share = business_time((k + 1) / minutes) - business_time(k / minutes)
    shares = np.floor(CONTINUOUS_SHARE * volume * share * (0.5 + draws.uniform(minute_key, k))).astype(np.int64)
    shares[is_halted(k * STEPS_PER_MINUTE, halt)] = 0
    total = np.minimum(np.cumsum(shares), volume - opening)
    shares = np.diff(total, prepend=0)
    return opening, shares, volume - opening - int(total[-1])


def minute_bars(*, open_at: int, steps: int, path: np.ndarray, shares: tuple[int, np.ndarray, int]) -> MinuteBars:
    """
    Build minute bars from the prints of steps 0 … n, which `path` holds.

    Bar k is made of steps 12k … 12k+11, the last also of step N. An unfinished
    bar has that part of its minute's volume which its prints are of twelve.
    """
    shown = min(len(path), steps)
    starts = np.arange(0, shown, STEPS_PER_MINUTE)
    opening, per_minute, closing = shares
    volume = per_minute[: len(starts)].copy()
    if shown % STEPS_PER_MINUTE and len(starts):
        volume[-1] = volume[-1] * (shown % STEPS_PER_MINUTE) // STEPS_PER_MINUTE
    if len(starts):
        volume[0] += opening
    if len(path) > steps:
        volume[-1] += closing
    ends = np.append(starts[1:], len(path)) - 1
    return MinuteBars(
        at=open_at + starts * STEP_SECONDS,
        open=path[starts],
        high=np.maximum.reduceat(path, starts) if len(starts) else path[:0],
        low=np.minimum.reduceat(path, starts) if len(starts) else path[:0],
        close=path[ends] if len(starts) else path[:0],
        volume=volume,
    )


def _extreme_steps(
    opened: float, high: float, low: float, closed: float, steps: int, day_key: int, halt: Halt
) -> tuple[int, int]:
    """Choose when high and low print; neither inside a halt, and never both at once."""
    t_high = _extreme_step(high, opened, closed, steps, draws.uniform_one(day_key, 1), halt)
    t_low = _extreme_step(low, opened, closed, steps, draws.uniform_one(day_key, 2), halt)
    if t_high == t_low and high > low:
        t_low += 1 if t_low + 1 < steps else -1
    return t_high, t_low


def _extreme_step(extreme: float, opened: float, closed: float, steps: int, chance: float, halt: Halt) -> int:
    if extreme == opened:
        return 0
    if extreme == closed:
        return steps
    step = int(1 + chance * chance * (3 - 2 * chance) * (steps - 1))
    step = min(max(step, 1), steps - 1)
    return halt.end if halt.start <= step < halt.end else step


def _segment_streams(day_key: int) -> np.ndarray:
    streams = [draws.mix_one(day_key + (segment + 11) * _SEGMENT_GAMMA) for segment in range(3)]
    return np.array(streams, dtype=np.uint64)


def _before_halt(steps: np.ndarray, halt: Halt) -> np.ndarray:
    if halt.end == 0:
        return steps
    return np.where(is_halted(steps, halt), halt.start - 1, steps)


def _fold(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Reflect a path at the edges of its band until it lies inside."""
    band = high - low
    if band == 0:
        return np.full(len(x), low)
    return low + band - np.abs(np.mod(x - low, 2 * band) - band)
