"""Counter-based random draws: draw number i is found without drawing the others."""

from hashlib import blake2b

import numpy as np

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
SHRINK = 2.0**-53
# The largest draws would round to 1.0 otherwise, and floor(uniform x n) to n.
UNIFORM_MAX = 1.0 - SHRINK
BELL_MEAN = 131070.0
BELL_DEVIATION = 37837.2272
_MASK = (1 << 64) - 1
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def key(*parts: object) -> int:
    """Name a stream of draws: the same parts, printed and joined by `|`, give the same stream everywhere."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def mix(x: np.ndarray) -> np.ndarray:
    """Scramble unsigned 64-bit integers (SplitMix64's finaliser, Steele et al. 2014). Overflow wraps."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_FIRST)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_SECOND)
    return x ^ (x >> np.uint64(31))


def mix_one(x: int) -> int:
    """Scramble one integer; the same numbers as `mix`, without the cost of an array."""
    x &= _MASK
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK
    return x ^ (x >> 31)


def draw(stream: int | np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the draws with these counters as uint64. `stream` is one key or one key per counter."""
    # numpy warns of overflow between two scalars only, so the counters must be an array.
    step = (np.atleast_1d(index).astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN_GAMMA)
    return mix(np.asarray(stream, dtype=np.uint64) + step)


def draw_one(stream: int, index: int) -> int:
    """Return one draw as an int."""
    return mix_one(stream + (index + 1) * GOLDEN_GAMMA)


def uniform(stream: int | np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return numbers in (0, 1), both ends excluded."""
    numbers = ((draw(stream, index) >> np.uint64(11)).astype(np.float64) + 0.5) * SHRINK
    return np.minimum(numbers, UNIFORM_MAX)


def uniform_one(stream: int, index: int) -> float:
    """Return one number in (0, 1)."""
    return min(((draw_one(stream, index) >> 11) + 0.5) * SHRINK, UNIFORM_MAX)


def bell(stream: int | np.ndarray, index: np.ndarray) -> np.ndarray:
    """
    Return bell-shaped numbers with mean 0 and variance 1.

    The sum of four uniform 16-bit lanes, so the absolute value never exceeds
    3.47. No logarithm or cosine is needed, which would differ between machines.
    """
    bits = draw(stream, index)
    lane = np.uint64(0xFFFF)
    total = (bits & lane) + ((bits >> np.uint64(16)) & lane)
    total += ((bits >> np.uint64(32)) & lane) + (bits >> np.uint64(48))
    return (total.astype(np.float64) - BELL_MEAN) / BELL_DEVIATION
