"""
Prove the books: every identity of a portfolio, and the first difference by name.

Read-only and set-wise: sums are taken in the database, compared here, for all portfolios asked about.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Count, F, Q, Sum

from brokers.money import money_units, quantity_units
from portfolio import journal, kept_figures
from portfolio.bookings import Line, digest_of, fill_digest
from portfolio.enums import LedgerAccount, TradeStatus
from portfolio.findings import Difference, Findings, place
from portfolio.models import (
    Fill,
    JournalEntry,
    JournalHead,
    LedgerPosting,
    LedgerTransaction,
    Lot,
    Order,
    Portfolio,
    Position,
    Snapshot,
    Trade,
    TradeLeg,
)

__all__ = ["Difference", "Findings", "check", "check_chain", "one_view"]
ZERO = Decimal(0)


def check(portfolios: Collection[Portfolio]) -> Findings:
    """
    Check every identity of these portfolios and the journal chains of their users.

    All is read as of one moment, so that a desk which goes on trading is not taken for a wrong one.
    """
    found = Findings(portfolios=len(portfolios))
    with one_view():
        rows = Portfolio.objects.in_bulk([portfolio.pk for portfolio in portfolios])
        for identity in IDENTITIES:
            identity(rows, found)
        for user_id in sorted({portfolio.user_id for portfolio in portfolios}):
            check_chain(user_id, found)
    return found


@contextmanager
def one_view() -> Iterator[None]:
    """
    Let all reads inside see the database as it is at the first of them.

    Inside a transaction already open, its own isolation holds. SQLite's transactions shut out writers instead.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def zero_sum(rows: dict[int, Portfolio], found: Findings) -> None:
    """The postings of each transaction add up to zero, and there are at least two."""
    transactions = LedgerTransaction.objects.filter(portfolio_id__in=rows).annotate(
        total=Sum("postings__amount"), lines=Count("postings")
    )
    found.compared["postings sum to zero"] += transactions.count()
    for row in transactions.filter(~Q(total=0) | Q(lines__lt=2) | Q(total__isnull=True)).order_by("pk"):
        found.differences.append(
            Difference("postings sum to zero", f"transaction {row.key}", f"{row.total} over {row.lines} lines", "0")
        )


def cash_and_receivable(rows: dict[int, Portfolio], found: Findings) -> None:
    """Cash and receivable equal a replay of the ledger."""
    for account, name in ((LedgerAccount.CASH, "cash"), (LedgerAccount.RECEIVABLE, "receivable")):
        totals = dict(
            LedgerPosting.objects.filter(transaction__portfolio_id__in=rows, account=account)
            .values_list("transaction__portfolio_id")
            .annotate(Sum("amount"))
        )
        for key, portfolio in rows.items():
            found.compare(
                f"{name} equals the ledger", place(portfolio), getattr(portfolio, name), totals.get(key, ZERO)
            )


def positions_against_lots(rows: dict[int, Portfolio], found: Findings) -> None:
    """Position = sum of open lots = SECURITIES postings, in quantity and in cost."""
    lots = sums(Lot.objects.filter(portfolio_id__in=rows), "portfolio_id", "remaining", "cost")
    posted = sums(
        LedgerPosting.objects.filter(transaction__portfolio_id__in=rows, account=LedgerAccount.SECURITIES),
        "transaction__portfolio_id",
        "quantity",
        "amount",
    )
    held = {
        (row.portfolio_id, row.instrument_id): row
        for row in Position.objects.filter(portfolio_id__in=rows).select_related("instrument")
    }
    for key in sorted({*lots, *posted, *held}):
        row = held.get(key)
        where = f"{place(rows[key[0]])}, {row.instrument.symbol if row else f'instrument {key[1]}'}"
        mine = (row.quantity, row.cost) if row else (ZERO, ZERO)
        found.compare("position equals its open lots", where, mine, lots.get(key, (ZERO, ZERO)))
        found.compare("position equals the ledger", where, mine, posted.get(key, (ZERO, ZERO)))


