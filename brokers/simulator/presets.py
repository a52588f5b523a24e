"""How unkind the simulated market is: settings of one account, and five named sets of them."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from brokers.enums import AccountKind
from brokers.money import NotRepresentable, money_units

_ALL_FEES = ("SEC", "TAF_SHARES", "TAF_OPTIONS", "OCC", "ORF", "CAT")
Plan = TypeVar("Plan", "SlippagePlan", "CommissionPlan")


class SettingsRefused(ValueError):
    """A setting is unknown, missing or out of range; the message names it and what is allowed."""


class SlippageModel(StrEnum):
    NONE = "NONE"
    FIXED_BPS = "FIXED_BPS"
    SPREAD_FRACTION = "SPREAD_FRACTION"
    VOLUME_SHARE = "VOLUME_SHARE"
    SQUARE_ROOT = "SQUARE_ROOT"


class LiquidityModel(StrEnum):
    SIZE = "SIZE"  # quote size and a share of the volume
    RANDOM_PARTIAL = "RANDOM_PARTIAL"  # one evaluation in ten fills only a part; size is ignored
    UNLIMITED = "UNLIMITED"


class CommissionModel(StrEnum):
    ZERO = "ZERO"
    PER_SHARE = "PER_SHARE"
    PER_CONTRACT = "PER_CONTRACT"
    TIERED_MONTHLY = "TIERED_MONTHLY"


class Trigger(StrEnum):
    """Which price wakes a stop."""

    LAST = "LAST"
    MARK = "MARK"  # the middle of bid and ask
    QUOTE = "QUOTE"  # the ask for buys, the bid for sells


class StopOnWrongSide(StrEnum):
    """What happens to a stop that is already reached when it is sent."""

    REJECT = "REJECT"
    TRIGGER = "TRIGGER"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlippagePlan:
    """A slippage model and its parameters; those of other models have no effect. `base_bps` adds to any."""

    model: SlippageModel = SlippageModel.FIXED_BPS
    bps: Decimal = Decimal(5)
    base_bps: Decimal = Decimal(0)
    spread_fraction: Decimal = Decimal("0.25")
    volume_limit: Decimal = Decimal("0.025")
    volume_impact: Decimal = Decimal("0.1")
    impact_coefficient: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionPlan:
    """
    A commission model; rates, minimum in money, `maximum_percent` of the notional.

    `tiers` are (units traded this month from which the rate holds, rate); `premium_rates` are
    (option price from which the rate holds, rate). Where given they replace `rate`.
    """

    model: CommissionModel = CommissionModel.ZERO
    rate: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    maximum_percent: Decimal | None = None
    tiers: tuple[tuple[int, Decimal], ...] = ()
    premium_rates: tuple[tuple[Decimal, Decimal], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """
    Everything an account's simulated market assumes.

    `participation` is the fraction of a minute's volume that one account may take, `depth_multiple` how
    many times the shown size is really there, `spread_bps` the spread assumed where only bars are known,
    `auction_fill_probability` how likely an order in an auction is served at all. `fees` are the names
    of the dated fees that are charged. Short sales under `short_price_minimum` are refused.
    """

    preset: str = "CONSERVATIVE"
    account_kind: AccountKind = AccountKind.CASH
    slippage: SlippagePlan = SlippagePlan()
    option_slippage: SlippagePlan = SlippagePlan(model=SlippageModel.SPREAD_FRACTION)
    liquidity: LiquidityModel = LiquidityModel.SIZE
    participation: Decimal = Decimal("0.10")
    depth_multiple: Decimal = Decimal(1)
    share_commission: CommissionPlan = CommissionPlan()
    option_commission: CommissionPlan = CommissionPlan(model=CommissionModel.PER_CONTRACT, rate=Decimal("0.65"))
    fees: tuple[str, ...] = ("SEC", "TAF_SHARES", "TAF_OPTIONS", "OCC", "ORF")
    latency_ms: int = 0
    latency_spread_ms: int = 0
    share_trigger: Trigger = Trigger.LAST
    option_trigger: Trigger = Trigger.MARK
    fill_on_touch: bool = False
    stop_on_wrong_side: StopOnWrongSide = StopOnWrongSide.TRIGGER
    queue_when_closed: bool = True
    wash_trades: bool = False
    exits_wait_for_full_entry: bool = False
    auction_fill_probability: Decimal = Decimal(1)
    spread_bps: Decimal = Decimal(2)
    adjust_for_dividends: bool = True
    short_price_minimum: Decimal | None = None
    short_gtc: bool = True

    def __post_init__(self) -> None:
        _check(self)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values; decimals become strings."""
        return _plain(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SimulationSettings:
        """Return the settings that `to_json` wrote. Missing keys keep their default, unknown ones raise."""
        return _typed(cls, value, where="settings")


@lru_cache(maxsize=256)
def plan_to_json(plan: SlippagePlan | CommissionPlan) -> Mapping[str, Any]:
    """Return one plan as JSON values, for a fill's evidence. The answer is shared: copy it to change it."""
    return _plain(plan)


def plan_from_json(kind: type[Plan], value: Mapping[str, Any]) -> Plan:
    """Return the plan that `plan_to_json` wrote; unknown keys raise."""
    return _typed(kind, value, where="plan")


def _check(settings: SimulationSettings) -> None:
    """Refuse values that have no meaning: negative slippage, fees or volumes would be gifts."""
    _in_range("participation", settings.participation, highest=1)
    _in_range("auction_fill_probability", settings.auction_fill_probability, highest=1)
    _in_range("depth_multiple", settings.depth_multiple, highest=1_000)
    _in_range("spread_bps", settings.spread_bps, highest=10_000)
    _in_range("latency_ms", settings.latency_ms, highest=600_000)
    _in_range("latency_spread_ms", settings.latency_spread_ms, highest=600_000)
    for plan in (settings.slippage, settings.option_slippage):
        for name in ("bps", "base_bps"):
            _in_range(name, getattr(plan, name), highest=10_000)
        for name in ("spread_fraction", "volume_limit", "volume_impact", "impact_coefficient"):
            _in_range(name, getattr(plan, name), highest=100)
    for commission in (settings.share_commission, settings.option_commission):
        _check_commission(commission)
    unknown = sorted(set(settings.fees) - set(_ALL_FEES))
    if unknown:
        raise SettingsRefused(f"There is no fee called {unknown[0]}; known are {', '.join(_ALL_FEES)}.")


def _check_commission(plan: CommissionPlan) -> None:
    for name in ("rate", "minimum", "maximum_percent"):
        amount = getattr(plan, name)
        if amount is not None:
            _in_range(name, amount, highest=1_000)
            _has_six_decimals(name, amount)
    for name in ("tiers", "premium_rates"):
        starts = [start for start, _ in getattr(plan, name)]
        if starts and (starts[0] != 0 or starts != sorted(set(starts))):
            raise SettingsRefused(f"The {name} must start at 0 and rise; they start at {starts}.")
        for _, rate in getattr(plan, name):
            _in_range(name, rate, highest=1_000)
            _has_six_decimals(name, rate)
    if plan.model is CommissionModel.TIERED_MONTHLY and not plan.tiers:
        raise SettingsRefused("A commission by monthly tiers needs tiers.")


def _in_range(name: str, value: Decimal | int, *, highest: int) -> None:
    if not 0 <= value <= highest:
        raise SettingsRefused(f"{name} is {value}; it must lie between 0 and {highest}.")


def _has_six_decimals(name: str, value: Decimal) -> None:
    try:
        money_units(value)
    except NotRepresentable as error:
        raise SettingsRefused(f"{name} is {value}; at most six decimals can be charged.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, (SimulationSettings, SlippagePlan, CommissionPlan)):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else value


def _typed(kind: Any, value: Any, *, where: str) -> Any:
    """Return a JSON value as the type a field declares; refuse anything else by its place."""
    if hasattr(kind, "__dataclass_fields__"):
        return _dataclass(kind, value, where=where)
    if get_origin(kind) in (Union, types.UnionType):
        inner = next(part for part in get_args(kind) if part is not type(None))
        return None if value is None else _typed(inner, value, where=where)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), value, where=where)
    if kind is Decimal:
        return _decimal(value, where=where)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if value not in set(kind):
            raise SettingsRefused(f"{where} is {value!r}; it must be one of {', '.join(kind)}.")
        return kind(value)
    if type(value) is not kind:
        raise SettingsRefused(f"{where} is {value!r}; it must be of type {kind.__name__}.")
    return value


