"""Bookends and hourly snapshots: relative to the session, once, complete or honestly not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portfolio import books, portfolios, snapshots
from portfolio.models import JournalEntry, Portfolio, Position, Snapshot

OPEN = datetime(2026, 11, 13, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 13, 21, 0, tzinfo=UTC)
MONDAY_OPEN = datetime(2026, 11, 16, 14, 30, tzinfo=UTC)
HALF_DAY_CLOSE = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("at", "kinds"),
    [
        (OPEN - 5 * MINUTE - timedelta(seconds=1), []),
        (OPEN - 5 * MINUTE, ["PRE_OPEN"]),
        (OPEN - timedelta(seconds=1), ["PRE_OPEN"]),
        (OPEN, ["INTRADAY"]),
        (CLOSE - timedelta(seconds=1), ["INTRADAY"]),
        (CLOSE, []),
        (CLOSE + 5 * MINUTE, ["POST_CLOSE"]),
        (datetime(2026, 11, 16, 8, 59, 59, tzinfo=UTC), ["POST_CLOSE"]),  # Monday before 04:00 New York
        (datetime(2026, 11, 16, 9, 0, tzinfo=UTC), []),
        (HALF_DAY_CLOSE + 4 * MINUTE, []),
        (HALF_DAY_CLOSE + 5 * MINUTE, ["POST_CLOSE"]),
    ],
)
def test_what_is_due_when(at, kinds):
    assert [due.kind.value for due in snapshots.dues(at)] == kinds


def test_a_bookend_is_taken_once(desk):
    at = CLOSE + 6 * MINUTE
    assert len(snapshots.take([desk], now=at)) == 1
    assert snapshots.take([desk], now=at + MINUTE) == []
    assert Snapshot.objects.get().kind == "POST_CLOSE"
    assert JournalEntry.objects.filter(name="position.marked").count() == 1


def test_hourly_means_an_hour_apart(desk, now):
    assert len(snapshots.take([desk], now=now)) == 1
    assert snapshots.take([desk], now=now + 59 * MINUTE) == []
    assert len(snapshots.take([desk], now=now + 60 * MINUTE)) == 1


def test_equity_is_cash_and_marks(desk, place, now):
    place(desk)
    (row,) = snapshots.take([desk], now=now)
    position = Position.objects.get()
    assert row.complete
    assert row.equity == desk.cash + position.market_value
    assert row.day_pnl == row.equity - 100_000
    assert books.check([desk]).differences == []


def test_a_missing_mark_makes_no_equity(desk, place, now):
    place(desk)
    Position.objects.update(mark=None, market_value=None)
    (row,) = snapshots.take([desk], now=now)
    assert (row.complete, row.equity, row.drawdown, row.day_pnl) == (False, None, None, None)


@pytest.mark.parametrize(
    ("at", "as_of", "source", "is_complete"),
    [
        (OPEN + 120 * MINUTE, OPEN + 115 * MINUTE, "QUOTE", True),  # exactly 300 seconds
        (OPEN + 120 * MINUTE, OPEN + 115 * MINUTE - timedelta(seconds=1), "QUOTE", False),
        (OPEN + 120 * MINUTE, OPEN - timedelta(days=1), "DAILY_BAR", False),
        (CLOSE + 6 * MINUTE, CLOSE - 5 * MINUTE, "QUOTE", True),
        (CLOSE + 6 * MINUTE, CLOSE - 5 * MINUTE - timedelta(seconds=1), "QUOTE", False),
        (CLOSE + 6 * MINUTE, CLOSE - timedelta(days=1), "DAILY_BAR", True),
        (MONDAY_OPEN - MINUTE, CLOSE - MINUTE, "QUOTE", True),  # before the open Friday's close stands
        (MONDAY_OPEN - MINUTE, CLOSE - 6 * MINUTE, "QUOTE", False),
        (OPEN + 120 * MINUTE, None, "", False),
    ],
)
def test_only_fresh_marks_make_a_complete_snapshot(desk, place, at, as_of, source, is_complete):
    place(desk)
    Position.objects.update(mark_as_of=as_of, mark_source=source)
    (row,) = snapshots.take([desk], now=at)
    assert row.complete is is_complete
    assert (row.equity is not None) is is_complete


def test_a_deposit_is_neither_profit_nor_drawdown(desk, now):
    snapshots.take([desk], now=CLOSE + 6 * MINUTE)
    monday = datetime(2026, 11, 16, 16, 0, tzinfo=UTC)
    portfolios.deposit(desk, amount=Decimal(50_000), key="deposit:1", actor="test", now=monday)
    (row,) = snapshots.take([Portfolio.objects.get()], now=monday + MINUTE)
    assert (row.equity, row.day_pnl, row.drawdown) == (150_000, 0, 0)
    assert row.equity_peak == 150_000


def test_a_bookend_nobody_took_is_journalled_once(desk):
    later = datetime(2026, 11, 16, 16, 0, tzinfo=UTC)  # Monday: Friday's close and Monday's open went by
    assert snapshots.note_missed([desk], now=later) == 2
    assert snapshots.note_missed([desk], now=later + MINUTE) == 0
    kinds = {entry.data["kind"] for entry in JournalEntry.objects.filter(name="snapshot.missed")}
    assert kinds == {"PRE_OPEN", "POST_CLOSE"}


def test_snapshots_of_many_take_no_more_queries(desk, other_desk, now, django_assert_max_num_queries):
    with django_assert_max_num_queries(25):
        snapshots.take([desk, other_desk], now=now)
    assert set(Snapshot.objects.values_list("user_id", flat=True)) == {desk.user_id, other_desk.user_id}
