"""
The venue's book of one account in memory, in raw integers, while a batch is worked on. Pure.

Rows are read into it once, everything that happens changes it here, and `book_rows` writes back what
changed. Nothing in it knows a database.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from brokers import money
from brokers.enums import (
    AccountKind,
    AccountStatus,
    ActivityKind,
    InstrumentKind,
    OrderType,
    PositionEffect,
    Side,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.instruments import IncrementRule
from brokers.simulator.commission import SessionCharges
from brokers.simulator.presets import SimulationSettings
from brokers.simulator.terms import OrderTerms

REASON_LENGTH = 400
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What the venue must know of an instrument; `increments` are its price steps."""

    instrument_id: int
    symbol: str
    kind: InstrumentKind
    is_fractionable: bool
    increments: IncrementRule


@dataclass(slots=True, kw_only=True)
class WorkingOrder:
    """An order's row; the fields after `settings_version` change while it is matched."""

    pk: int
    account_pk: int
    venue_order_id: uuid.UUID
    client_order_id: str
    instrument_id: int
    side: Side
    effect: PositionEffect
    order_type: OrderType
    time_in_force: TimeInForce
    notional_units: int | None
    trail_percent_units: int | None
    extended_hours: bool
    accepted_at: datetime
    active_from: datetime
    settings_version: int
    quantity_units: int | None
    filled_units: int
    limit_units: int | None
    stop_units: int | None
    trail_amount_units: int | None
    watermark_units: int | None
    state: SimulatedOrderState
    expires_at: datetime | None
    triggered_at: datetime | None
    updated_at: datetime
    reserve_units: int
    attempts: int
    waiting_for: str
    reason_code: str
    reason_text: str
    fill_count: int = 0
    is_changed: bool = False

    @property
    def remaining_units(self) -> int:
        """Return what is still to fill; 0 for an order by amount, whose quantity is not known yet."""
        return 0 if self.quantity_units is None else self.quantity_units - self.filled_units

    @property
    def is_triggered(self) -> bool:
        return self.triggered_at is not None

    @property
    def is_exit(self) -> bool:
        return self.effect is PositionEffect.CLOSE

    def terms(self, *, is_resting: bool, spent_units: int = 0) -> OrderTerms:
        """Return the order as matching sees it; `spent_units` is what an order by amount has spent."""
        notional = None if self.notional_units is None else self.notional_units - spent_units
        return OrderTerms(
            side=self.side,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            quantity_units=self.quantity_units,
            filled_units=self.filled_units,
            notional_units=notional,
            limit_units=self.limit_units,
            stop_units=self.stop_units,
            trail_amount_units=self.trail_amount_units,
            trail_percent_units=self.trail_percent_units,
            watermark_units=self.watermark_units,
            extended_hours=self.extended_hours,
            is_resting=is_resting,
            is_triggered=self.is_triggered,
            attempts=self.attempts,
        )

    def change(self, state: SimulatedOrderState, *, at: datetime) -> None:
        self.state = state
        self.updated_at = at
        self.is_changed = True

    def end(self, state: SimulatedOrderState, *, at: datetime, code: str = "", text: str = "") -> None:
        """Move to a final state; what it reserved is free again."""
        self.change(state, at=at)
        self.reserve_units = 0
        self.reason_code = code
        self.reason_text = text[:REASON_LENGTH]


