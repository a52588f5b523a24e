"""One pass: prices, sync, marks, snapshots; a failing part is recorded and the rest goes on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from brokers.enums import OrderType
from brokers.market_data import prices
from brokers.models import Instrument
from brokers.real_time import database_now
from monitoring import sweep, tasks, tick
from monitoring.models import TickRun
from portfolio import books, leases, orders, portfolios, positions
from portfolio.models import Fill, Order, Portfolio, Position, Snapshot

AFTER_CLOSE = datetime(2026, 11, 13, 21, 6, tzinfo=UTC)


def test_a_pass_brings_fills_marks_and_a_record(desk, intent, now):
    orders.submit([intent(desk)], now=now)
    record = tick.run([desk], now=now + timedelta(seconds=5))
    position = Position.objects.get()
    assert (record.is_good, record.fills, record.unpriced, record.portfolios) == (True, 1, [], 1)
    assert position.mark is not None
    assert position.mark_as_of <= now + timedelta(seconds=5)
    assert books.check([desk]).differences == []


def test_a_pass_repeated_changes_no_book(desk, place, now):
    place(desk)
    for _ in range(3):
        tick.run([Portfolio.objects.get()], now=now)
    assert Fill.objects.count() == 1


def test_marks_follow_the_market_without_touching_the_books(desk, place, now):
    place(desk)
    marks = set()
    for minutes in range(5):
        tick.run([Portfolio.objects.get()], now=now + timedelta(minutes=minutes))
        marks.add(Position.objects.get().mark)
    assert len(marks) > 1
    assert books.check([desk]).differences == []


def test_a_failing_step_is_recorded_and_the_rest_goes_on(desk, place, now, monkeypatch):
    place(desk)

    def broken(symbols, now, **_):
        raise ConnectionError("source is down")

    monkeypatch.setattr(prices, "latest", broken)
    record = tick.run([desk], now=now)
    assert not record.is_good
    assert any("source is down" in error for error in record.errors)
    assert "mark" in record.stages


@pytest.mark.parametrize(
    ("module", "name", "stage"), [(prices, "latest", "prices and fresh"), (positions, "mark", "mark")]
)
def test_without_prices_or_marks_there_are_no_snapshots(desk, place, now, monkeypatch, module, name, stage):
    place(desk)

    def broken(*_, **__):
        raise ConnectionError("source is down")

    with monkeypatch.context() as patch:
        patch.setattr(module, name, broken)
        patch.setattr(tick, "with_new_holdings", lambda _, found, now: broken() if stage != "mark" else found)
        record = tick.run([desk], now=AFTER_CLOSE)
    assert not record.is_good
    assert record.errors[-1] == f"snapshots: not taken, because {stage} failed."
    assert not Snapshot.objects.exists()
    assert tick.run([desk], now=AFTER_CLOSE + timedelta(seconds=10)).is_good
    assert Snapshot.objects.get().complete


def lock_error(sqlstate):
    class Cause(Exception):
        pass

    cause = Cause()
    cause.sqlstate = sqlstate
    error = OperationalError("deadlock detected")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("sqlstate", "failures", "is_good"), [("40P01", 1, True), ("40P01", 2, False), ("57014", 1, False)]
)
def test_a_stage_that_could_not_get_a_lock_runs_once_more(desk, now, monkeypatch, sqlstate, failures, is_good):
    calls = []

    def mark(*_, **__):
        calls.append(1)
        if len(calls) <= failures:
            raise lock_error(sqlstate)
        return []

    monkeypatch.setattr(positions, "mark", mark)
    assert tick.run([desk], now=now).is_good is is_good


def test_a_holding_that_is_listed_no_more_loses_its_mark_and_makes_no_equity(desk, place, now):
    place(desk)
    Instrument.objects.filter(symbol="SPY").update(is_active=False)
    record = tick.run([desk], now=now + timedelta(days=3))
    position, snapshot = Position.objects.get(), Snapshot.objects.get()
    assert record.unpriced == ["SPY"]
    assert (position.mark, position.market_value) == (None, None)
    assert "not listed" in position.mark_reason
    assert (snapshot.complete, snapshot.equity) == (False, None)


def test_a_symbol_without_a_price_loses_its_mark_and_is_named(desk, place, now, monkeypatch):
    place(desk)
    monkeypatch.setattr(
        prices,
        "latest",
        lambda symbols, now: {s: prices.PriceUnavailable(s, ("quote is 360 s old.",)) for s in symbols},
    )
    record = tick.run([desk], now=now)
    position = Position.objects.get()
    assert record.unpriced == ["SPY"]
    assert (position.mark, position.market_value, position.unrealized_pnl) == (None, None, None)
    assert "360 s old" in position.mark_reason


def test_a_pass_takes_no_more_queries_for_more_portfolios(desk, alice, now):
    for number in range(12):
        portfolios.open(user=alice, name=f"P{number}", cash=Decimal(1000), actor="test", now=now)
    rows = list(Portfolio.objects.order_by("pk"))
    tick.run(rows, now=now)
    with CaptureQueriesContext(
        connection,
    ) as few:
        tick.run(rows[:2], now=now + timedelta(seconds=10))
    with CaptureQueriesContext(connection) as many:
        tick.run(rows, now=now + timedelta(seconds=20))
    assert len(many) == len(few)


@pytest.mark.parametrize(
    ("count", "at_most", "sizes"),
    [(0, 8, [0]), (1, 8, [1]), (2000, 8, [2000]), (2001, 8, [1001, 1000]), (100_000, 8, [12_500] * 8)],
)
def test_shards_are_few_whatever_the_number_of_portfolios(count, at_most, sizes):
    assert [len(shard) for shard in tasks.split(range(count), at_most=at_most)] == sizes


def test_the_bell_runs_a_pass_unless_the_last_one_still_runs(desk, now, monkeypatch):
    monkeypatch.setattr(tasks.clock, "now", lambda: now)
    tasks.ring_tick()
    assert TickRun.objects.filter(kind="tick").count() == 1
    leases.claim("tick:0", holder="another process", seconds=30)
    tasks.ring_tick()
    assert TickRun.objects.filter(kind="tick").count() == 1


@pytest.fixture(autouse=True)
def own_data_folder(settings, tmp_path):
    settings.DATA_FOLDER = tmp_path


def test_the_sweep_settles_what_nobody_sent(desk, intent, now, monkeypatch):
    monkeypatch.setattr(orders, "send", lambda items, now: None)
    orders.submit([intent(desk, order_type=OrderType.MARKET)], now=now)
    monkeypatch.undo()
    Order.objects.update(deadline=database_now() - timedelta(seconds=1))
    record = sweep.run(now=now)
    assert record.is_good
    assert Order.objects.get().status == "FILLED"


def test_the_sweep_forgets_old_passes(db, now):
    old = database_now() - timedelta(days=3)
    TickRun.objects.create(started_at=old, desk_time=now)
    sweep.run(now=now)
    assert not TickRun.objects.filter(started_at=old).exists()
