"""What a fill costs: the broker's commission and everyone else's fees, per order and session, cumulative."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from brokers.enums import InstrumentKind, Side
from brokers.money import (
    CENT,
    QUANTITY,
    divide_half_away,
    divide_up,
    money_units,
)
from brokers.simulator.presets import CommissionModel, CommissionPlan, SimulationSettings

FEE_SCALE = 10**9  # fee rates have nine decimals
EXACT = QUANTITY  # exact amounts are money units x quantity units: 15 decimals


class FeeName(StrEnum):
    SEC = "SEC"
    TAF_SHARES = "TAF_SHARES"
    TAF_OPTIONS = "TAF_OPTIONS"
    OCC = "OCC"
    ORF = "ORF"
    CAT = "CAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRow:
    """A dated fee: per unit, for SEC per dollar of notional; `cap` is money per order, None without."""

    name: str
    valid_from: date
    rate: Decimal
    cap: Decimal | None = None
    source: str = ""


FEE_RATES: tuple[FeeRow, ...] = (
    FeeRow(
        name=FeeName.SEC,
        valid_from=date(2024, 5, 22),
        rate=Decimal("0.0000278"),
        source="FINRA notice 2025-04-24: 27.80 per million to 2025-05-13",
    ),
    FeeRow(
        name=FeeName.SEC,
        valid_from=date(2025, 5, 14),
        rate=Decimal(0),
        source="FINRA notice 2025-04-24: 0.00 from 2025-05-14",
    ),
    FeeRow(
        name=FeeName.SEC,
        valid_from=date(2026, 4, 4),
        rate=Decimal("0.0000206"),
        source="SEC order 34-104909 of 2026-02-27; 20.60 per million by secondary sources",
    ),
    FeeRow(
        name=FeeName.TAF_SHARES,
        valid_from=date(2024, 1, 1),
        rate=Decimal("0.000166"),
        cap=Decimal("8.30"),
        source="FINRA trading activity fee by secondary sources",
    ),
    FeeRow(
        name=FeeName.TAF_SHARES,
        valid_from=date(2026, 1, 1),
        rate=Decimal("0.000195"),
        cap=Decimal("9.79"),
        source="FINRA trading activity fee by secondary sources; cap not verified",
    ),
    FeeRow(
        name=FeeName.TAF_OPTIONS,
        valid_from=date(2024, 1, 1),
        rate=Decimal("0.00279"),
        source="published by brokers",
    ),
    FeeRow(
        name=FeeName.TAF_OPTIONS,
        valid_from=date(2026, 1, 1),
        rate=Decimal("0.00329"),
        source="published by brokers; not verified",
    ),
    FeeRow(
        name=FeeName.OCC,
        valid_from=date(2024, 1, 1),
        rate=Decimal("0.02"),
        cap=Decimal("55.00"),
        source="OCC schedule of fees to 2025-02-13",
    ),
    FeeRow(
        name=FeeName.OCC,
        valid_from=date(2025, 2, 14),
        rate=Decimal("0.025"),
        source="OCC filing, 90 FR 10544; later changes not verified",
    ),
    FeeRow(
        name=FeeName.ORF,
        valid_from=date(2024, 1, 1),
        rate=Decimal("0.027"),
        source="not verified: brokers showed 0.012 to 0.027 in 2025 and 2026",
    ),
    FeeRow(name=FeeName.CAT, valid_from=date(2024, 1, 1), rate=Decimal(0), source="off"),
)

_OPTION_FEES = frozenset({FeeName.TAF_OPTIONS, FeeName.OCC, FeeName.ORF})
_SELLS_ONLY = frozenset({FeeName.SEC, FeeName.TAF_SHARES, FeeName.TAF_OPTIONS})
_ROUNDED_UP = frozenset({FeeName.SEC, FeeName.TAF_SHARES, FeeName.TAF_OPTIONS})
_SHARE_KINDS = frozenset({InstrumentKind.EQUITY, InstrumentKind.ETF})
_valid_from = attrgetter("valid_from")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCharges:
    """
    What one order has done and been charged in one session: the base of its next charge.

    `notional_exact` and `commission_exact` have 15 decimals, so that only the totals are rounded.
    """

    quantity_units: int = 0
    notional_exact: int = 0
    commission_exact: int = 0
    commission_units: int = 0
    fees_units: Mapping[str, int] = field(default_factory=dict)


NO_CHARGES = SessionCharges()


@dataclass(frozen=True, slots=True, kw_only=True)
class TradedQuantity:
    """
    One slice to be charged. `month_units`: quantity units this account traded earlier this month.

    The month is the calendar month in New York; shares and contracts are counted apart, and earlier
    slices of the same order are part of the count.
    """

    kind: InstrumentKind
    side: Side
    quantity_units: int
    price_units: int
    multiplier: int = 1
    is_index_option: bool = False
    month_units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeCharge:
    """One fee of one slice: this slice's amount, the row it came from, and whether it is older than that."""

    name: str
    rate: Decimal
    cap: Decimal | None
    valid_from: date
    before_first_row: bool
    amount_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a slice costs in money units, and the order's charges with it."""

    commission_units: int
    fees: tuple[FeeCharge, ...]
    charges: SessionCharges

    @property
    def fees_units(self) -> int:
        return sum(fee.amount_units for fee in self.fees)

    @property
    def total_units(self) -> int:
        return self.commission_units + self.fees_units


