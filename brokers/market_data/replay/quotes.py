"""Quotes around the replay market's prints: increments, spreads, sizes."""

from dataclasses import dataclass

import numpy as np

from . import draws
from .daily import CENT, UNITS
from .intraday import STEPS_PER_MINUTE

FINE_INCREMENT = 100
BPS = 10_000
EDGE_STEPS = 5 * STEPS_PER_MINUTE
EDGE_MULTIPLE = 2.0
WINDOW_STEPS = 5 * STEPS_PER_MINUTE
WIDE_CHANCE, WIDE_MULTIPLE = 0.002, 10.0
EXTENDED_MULTIPLE = 8.0
ROUND_LOT = 100
SIZE_MAX = 5_000
VOLUME_PER_LOT = 2_000_000


@dataclass(frozen=True, slots=True)
class Observations:
    """
    Prints and quotes, ascending by time. Times are epoch seconds, prices units, sizes shares.

    A bid or ask of 0 is missing. `is_regular` is true from the opening print to
    the closing print, both included; `is_halted` marks steps whose `last` is frozen.
    """

    at: np.ndarray
    last: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    bid_size: np.ndarray
    ask_size: np.ndarray
    is_regular: np.ndarray
    is_halted: np.ndarray


def joined(parts: list[Observations]) -> Observations:
    """Put observations of consecutive times into one."""
    if len(parts) == 1:
        return parts[0]
    columns = [[getattr(part, name) for part in parts] for name in Observations.__slots__]
    return Observations(*(np.concatenate(column) for column in columns))


def no_observations() -> Observations:
    """Return no observation."""
    nothing, never = np.empty(0, np.int64), np.empty(0, bool)
    return Observations(nothing, nothing, nothing, nothing, nothing, nothing, never, never)


def sides(*, middle: np.ndarray, half_spread_bps: float, multiple: float | np.ndarray) -> tuple:
    """
    Return bid and ask in units around a price, rounded away from it to the increment.

    Half a spread is at least half an increment; a `half_spread_bps` of 0 means a
    market one increment wide. The bid is at least one increment, the ask at
    least one more.
    """
    increment = np.where(middle >= UNITS, CENT, FINE_INCREMENT)
    half = np.rint(middle * half_spread_bps * multiple / BPS).astype(np.int64)
    if half_spread_bps > 0:
        half = np.maximum(half, increment // 2)
    bid = np.maximum((middle - half) // increment * increment, increment)
    ask = -(-(middle + half) // increment) * increment
    return bid, np.maximum(ask, bid + increment)


def wide_windows(*, wide_key: int, steps: int) -> np.ndarray:
    """Return each five-minute window's spread multiple: 10 with probability 0.002, else 1."""
    windows = np.arange((steps - 1) // WINDOW_STEPS + 1)
    return np.where(draws.uniform(wide_key, windows) < WIDE_CHANCE, WIDE_MULTIPLE, 1.0)


def spread_multiples(*, asked: np.ndarray, steps: int, windows: np.ndarray) -> np.ndarray:
    """Return how much wider than usual the spread is at these steps of a session of `steps`."""
    at_edge = (asked < EDGE_STEPS) | (asked >= steps - EDGE_STEPS)
    window = np.minimum(asked // WINDOW_STEPS, len(windows) - 1)
    return np.where(at_edge, EDGE_MULTIPLE, 1.0) * windows[window]


def sizes(*, size_key: int, asked: np.ndarray, base_volume: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bid and ask sizes in shares: round lots, more in busier symbols, at most 5,000."""
    lots = base_volume / VOLUME_PER_LOT
    return tuple(
        np.minimum(
            ROUND_LOT * (1 + np.floor(draws.uniform(size_key, 2 * asked + side) * lots).astype(np.int64)),
            SIZE_MAX,
        )
        for side in (0, 1)
    )
