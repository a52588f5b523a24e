"""The venue while the database gives no lock, on any database: nothing is done and every verb says so."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from brokers.errors import BrokerUnavailable
from brokers.messages import OrderChange
from brokers.models import SimulatedAccount, SimulatedOrder
from brokers.simulator import batch, book_rows, book_writing
from brokers.simulator.adapter import SimulatedBroker

from .orders import limit, order, send
from .scripted import OPEN

NOW = OPEN + timedelta(minutes=2)


def locked(*args, **options):
    raise OperationalError("database is locked")


VERBS = {
    "submit": lambda broker, resting: broker.submit_many([order()]),
    "preview": lambda broker, resting: broker.preview(order()),
    "cancel": lambda broker, resting: broker.cancel(resting.venue_order_id),
    "replace": lambda broker, resting: broker.replace(
        resting.venue_order_id, OrderChange(client_order_id="new", limit_price=Decimal("141.00"))
    ),
    "catch up": lambda broker, resting: broker.catch_up(),
}
FIRST, LAST = (book_rows, "lock_accounts"), (book_writing, "write")


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("where", [FIRST, LAST], ids=["first", "last"])
def test_without_a_lock_nothing_is_done_and_the_venue_is_unavailable(account, market, monkeypatch, name, where):
    (resting,) = send(account, market, limit("140.00"))
    broker = SimulatedBroker(str(account.account_id), now=NOW, market=market)
    monkeypatch.setattr(*where, locked)
    with pytest.raises(BrokerUnavailable, match="nothing was done") as raised:
        VERBS[name](broker, resting)
    assert raised.value.retry_after_seconds == 1
    monkeypatch.undo()
    assert list(SimulatedOrder.objects.values_list("client_order_id", "state")) == [("limit", "WORKING")]


def test_without_a_lock_it_is_not_known_that_an_order_never_came(account, market, monkeypatch):
    broker = SimulatedBroker(str(account.account_id), now=NOW, market=market)
    assert broker.order(client_order_id="never sent") is None
    monkeypatch.setattr(book_rows, "lock_accounts", locked)
    with pytest.raises(BrokerUnavailable):
        broker.order(client_order_id="never sent")


def test_an_account_without_a_lock_is_left_alone_and_not_marked_as_failed(account, market, monkeypatch):
    monkeypatch.setattr(book_rows, "lock_accounts", locked)
    assert batch.advance([account.account_id], now=NOW, market=market) == {}
    monkeypatch.undo()
    assert SimulatedAccount.objects.get().error == ""
    assert batch.advance([account.account_id], now=NOW, market=market) == {account.account_id: NOW}


def test_a_tick_survives_when_even_the_error_of_an_account_cannot_be_written(account, market, monkeypatch):
    def broken(*args, **options):
        raise ArithmeticError("the dice fell off the table")

    monkeypatch.setattr(batch, "carry", broken)
    monkeypatch.setattr(book_writing, "mark_failed", locked)
    assert batch.advance([account.account_id], now=NOW, market=market) == {}
