"""
Several at once, held at a barrier and let go together: whoever comes second finds what the first has done.

Threads cannot share SQLite's database in memory, so there the tests run on a copy of it in a file, with the
settings of a real desk.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from brokers import registry
from brokers.enums import OrderStatus, OrderType
from brokers.errors import BrokerUnavailable, OutcomeUnknown
from brokers.market_data import clock
from brokers.models import SimulatedAccount, SimulatedActivity, SimulatedFill, SimulatedOrder
from brokers.money import money_value
from brokers.real_time import database_now
from monitoring import heartbeats, tasks, tick
from monitoring.models import TickRun
from portfolio import anchors, books, order_look_ups, orders, portfolios, rebuild, trades
from portfolio.enums import CloseReason, TradeStatus
from portfolio.models import Anchor, Fill, JournalEntry, LedgerTransaction, Order, Portfolio, Position, Trade

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 6


@pytest.fixture
def shared(transactional_db, tmp_path) -> Iterator[None]:
    """Make the test's database one that threads can share."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    in_memory, name = connection.connection, connection.settings_dict["NAME"]
    with sqlite3.connect(tmp_path / "races.sqlite3") as copy:
        in_memory.backup(copy)
    copy.close()
    connection.connection = None
    connection.settings_dict["NAME"] = str(tmp_path / "races.sqlite3")
    yield
    connection.close()
    connection.settings_dict["NAME"] = name
    connection.connection = in_memory


@pytest.fixture(autouse=True)
def _before_everything_else(shared) -> None:
    """The database is swapped before the first row of a test is written."""


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Let every act go at the same moment; return what each gave or raised, in their order."""
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number: int) -> None:
        try:
            barrier.wait(timeout=30)
            results[number] = acts[number]()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def assert_sound(desk: Portfolio) -> None:
    """Books, replay and venue agree, and every fill of the venue is booked once."""
    desk = Portfolio.objects.get(pk=desk.pk)
    assert books.check([desk]).differences == []
    assert rebuild.compare(desk) == []
    executions = map(str, SimulatedFill.objects.values_list("execution_id", flat=True))
    assert sorted(Fill.objects.values_list("venue_fill_id", flat=True)) == sorted(executions)
    assert desk.cash == money_value(SimulatedAccount.objects.get(account_id=desk.account_id).cash_units)


def own(desk: Portfolio) -> Portfolio:
    """The portfolio as another process loads it: an object of its own."""
    return Portfolio.objects.get(pk=desk.pk)


def close(trade: Trade, now, **changes: object) -> Callable[[], list[Order]]:
    wish = {"reason": CloseReason.MANUAL, "actor": "test", "now": now, "version": trade.version, **changes}
    return lambda: trades.close(Trade.objects.get(pk=trade.pk), **wish)


def exits_of(results: list[object]) -> set[int]:
    """The orders of those who were answered; everybody else must have heard that the trade changed."""
    answered = [each for each in results if not isinstance(each, trades.TradeChanged)]
    assert not [each for each in answered if isinstance(each, Exception)], answered
    return {order.pk for each in answered for order in each}


class Silent:
    """A venue to which nothing gets through, and how that shows."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def submit_many(self, new_orders):
        raise self.error


@pytest.fixture
def trade(desk, place) -> Trade:
    place(desk)
    return Trade.objects.get()


def test_the_same_intent_sent_by_many_is_one_order(desk, intent, now):
    for press in range(3):
        wish = intent(desk, f"form:{press}")
        results = at_once(*[lambda wish=wish: orders.submit([wish], now=now)] * THREADS)
        keys = {order.pk for result in results for order in result}
        assert len(keys) == 1
    assert Order.objects.count() == SimulatedOrder.objects.count() == 3
    assert JournalEntry.objects.filter(name="order.submitted").count() == 3
    orders.sync([own(desk)], now=now)
    assert_sound(desk)


def test_many_closes_of_one_trade_are_one_exit(desk, trade, now):
    results = at_once(*[close(trade, now, key=f"close:{number}") for number in range(THREADS)])
    assert len(exits_of(results)) == 1
    assert Order.objects.filter(role="EXIT").count() == 1
    orders.sync([own(desk)], now=now)
    trade.refresh_from_db()
    assert trade.status == TradeStatus.CLOSED
    assert_sound(desk)


def test_one_press_of_close_that_arrives_many_times_is_one_exit(desk, trade, now):
    results = at_once(*[close(trade, now, key="close:1")] * THREADS)
    assert len(exits_of(results)) == 1
    assert Order.objects.filter(role="EXIT").count() == 1


def test_many_closes_of_a_part_by_people_who_saw_the_same_trade_are_one_exit(desk, trade, now):
    """Ten are held and each wants to sell four: the second saw a trade that is no longer so."""
    wanted = [close(trade, now, key=f"close:{number}", quantity=Decimal(4)) for number in range(THREADS)]
    assert len(exits_of(at_once(*wanted))) == 1
    orders.sync([own(desk)], now=now)
    assert Position.objects.get().quantity == 6
    assert_sound(desk)


def test_a_tick_does_not_take_back_a_close_that_is_just_being_sent(desk, trade, now, monkeypatch):
    """Another worker's tick comes between the claim and the exit; then more of them come while it is sent."""
    release = trades.release_working_orders

    def after_a_tick(*args: object, **wish: object) -> None:
        assert tick.run([own(desk)], now=now).is_good
        release(*args, **wish)

    monkeypatch.setattr(trades, "release_working_orders", after_a_tick)
    results = at_once(close(trade, now), *[lambda: tick.run([own(desk)], now=now)] * 2)
    assert len(exits_of(results[:1])) == 1
    assert not JournalEntry.objects.filter(name="trade.close_failed").exists()
    orders.sync([own(desk)], now=now)
    trade.refresh_from_db()
    assert trade.status == TradeStatus.CLOSED


