"""Many portfolios booked together: the same rows as one at a time, at a constant number of statements."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from brokers.enums import ActivityKind, InstrumentKind, OrderStatus, OrderType, PositionEffect, Side, TimeInForce
from brokers.messages import ActivityReport, FillReport, OrderReport, VenueReports
from brokers.models import Instrument
from portfolio import books
from portfolio.enums import OrderRole, Origin
from portfolio.models import (
    Fill,
    JournalEntry,
    LedgerPosting,
    Lot,
    Order,
    OrderLeg,
    Portfolio,
    Position,
    Trade,
    TradeLeg,
)
from portfolio.order_sync import book_batch

LIVES = (  # what each portfolio does on days 1 to 4: signed quantities of A and B
    ((10, 5), (20, 0), (-15, -5), (-15, 3)),
    ((7, 0), (-7, 2), (4, 2), (-1, -4)),
    ((100, 1), (0, 1), (-50, -1), (-50, -1)),
)
PRICES = (("10.00", "200.01"), ("11.37", "199.99"), ("9.995", "210.50"), ("12.01", "205.005"))


@pytest.fixture
def shares(db) -> list[Instrument]:
    return Instrument.objects.bulk_create(
        [Instrument(symbol=symbol, kind=InstrumentKind.EQUITY) for symbol in ("AAA", "BBB")]
    )


@pytest.fixture
def open_many(alice, bob, now) -> Callable[[int, str], list[Portfolio]]:
    def make(count: int, group: str) -> list[Portfolio]:
        opened = now - timedelta(days=10)
        rows = Portfolio.objects.bulk_create(
            [
                Portfolio(
                    user=bob if number % 2 else alice,
                    name=f"{group} {number}",
                    account_id=f"{group}-{number}",
                    initial_cash=Decimal(50_000),
                    opened_at=opened,
                    synced_until=opened,
                )
                for number in range(count)
            ]
        )
        book_batch({row.pk: deposit(row, opened) for row in rows}, now=opened)
        return rows

    return make


def deposit(portfolio: Portfolio, at: datetime) -> VenueReports:
    activity = ActivityReport(
        account_id=portfolio.account_id,
        venue_activity_id="opening",
        kind=ActivityKind.DEPOSIT,
        amount=Decimal(50_000),
        occurred_at=at,
        sequence=1,
        event_id="opening",
    )
    return VenueReports(account_id=portfolio.account_id, caught_up_until=at, activities=(activity,))


def day(portfolios: list[Portfolio], shares: list[Instrument], number: int, at: datetime) -> dict[int, VenueReports]:
    """Write the orders of a day and return what the venue reports of them."""
    reports = {}
    for index, portfolio in enumerate(portfolios):
        wishes = zip(shares, LIVES[index % len(LIVES)][number], PRICES[number], strict=True)
        told = [one_fill(portfolio, share, signed, price, number, at) for share, signed, price in wishes if signed]
        reports[portfolio.pk] = VenueReports(
            account_id=portfolio.account_id,
            caught_up_until=at,
            orders=tuple(order for order, _ in told),
            fills=tuple(fill for _, fill in told),
        )
    return reports


def one_fill(
    portfolio: Portfolio, share: Instrument, signed: int, price: str, number: int, at: datetime
) -> tuple[OrderReport, FillReport]:
    side, quantity = (Side.BUY if signed > 0 else Side.SELL), Decimal(abs(signed))
    order = Order.objects.create(
        user_id=portfolio.user_id,
        portfolio=portfolio,
        origin=Origin.API,
        role=OrderRole.ENTRY if signed > 0 else OrderRole.EXIT,
        intent_key=f"{number} {share.symbol}",
        client_order_id=f"o-{number}-{share.symbol}",
        request_hash="0" * 64,
        venue_order_id=f"v-{number}-{share.symbol}",
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=quantity,
        status=OrderStatus.ACCEPTED,
        submitted_at=at,
    )
    effect = PositionEffect.OPEN if signed > 0 else PositionEffect.CLOSE
    OrderLeg.objects.create(user_id=portfolio.user_id, order=order, instrument=share, side=side, position_effect=effect)
    shared = {
        "account_id": portfolio.account_id,
        "client_order_id": order.client_order_id,
        "venue_order_id": order.venue_order_id,
    }
    report = OrderReport(
        **shared,
        status=OrderStatus.FILLED,
        raw_status="FILLED",
        quantity=quantity,
        filled_quantity=quantity,
        updated_at=at,
    )
    fill = FillReport(
        **shared,
        venue_fill_id=f"f-{number}-{share.symbol}",
        symbol=share.symbol,
        side=side,
        quantity=quantity,
        price=Decimal(price),
        commission=Decimal("0.35"),
        fees=Decimal("0.01"),
        executed_at=at,
        sequence=number * 10 + share.pk,
    )
    return report, fill


def rows_of(portfolios: list[Portfolio]) -> dict[str, list[tuple]]:
    """Everything the door writes, with the portfolio's place instead of its key."""
    place = {portfolio.pk: index for index, portfolio in enumerate(portfolios)}

    def read(manager, owner: str, *columns: str) -> list[tuple]:
        found = manager.filter(**{f"{owner}__in": list(place)}).values_list(owner, *columns)
        return sorted(((place[row[0]], *row[1:]) for row in found), key=repr)

    return {
        "cash": read(Portfolio.objects, "pk", "cash", "receivable", "equity_peak", "synced_until", "version"),
        "fills": read(Fill.objects, "portfolio", "venue_fill_id", "side", "quantity", "price", "commission", "fees"),
        "orders": read(
            Order.objects, "portfolio", "intent_key", "status", "filled_quantity", "average_fill_price", "version"
        ),
        "trades": read(
            Trade.objects, "portfolio", "symbol", "status", "outcome", "realized_pnl", "commission", "fees",
            "close_reason", "closed_at", "version",
        ),
        "legs": read(
            TradeLeg.objects, "trade__portfolio", "instrument", "open_quantity", "entered_quantity",
            "exited_quantity", "average_entry", "average_exit",
        ),
        "lots": read(
            Lot.objects, "portfolio", "instrument", "opening_fill__venue_fill_id", "quantity", "remaining", "cost",
            "price", "opened_at",
        ),
        "positions": read(
            Position.objects, "portfolio", "instrument", "quantity", "cost", "average_cost", "realized_pnl", "version"
        ),
        "postings": read(
            LedgerPosting.objects, "transaction__portfolio", "transaction__key", "transaction__kind", "account",
            "instrument", "amount", "quantity",
        ),
        "journal": read(JournalEntry.objects, "portfolio", "name", "at", "actor", "data__symbol"),
    }  # fmt: skip