@dataclass(slots=True)
class Holding:
    """A signed position and its average price per unit, in units."""

    quantity_units: int = 0
    average_price_units: int = 0
    is_changed: bool = False

    def trade(self, side: Side, quantity_units: int, price_units: int) -> None:
        """Add a fill: the average moves when the position grows, stays when it shrinks, restarts at a turn."""
        before, signed = self.quantity_units, side.sign * quantity_units
        after = before + signed
        if before * signed >= 0:
            cost = abs(before) * self.average_price_units + quantity_units * price_units
            self.average_price_units = money.divide_half_away(cost, abs(after))
        elif before * after < 0:
            self.average_price_units = price_units
        elif after == 0:
            self.average_price_units = 0
        self.quantity_units = after
        self.is_changed = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedFill:
    """A fill of this batch or an earlier one; money in units."""

    order_pk: int
    execution_id: uuid.UUID
    sequence: int
    instrument_id: int
    side: Side
    quantity_units: int
    price_units: int
    commission_units: int
    fees_units: int
    executed_at: datetime
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedActivity:
    """An activity of this batch; `amount_units` is the signed change of cash."""

    kind: ActivityKind
    event_id: str
    occurred_at: datetime
    instrument_id: int | None = None
    quantity_units: int | None = None
    price_units: int | None = None
    amount_units: int = 0
    promised_units: int | None = None
    ratio_from: int = 1
    ratio_to: int = 1
    fraction_units: int | None = None
    pays_on: date | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """Money that an event of an instrument will move at `due`: a declared dividend, or cash in lieu."""

    kind: ActivityKind
    event_id: str
    instrument_id: int
    units: int
    due: datetime


@dataclass(slots=True, kw_only=True)
class AccountBook:
    """
    One account: what it has, what works, and what happened to it in this batch.

    `target` is how far this batch carries it; `is_worth_moving` whether its row must say so although nothing
    happened. `is_open`: orders and positions have been read; `is_detailed`: and what came before. `charges`
    is what an order was charged in a session, `used` (instrument, epoch second, quantity) what the account
    traded lately, `month_units` what it traded in a New York month (year, month).
    """

    pk: int
    account_id: uuid.UUID
    kind: AccountKind
    status: AccountStatus
    may_short: bool
    seed: int
    version: int
    settings_version: int
    matched_until: datetime
    cash_units: int
    orders: dict[int, WorkingOrder] = field(default_factory=dict)
    holdings: dict[int, Holding] = field(default_factory=dict)
    settings: dict[int, SimulationSettings] = field(default_factory=dict)
    charges: dict[int, tuple[date, SessionCharges]] = field(default_factory=dict)
    month_units: dict[tuple[int, int], int] = field(default_factory=dict)
    promises: list[Promise] = field(default_factory=list)
    used: list[tuple[int, int, int]] = field(default_factory=list)
    fills: list[BookedFill] = field(default_factory=list)
    activities: list[BookedActivity] = field(default_factory=list)
    target: datetime = _NEVER
    is_worth_moving: bool = True
    is_open: bool = False
    is_detailed: bool = False

    def working(self) -> list[WorkingOrder]:
        return [order for order in self.orders.values() if not order.state.is_final]

    def reserved_units(self, *, but: int | None = None) -> int:
        """Return the cash that working orders hold back, that of one order left out if asked."""
        return sum(order.reserve_units for order in self.working() if order.pk != but)

    def position_units(self, instrument_id: int) -> int:
        holding = self.holdings.get(instrument_id)
        return 0 if holding is None else holding.quantity_units

    def held_units(self, instrument_id: int) -> int:
        """Return how much of a position working orders already promise to close, >= 0."""
        return sum(
            order.remaining_units for order in self.working() if order.instrument_id == instrument_id and order.is_exit
        )

    def used_between(self, instrument_id: int, start: int, end: int) -> int:
        """Return the quantity traded in an instrument from one epoch second to another, both included."""
        return sum(
            quantity for instrument, at, quantity in self.used if instrument == instrument_id and start <= at <= end
        )

    def holding(self, instrument_id: int) -> Holding:
        return self.holdings.setdefault(instrument_id, Holding())

    @property
    def is_changed(self) -> bool:
        return bool(
            self.fills
            or self.activities
            or any(order.is_changed for order in self.orders.values())
            or any(holding.is_changed for holding in self.holdings.values())
        )


def execution_id(venue_order_id: uuid.UUID, sequence: int) -> uuid.UUID:
    """Return the id of an order's nth fill: a rerun gives the same."""
    return uuid.uuid5(venue_order_id, str(sequence))


def venue_order_id(account_id: uuid.UUID, client_order_id: str) -> uuid.UUID:
    """Return the venue's id of an order: a rerun gives the same."""
    return uuid.uuid5(account_id, client_order_id)