def test_tick_and_pages_that_sync_at_once_book_each_fill_once(desk, intent, now):
    orders.submit(
        [intent(desk, f"form:{number}", symbol=symbol) for number, symbol in enumerate(("SPY", "QQQ"))], now=now
    )
    runs = at_once(*[lambda: tick.run([own(desk)], now=now)] * 2, *[lambda: orders.sync([own(desk)], now=now)] * 4)
    assert [run.errors for run in runs[:2]] == [[], []]
    assert [synced.errors for synced in runs[2:]] == [{}] * 4
    assert sum(run.fills for run in runs[:2]) + sum(synced.fills for synced in runs[2:]) == Fill.objects.count()
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.FILLED}
    assert_sound(desk)


@pytest.mark.parametrize("are_processes", [True, False], ids=["two-workers", "two-threads-of-one-worker"])
def test_two_ticks_that_ring_at_once_do_the_work_once(desk, intent, now, monkeypatch, are_processes):
    """Leases only save work: one after the other both may run, and nothing is booked twice."""
    orders.submit([intent(desk)], now=now)
    monkeypatch.setattr(clock, "now", lambda: now)
    if are_processes:
        monkeypatch.setattr(heartbeats, "process_name", lambda role: f"{role}:{threading.get_ident()}")
    assert at_once(tasks.ring_tick, tasks.ring_tick) == [None, None]
    assert not TickRun.objects.filter(is_good=False).exists()
    assert sum(TickRun.objects.values_list("fills", flat=True)) == Fill.objects.count() > 0
    assert_sound(desk)


def test_two_sweeps_that_find_the_same_lost_order_send_it_once(desk, intent, now, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(registry, "adapter", lambda key, now: Silent(OutcomeUnknown("lost")))
        (order,) = orders.submit([intent(desk)], now=now)
    assert order.status == OrderStatus.UNKNOWN
    assert at_once(*[lambda: order_look_ups.settle_overdue(now=now)] * 3) == [[]] * 3
    order.refresh_from_db()
    assert (order.status, SimulatedOrder.objects.count()) == (OrderStatus.FILLED, 1)
    assert_sound(desk)


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), BrokerUnavailable("refused")], ids=["unknown", "unsent"])
def test_what_a_sweep_saw_before_another_one_sends_counts_for_nothing(desk, intent, now, monkeypatch, error):
    """Two sweeps read a lost order; one is sending it again while the other still thinks of what it saw."""
    with monkeypatch.context() as patch:
        patch.setattr(registry, "adapter", lambda key, now: Silent(error))
        orders.submit([intent(desk)], now=now)
    seen = Order.objects.select_related("portfolio").get()
    Order.objects.update(sent_at=database_now() + timedelta(seconds=1))
    order_look_ups.give_up(seen, code="ABSENT_AT_VENUE", text="", now=now)
    order_look_ups.send_again(seen, now=now)
    assert Order.objects.get().status == seen.status
    assert SimulatedOrder.objects.count() == 0


def test_the_sender_and_a_sweep_that_thinks_it_dead_send_one_order(desk, intent, now):
    """The deadline passes while the order is still on its way: both reach the venue with the same id."""
    wish, sent = intent(desk), threading.Event()

    def impatient() -> list[str]:
        sent.wait(timeout=5)
        Order.objects.update(deadline=database_now() - timedelta(seconds=1))
        return order_look_ups.settle_overdue(now=now)

    def send() -> list[Order]:
        written, _ = orders.write_rows([wish], now=now)
        sent.set()
        orders.send(written, now=now)
        return [item.order for item in written]

    results = at_once(send, impatient)
    assert results[1] == []
    assert not isinstance(results[0], Exception), results[0]
    orders.sync([own(desk)], now=now)
    assert SimulatedOrder.objects.count() == Order.objects.count() == 1
    assert Order.objects.get().status == OrderStatus.FILLED
    assert_sound(desk)


def test_cancels_syncs_and_sweeps_of_one_order_end_it_once(desk, place, now):
    (order,) = place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"))

    def cancel() -> list[Order]:
        return orders.cancel([Order.objects.select_related("portfolio").get(pk=order.pk)], actor="test", now=now)

    results = at_once(cancel, cancel, cancel, lambda: orders.sync([own(desk)], now=now).errors)
    assert not [each for each in results if isinstance(each, Exception)], results
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELED
    assert JournalEntry.objects.filter(name="order.canceled").count() == 1
    assert_sound(desk)


def test_two_sweeps_that_anchor_at_once_anchor_each_chain_once(desk, now, settings, tmp_path):
    settings.DATA_FOLDER = tmp_path
    assert sorted(at_once(*[lambda: anchors.write(now=now)] * 3)) == [0, 0, 1]
    assert len(anchors.file_anchors()[0]) == Anchor.objects.count() == 1
    assert anchors.faults() == []


def test_a_deposit_pressed_many_times_at_once_is_booked_once(desk, now):
    gift = {"amount": Decimal(500), "key": "gift", "actor": "test", "now": now}
    results = at_once(*[lambda: portfolios.deposit(own(desk), **gift)] * THREADS)
    assert results == [None] * THREADS
    assert own(desk).cash == 100_500
    assert SimulatedActivity.objects.count() == LedgerTransaction.objects.count() == 2
    assert_sound(desk)