def test_a_batch_of_portfolios_gives_the_same_rows_as_one_at_a_time(shares, open_many, now):
    together, alone = open_many(6, "together"), open_many(6, "alone")
    for number in range(4):
        at = now + timedelta(minutes=number)
        book_batch(day(together, shares, number, at), now=at)
        for key, report in day(alone, shares, number, at).items():
            book_batch({key: report}, now=at)
    ours, theirs = rows_of(together), rows_of(alone)
    for name in ours:
        assert ours[name] == theirs[name], name
    assert books.check([*together, *alone]).differences == []


def test_the_first_life_comes_out_as_worked_by_hand(shares, open_many, now):
    """10 at 10.00 and 20 at 11.37, then 15 sold at 9.995 and 15 at 12.01: -16.95 and +9.60 first in first out."""
    (portfolio,) = open_many(1, "one")
    for number in range(4):
        at = now + timedelta(minutes=number)
        book_batch(day([portfolio], shares, number, at), now=at)
    trade = Trade.objects.get(portfolio=portfolio, symbol="AAA")
    # Bought for 100.00 + 227.40; sold for 149.93 (149.925, the half away from zero) + 180.15.
    assert trade.realized_pnl == Decimal("2.68")
    assert (trade.status, trade.commission, trade.fees) == ("CLOSED", Decimal("1.40"), Decimal("0.04"))


def test_booking_the_same_batch_again_changes_nothing(shares, open_many, now):
    portfolios = open_many(4, "twice")
    reports = day(portfolios, shares, 0, now)
    book_batch(reports, now=now)
    before = rows_of(portfolios)
    assert book_batch(reports, now=now).fills == 0
    assert rows_of(portfolios) == before


def statements(reports: dict[int, VenueReports], now: datetime) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        booked = book_batch(reports, now=now)
    assert booked.fills
    return [query["sql"][:60] for query in queries]


def test_a_batch_takes_as_many_statements_for_100_portfolios_as_for_10(shares, open_many, now):
    few, many = open_many(10, "few"), open_many(100, "many")
    for number in range(4):  # opening, adding, closing a part, closing all
        at = now + timedelta(minutes=number)
        counts = [len(statements(day(group, shares, number, at), at)) for group in (few, many)]
        assert counts[0] == counts[1], f"day {number}"
