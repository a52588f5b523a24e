"""How much worse than the far side of the quote a fill is: five models, each a price amount >= 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isqrt

from brokers.money import QUANTITY, divide_up
from brokers.simulator.presets import SlippageModel, SlippagePlan

VERSION = 1
BPS = 10_000
BILLION = 10**9
DEVIATION_UNKNOWN = Decimal("0.03")  # a day, used where a symbol has no 20 sessions behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """
    What slippage is measured on: one slice of an order at one moment.

    Prices are units, quantities quantity units. `volume` is the whole shares of the bar or of the last
    complete minute, `daily_deviation` the standard deviation of 20 daily log returns as a fraction a day,
    `average_daily_volume` the mean whole shares of the same sessions; None: unknown.
    """

    reference_units: int
    spread_units: int
    quantity_units: int
    filled_units: int = 0
    volume: int | None = None
    daily_deviation: Decimal | None = None
    average_daily_volume: int | None = None


def slippage_units(plan: SlippagePlan, part: Slice) -> int:
    """
    Return how much worse the price gets, in units, never below 0.

    The model and `base_bps` are added exactly and rounded up to a whole unit once.
    """
    base = _bps(plan.base_bps, part.reference_units)
    exact = _MODELS[plan.model](plan, part) + base
    return divide_up(exact.numerator, exact.denominator)


def deviation(value: float | None) -> Decimal | None:
    """Turn a measured deviation, a statistic in float, into nine decimals once; None and 0 are unknown."""
    return Decimal(round(value * BILLION)).scaleb(-9) if value else None


def assumed(plan: SlippagePlan, part: Slice) -> tuple[str, ...]:
    """Return in words what the model had to assume because it was not known."""
    said = []
    if plan.model is SlippageModel.VOLUME_SHARE and not part.volume:
        said.append("no volume known: the volume limit was taken as its share")
    if plan.model is SlippageModel.SQUARE_ROOT and not part.average_daily_volume:
        said.append("no average volume known: the volume limit was taken as its share")
    if plan.model is SlippageModel.SQUARE_ROOT and part.daily_deviation is None:
        said.append(f"no deviation known: {DEVIATION_UNKNOWN} a day was taken")
    return tuple(said)


def _none(plan: SlippagePlan, part: Slice) -> Fraction:
    """The far side itself, as in Alpaca's paper trading."""
    return Fraction(0)


def _fixed_bps(plan: SlippagePlan, part: Slice) -> Fraction:
    """Reference x bps / 10,000. Common practice in backtests; 5 is the desk's default."""
    return _bps(plan.bps, part.reference_units)


def _spread_fraction(plan: SlippagePlan, part: Slice) -> Fraction:
    """A fraction of the spread. Our own model, for options, where basis points of a premium mean little."""
    return Fraction(plan.spread_fraction) * part.spread_units


def _volume_share(plan: SlippagePlan, part: Slice) -> Fraction:
    """
    min(Q / V, limit)^2 x impact x reference.

    Source: VolumeShareSlippage of zipline, also in LEAN. There the limit bounds the fill as well, so set
    participation to it: a larger one hides impact. No volume: the limit itself is taken as the share.
    """
    limit = Fraction(plan.volume_limit)
    share = Fraction(part.quantity_units, part.volume * QUANTITY) if part.volume else limit
    return min(share, limit) ** 2 * Fraction(plan.volume_impact) * part.reference_units


def _square_root(plan: SlippagePlan, part: Slice) -> Fraction:
    """
    Y x deviation x sqrt(Q_total / ADV) x reference, with Q_total = filled so far + this slice.

    Source: the square-root law (Tóth et al. 2011; Almgren et al. 2005 fitted the exponent 0.6). Y = 1 is
    an assumption until calibrated on fills. The root is taken in integers and rounded up.
    """
    factor = Fraction(plan.impact_coefficient) * Fraction(part.daily_deviation or DEVIATION_UNKNOWN)
    total = part.filled_units + part.quantity_units
    average = part.average_daily_volume
    share = Fraction(total, average * QUANTITY) if average else Fraction(plan.volume_limit)
    return Fraction(_root_up((factor * part.reference_units) ** 2 * share))


def _bps(bps: Decimal, reference_units: int) -> Fraction:
    numerator, denominator = bps.as_integer_ratio()
    return Fraction(reference_units * numerator, BPS * denominator)


def _root_up(square: Fraction) -> int:
    """Return the smallest integer whose square is not below `square`."""
    root = isqrt(square.numerator // square.denominator)
    return root if root * root * square.denominator >= square.numerator else root + 1


_MODELS: dict[SlippageModel, Callable[[SlippagePlan, Slice], Fraction]] = {
    SlippageModel.NONE: _none,
    SlippageModel.FIXED_BPS: _fixed_bps,
    SlippageModel.SPREAD_FRACTION: _spread_fraction,
    SlippageModel.VOLUME_SHARE: _volume_share,
    SlippageModel.SQUARE_ROOT: _square_root,
}