def sums(queryset, portfolio_field: str, *names: str) -> dict[tuple[int, int], tuple[Decimal, ...]]:
    """Sum columns by (portfolio, instrument)."""
    totals = queryset.values_list(portfolio_field, "instrument_id").annotate(*[Sum(name) for name in names])
    return {(row[0], row[1]): tuple(value or ZERO for value in row[2:]) for row in totals}


def realized(rows: dict[int, Portfolio], found: Findings) -> None:
    """Realized P&L, commission and fees: trades = ledger; realized also = positions."""
    for account, name, sign in (
        (LedgerAccount.REALIZED_PNL, "realized_pnl", -1),
        (LedgerAccount.COMMISSION, "commission", 1),
        (LedgerAccount.FEES, "fees", 1),
    ):
        booked = dict(
            LedgerPosting.objects.filter(transaction__portfolio_id__in=rows, account=account)
            .values_list("transaction__portfolio_id")
            .annotate(Sum("amount"))
        )
        trades = dict(Trade.objects.filter(portfolio_id__in=rows).values_list("portfolio_id").annotate(Sum(name)))
        for key, portfolio in rows.items():
            found.compare(
                f"{name} of trades equals the ledger",
                place(portfolio),
                trades.get(key) or ZERO,
                (booked.get(key) or ZERO) * sign,
            )
        if account is LedgerAccount.REALIZED_PNL:
            held = dict(Position.objects.filter(portfolio_id__in=rows).values_list("portfolio_id").annotate(Sum(name)))
            for key, portfolio in rows.items():
                where, booked_sum = place(portfolio), (booked.get(key) or ZERO) * sign
                found.compare("realized_pnl of positions equals the ledger", where, held.get(key) or ZERO, booked_sum)


def fills_and_bookings(rows: dict[int, Portfolio], found: Findings) -> None:
    """Each fill has exactly one booking, and the booking moves exactly its quantity."""
    fills = Fill.objects.filter(portfolio_id__in=rows)
    found.compared["fill has its booking"] += fills.count()
    for fill in fills.filter(booking__isnull=True).order_by("pk"):
        found.differences.append(Difference("fill has its booking", f"fill {fill.venue_fill_id}", "none", "one"))
    wrong = (
        LedgerPosting.objects.filter(
            transaction__portfolio_id__in=rows,
            transaction__fill__isnull=False,
            account=LedgerAccount.SECURITIES,
        )
        .exclude(
            Q(transaction__fill__side="BUY", quantity=F("transaction__fill__quantity"))
            | Q(transaction__fill__side="SELL", quantity=0 - F("transaction__fill__quantity"))
        )
        .select_related("transaction__fill")
    )
    for line in wrong:
        fill = line.transaction.fill
        found.differences.append(
            Difference(
                "booking moves the fill's quantity",
                f"fill {fill.venue_fill_id}",
                str(line.quantity),
                str(fill),
            )
        )


def orders_against_fills(rows: dict[int, Portfolio], found: Findings) -> None:
    """An order's filled quantity is the sum of its fills; a FILLED one is filled whole."""
    totals = dict(
        Fill.objects.filter(portfolio_id__in=rows, order__isnull=False)
        .values_list("order_id")
        .annotate(Sum("quantity"))
    )
    orders = Order.objects.filter(portfolio_id__in=rows).values_list(
        "pk", "filled_quantity", "quantity", "status", "notional"
    )
    for pk, filled, quantity, status, notional in orders.iterator():
        found.compare("order equals its fills", f"order {pk}", filled, totals.get(pk, ZERO))
        if status == "FILLED" and notional is None:
            found.compare("a filled order is filled whole", f"order {pk}", filled, quantity)


def trades_against_lots(rows: dict[int, Portfolio], found: Findings) -> None:
    """A leg's open quantity is the sum of its lots; a CLOSED trade holds nothing."""
    lots = dict(Lot.objects.filter(portfolio_id__in=rows).values_list("trade_leg_id").annotate(Sum("remaining")))
    legs = TradeLeg.objects.filter(trade__portfolio_id__in=rows).values_list(
        "pk", "open_quantity", "trade_id", "trade__status"
    )
    for pk, held, trade_id, status in legs.iterator():
        found.compare("trade leg equals its lots", f"trade {trade_id}", held, lots.get(pk) or ZERO)
        if status == TradeStatus.CLOSED:
            found.compare("a closed trade holds nothing", f"trade {trade_id}", held, ZERO)


