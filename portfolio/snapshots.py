"""Take snapshots: hourly, and the bookends before the open and after the close."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Max, Q, Sum

from brokers.batch_rows import insert_rows
from brokers.enums import PriceSource
from brokers.market_data import calendar, prices
from brokers.money import money_units, money_value
from portfolio import journal
from portfolio.accounting.valuation import drawdown_units
from portfolio.enums import LedgerAccount, LedgerKind, SnapshotKind
from portfolio.journal import Fact
from portfolio.models import JournalEntry, LedgerPosting, Portfolio, Position, Snapshot

BOOKEND = timedelta(minutes=5)
INTRADAY_EVERY = timedelta(hours=1)
MARK_AGE_MAX = timedelta(seconds=max(prices.FRESH_SECONDS.values()))  # what the slowest source calls fresh
FLOWS = (LedgerKind.DEPOSIT, LedgerKind.WITHDRAWAL)


@dataclass(frozen=True, slots=True)
class Due:
    kind: SnapshotKind
    session_date: date


@dataclass(frozen=True, slots=True)
class Worth:
    """Positions of one portfolio: their value by fresh marks, or None where one is missing or too old."""

    value: Decimal | None
    held: int
    unpriced: int


def take(portfolios: Collection[Portfolio], *, now: datetime) -> list[Snapshot]:
    """
    Take the snapshots that are due at `now`, and return them.

    Bookends: PRE_OPEN from 5 minutes before the open until the open, POST_CLOSE from 5 minutes after the
    close until the next 04:00; INTRADAY when the newest is an hour old, in regular hours. Taking twice
    writes once.
    """
    rows = []
    for due in dues(now):
        rows += write(due_portfolios(portfolios, due, now=now), due, now=now)
    return rows


def note_missed(portfolios: Collection[Portfolio], *, now: datetime) -> int:
    """Journal `snapshot.missed`, once, for bookends of the latest session whose time has passed."""
    facts = []
    for due, from_at in overdue(now):
        rows = [p for p in due_portfolios(portfolios, due, now=now) if p.opened_at <= from_at]
        subjects = {f"missed:{p.pk}:{due.kind}:{due.session_date}": p for p in rows}
        known = set(
            JournalEntry.objects.filter(
                portfolio__in=rows, name="snapshot.missed", subject__in=list(subjects)
            ).values_list("subject", flat=True)
        )
        facts += [
            Fact(
                name="snapshot.missed",
                subject=subject,
                user_id=portfolio.user_id,
                portfolio_id=portfolio.pk,
                at=now,
                actor="desk",
                data={"kind": due.kind, "session": due.session_date.isoformat()},
            )
            for subject, portfolio in subjects.items()
            if subject not in known
        ]
    with transaction.atomic():
        journal.record(facts)
    return len(facts)


def overdue(now: datetime) -> list[tuple[Due, datetime]]:
    """Bookends that can no longer be taken, with the moment from which they were due."""
    session = calendar.latest_open(now)
    before = calendar.previous_session(session.date)
    found = [(Due(SnapshotKind.PRE_OPEN, session.date), session.open - BOOKEND)]
    if now >= session.pre_open_start:
        found.append((Due(SnapshotKind.POST_CLOSE, before.date), before.close + BOOKEND))
    return found


def dues(now: datetime) -> list[Due]:
    """Which kinds may be taken now, and for which session."""
    found = []
    session = calendar.session(calendar.new_york_date(now))
    if session is not None:
        if session.open - BOOKEND <= now < session.open:
            found.append(Due(SnapshotKind.PRE_OPEN, session.date))
        if session.open <= now < session.close:
            found.append(Due(SnapshotKind.INTRADAY, session.date))
    closed = last_closed(now)
    if closed is not None:
        found.append(Due(SnapshotKind.POST_CLOSE, closed))
    return found


def last_closed(now: datetime) -> date | None:
    """The session whose close bookend may be taken: from 5 minutes after its close until the next 04:00."""
    latest = calendar.latest_open(now)
    following = calendar.next_session(latest.date)
    return latest.date if latest.close + BOOKEND <= now < following.pre_open_start else None


def due_portfolios(portfolios: Collection[Portfolio], due: Due, *, now: datetime) -> list[Portfolio]:
    """Leave out those that have this snapshot already, or were opened later."""
    keys = [portfolio.pk for portfolio in portfolios]
    rows = Snapshot.objects.filter(portfolio_id__in=keys, kind=due.kind, session_date=due.session_date)
    if due.kind is SnapshotKind.INTRADAY:
        newest = dict(rows.values_list("portfolio_id").annotate(Max("at")))
        done = {key for key, at in newest.items() if now - at < INTRADAY_EVERY}
    else:
        done = set(rows.values_list("portfolio_id", flat=True))
    return [p for p in portfolios if p.pk not in done and p.opened_at <= now]


def write(portfolios: Sequence[Portfolio], due: Due, *, now: datetime) -> list[Snapshot]:
    """Write one kind for these portfolios, with their peaks, in one transaction."""
    if not portfolios:
        return []
    keys = [portfolio.pk for portfolio in portfolios]
    with transaction.atomic():
        rows = {
            row.pk: row for row in Portfolio.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
        }
        taken = due_portfolios(list(rows.values()), due, now=now)
        worth, flows, before = worths(keys, now=now), contributions(keys), previous_closes(keys, due)
        holdings = held(keys) if due.kind is not SnapshotKind.INTRADAY else {}
        snapshots = [
            build(row, due, worth[row.pk], flows[row.pk], before.get(row.pk), holdings.get(row.pk, []), now=now)
            for row in taken
        ]
        insert_rows(snapshots)
        raise_peaks(snapshots, rows)
        journal.record([fact_of(row) for row in snapshots if due.kind is not SnapshotKind.INTRADAY])
    return snapshots


def build(
    portfolio: Portfolio,
    due: Due,
    worth: Worth,
    flows: Decimal,
    before: Snapshot | None,
    holdings: list[dict[str, object]],
    *,
    now: datetime,
) -> Snapshot:
    equity = None if worth.value is None else portfolio.cash + portfolio.receivable + worth.value
    peak = portfolio.equity_peak if equity is None else max(portfolio.equity_peak, equity)
    started = Decimal(0) if before is None or before.equity is None else before.equity - before.flows
    lost = None
    if equity is not None:
        lost = money_value(drawdown_units(equity=money_units(equity), peak=money_units(peak)))
    return Snapshot(
        user_id=portfolio.user_id,
        portfolio=portfolio,
        at=now,
        session_date=due.session_date,
        kind=due.kind,
        cash=portfolio.cash,
        receivable=portfolio.receivable,
        positions_value=worth.value,
        equity=equity,
        equity_peak=peak,
        drawdown=lost,
        day_pnl=None if equity is None else equity - flows - started,
        flows=flows,
        positions=holdings,
        complete=worth.value is not None,
    )


def worths(keys: Sequence[int], *, now: datetime) -> dict[int, Worth]:
    """Value of the holdings by portfolio; None where one of them has no mark, or one that is not fresh."""
    found = {key: Worth(Decimal(0), 0, 0) for key in keys}
    rows = (
        Position.objects.filter(portfolio_id__in=keys)
        .exclude(quantity=0)
        .values_list("portfolio_id")
        .annotate(value=Sum("market_value"), held=Count("pk"), unpriced=Count("pk", filter=~is_fresh(now)))
    )
    for key, value, count, unpriced in rows:
        found[key] = Worth(None if unpriced else value, count, unpriced)
    return found


def is_fresh(now: datetime) -> Q:
    """
    The marks that count at `now`: exactly MARK_AGE_MAX old is fresh.

    Outside regular hours they are from the last minutes of the session before, or its official close.
    """
    if calendar.is_regular_hours(now):
        in_time = Q(mark_as_of__gte=now - MARK_AGE_MAX)
    else:
        closing = calendar.latest_open(now).close - prices.CLOSING_WINDOW
        in_time = Q(mark_as_of__gte=closing) | Q(mark_source=PriceSource.DAILY_BAR)
    return Q(market_value__isnull=False, mark_as_of__isnull=False) & in_time


def contributions(keys: Sequence[int]) -> dict[int, Decimal]:
    """Deposits less withdrawals since opening."""
    found = {key: Decimal(0) for key in keys}
    rows = LedgerPosting.objects.filter(
        transaction__portfolio_id__in=keys, transaction__kind__in=FLOWS, account=LedgerAccount.CONTRIBUTIONS
    )
    for key, total in rows.values_list("transaction__portfolio_id").annotate(Sum("amount")):
        found[key] = -total
    return found


def previous_closes(keys: Sequence[int], due: Due) -> dict[int, Snapshot]:
    """The newest complete close bookend before the session, by portfolio."""
    rows = Snapshot.objects.filter(
        portfolio_id__in=keys, kind=SnapshotKind.POST_CLOSE, session_date__lt=due.session_date, complete=True
    )
    newest = rows.values("portfolio_id").annotate(newest=Max("session_date"))
    wanted = {(row["portfolio_id"], row["newest"]) for row in newest}
    days = {day for _, day in wanted}
    found = {}
    for row in rows.filter(session_date__in=days):
        if (row.portfolio_id, row.session_date) in wanted:
            found[row.portfolio_id] = row
    return found


def held(keys: Sequence[int]) -> dict[int, list[dict[str, object]]]:
    """Holdings as the bookends keep them: symbol, quantity, mark, value, basis."""
    found: dict[int, list[dict[str, object]]] = {}
    rows = Position.objects.filter(portfolio_id__in=keys).exclude(quantity=0).select_related("instrument")
    for row in rows.order_by("instrument__symbol"):
        found.setdefault(row.portfolio_id, []).append(
            {
                "symbol": row.instrument.symbol,
                "quantity": str(row.quantity.normalize()),
                "cost": str(row.cost),
                "mark": None if row.mark is None else str(row.mark),
                "mark_source": row.mark_source,
                "value": None if row.market_value is None else str(row.market_value),
            }
        )
    return found


def raise_peaks(snapshots: Sequence[Snapshot], rows: dict[int, Portfolio]) -> None:
    for snapshot in snapshots:
        if snapshot.equity_peak > rows[snapshot.portfolio_id].equity_peak:
            Portfolio.objects.filter(pk=snapshot.portfolio_id).update(equity_peak=snapshot.equity_peak)


def fact_of(snapshot: Snapshot) -> Fact:
    return Fact(
        name="position.marked",
        subject=f"snapshot:{snapshot.pk}",
        user_id=snapshot.user_id,
        portfolio_id=snapshot.portfolio_id,
        at=snapshot.at,
        actor="desk",
        data={
            "kind": snapshot.kind,
            "session": snapshot.session_date.isoformat(),
            "equity": snapshot.equity,
            "cash": snapshot.cash,
            "drawdown": snapshot.drawdown,
            "complete": snapshot.complete,
        },
    )