def _dataclass(kind: Any, value: Any, *, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise SettingsRefused(f"{where} must be an object of named values.")
    hints = get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise SettingsRefused(f"{where} has no setting called {unknown[0]}.")
    return kind(**{name: _typed(hints[name], item, where=f"{where}.{name}") for name, item in value.items()})


def _tuple(kinds: tuple[Any, ...], value: Any, *, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SettingsRefused(f"{where} must be a list.")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_typed(kinds[0], item, where=where) for item in value)
    if len(value) != len(kinds):
        raise SettingsRefused(f"{where} must be a list of {len(kinds)} values.")
    return tuple(_typed(kind, item, where=where) for kind, item in zip(kinds, value, strict=True))


def _decimal(value: Any, *, where: str) -> Decimal:
    """Take strings and whole numbers only: a JSON float is already not the number that was meant."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SettingsRefused(f"{where} is {value!r}; it must be a decimal number in quotes.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise SettingsRefused(f"{where} is {value!r}; it must be a decimal number.") from error
    if not number.is_finite():
        raise SettingsRefused(f"{where} is {value!r}; it must be finite.")
    return number


_NO_SLIPPAGE = SlippagePlan(model=SlippageModel.NONE)
_NO_COMMISSION = CommissionPlan()

_CONSERVATIVE = SimulationSettings()
_ALPACA_LIKE = SimulationSettings(
    preset="ALPACA_LIKE",
    slippage=_NO_SLIPPAGE,
    option_slippage=_NO_SLIPPAGE,
    liquidity=LiquidityModel.RANDOM_PARTIAL,
    option_commission=_NO_COMMISSION,
    fees=(),
    wash_trades=True,
    exits_wait_for_full_entry=True,
    auction_fill_probability=Decimal("0.10"),
)
_TRADIER_LIKE = SimulationSettings(
    preset="TRADIER_LIKE",
    option_commission=CommissionPlan(model=CommissionModel.PER_CONTRACT, rate=Decimal("0.35")),
    short_price_minimum=Decimal(5),
    short_gtc=False,
)
_IBKR_TIERED = SimulationSettings(
    preset="IBKR_TIERED",
    account_kind=AccountKind.MARGIN,
    slippage=SlippagePlan(model=SlippageModel.VOLUME_SHARE, base_bps=Decimal(2)),
    participation=Decimal("0.025"),
    share_commission=CommissionPlan(
        model=CommissionModel.TIERED_MONTHLY,
        minimum=Decimal("0.35"),
        maximum_percent=Decimal(1),
        tiers=(
            (0, Decimal("0.0035")),
            (300_000, Decimal("0.0020")),
            (3_000_000, Decimal("0.0015")),
            (20_000_000, Decimal("0.0010")),
            (100_000_000, Decimal("0.0005")),
        ),
    ),
    option_commission=CommissionPlan(
        model=CommissionModel.PER_CONTRACT,
        minimum=Decimal(1),
        premium_rates=(
            (Decimal(0), Decimal("0.25")),
            (Decimal("0.05"), Decimal("0.50")),
            (Decimal("0.10"), Decimal("0.65")),
        ),
    ),
    fees=_ALL_FEES,
)
_FRICTIONLESS = SimulationSettings(
    preset="FRICTIONLESS",
    slippage=_NO_SLIPPAGE,
    option_slippage=_NO_SLIPPAGE,
    liquidity=LiquidityModel.UNLIMITED,
    option_commission=_NO_COMMISSION,
    fees=(),
)

DEFAULT_PRESET = "CONSERVATIVE"
PRESETS: dict[str, SimulationSettings] = {
    settings.preset: settings for settings in (_CONSERVATIVE, _ALPACA_LIKE, _TRADIER_LIKE, _IBKR_TIERED, _FRICTIONLESS)
}
ASSUMPTIONS: dict[str, str] = {
    "CONSERVATIVE": (
        "Every trade pays the spread and 5 basis points more (options a quarter of their spread), takes at "
        "most the shown size or 10 % of the minute's volume, and pays 0.65 a contract and the regulatory "
        "fees."
    ),
    "ALPACA_LIKE": (
        "Like Alpaca's paper trading: the quote without slippage or costs, whatever the size, but one "
        "fill in ten is partial, opening and closing orders mostly expire, and wash trades are refused."
    ),
    "TRADIER_LIKE": (
        "Slippage and liquidity as CONSERVATIVE, 0.35 a contract (not verified), the regulatory fees, no "
        "short sales under 5.00 and none that last longer than the day."
    ),
    "IBKR_TIERED": (
        "A margin account that pays 2 basis points and its own impact, takes at most 2.5 % of the minute's "
        "volume or the shown size, and pays the monthly tiers, the minimum per order and all fees."
    ),
    "FRICTIONLESS": (
        "Any size at the quote, without slippage, commission or fees: no market is like this, it is here "
        "for comparison only."
    ),
}
