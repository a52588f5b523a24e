"""Immutable messages between the desk and a venue: orders out, reports in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from brokers.enums import (
    ActivityKind,
    Environment,
    InstrumentKind,
    OrderStatus,
    OrderType,
    PositionEffect,
    Side,
    TimeInForce,
    Venue,
)
from brokers.errors import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """
    What is wanted at a venue, for one instrument.

    Exactly one of `quantity` and `notional` (money, buys of fractionable shares only) is given.
    `trail_percent` is in percent: 2.5 trails by 2.5 %.
    """

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce = TimeInForce.DAY
    position_effect: PositionEffect | None = None
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    expires_on: date | None = None
    extended_hours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """What to change on a working order; None leaves a field as it is."""

    client_order_id: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """
    A venue's word on one order. `waiting_for` says why it has not filled at the last look.

    Quantity and prices are those now in force, which a split may have changed; None leaves ours.
    """

    account_id: str
    client_order_id: str
    venue_order_id: str
    status: OrderStatus
    raw_status: str
    quantity: Decimal | None
    filled_quantity: Decimal
    updated_at: datetime
    reason_code: str = ""
    reason: str = ""
    waiting_for: str = ""
    expires_at: datetime | None = None
    replaced_by: str = ""
    warnings: tuple[str, ...] = ()
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReport:
    """One execution. `sequence` orders the fills and activities of one account."""

    account_id: str
    venue_fill_id: str
    venue_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    fees: Decimal
    executed_at: datetime
    sequence: int
    expected_price: Decimal | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityReport:
    """
    Something a venue booked besides a fill.

    `amount` is the signed change of cash in money (zero for a declared dividend, whose promise stands in
    `promised`); `quantity` the signed position after a split; `ratio_from`:`ratio_to` the split.
    """

    account_id: str
    venue_activity_id: str
    kind: ActivityKind
    amount: Decimal
    occurred_at: datetime
    sequence: int
    symbol: str = ""
    event_id: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    promised: Decimal | None = None
    ratio_from: int = 1
    ratio_to: int = 1
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReport:
    account_id: str
    symbol: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    account_id: str
    currency: str
    cash: Decimal
    reserved: Decimal
    buying_power: Decimal
    status: str
    caught_up_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPreview:
    """What a venue would say to an order now: its refusals, its warnings, and an estimate of the costs."""

    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    estimated_price: Decimal | None
    estimated_notional: Decimal | None
    commission: Decimal | None
    fees: Decimal | None
    buying_power: Decimal
    buying_power_after: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueReports:
    """Everything one account reported since the desk last asked, complete up to `caught_up_until`."""

    account_id: str
    caught_up_until: datetime
    orders: tuple[OrderReport, ...] = ()
    fills: tuple[FillReport, ...] = ()
    activities: tuple[ActivityReport, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a venue can do, asked before anything is sent."""

    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    dedupes_client_id: bool
    fractional: bool
    extended_hours: bool
    notional: bool
    preview: bool
    brackets: bool = False
    multi_leg: bool = False
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Where an account lives: what registry and polling need to reach it. Knows no user."""

    venue: Venue
    environment: Environment
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFacts:
    """What validation and matching must know of an instrument; prices in Decimal."""

    instrument_id: int
    symbol: str
    kind: InstrumentKind
    multiplier: int
    price_increment: Decimal | None
    is_fractionable: bool
    is_shortable: bool
    is_active: bool
