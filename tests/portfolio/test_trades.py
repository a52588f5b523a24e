"""Closing a trade: claimed once, its working orders first, given back when the exit does not come through."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.enums import OrderStatus, OrderType, Side, TimeInForce
from portfolio import books, orders, portfolios, trades
from portfolio.enums import CloseReason, TradeStatus
from portfolio.models import JournalEntry, Order, Trade


def close(trade, now, **changes):
    return trades.close(trade, **{"reason": CloseReason.MANUAL, "actor": "test", "now": now, **changes})


@pytest.fixture
def trade(desk, place) -> Trade:
    place(desk)
    return Trade.objects.get()


def test_close_sells_everything_and_keeps_the_outcome(desk, trade, now):
    later = now + timedelta(minutes=2)
    close(trade, later)
    orders.sync([desk], now=later)
    trade.refresh_from_db()
    assert (trade.status, trade.close_reason) == (TradeStatus.CLOSED, CloseReason.MANUAL)
    assert trade.outcome["held_seconds"] == 120
    assert Decimal(trade.outcome["net_pnl"]) == trade.realized_pnl - trade.commission - trade.fees
    assert books.check([desk]).differences == []
    causes = dict(JournalEntry.objects.for_user(desk.user).values_list("name", "cause"))
    assert causes["trade.closed"] is not None


def test_a_stale_version_changes_nothing(trade, now):
    with pytest.raises(trades.TradeChanged, match="Look again"):
        close(trade, now, version=trade.version - 1)
    trade.refresh_from_db()
    assert trade.status == TradeStatus.OPEN
    assert Order.objects.filter(role="EXIT").count() == 0


def test_the_second_to_close_reads_who_was_first(desk, trade, now):
    close(trade, now)
    with pytest.raises(trades.TradeChanged, match="already being closed"):
        close(trade, now, key="close:from-the-phone")
    orders.sync([desk], now=now)
    with pytest.raises(trades.TradeChanged, match="closed meanwhile"):
        close(trade, now, key="close:from-the-phone")
    assert Order.objects.filter(role="EXIT").count() == 1


def test_a_double_press_is_one_order(trade, now):
    first, again = close(trade, now, key="close:1"), close(trade, now, key="close:1")
    assert [order.pk for order in first] == [order.pk for order in again]


def test_part_of_a_trade_can_be_closed_and_it_stays_open(desk, trade, now):
    close(trade, now, quantity=Decimal(4))
    orders.sync([desk], now=now)
    trade.refresh_from_db()
    assert (trade.status, trade.legs.get().open_quantity) == (TradeStatus.OPEN, 6)


def test_a_resting_exit_is_canceled_before_the_sale(desk, trade, place, now):
    (stop,) = place(
        desk, "form:2", side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal("200.00"),
        time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    trade.refresh_from_db()
    close(trade, now)
    orders.sync([desk], now=now)
    stop.refresh_from_db()
    trade.refresh_from_db()
    assert (stop.status, trade.status) == (OrderStatus.CANCELED, TradeStatus.CLOSED)
    assert books.check([desk]).differences == []


def test_a_refused_exit_gives_the_trade_back(desk, trade, now):
    portfolios.halt(desk, reason="", actor="test", now=now)
    (order,) = close(Trade.objects.get(), now)
    trade.refresh_from_db()
    assert (order.status, trade.status) == (OrderStatus.DENIED, TradeStatus.OPEN)
    assert JournalEntry.objects.filter(name="trade.close_failed").exists()


def test_a_trade_left_closing_without_an_exit_is_found_once(desk, trade, now):
    Trade.objects.update(status=TradeStatus.CLOSING)
    assert [found.pk for found in trades.carry_on([desk], now=now)] == [trade.pk]
    assert trades.carry_on([desk], now=now) == []
    trade.refresh_from_db()
    assert trade.status == TradeStatus.OPEN


def test_a_trade_with_a_live_exit_is_left_alone(desk, trade, now):
    after_close = now + timedelta(hours=6)
    close(trade, after_close)  # the market is closed: the exit waits for the open
    assert trades.carry_on([desk], now=after_close) == []
    trade.refresh_from_db()
    assert trade.status == TradeStatus.CLOSING


def test_a_close_that_died_before_it_canceled_the_resting_exit_is_given_back(desk, trade, place, now, monkeypatch):
    """A stop that rests is alive, yet it carries out no close: the trade must not stay CLOSING as long as it rests."""
    place(
        desk, "form:2", side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal("200.00"),
        time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    trade.refresh_from_db()
    trades.claim_close(trade, trade.version, is_whole=True, now=now)
    assert trades.carry_on([desk], now=now) == []  # it was claimed a moment ago: whoever did may be alive
    monkeypatch.setattr(trades, "CLAIM_SECONDS", -1)
    assert [found.pk for found in trades.carry_on([desk], now=now)] == [trade.pk]


def test_the_second_to_close_a_part_reads_that_the_trade_changed(trade, now):
    close(trade, now, quantity=Decimal(4), key="close:1")
    with pytest.raises(trades.TradeChanged, match="Look again"):
        close(trade, now, quantity=Decimal(4), key="close:2")
    assert Order.objects.filter(role="EXIT").count() == 1