def costs_of_slice(
    settings: SimulationSettings,
    traded: TradedQuantity,
    *,
    before: SessionCharges,
    rates: Sequence[FeeRow],
    trade_date: date,
) -> Costs:
    """
    Return what one more slice of an order costs: total with it, less what was charged before.

    So splitting a fill changes nothing. `trade_date` is the New York date of the trade; a date before a
    fee's first row uses that row and says so.
    """
    plan = commission_plan(settings, traded.kind)
    rows = [dated_rate(rates, name, trade_date) for name in applicable_fees(settings, traded)]
    return charge(plan, traded, before=before, rows=[row for row in rows if row is not None])


def charge(
    plan: CommissionPlan,
    traded: TradedQuantity,
    *,
    before: SessionCharges,
    rows: Iterable[tuple[FeeRow, bool]],
) -> Costs:
    """Return a slice's costs from a plan and the fee rows chosen for it (each with: before the first row)."""
    notional = before.notional_exact + traded.price_units * traded.quantity_units * traded.multiplier
    exact = before.commission_exact + _commission_exact(plan, traded)
    total = commission_total(plan, exact=exact, notional_exact=notional)
    commission = max(0, total - before.commission_units)
    quantity = before.quantity_units + traded.quantity_units
    fees = tuple(
        _fee(row, is_old, quantity_units=quantity, notional_exact=notional, before=before) for row, is_old in rows
    )
    charged = dict(before.fees_units)
    for fee in fees:
        charged[fee.name] = charged.get(fee.name, 0) + fee.amount_units
    charges = SessionCharges(
        quantity_units=quantity,
        notional_exact=notional,
        commission_exact=exact,
        commission_units=before.commission_units + commission,
        fees_units=charged,
    )
    return Costs(commission_units=commission, fees=fees, charges=charges)


# ---------------------------------------------------------------------- commission


def commission_plan(settings: SimulationSettings, kind: InstrumentKind) -> CommissionPlan:
    return settings.option_commission if kind is InstrumentKind.OPTION else settings.share_commission


