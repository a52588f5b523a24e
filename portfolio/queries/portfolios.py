"""A user's portfolios as cards: equity, today, drawdown and state."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from brokers.market_data import calendar
from portfolio.enums import LedgerAccount, SnapshotKind, TradeStatus
from portfolio.models import LedgerPosting, Order, Portfolio, Position, Snapshot, Trade, User
from portfolio.models.order import FINAL

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioCard:
    """
    One portfolio in figures.

    `equity`, `today` and `drawdown` (positive fraction of the peak) are None while a held instrument has no
    price; then `last_equity` and `last_equity_at` tell the last complete figure, if there ever was one.
    """

    id: int
    name: str
    venue: str
    environment: str
    currency: str
    cash: Decimal
    equity: Decimal | None
    last_equity: Decimal | None
    last_equity_at: datetime | None
    unpriced: int
    today: Decimal | None
    today_fraction: Decimal | None
    drawdown: Decimal | None
    open_trades: int
    working_orders: int
    state: str
    state_reason: str
    state_changed_at: datetime | None
    sync_error: str
    archived_at: datetime | None

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Sums over portfolios of one environment and one currency; None where one of them is incomplete."""

    environment: str
    currency: str
    equity: Decimal | None
    today: Decimal | None
    today_fraction: Decimal | None
    portfolios: int
    unpriced: int


def cards(user: User, *, now: datetime) -> tuple[PortfolioCard, ...]:
    """Return all portfolios of a user by name, archived ones included and last. Three queries."""
    day = session_day(now)
    rows = _rows(user, day)
    holdings = _holdings(user)
    contributions = _contributions(user)
    return tuple(_card(row, holdings.get(row.pk), contributions[row.pk]) for row in rows)


def totals(portfolios: Iterable[PortfolioCard]) -> tuple[Total, ...]:
    """Add up what may be added: never paper to live, never one currency to another, never archived ones."""
    groups: dict[tuple[str, str], list[PortfolioCard]] = defaultdict(list)
    for card in portfolios:
        if not card.is_archived:
            groups[card.environment, card.currency].append(card)
    return tuple(_total(*key, members) for key, members in sorted(groups.items(), reverse=True))


def session_day(now: datetime) -> date:
    """Return the day whose result counts as today's: today's session, or the last one on a day without."""
    today = calendar.new_york_date(now)
    return today if calendar.session(today) else calendar.previous_session(today).date


def _rows(user: User, day: date) -> QuerySet[Portfolio]:
    complete = Snapshot.objects.filter(portfolio=OuterRef("pk"), complete=True, equity__isnull=False)
    before = complete.filter(kind=SnapshotKind.POST_CLOSE, session_date__lt=day).order_by("-session_date")
    latest = complete.order_by("-at")
    return (
        Portfolio.objects.for_user(user)
        .annotate(
            base_equity=Subquery(before.values("equity")[:1]),
            base_at=Subquery(before.values("at")[:1]),
            last_equity=Subquery(latest.values("equity")[:1]),
            last_equity_at=Subquery(latest.values("at")[:1]),
            open_trades=_count(Trade.objects.exclude(status=TradeStatus.CLOSED)),
            working_orders=_count(Order.objects.exclude(status__in=FINAL)),
        )
        .order_by("archived_at", "name", "pk")
    )


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.filter(portfolio=OuterRef("pk")).order_by().values("portfolio").annotate(number=Count("pk"))
    return Coalesce(Subquery(counted.values("number"), output_field=IntegerField()), 0)


def _holdings(user: User) -> dict[int, dict[str, Any]]:
    rows = (
        Position.objects.for_user(user)
        .exclude(quantity=0)
        .values("portfolio_id")
        .annotate(value=Sum("market_value"), unpriced=Count("pk", filter=Q(market_value__isnull=True)))
    )
    return {row["portfolio_id"]: row for row in rows}


def _contributions(user: User) -> defaultdict[int, list[tuple[datetime, Decimal]]]:
    """Deposits (positive) and withdrawals (negative); in the ledger a contribution is a negative amount."""
    found: defaultdict[int, list[tuple[datetime, Decimal]]] = defaultdict(list)
    rows = (
        LedgerPosting.objects.for_user(user)
        .filter(account=LedgerAccount.CONTRIBUTIONS)
        .values_list("transaction__portfolio_id", "transaction__occurred_at", "amount")
    )
    for portfolio_id, at, amount in rows:
        found[portfolio_id].append((at, -amount))
    return found


def _card(row: Any, holding: dict[str, Any] | None, contributions: list[tuple[datetime, Decimal]]) -> PortfolioCard:
    unpriced = holding["unpriced"] if holding else 0
    value = (holding["value"] or ZERO) if holding else ZERO
    equity = None if unpriced else row.cash + row.receivable + value
    start = (row.base_equity or ZERO) + sum(
        (amount for at, amount in contributions if row.base_at is None or at > row.base_at), ZERO
    )
    today = None if equity is None else equity - start
    return PortfolioCard(
        id=row.pk,
        name=row.name,
        venue=row.venue,
        environment=row.environment,
        currency=row.currency,
        cash=row.cash,
        equity=equity,
        last_equity=row.last_equity,
        last_equity_at=row.last_equity_at,
        unpriced=unpriced,
        today=today,
        today_fraction=_fraction(today, start),
        drawdown=_drawdown(equity, row.equity_peak),
        open_trades=row.open_trades,
        working_orders=row.working_orders,
        state=row.trading_state,
        state_reason=row.state_reason,
        state_changed_at=row.state_changed_at,
        sync_error=row.sync_error,
        archived_at=row.archived_at,
    )


def _fraction(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return part / whole if part is not None and whole > 0 else None


def _drawdown(equity: Decimal | None, peak: Decimal) -> Decimal | None:
    """Return the lost fraction of the peak; an equity above the stored peak is itself the peak."""
    if equity is None or max(peak, equity) <= 0:
        return None
    return (max(peak, equity) - equity) / max(peak, equity)


def _total(environment: str, currency: str, members: list[PortfolioCard]) -> Total:
    unpriced = sum(card.unpriced for card in members)
    equity = _sum(card.equity for card in members)
    today = _sum(card.today for card in members)
    start = equity - today if equity is not None and today is not None else ZERO
    return Total(
        environment=environment,
        currency=currency,
        equity=equity,
        today=today,
        today_fraction=_fraction(today, start),
        portfolios=len(members),
        unpriced=unpriced,
    )


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    known = list(values)
    return None if any(value is None for value in known) else sum(known, ZERO)
