"""
Figures that are kept because they are asked for often, and follow from others: marks, averages, states, peaks.

Identities of `portfolio.books`, which names them in its list.
"""

from decimal import Decimal

from django.db.models import Exists, F, Max, OuterRef, Q

from brokers.enums import FINAL_STATUSES
from brokers.money import money_units, money_value, quantity_units
from portfolio.accounting.valuation import market_value
from portfolio.enums import LedgerAccount, LedgerKind, TradeStatus
from portfolio.findings import Difference, Findings, place
from portfolio.models import (
    Fill,
    LedgerPosting,
    LedgerTransaction,
    Order,
    Portfolio,
    Position,
    Snapshot,
    Trade,
    TradeLeg,
)

ZERO = Decimal(0)
UNIT = Decimal("0.000001")


def marks(rows: dict[int, Portfolio], found: Findings) -> None:
    """
    Value = mark x quantity x multiplier and unrealized = value - cost; without a mark neither.

    Between a split and the first mark after it the mark is still on the old basis; then only the second holds.
    """
    splits = LedgerPosting.objects.filter(
        account=LedgerAccount.SECURITIES,
        instrument=OuterRef("instrument"),
        transaction__portfolio=OuterRef("portfolio"),
        transaction__kind=LedgerKind.SPLIT,
        transaction__occurred_at__gt=OuterRef("mark_as_of"),
    )
    held = Position.objects.filter(portfolio_id__in=rows).exclude(quantity=0).annotate(is_split=Exists(splits))
    for row in held.select_related("instrument").order_by("pk").iterator():
        where = f"{place(rows[row.portfolio_id])}, {row.instrument.symbol}"
        expected = None if row.mark is None else value_of(row)
        if not row.is_split:
            found.compare("value equals mark times quantity", where, row.market_value, expected)
        gain = None if row.market_value is None else row.market_value - row.cost
        found.compare("unrealized equals value less cost", where, row.unrealized_pnl, gain)


def value_of(row: Position) -> Decimal:
    price, quantity = money_units(row.mark), quantity_units(row.quantity)
    return money_value(market_value(price=price, quantity=quantity, multiplier=row.instrument.multiplier))


def average_prices(rows: dict[int, Portfolio], found: Findings) -> None:
    """An order's average price is that of its fills, rounded after each of them as the door rounds."""
    averages: dict[int, tuple[Decimal, Decimal]] = {}
    fills = Fill.objects.filter(portfolio_id__in=rows, order__isnull=False).order_by("pk")
    for key, quantity, price in fills.values_list("order_id", "quantity", "price").iterator():
        before, average = averages.get(key, (ZERO, ZERO))
        total = before + quantity
        averages[key] = (total, ((average * before + price * quantity) / total).quantize(UNIT))
    orders = Order.objects.filter(portfolio_id__in=rows).order_by("pk")
    for pk, kept in orders.values_list("pk", "average_fill_price").iterator():
        average = averages[pk][1] if pk in averages else None
        found.compare("average price equals that of the fills", f"order {pk}", kept, average)


def open_trades(rows: dict[int, Portfolio], found: Findings) -> None:
    """
    A trade that holds nothing and has no live order is CLOSED.

    The pass that ends the last order closes the trade; one that ended after the last pass still waits for it.
    """
    live = Order.objects.filter(trade=OuterRef("pk")).exclude(status__in=FINAL_STATUSES)
    trades = Trade.objects.filter(portfolio_id__in=rows).exclude(status=TradeStatus.CLOSED)
    found.compared["an open trade holds something"] += trades.count()
    flat = (
        trades.exclude(Exists(TradeLeg.objects.filter(trade=OuterRef("pk")).exclude(open_quantity=0)))
        .exclude(Exists(live))
        .annotate(ended=Max("orders__final_at"))
        .filter(Q(ended__isnull=True) | Q(ended__lt=F("portfolio__synced_until")))
    )
    for trade in flat.order_by("pk"):
        found.differences.append(
            Difference("an open trade holds something", f"trade {trade.pk}", f"{trade.status} and flat", "CLOSED")
        )


def peaks(rows: dict[int, Portfolio], found: Findings) -> None:
    """
    The peak of a portfolio is not below that of any complete snapshot since its last flow.

    A flow moves the peak in proportion to equity at that moment, which nobody keeps: so before it nothing can be
    compared, and after it a peak that is too high cannot be told from one of a moment without a snapshot.
    """
    flow = LedgerTransaction.objects.filter(
        portfolio=OuterRef("portfolio"),
        kind__in=(LedgerKind.DEPOSIT, LedgerKind.WITHDRAWAL),
        occurred_at__gte=OuterRef("at"),
    )
    snapshots = Snapshot.objects.filter(portfolio_id__in=rows, complete=True).exclude(Exists(flow))
    for key, highest in snapshots.values_list("portfolio_id").annotate(Max("equity_peak")).order_by("portfolio_id"):
        peak = rows[key].equity_peak
        found.compare("peak covers every snapshot", place(rows[key]), max(peak, highest), peak)
