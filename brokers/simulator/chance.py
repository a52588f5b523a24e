"""The venue's dice: which draw belongs to which question, so a rerun throws the same numbers."""

from decimal import Decimal
from enum import IntEnum
from uuid import UUID

from brokers.market_data.replay import draws

_STREAMS_PER_ATTEMPT = 8


class Stream(IntEnum):
    """One question per stream; an attempt owns eight counters, so streams never meet."""

    PARTIAL = 0
    SIZE = 1
    LATENCY = 2
    TOUCH = 3
    AUCTION = 4


def order_key(*, account_seed: int, venue_order_id: UUID | str) -> int:
    """Return the key of all draws of one order."""
    return draws.key(account_seed, venue_order_id)


def value(order_key: int, *, attempt: int, stream: Stream) -> int:
    """Return the 64-bit draw of one order, attempt and stream."""
    return draws.draw_one(order_key, attempt * _STREAMS_PER_ATTEMPT + stream)


def portion(drawn: int, whole: int) -> int:
    """
    Return floor(u x whole) for the u in (0, 1) that a draw stands for, in integers.

    u = ((drawn >> 11) + 0.5) / 2^53, exactly as the market's own `uniform`.
    """
    return ((2 * (drawn >> 11) + 1) * whole) >> 54


def happens(drawn: int, probability: Decimal) -> bool:
    """Return whether an event of this probability (0 to 1) happens at this draw: u < probability."""
    numerator, denominator = probability.as_integer_ratio()
    return (2 * (drawn >> 11) + 1) * denominator < numerator << 54


def latency_ms(order_key: int, *, fixed_ms: int, spread_ms: int) -> int:
    """Return how long a new order travels: the fixed part plus 0 to `spread_ms`, both ends possible."""
    if spread_ms <= 0:
        return fixed_ms
    return fixed_ms + portion(value(order_key, attempt=0, stream=Stream.LATENCY), spread_ms + 1)