def snapshots_add_up(rows: dict[int, Portfolio], found: Findings) -> None:
    """Equity of a complete snapshot = cash + receivable + positions; drawdown and peak fit."""
    snapshots = Snapshot.objects.filter(portfolio_id__in=rows)
    found.compared["snapshot adds up"] += snapshots.count()
    wrong = snapshots.filter(complete=True).exclude(equity=F("cash") + F("receivable") + F("positions_value"))
    wrong = wrong | snapshots.filter(complete=True, equity__gt=F("equity_peak"))
    for row in wrong.order_by("pk"):
        found.differences.append(
            Difference(
                "snapshot adds up",
                f"snapshot {row.pk}",
                f"equity {row.equity}, peak {row.equity_peak}",
                f"{row.cash} + {row.receivable} + {row.positions_value}",
            )
        )


def journal_covers_books(rows: dict[int, Portfolio], found: Findings) -> None:
    """Every booking and every fill stands in the journal with the digest of what it says now."""
    written, filled = written_digests(rows)
    for row, lines in bookings(rows):
        expected = digest_of(
            portfolio_id=row.portfolio_id,
            kind=row.kind,
            key=row.key,
            occurred_at=row.occurred_at,
            lines=lines,
        )
        is_there = (row.portfolio_id, expected) in written
        stands(found, "booking stands in the journal", f"transaction {row.key}", is_there)
    for fill in Fill.objects.filter(portfolio_id__in=rows).order_by("pk").iterator(chunk_size=1000):
        is_there = (fill.portfolio_id, fill_digest(fill)) in filled
        stands(found, "fill stands in the journal", f"fill {fill.venue_fill_id}", is_there)


def stands(found: Findings, identity: str, where: str, is_there: bool) -> None:
    found.compare(identity, where, "present" if is_there else "absent", "present")


def written_digests(rows: dict[int, Portfolio]) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
    """The digests of bookings and of fills that the journal keeps, each with its portfolio."""
    booked, filled = set(), set()
    entries = JournalEntry.objects.filter(portfolio_id__in=rows, data__has_key="booking")
    for portfolio_id, data in entries.values_list("portfolio_id", "data").iterator():
        booked.add((portfolio_id, data["booking"]))
        if "digest" in data:
            filled.add((portfolio_id, data["digest"]))
    return booked, filled


def bookings(rows: dict[int, Portfolio]) -> Iterable[tuple[LedgerTransaction, list[Line]]]:
    transactions = LedgerTransaction.objects.filter(portfolio_id__in=rows).order_by("pk")
    for row in transactions.prefetch_related("postings").iterator(chunk_size=1000):
        yield (
            row,
            [
                (
                    line.account,
                    line.instrument_id,
                    money_units(line.amount),
                    None if line.quantity is None else quantity_units(line.quantity),
                )
                for line in row.postings.all()
            ],
        )


def check_chain(user_id: int | None, found: Findings) -> None:
    """One user's journal: no gap, no edit, and a head that matches the last entry."""
    entries = JournalEntry.objects.filter(user_id=user_id).order_by("sequence")
    fault = journal.verify_chain(entries.iterator(chunk_size=2000))
    found.compared["journal chain"] += 1
    who = "the desk" if user_id is None else f"user {user_id}"
    if fault:
        found.differences.append(Difference("journal chain", who, fault, "an unbroken chain"))
    last = entries.last()
    head = JournalHead.objects.filter(user_id=user_id).first()
    left = (head.sequence, head.hash) if head else (0, journal.GENESIS)
    found.compare("journal head", who, left, (last.sequence, last.hash) if last else (0, journal.GENESIS))


IDENTITIES: tuple[Callable[[dict[int, Portfolio], Findings], None], ...] = (
    zero_sum,
    cash_and_receivable,
    positions_against_lots,
    realized,
    fills_and_bookings,
    orders_against_fills,
    trades_against_lots,
    snapshots_add_up,
    journal_covers_books,
    kept_figures.marks,
    kept_figures.average_prices,
    kept_figures.open_trades,
    kept_figures.peaks,
)
