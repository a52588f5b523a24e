"""Orders as lists, and one order with everything it touched."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from brokers.enums import WORKING_STATUSES, OrderStatus
from portfolio.models import Fill, JournalEntry, LedgerPosting, LedgerTransaction, Order, OrderLeg, User
from portfolio.models.order import FINAL

ROWS_MAX = 200
FILLS_MAX = 10
ENTRIES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """
    One order as lists show it.

    `quantity` is None for an order in money, whose amount stands in `notional`. `reasons` are the sentences
    of a denial or rejection.
    """

    id: int
    portfolio_id: int
    version: int
    symbol: str
    name: str
    side: str
    role: str
    origin: str
    order_type: str
    time_in_force: str
    expires_on: date | None
    quantity: Decimal | None
    notional: Decimal | None
    filled_quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    extended_hours: bool
    average_fill_price: Decimal | None
    expected_price: Decimal | None
    status: str
    venue_status: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    waiting_for: str
    submitted_at: datetime
    venue_updated_at: datetime | None
    final_at: datetime | None
    trade_id: int | None
    client_order_id: str
    venue_order_id: str

    @property
    def is_final(self) -> bool:
        return OrderStatus(self.status).is_final

    @property
    def can_cancel(self) -> bool:
        """Whether a cancel is worth sending: not finished and not being canceled already."""
        return not self.is_final and self.status != OrderStatus.PENDING_CANCEL

    @property
    def remaining(self) -> Decimal | None:
        return None if self.quantity is None else self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One execution. `slippage` is money per unit, signed so that positive is worse for us."""

    id: int
    order_id: int | None
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    fees: Decimal
    expected_price: Decimal | None
    slippage: Decimal | None
    evidence: dict[str, Any]
    executed_at: datetime
    venue_fill_id: str

    @property
    def slippage_bps(self) -> Decimal | None:
        """Slippage in basis points of the expected price; None when nothing was expected."""
        if self.slippage is None or not self.expected_price:
            return None
        return self.slippage / self.expected_price * 10_000

    @property
    def costs(self) -> Decimal:
        return self.commission + self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingRow:
    account: str
    symbol: str
    amount: Decimal
    quantity: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRow:
    """One balanced ledger transaction."""

    kind: str
    key: str
    occurred_at: datetime
    postings: tuple[PostingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One line of the journal."""

    sequence: int
    name: str
    actor: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDetail:
    order: OrderRow
    note: str
    tags: tuple[str, ...]
    denials: tuple[dict[str, str], ...]
    replaces_id: int | None
    replaced_by_id: int | None
    fills: tuple[FillRow, ...]
    bookings: tuple[BookingRow, ...]
    entries: tuple[EntryRow, ...]


def orders(user: User, portfolio_id: int, *, status: str = "") -> tuple[OrderRow, ...]:
    """Return a portfolio's orders, unfinished ones first, newest first. At most ROWS_MAX; four queries."""
    rows = _of(user, portfolio_id)
    if status:
        rows = rows.filter(status__in=statuses(status))
        return _rows(rows.order_by("-pk")[:ROWS_MAX])
    unfinished = list(rows.exclude(status__in=FINAL).order_by("-pk")[:ROWS_MAX])
    finished = rows.filter(status__in=FINAL).order_by("-pk")[: ROWS_MAX - len(unfinished)]
    return _rows([*unfinished, *finished])


def statuses(name: str) -> list[str]:
    """Return the order statuses behind a filter's name; a single status stands for itself."""
    if name == "working":
        return sorted(set(OrderStatus) - set(FINAL))
    return [name] if name in set(OrderStatus) else []


def working_orders(user: User, portfolio_id: int) -> tuple[OrderRow, ...]:
    """Return the orders that are not finished, newest first. Two queries."""
    return _rows(_of(user, portfolio_id).exclude(status__in=FINAL).order_by("-pk")[:ROWS_MAX])


def recent_fills(user: User, portfolio_id: int) -> tuple[FillRow, ...]:
    """Return the last FILLS_MAX executions, newest first. One query."""
    rows = Fill.objects.for_user(user).filter(portfolio_id=portfolio_id).select_related("instrument")
    return tuple(_fill_row(row) for row in rows.order_by("-executed_at", "-pk")[:FILLS_MAX])


def order_detail(user: User, order_id: int) -> OrderDetail | None:
    """Return one order of the user with its fills, bookings and journal entries. Seven queries."""
    order = _with_legs(Order.objects.for_user(user).filter(pk=order_id)).first()
    if order is None:
        return None
    fills = Fill.objects.for_user(user).filter(order=order).select_related("instrument")
    successor = order.replacements.order_by("pk").values_list("pk", flat=True).first()
    return OrderDetail(
        order=_row(order),
        note=str(order.plan.get("note", "")),
        tags=tuple(str(tag) for tag in order.plan.get("tags", ())),
        denials=tuple(order.denials),
        replaces_id=order.replaces_id,
        replaced_by_id=successor,
        fills=tuple(_fill_row(row) for row in fills.order_by("executed_at", "pk")),
        bookings=_bookings(user, order),
        entries=_entries(user, order),
    )


# ------------------------------------------------------------------ rows


def _of(user: User, portfolio_id: int) -> QuerySet[Order]:
    return _with_legs(Order.objects.for_user(user).filter(portfolio_id=portfolio_id))


def _with_legs(rows: QuerySet[Order]) -> QuerySet[Order]:
    legs = OrderLeg.objects.select_related("instrument").order_by("pk")
    return rows.prefetch_related(Prefetch("legs", queryset=legs))


def _rows(rows: Iterable[Order]) -> tuple[OrderRow, ...]:
    return tuple(_row(row) for row in rows)


def _row(order: Order) -> OrderRow:
    legs = list(order.legs.all())
    return OrderRow(
        id=order.pk,
        portfolio_id=order.portfolio_id,
        version=order.version,
        symbol=" / ".join(leg.instrument.symbol for leg in legs) or "–",
        name=legs[0].instrument.listed_name if len(legs) == 1 else "",
        side=legs[0].side if legs else "",
        role=order.role,
        origin=order.origin,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        expires_on=order.expires_on,
        quantity=order.quantity,
        notional=order.notional,
        filled_quantity=order.filled_quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        extended_hours=order.extended_hours,
        average_fill_price=order.average_fill_price,
        expected_price=order.expected_price,
        status=order.status,
        venue_status=order.venue_status,
        reasons=_reasons(order),
        warnings=tuple(str(warning) for warning in order.warnings),
        waiting_for=order.waiting_for if order.status in WORKING_STATUSES else "",
        submitted_at=order.submitted_at,
        venue_updated_at=order.venue_updated_at,
        final_at=order.final_at,
        trade_id=order.trade_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
    )


def _reasons(order: Order) -> tuple[str, ...]:
    """Every denial by itself; `reason_text` repeats them in one text and counts where there is none."""
    sentences = [str(denial.get("message", "")) for denial in order.denials] or [order.reason_text]
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))