def commission_total(plan: CommissionPlan, *, exact: int, notional_exact: int) -> int:
    """
    Return an order's commission so far in money units: the minimum, then the maximum, then the cent.

    Rounded half away from zero. The maximum wins over the minimum: ten shares at 1.00 under a minimum of
    0.35 and a maximum of 1 % pay 0.10.
    """
    if plan.model is CommissionModel.ZERO or exact == 0 == notional_exact:
        return 0
    exact = max(exact, money_units(plan.minimum) * EXACT)
    divisor = CENT * EXACT
    if plan.maximum_percent is not None:
        numerator, denominator = plan.maximum_percent.as_integer_ratio()
        capped = min(exact * 100 * denominator, notional_exact * numerator)
        return divide_half_away(capped, divisor * 100 * denominator) * CENT
    return divide_half_away(exact, divisor) * CENT


def _commission_exact(plan: CommissionPlan, traded: TradedQuantity) -> int:
    """Return quantity x rate of one slice with 15 decimals, before minimum and maximum."""
    if plan.model is CommissionModel.ZERO:
        return 0
    if plan.model is CommissionModel.TIERED_MONTHLY:
        return _tiered(plan, first=traded.month_units, count=traded.quantity_units)
    rate = plan.rate
    if plan.premium_rates:
        starts = [money_units(start) for start, _ in plan.premium_rates]
        rate = plan.premium_rates[bisect_right(starts, traded.price_units) - 1][1]
    return traded.quantity_units * money_units(rate)


def _tiered(plan: CommissionPlan, *, first: int, count: int) -> int:
    """Charge each unit at the rate of its place in the month's count."""
    total, last = 0, first + count
    starts = [start * QUANTITY for start, _ in plan.tiers]
    for start, end, (_, rate) in zip(starts, [*starts[1:], None], plan.tiers, strict=True):
        upper = last if end is None else min(last, end)
        total += max(0, upper - max(first, start)) * money_units(rate)
    return total


# ---------------------------------------------------------------------- fees


def applicable_fees(settings: SimulationSettings, traded: TradedQuantity) -> list[str]:
    """Return the names of the fees an account's settings charge on such a trade, in their order."""
    return [name for name in settings.fees if _applies(FeeName(name), traded)]


def dated_rate(rates: Sequence[FeeRow], name: str, trade_date: date) -> tuple[FeeRow, bool] | None:
    """
    Return the newest row of a fee valid at a date, and whether the date lies before its first row.

    None when the table has no row of this name.
    """
    rows = [row for row in rates if row.name == name]
    if not rows:
        return None
    valid = [row for row in rows if row.valid_from <= trade_date]
    if valid:
        return max(valid, key=_valid_from), False
    return min(rows, key=_valid_from), True


def _applies(name: FeeName, traded: TradedQuantity) -> bool:
    if name in _SELLS_ONLY and traded.side is not Side.SELL:
        return False
    is_option = traded.kind is InstrumentKind.OPTION
    if name is FeeName.SEC:
        return traded.kind in _SHARE_KINDS or (is_option and not traded.is_index_option)
    if name in _OPTION_FEES:
        return is_option
    return traded.kind in _SHARE_KINDS


def _fee(row: FeeRow, is_old: bool, *, quantity_units: int, notional_exact: int, before: SessionCharges) -> FeeCharge:
    total = fee_total(row, quantity_units=quantity_units, notional_exact=notional_exact)
    return FeeCharge(
        name=row.name,
        rate=row.rate,
        cap=row.cap,
        valid_from=row.valid_from,
        before_first_row=is_old,
        amount_units=max(0, total - before.fees_units.get(row.name, 0)),
    )


def fee_total(row: FeeRow, *, quantity_units: int, notional_exact: int) -> int:
    """
    Return one fee on an order's total so far, in money units to the cent, capped per order.

    SEC and TAF round up, the others half away from zero.
    """
    rate = int(row.rate.scaleb(9))
    if row.name == FeeName.SEC:
        exact, divisor = notional_exact * rate, FEE_SCALE * EXACT * CENT
    else:
        exact, divisor = quantity_units * rate, FEE_SCALE * QUANTITY // 100
    rounded = divide_up if row.name in _ROUNDED_UP else divide_half_away
    total = rounded(exact, divisor) * CENT
    return total if row.cap is None else min(total, money_units(row.cap))
