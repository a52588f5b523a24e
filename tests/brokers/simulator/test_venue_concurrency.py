"""Several processes at one venue: a tick leaves locked accounts alone, a click waits, and the books stay right."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from brokers import money
from brokers.enums import InstrumentKind, Side
from brokers.errors import BrokerUnavailable
from brokers.models import Instrument, SimulatedAccount, SimulatedOrder
from brokers.simulator import accounts, book_rows, submission, venue
from brokers.simulator.adapter import SimulatedBroker

from .orders import order, send
from .scripted import OPEN, ScriptedMarket

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer at a time and no row locks to test."
    ),
]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def opened():
    Instrument.objects.create(symbol="AAPL", kind=InstrumentKind.EQUITY, is_fractionable=True)
    return [
        accounts.open(event_id=f"busy {number}", cash=Decimal(100_000), preset="FRICTIONLESS", seed=number, now=OPEN)
        for number in range(3)
    ]


@pytest.fixture
def market():
    found = ScriptedMarket()
    found.every_step(OPEN, OPEN + 12 * MINUTE, "149.98", "150.02")
    return found


def in_threads(*works):
    """Run works side by side, each on a connection of its own; raise what any of them raised."""
    errors = []

    def run(work):
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_tick_passes_over_an_account_that_someone_holds(opened, market):
    ids = [each.account_id for each in opened]
    held, done = threading.Event(), threading.Event()
    reached = {}

    def hold():
        with transaction.atomic():
            book_rows.lock_accounts([ids[0]], skip_locked=False)
            held.set()
            done.wait(timeout=10)

    def tick():
        held.wait(timeout=10)
        reached.update(venue.advance(ids, now=OPEN + MINUTE, market=market))
        done.set()

    in_threads(hold, tick)
    assert set(reached) == set(ids[1:])


def test_ticks_and_clicks_at_once_leave_every_book_right(opened, market):
    ids = [each.account_id for each in opened]

    def ticks():
        for number in range(20):
            venue.advance(ids, now=OPEN + MINUTE + number * timedelta(seconds=20), market=market)

    def clicks(name):
        for number in range(15):
            at = OPEN + MINUTE + number * timedelta(seconds=25)
            send(opened[number % 3], market, order(name=f"{name} {number}", quantity="3"), now=at)

    in_threads(ticks, ticks, lambda: clicks("first"), lambda: clicks("second"))
    for account in SimulatedAccount.objects.all():
        assert account.error == ""
        assert account.fills.count() == 10
        moved = sum(each.amount_units for each in account.activities.all())
        for fill in account.fills.all():
            moved -= Side(fill.side).sign * money.notional_cents(fill.price_units, fill.quantity_units)
        assert account.cash_units == moved


def test_an_order_that_is_just_being_written_is_found_and_not_said_to_be_missing(opened, market, monkeypatch):
    inside, go = threading.Event(), threading.Event()
    honest = submission._Desk.settle
    found = []

    def settle(desk):
        inside.set()
        go.wait(timeout=10)
        honest(desk)

    def look_up():
        inside.wait(timeout=10)
        threading.Timer(0.2, go.set).start()
        broker = SimulatedBroker(str(opened[0].account_id), now=OPEN + MINUTE, market=market)
        found.extend([broker.order(client_order_id="one"), broker.order(client_order_id="another")])

    monkeypatch.setattr(submission._Desk, "settle", settle)
    in_threads(lambda: send(opened[0], market, order()), look_up)
    assert found[0].client_order_id == "one"
    assert found[1] is None


def test_a_lock_that_is_held_too_long_makes_the_venue_unavailable_and_leaves_nothing(opened, market):
    held, done = threading.Event(), threading.Event()
    answers = []

    def hold():
        with transaction.atomic():
            book_rows.lock_accounts([opened[0].account_id], skip_locked=False)
            held.set()
            done.wait(timeout=10)

    def try_all():
        held.wait(timeout=10)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        broker = SimulatedBroker(str(opened[0].account_id), now=OPEN + MINUTE, market=market)
        for verb in (lambda: broker.submit(order()), lambda: broker.order(client_order_id="one")):
            try:
                verb()
            except BrokerUnavailable as error:
                answers.append(error.retry_after_seconds)
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")  # the connection goes back to the pool
        done.set()

    in_threads(hold, try_all)
    assert answers == [1, 1]
    assert not SimulatedOrder.objects.exists()
