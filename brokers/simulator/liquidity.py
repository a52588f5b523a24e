"""How much of an order can trade at this moment; quantities are integers of 0.000000001."""

from __future__ import annotations

from dataclasses import dataclass

from brokers.enums import InstrumentKind
from brokers.money import QUANTITY
from brokers.simulator import chance
from brokers.simulator.presets import LiquidityModel, SimulationSettings

SHARES_WHEN_NOTHING_IS_KNOWN = 100
CONTRACTS_WHEN_NOTHING_IS_KNOWN = 1
EXTENDED_PARTS_PER_THOUSAND = 5  # of an average day, in all extended hours together
EXTENDED_HALF_HOURS = 19  # 04:00 to 09:30 and 16:00 to 20:00
_PARTIAL_ONE_IN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """
    What the market offers: the far side's shown size and the volume, whole shares, None where unknown.

    `used_units` is what this account took in this instrument in the same minute already. Against bars
    there is no `size`. In extended hours `hour_left` bounds what the hour still offers.
    """

    kind: InstrumentKind
    volume: int | None
    size: int | None = None
    used_units: int = 0
    hour_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may fill: `allowed_units` of the minute before `used_units`, and the draws that cut it."""

    wanted_units: int
    quantity_units: int
    allowed_units: int | None
    used_units: int
    draws: tuple[tuple[chance.Stream, int], ...] = ()


def allowance(
    settings: SimulationSettings,
    offered: Availability,
    *,
    wanted_units: int,
    order_key: int,
    attempt: int,
) -> Allowance:
    """Return how much of `wanted_units` may trade now under an account's liquidity model; 0 is an answer."""
    if settings.liquidity is LiquidityModel.UNLIMITED:
        return Allowance(
            wanted_units=wanted_units,
            quantity_units=wanted_units,
            allowed_units=None,
            used_units=offered.used_units,
        )
    if settings.liquidity is LiquidityModel.RANDOM_PARTIAL:
        return _random_part(offered, wanted_units=wanted_units, order_key=order_key, attempt=attempt)
    allowed = allowed_units(settings, offered)
    left = max(0, allowed - offered.used_units)
    return Allowance(
        wanted_units=wanted_units,
        quantity_units=min(wanted_units, left),
        allowed_units=allowed,
        used_units=offered.used_units,
    )


def allowed_units(settings: SimulationSettings, offered: Availability) -> int:
    """
    Return what one account may take in this minute, what it took already included.

    floor(max(size x depth multiple, participation x volume)) in whole shares or contracts, at least one
    when anything traded. With neither known, 100 shares or one contract.
    """
    known = [
        units * numerator // denominator
        for units, (numerator, denominator) in (
            (offered.size, settings.depth_multiple.as_integer_ratio()),
            (offered.volume, settings.participation.as_integer_ratio()),
        )
        if units is not None
    ]
    if not known:
        is_option = offered.kind is InstrumentKind.OPTION
        known = [CONTRACTS_WHEN_NOTHING_IS_KNOWN if is_option else SHARES_WHEN_NOTHING_IS_KNOWN]
    whole = max(*known, 1 if offered.volume else 0)
    if offered.hour_left is not None:
        whole = min(whole, max(0, offered.hour_left) + offered.used_units // QUANTITY)
    return whole * QUANTITY


def extended_hour_cap(*, average_daily_volume: int) -> int:
    """Return the whole shares one account may take in one extended hour: its part of 0.5 % of a day."""
    return average_daily_volume * EXTENDED_PARTS_PER_THOUSAND * 2 // (1_000 * EXTENDED_HALF_HOURS)


def _random_part(offered: Availability, *, wanted_units: int, order_key: int, attempt: int) -> Allowance:
    """Fill all, or with probability 0.10 floor(uniform x wanted) in whole units, at least one."""
    drawn = chance.value(order_key, attempt=attempt, stream=chance.Stream.PARTIAL)
    if chance.portion(drawn, _PARTIAL_ONE_IN) > 0:
        draws, quantity = ((chance.Stream.PARTIAL, drawn),), wanted_units
    else:
        size = chance.value(order_key, attempt=attempt, stream=chance.Stream.SIZE)
        draws = ((chance.Stream.PARTIAL, drawn), (chance.Stream.SIZE, size))
        part = max(1, chance.portion(size, wanted_units) // QUANTITY) * QUANTITY
        quantity = min(wanted_units, part)
    return Allowance(
        wanted_units=wanted_units,
        quantity_units=quantity,
        allowed_units=None,
        used_units=offered.used_units,
        draws=draws,
    )
