"""
Rebuild the book from what cannot change: fills and the ledger, replayed in the order they were booked.

Lots, trades, positions and cash are kept for speed; this is the proof that they follow from the rest.
"""

from collections.abc import Iterator
from decimal import Decimal

from django.db import transaction

from brokers.enums import ActivityKind
from brokers.messages import ActivityReport
from brokers.models import Instrument
from brokers.money import money_value, quantity_value
from portfolio.activities import book_activity
from portfolio.batch_book import BatchBook, OpenTrade
from portfolio.books import Difference
from portfolio.enums import LedgerAccount, LedgerKind, TradeStatus
from portfolio.fills import Booked, book_quantities
from portfolio.models import Fill, LedgerTransaction, Lot, Portfolio, Position, Trade, TradeLeg

ZERO = Decimal(0)
PORTFOLIO_COLUMNS = ("cash", "receivable")
TRADE_COLUMNS = ("realized_pnl", "commission", "fees")
LEG_COLUMNS = ("open_quantity", "entered_quantity", "exited_quantity", "average_entry", "average_exit")
LOT_COLUMNS = ("quantity", "remaining", "cost", "price")
POSITION_COLUMNS = ("quantity", "cost", "average_cost", "realized_pnl")


def compare(portfolio: Portfolio) -> list[Difference]:
    """Name every column of the book that differs from the replay, without changing anything."""
    return [
        Difference("book equals its replay", f"{type(row).__name__} {row.pk}, {column}", str(kept), str(value))
        for row, values in replayed(portfolio)
        for column, value in values.items()
        if (kept := getattr(row, column)) != value
    ]


def write(portfolio: Portfolio) -> list[Difference]:
    """Put the replayed values into the rows that differ, and return what was put right."""
    with transaction.atomic():
        Portfolio.objects.select_for_update(no_key=True).get(pk=portfolio.pk)
        found = compare(portfolio)
        for row, values in replayed(portfolio):
            if any(getattr(row, column) != value for column, value in values.items()):
                type(row).objects.filter(pk=row.pk).update(**values)
    return found


def replayed(portfolio: Portfolio) -> Iterator[tuple[object, dict[str, Decimal | None]]]:
    """Yield every kept row with the values that its columns should have."""
    blank = Portfolio(
        pk=portfolio.pk,
        user_id=portfolio.user_id,
        cash=ZERO,
        receivable=ZERO,
        equity_peak=ZERO,
    )
    book = replay(portfolio, blank)
    yield portfolio, {name: getattr(blank, name) for name in PORTFOLIO_COLUMNS}
    for trade in (trade for group in book.trades.values() for trade in group):
        kept = Trade.objects.get(pk=trade.row.pk)
        yield kept, {name: getattr(trade.row, name) for name in TRADE_COLUMNS}
        yield from legs_and_lots(trade)
    for position in Position.objects.filter(portfolio=portfolio).order_by("pk"):
        made = book.position(blank, position.instrument)
        yield position, {name: getattr(made, name) for name in POSITION_COLUMNS}


def legs_and_lots(trade: OpenTrade) -> Iterator[tuple[object, dict[str, Decimal | None]]]:
    for leg in TradeLeg.objects.filter(trade_id=trade.row.pk).order_by("pk"):
        made = trade.legs[leg.instrument_id]
        yield leg, {name: getattr(made, name) for name in LEG_COLUMNS}
    by_fill = {lot.opening_fill.pk: lot.units for lots in trade.lots.values() for lot in lots}
    for lot in Lot.objects.filter(trade_leg__trade_id=trade.row.pk).order_by("pk"):
        units = by_fill[lot.opening_fill_id]
        yield (
            lot,
            {
                "quantity": quantity_value(units.quantity),
                "remaining": quantity_value(units.remaining),
                "cost": money_value(units.cost),
                "price": money_value(units.price),
            },
        )


def replay(portfolio: Portfolio, blank: Portfolio) -> BatchBook:
    """Book everything again into an empty book in memory, in the ledger's order."""
    transactions = (
        LedgerTransaction.objects.filter(portfolio=portfolio)
        .select_related("fill", "fill__instrument", "fill__trade")
        .prefetch_related("postings__instrument")
        .order_by("pk")
    )
    instruments = Instrument.objects.filter(pk__in=Fill.objects.filter(portfolio=portfolio).values("instrument_id"))
    book = BatchBook([blank], instruments)
    booked = Booked(book=book)
    trades: dict[int, OpenTrade] = {}
    for row in transactions:
        if row.fill is not None:
            replay_fill(booked, blank, row.fill, trades)
        else:
            book_activity(book, blank, as_report(row, book))
    return book


def replay_fill(booked: Booked, blank: Portfolio, fill: Fill, trades: dict[int, OpenTrade]) -> None:
    assert booked.book is not None
    if fill.trade_id not in trades:
        row = Trade(pk=fill.trade_id, user_id=fill.user_id, opened_at=fill.trade.opened_at, status=TradeStatus.OPEN)
        trades[fill.trade_id] = OpenTrade(row)
        booked.book.trades[blank.pk].append(trades[fill.trade_id])
    trade = trades[fill.trade_id]
    fill.portfolio = blank
    trade.row.realized_pnl += money_value(book_quantities(booked, trade, fill, None))
    trade.row.commission += fill.commission
    trade.row.fees += fill.fees


def as_report(row: LedgerTransaction, book: BatchBook) -> ActivityReport:
    """Turn a booked activity back into what the venue reported."""
    lines = list(row.postings.all())
    amounts = {line.account: line.amount for line in lines}
    securities = [line for line in lines if line.account == LedgerAccount.SECURITIES]
    symbol = securities[0].instrument.symbol if securities and securities[0].instrument else ""
    ratio_from, ratio_to, quantity = 1, 1, None
    if row.kind == LedgerKind.SPLIT:
        ratio_to, ratio_from = map(int, row.text.split(":"))
    elif row.kind == LedgerKind.CASH_IN_LIEU:
        quantity = -(securities[0].quantity or ZERO)
    return ActivityReport(
        account_id="",
        venue_activity_id="",
        kind=ActivityKind(row.kind),
        amount=amounts.get(LedgerAccount.CASH, ZERO),
        promised=amounts.get(LedgerAccount.RECEIVABLE),
        occurred_at=row.occurred_at,
        sequence=0,
        symbol=symbol,
        event_id=row.key.partition(":")[2],
        quantity=quantity,
        ratio_from=ratio_from,
        ratio_to=ratio_to,
    )
