"""Exits put back after a close that left the trade open: on the right basis, tried again, and said when not."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers import registry
from brokers.enums import ActivityKind, OrderStatus
from brokers.errors import BrokerUnavailable
from brokers.messages import ActivityReport, VenueReports
from portfolio import books, exits, order_wire, orders, portfolios, trades
from portfolio.enums import CloseReason
from portfolio.models import JournalEntry, Order, Trade
from portfolio.order_sync import book_batch


@pytest.fixture
def evening(now):
    """Friday after the close: what is sent waits for Monday."""
    return now + timedelta(hours=6)


@pytest.fixture
def morning(now):
    return now + timedelta(days=3)


def close(trade: Trade, quantity: str, at) -> None:
    trade.refresh_from_db()
    trades.close(trade, reason=CloseReason.MANUAL, actor="test", now=at, quantity=Decimal(quantity))


def settled(desk, at) -> list[Order]:
    """Sync, let the tick carry on, and return the restorations, oldest first."""
    orders.sync([desk], now=at)
    trades.carry_on([desk], now=at)
    return list(Order.objects.filter(intent_key__startswith="restore:").order_by("pk"))


def told(name: str) -> list[str]:
    return [entry.data.get("why", "") for entry in JournalEntry.objects.filter(name=name)]


def test_an_exit_from_before_a_split_is_not_sent_again(desk, trade, stop, evening, morning):
    close(trade, "2", evening)
    Order.objects.filter(role="EXIT", plan__has_key="close_reason").update(status=OrderStatus.CANCELED)
    desk.refresh_from_db()
    event = ActivityReport(
        account_id="", venue_activity_id="a", kind=ActivityKind.SPLIT, amount=Decimal(0), occurred_at=morning,
        sequence=1, symbol="SPY", event_id="SPLIT:SPY:test", ratio_from=1, ratio_to=2,
    )  # fmt: skip
    book_batch({desk.pk: VenueReports(account_id="", caught_up_until=morning, activities=(event,))}, now=morning)
    exits.put_back([trade], now=morning)
    assert not Order.objects.filter(intent_key__startswith="restore:").exists()
    assert told("trade.bare") == ["A split changed its prices; place it anew."]


def test_a_halt_delays_the_exit_and_resuming_brings_it(desk, trade, stop, evening, morning):
    close(trade, "2", evening)
    portfolios.halt(desk, reason="", actor="test", now=evening)
    assert settled(desk, morning) == []
    portfolios.resume(desk, actor="test", now=morning)
    (again,) = settled(desk, morning + timedelta(minutes=1))
    assert (again.status, again.quantity, again.stop_price) == (OrderStatus.ACCEPTED, 8, Decimal("200.00"))
    assert books.check([desk]).differences == []


def test_an_exit_that_never_left_is_tried_again_and_only_then_called_restored(desk, trade, stop, now, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(exits, "try_again", lambda *_, **__: None)  # the process ends before it can
        close(trade, "2", now)
    with monkeypatch.context() as patch:
        patch.setattr(order_wire, "ask_venue", lambda portfolio, messages, now: [BrokerUnavailable("busy")])
        (waiting,) = settled(desk, now)
    assert (waiting.status, told("exit.restored")) == (OrderStatus.SUBMITTED, [])
    Order.objects.filter(pk=waiting.pk).update(status=OrderStatus.REJECTED, reason_text="never sent")
    monkeypatch.setattr(exits, "FIRST_PAUSE_SECONDS", 0)
    refused, again = settled(desk, now)
    assert (refused.status, again.status) == (OrderStatus.REJECTED, OrderStatus.ACCEPTED)
    assert len(told("exit.restored")) == 1


def test_refusals_are_told_once_and_end(desk, trade, stop, now, monkeypatch):
    monkeypatch.setattr(exits, "FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(exits, "TRIES_MAX", 3)
    real = exits.same_exit
    monkeypatch.setattr(exits, "same_exit", lambda *args, **wish: real(*args, **{**wish, "symbol": "NO SUCH"}))
    close(trade, "2", now)
    for minute in range(1, 8):
        found = settled(desk, now + timedelta(minutes=minute))
    assert [order.status for order in found] == [OrderStatus.DENIED] * 3
    assert len(told("trade.bare")) == 2  # while it was tried, and when it was given up
    assert exits.stripped([desk]) == []


def test_a_part_of_a_share_leaves_the_whole_ones_protected(desk, trade, stop, now):
    close(trade, "2.5", now)
    (again,) = settled(desk, now)
    assert (again.status, again.quantity) == (OrderStatus.ACCEPTED, 7)


def test_less_than_a_whole_share_is_told_to_be_bare(desk, trade, stop, now):
    close(trade, "9.5", now)
    assert settled(desk, now) == []
    assert told("trade.bare") == ["Less than a whole share is left to protect."]


def test_an_archived_portfolio_is_left_alone(desk, trade, stop, evening, monkeypatch):
    monkeypatch.setattr(exits, "try_again", lambda *_, **__: None)
    close(trade, "2", evening)
    portfolios.archive(desk, actor="test", now=evening)
    assert exits.stripped([desk]) == []
    assert registry.adapter(orders.account_key(desk), now=evening).account().status == "ARCHIVED"
