"""Fills into books: 10,000 of one tick through the door, against one transaction a fill."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from brokers.enums import OrderStatus, Side
from brokers.messages import FillReport, OrderReport, VenueReports
from brokers.models import Instrument
from portfolio import books
from portfolio.models import JournalEntry, LedgerPosting, Lot, Order, Portfolio, Position, Trade, TradeLeg
from portfolio.order_sync import book_batch

from . import desks, plain_fills
from .measure import ROUNDS, Outcome, Way, interleave

INSTRUMENTS = 10
SIZES = {"small": (100, 10), "full": (1_000, 30)}  # portfolios through the door, and one by one
TARGET = 30
EVIDENCE = {
    "observation": {"bid": "99.99", "ask": "100.01", "last": "100.00", "source": "benchmark"},
    "reference": "100000000",
    "rule": "MARKET",
}


@dataclass(slots=True)
class Round:
    """The reports of one tick, in the batches of the desk, and the same ones portfolio by portfolio."""

    at: datetime
    reports: dict[int, VenueReports]
    orders: list[Order] = field(default_factory=list)
    instruments: list[Instrument] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)


class Tape:
    """
    What happens to some portfolios, tick by tick; the nth portfolio of every tape lives the same life.

    The first tick buys ten shares; each later one adds to eight positions, sells a part of one and all of
    another, so that rows are inserted and updated, and trades opened and closed.
    """

    def __init__(self, portfolios: Sequence[Portfolio], shares: Sequence[Instrument]) -> None:
        self.portfolios = portfolios
        self.shares = shares
        self.held = [dict.fromkeys(range(len(shares)), 0) for _ in portfolios]

    def round(self, number: int) -> Round:
        """Write the orders of a tick and return its reports."""
        at = desks.NOW + timedelta(seconds=10 * number)
        made = Round(at, {})
        for index, portfolio in enumerate(self.portfolios):
            fills = [self.fill(made, portfolio, index, share, number, at) for share in range(len(self.shares))]
            made.reports[portfolio.pk] = VenueReports(
                account_id=portfolio.account_id,
                caught_up_until=at,
                orders=tuple(self.order_report(fill) for fill in fills),
                fills=tuple(fills),
            )
        desks.write_orders(made.orders, made.instruments, made.sides)
        return Round(made.at, made.reports)

    def fill(self, made: Round, portfolio: Portfolio, index: int, share: int, number: int, at: datetime) -> FillReport:
        draw = Random(desks.SEED + index * 1_000_003 + number * 1_009 + share)
        side, quantity = self.wish(index, share, number, draw)
        self.held[index][share] += side.sign * quantity
        price = Decimal(draw.randint(1_000, 50_000)).scaleb(-2)
        key = f"{number}-{share}-{index}"
        order = desks.working_order(
            portfolio, key=key, side=side, quantity=Decimal(quantity), expected_price=price, at=at
        )
        made.orders.append(order)
        made.instruments.append(self.shares[share])
        made.sides.append(side)
        return FillReport(
            account_id=portfolio.account_id,
            venue_fill_id=f"fill {key}",
            venue_order_id=order.venue_order_id,
            client_order_id=order.client_order_id,
            symbol=self.shares[share].symbol,
            side=side,
            quantity=Decimal(quantity),
            price=price + Decimal("0.01") * side.sign,
            commission=Decimal("0.35"),
            fees=Decimal("0.02") if side is Side.SELL else Decimal(0),
            executed_at=at,
            sequence=number * 1_000 + share,
            expected_price=price,
            evidence=EVIDENCE,
        )

    def wish(self, index: int, share: int, number: int, draw: Random) -> tuple[Side, int]:
        held = self.held[index][share]
        if number and held > 1 and share == number % INSTRUMENTS:
            return Side.SELL, held
        if number and held > 1 and share == (number + 5) % INSTRUMENTS:
            return Side.SELL, held // 2
        return Side.BUY, draw.randint(2, 90)

    def order_report(self, fill: FillReport) -> OrderReport:
        return OrderReport(
            account_id=fill.account_id,
            client_order_id=fill.client_order_id,
            venue_order_id=fill.venue_order_id,
            status=OrderStatus.FILLED,
            raw_status="FILLED",
            quantity=fill.quantity,
            filled_quantity=fill.quantity,
            updated_at=fill.executed_at,
        )


def run(size: str) -> Outcome:
    door_count, plain_count = SIZES[size]
    shares = desks.list_shares(INSTRUMENTS)
    through_door = Tape(desks.open_portfolios(door_count, group="door"), shares)
    one_by_one = Tape(desks.open_portfolios(plain_count, group="plain"), shares)
    for tape in (through_door, one_by_one):
        desks.fund(tape.portfolios)
        book_through_door(tape.round(0))
    desks.store_prices(shares, at=desks.NOW)
    desks.analyze()
    ways = [
        Way(
            name="ours: the door, 200 portfolios a transaction",
            size=door_count * INSTRUMENTS,
            prepare=lambda number: through_door.round(number + 1),
            run=book_through_door,
        ),
        Way(
            name="one transaction a fill, ORM",
            size=plain_count * INSTRUMENTS,
            prepare=lambda number: one_by_one.round(number + 1),
            run=book_one_by_one,
        ),
    ]
    timings = interleave(ways, rounds=ROUNDS)
    outcome = Outcome(name="fills", timings=list(timings.values()))
    compare(outcome, through_door.portfolios[:plain_count], one_by_one.portfolios)
    ours, plain = timings.values()
    outcome.ratio_at_least("fills a second, against one transaction a fill", plain, ours, TARGET)
    outcome.notes += [
        f"The plain way books {plain.size:,} fills a round and is compared by the fill: it grows in proportion.",
        "Ours does more: it looks for late fills and live sibling orders, moves the cursors and marks new holdings.",
        f"{ours.size / ours.seconds:,.0f} fills/s against {plain.size / plain.seconds:,.0f}.",
    ]
    return outcome


def book_through_door(made: Round) -> None:
    for batch in desks.batches(made.reports):
        book_batch(batch, now=made.at)


def book_one_by_one(made: Round) -> None:
    for key, report in made.reports.items():
        plain_fills.book_fills(key, report.fills, report.orders)


def compare(outcome: Outcome, ours: Sequence[Portfolio], plain: Sequence[Portfolio]) -> None:
    """Compare every table of the books, and let the desk's own proof run over both."""
    for name, read in READERS.items():
        outcome.must_equal(read(ours), read(plain), name)
    for name, portfolios in (("ours", ours), ("one by one", plain)):
        found = books.check(portfolios)
        faults = "; ".join(str(difference) for difference in found.differences[:3])
        compared = sum(found.compared.values())
        outcome.must(not found.differences, f"books proved, {name}, {compared:,} comparisons{faults}")


