"""Lots in memory: open, close first in first out, split. Raw units throughout, signs included."""

from collections.abc import Sequence
from dataclasses import dataclass

from brokers.money import divide_half_away


class LotsExhausted(ValueError):
    """More was closed than the lots hold."""


@dataclass(slots=True)
class LotUnits:
    """
    One lot: `quantity` and `remaining` signed (long +, short -) in 10^-9, `cost` of what remains in 10^-6.

    A short lot has a negative cost: the proceeds received. `multiplier` stays outside; cost includes it.
    """

    quantity: int
    remaining: int
    cost: int
    price: int


@dataclass(frozen=True, slots=True)
class Release:
    """What closing took from one lot: signed quantity and signed cost, both with the lot's sign."""

    index: int
    quantity: int
    cost: int


def close_fifo(lots: Sequence[LotUnits], quantity: int) -> list[Release]:
    """
    Take `quantity` (signed like the lots) from the oldest lots, changing them, and say what was taken.

    The cost of a part is rounded half away from zero to the unit; the last part of a lot takes exactly
    what is left. Raises LotsExhausted, with nothing changed, when the lots hold less.
    """
    held = sum(lot.remaining for lot in lots if same_sign(lot.remaining, quantity))
    if abs(held) < abs(quantity):
        raise LotsExhausted(f"The lots hold {held} units and {quantity} were to be closed.")
    releases, left = [], quantity
    for index, lot in enumerate(lots):
        if left == 0:
            break
        if not same_sign(lot.remaining, quantity):
            continue
        taken = lot.remaining if abs(lot.remaining) <= abs(left) else left
        releases.append(Release(index, taken, release_cost(lot, taken)))
        left -= taken
    return releases


def release_cost(lot: LotUnits, taken: int) -> int:
    """Take `taken` from the lot and return the cost that leaves with it."""
    cost = lot.cost if taken == lot.remaining else divide_half_away(lot.cost * abs(taken), abs(lot.remaining))
    lot.remaining -= taken
    lot.cost -= cost
    return cost


def split_lots(lots: Sequence[LotUnits], *, ratio_from: int, ratio_to: int) -> None:
    """
    Multiply every open lot by ratio_to / ratio_from; total cost stays as it is, price per unit follows.

    A quantity that nine decimals cannot hold is cut towards zero; the newest lot absorbs the difference, so
    that the lots still add up to the position times the ratio.
    """
    held = [lot for lot in lots if lot.remaining]
    if not held:
        return
    total = cut(sum(lot.remaining for lot in held) * ratio_to, ratio_from)
    for lot in held:
        lot.quantity = cut(lot.quantity * ratio_to, ratio_from)
        lot.remaining = cut(lot.remaining * ratio_to, ratio_from)
        lot.price = divide_half_away(lot.price * ratio_from, ratio_to)
    drift = total - sum(lot.remaining for lot in held)
    held[-1].remaining += drift
    held[-1].quantity += drift


def cut(numerator: int, denominator: int) -> int:
    """Divide towards zero."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def same_sign(left: int, right: int) -> bool:
    return (left > 0 and right > 0) or (left < 0 and right < 0)
