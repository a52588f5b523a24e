"""Closing a trade: claimed once, its working orders first, given back when the exit does not come through."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from brokers.enums import OrderStatus, OrderType, Side, TimeInForce
from brokers.models import Instrument
from portfolio import books, orders, portfolios, trades
from portfolio.enums import CloseReason, TradeStatus
from portfolio.models import JournalEntry, Order, Trade


def close(trade, now, **changes):
    return trades.close(trade, **{"reason": CloseReason.MANUAL, "actor": "test", "now": now, **changes})


def failing(*args, **wish):
    raise OperationalError("database is locked")


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


def test_a_close_while_halted_changes_nothing(desk, trade, stop, now):
    """The exit would be refused: the stop must not be canceled for it."""
    portfolios.halt(desk, reason="", actor="test", now=now)
    with pytest.raises(trades.CloseRefused, match="is halted"):
        close(Trade.objects.get(), now)
    stop.refresh_from_db()
    trade.refresh_from_db()
    assert (stop.status, trade.status) == (OrderStatus.ACCEPTED, TradeStatus.OPEN)
    assert Order.objects.count() == 2


def test_a_close_of_what_is_not_traded_changes_nothing(trade, stop, now):
    Instrument.objects.filter(symbol="SPY").update(is_active=False)
    with pytest.raises(trades.CloseRefused, match="SPY is not traded"):
        close(trade, now)
    stop.refresh_from_db()
    assert stop.status == OrderStatus.ACCEPTED


def test_an_exit_that_is_refused_after_all_gives_trade_and_stop_back(desk, trade, stop, now, monkeypatch):
    """The venue says yes when asked and no when it is meant."""
    real = orders.submit

    def refuse_exits(intents, *, now):
        if "close_reason" not in intents[0].plan:
            return real(intents, now=now)
        (order,) = real([replace(intents[0], symbol="NO SUCH")], now=now)
        return [order]

    monkeypatch.setattr(orders, "submit", refuse_exits)
    (order,) = close(trade, now)
    trade.refresh_from_db()
    assert (order.status, trade.status) == (OrderStatus.DENIED, TradeStatus.OPEN)
    assert JournalEntry.objects.filter(name="trade.close_failed").exists()
    assert_same_stop(stop, quantity=10)


def assert_same_stop(stop: Order, *, quantity: int) -> None:
    """The stop is canceled, and another one like it works for this quantity."""
    stop.refresh_from_db()
    again = Order.objects.get(intent_key=f"restore:{stop.pk}:1")
    assert (stop.status, again.status) == (OrderStatus.CANCELED, OrderStatus.ACCEPTED)
    same = ("order_type", "stop_price", "time_in_force", "trade_id", "origin", "role")
    assert [getattr(again, name) for name in same] == [getattr(stop, name) for name in same]
    assert again.quantity == quantity
    entry = JournalEntry.objects.get(name="exit.restored")
    assert (entry.data["order"], entry.data["by"]) == (stop.pk, again.pk)


def test_closing_a_part_leaves_the_stop_on_the_rest(desk, trade, stop, now):
    """Ten with a stop on all of them; after three are sold it stands on seven."""
    close(trade, now, quantity=Decimal(3))
    assert_same_stop(stop, quantity=7)
    assert trades.carry_on([desk], now=now) == []
    assert Order.objects.filter(intent_key__startswith="restore:").count() == 1
    assert books.check([desk]).differences == []


def test_a_part_that_waits_for_the_open_gets_its_stop_back_after_it(desk, trade, stop, now):
    evening, morning = now + timedelta(hours=6), now + timedelta(days=3)  # a Friday
    (exit_order,) = close(trade, evening, quantity=Decimal(3))
    trades.carry_on([desk], now=evening)
    assert not Order.objects.filter(intent_key__startswith="restore:").exists()
    orders.sync([desk], now=morning)
    trades.carry_on([desk], now=morning)
    exit_order.refresh_from_db()
    assert exit_order.status == OrderStatus.FILLED
    assert_same_stop(stop, quantity=7)


def test_a_close_that_dies_before_its_exit_gets_the_stop_back_later(desk, trade, stop, now, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trades, "send_exit", failing)
        with pytest.raises(OperationalError):
            close(trade, now)
    assert trades.carry_on([desk], now=now) == []  # it was claimed a moment ago
    monkeypatch.setattr(trades, "CLAIM_SECONDS", -1)
    assert [found.pk for found in trades.carry_on([desk], now=now)] == [trade.pk]
    assert_same_stop(stop, quantity=10)


@pytest.mark.parametrize("quantity", [None, Decimal(3)])
def test_the_same_press_carries_on_where_it_was_interrupted(desk, trade, stop, now, monkeypatch, quantity):
    wish = {"key": "close:1", "version": trade.version, "quantity": quantity}
    with monkeypatch.context() as patch:
        patch.setattr(trades, "send_exit", failing)
        with pytest.raises(OperationalError):
            close(trade, now, **wish)
    (order,) = close(Trade.objects.get(), now, **wish)
    orders.sync([desk], now=now)
    order.refresh_from_db()
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, quantity or 10)
    if quantity is None:
        trade.refresh_from_db()
        assert trade.status == TradeStatus.CLOSED
    else:
        assert_same_stop(stop, quantity=7)


def test_another_press_does_not_carry_on_a_close_that_is_not_its_own(trade, now, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trades, "send_exit", failing)
        with pytest.raises(OperationalError):
            close(trade, now, key="close:1")
    with pytest.raises(trades.TradeChanged, match="already being closed"):
        close(Trade.objects.get(), now, key="close:2")


def test_a_stop_that_cannot_be_put_back_is_told(desk, trade, stop, now, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trades, "send_exit", failing)
        with pytest.raises(OperationalError):
            close(trade, now)
    portfolios.halt(desk, reason="", actor="test", now=now)
    monkeypatch.setattr(trades, "CLAIM_SECONDS", -1)
    trades.carry_on([desk], now=now)
    trades.carry_on([desk], now=now)
    entry = JournalEntry.objects.get(name="trade.bare")
    assert "is halted" in entry.data["why"]
    assert entry.data["order"] == stop.pk


def test_a_stop_that_was_canceled_by_hand_stays_canceled(desk, trade, stop, now, monkeypatch):
    """A close died before it canceled anything; what a person cancels after that is not put back."""
    with monkeypatch.context() as patch:
        patch.setattr(orders, "cancel", failing)
        with pytest.raises(OperationalError):
            close(trade, now)
    monkeypatch.setattr(trades, "CLAIM_SECONDS", -1)
    trades.carry_on([desk], now=now)
    orders.cancel([stop], actor="test", now=now)
    trades.carry_on([desk], now=now)
    assert not Order.objects.filter(intent_key__startswith="restore:").exists()


def test_a_key_of_another_trade_is_told_and_sends_nothing(desk, trade, place, now):
    place(desk, "form:other", symbol="QQQ")
    other = Trade.objects.exclude(pk=trade.pk).get()
    close(trade, now, key="close:1")
    with pytest.raises(trades.TradeChanged, match="already used for another trade"):
        close(other, now, key="close:1")
    assert Order.objects.filter(role="EXIT").count() == 1


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
    wish = trades.Wish(trade=trade, key="close:1", quantity=None, reason=CloseReason.MANUAL, actor="test")
    trades.claim_close(wish, trade.version, now=now)
    assert trades.carry_on([desk], now=now) == []  # it was claimed a moment ago: whoever did may be alive
    monkeypatch.setattr(trades, "CLAIM_SECONDS", -1)
    assert [found.pk for found in trades.carry_on([desk], now=now)] == [trade.pk]


def test_the_second_to_close_a_part_reads_that_the_trade_changed(trade, now):
    close(trade, now, quantity=Decimal(4), key="close:1")
    with pytest.raises(trades.TradeChanged, match="Look again"):
        close(trade, now, quantity=Decimal(4), key="close:2")
    assert Order.objects.filter(role="EXIT").count() == 1