def rows(queryset: Any, portfolios: Sequence[Portfolio], owner: str, *columns: str) -> list[tuple[Any, ...]]:
    """Read columns with the portfolio's place in the list instead of its key."""
    place = {portfolio.pk: index for index, portfolio in enumerate(portfolios)}
    found = queryset.filter(**{f"{owner}__in": list(place)}).order_by("pk").values_list(owner, *columns)
    return sorted(((place[row[0]], *row[1:]) for row in found), key=repr)


READERS = {
    "ledger postings": lambda portfolios: rows(
        LedgerPosting.objects.filter(transaction__fill__isnull=False), portfolios,
        "transaction__portfolio", "transaction__key", "account", "instrument", "amount", "quantity",
    ),
    "positions": lambda portfolios: rows(
        Position.objects, portfolios, "portfolio", "instrument", "quantity", "cost", "average_cost", "realized_pnl"
    ),
    "cash": lambda portfolios: rows(Portfolio.objects, portfolios, "pk", "cash", "receivable"),
    "lots": lambda portfolios: rows(
        Lot.objects, portfolios, "portfolio", "instrument", "opening_fill__venue_fill_id", "quantity", "remaining",
        "cost", "price",
    ),
    "trades": lambda portfolios: rows(
        Trade.objects, portfolios, "portfolio", "symbol", "status", "opened_at", "closed_at", "close_reason",
        "outcome", "realized_pnl", "commission", "fees",
    ),
    "trade legs": lambda portfolios: rows(
        TradeLeg.objects, portfolios, "trade__portfolio", "instrument", "open_quantity", "entered_quantity",
        "exited_quantity", "average_entry", "average_exit",
    ),
    "orders": lambda portfolios: rows(
        Order.objects, portfolios, "portfolio", "intent_key", "status", "filled_quantity", "average_fill_price",
        "final_at",
    ),
    "journal entries": lambda portfolios: rows(
        JournalEntry.objects.exclude(name__startswith="portfolio."), portfolios, "portfolio", "name", "at", "actor"
    ),
}  # fmt: skip