def _fill_row(fill: Fill) -> FillRow:
    return FillRow(
        id=fill.pk,
        order_id=fill.order_id,
        symbol=fill.instrument.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        commission=fill.commission,
        fees=fill.fees,
        expected_price=fill.expected_price,
        slippage=fill.slippage,
        evidence=fill.evidence,
        executed_at=fill.executed_at,
        venue_fill_id=fill.venue_fill_id,
    )


def _bookings(user: User, order: Order) -> tuple[BookingRow, ...]:
    postings = LedgerPosting.objects.select_related("instrument").order_by("pk")
    rows = (
        LedgerTransaction.objects.for_user(user)
        .filter(fill__order=order)
        .prefetch_related(Prefetch("postings", queryset=postings))
        .order_by("pk")
    )
    return tuple(
        BookingRow(
            kind=row.kind,
            key=row.key,
            occurred_at=row.occurred_at,
            postings=tuple(
                PostingRow(
                    account=line.account,
                    symbol=line.instrument.symbol if line.instrument else "",
                    amount=line.amount,
                    quantity=line.quantity,
                )
                for line in row.postings.all()
            ),
        )
        for row in rows
    )


def _entries(user: User, order: Order) -> tuple[EntryRow, ...]:
    """The journal of the order itself, and of the trade it opened or closed while the order lived."""
    about = Q(subject=f"order:{order.pk}")
    if order.trade_id:
        about |= Q(subject=f"trade:{order.trade_id}", at__gte=order.submitted_at) & (
            Q(at__lte=order.final_at) if order.final_at else Q()
        )
    rows = JournalEntry.objects.for_user(user).filter(about, portfolio_id=order.portfolio_id)
    return tuple(
        EntryRow(sequence=row.sequence, name=row.name, actor=row.actor, at=row.at, data=row.data)
        for row in rows.order_by("sequence")[:ENTRIES_MAX]
    )
