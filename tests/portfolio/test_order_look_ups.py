"""Whatever was left half done is found in rows and taken further, once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from brokers import registry
from brokers.enums import OrderStatus, OrderType
from brokers.errors import BrokerUnavailable, OutcomeUnknown
from brokers.models import SimulatedOrder
from brokers.real_time import database_now
from portfolio import books, order_look_ups, orders, portfolios
from portfolio.models import Fill, JournalEntry, Order, Portfolio
from portfolio.order_intents import new_order


class Failing:
    """A venue that takes orders, or not, and never answers."""

    def __init__(self, error: Exception, behind: object | None = None) -> None:
        self.error, self.behind = error, behind

    def submit_many(self, new_orders):
        if self.behind is not None:
            self.behind.submit_many(new_orders)
        raise self.error


def send_into(desk, intent, now, monkeypatch, error: Exception, *, lands: bool = False) -> Order:
    broker = registry.adapter(orders.account_key(desk), now=now)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "adapter", lambda key, now: Failing(error, broker if lands else None))
        (order,) = orders.submit([intent(desk)], now=now)
    return order


def age(order: Order, **delta: float) -> None:
    """Make an order older in real time, its deadlines with it."""
    past = database_now() - timedelta(**delta)
    Order.objects.filter(pk=order.pk).update(created_at=past)
    Order.objects.filter(pk=order.pk, deadline__isnull=False).update(deadline=past)
    Order.objects.filter(pk=order.pk, next_look_up_at__isnull=False).update(next_look_up_at=past)


def settle(order: Order, now) -> Order:
    assert order_look_ups.settle_overdue(now=now) == []
    order.refresh_from_db()
    return order


def test_an_unknown_order_that_landed_is_found_not_sent_again(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"), lands=True)
    assert settle(order, now).status == OrderStatus.FILLED
    assert SimulatedOrder.objects.count() == Fill.objects.count() == 1


def test_an_unknown_order_that_never_landed_is_sent_again_with_the_same_id(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"))
    assert settle(order, now).status == OrderStatus.FILLED
    assert SimulatedOrder.objects.get().client_order_id == order.client_order_id
    settle(order, now)
    assert SimulatedOrder.objects.count() == 1
    assert books.check([desk]).differences == []


def test_absent_and_no_longer_wanted_is_rejected(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"))
    age(order, minutes=6)
    assert (settle(order, now).status, order.reason_code) == (OrderStatus.REJECTED, "ABSENT_AT_VENUE")
    assert SimulatedOrder.objects.count() == 0


def test_a_halt_takes_back_the_wish(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"))
    portfolios.halt(desk, reason="", actor="test", now=now)
    assert settle(order, now).reason_code == "ABSENT_AT_VENUE"


def test_what_was_certainly_not_sent_is_sent_again_while_wanted(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, BrokerUnavailable("refused"))
    assert settle(order, now).status == OrderStatus.SUBMITTED  # its deadline has not passed
    Order.objects.filter(pk=order.pk).update(deadline=database_now() - timedelta(seconds=1))
    assert settle(order, now).status == OrderStatus.FILLED


def test_what_was_never_sent_in_time_ends_rejected(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, BrokerUnavailable("refused"))
    age(order, minutes=6)
    assert (settle(order, now).status, order.reason_code) == (OrderStatus.REJECTED, "NEVER_SENT")


def test_a_process_killed_after_the_commit_leaves_a_row_that_is_settled(desk, intent, now, monkeypatch):
    monkeypatch.setattr(orders, "send", lambda items, now: None)  # the process dies before the wire
    (order,) = orders.submit([intent(desk)], now=now)
    monkeypatch.undo()
    assert order.status == OrderStatus.SUBMITTED
    assert settle(order, now).status == OrderStatus.SUBMITTED
    Order.objects.filter(pk=order.pk).update(deadline=database_now() - timedelta(seconds=1))
    assert settle(order, now).status == OrderStatus.FILLED
    assert SimulatedOrder.objects.count() == 1


def test_a_cancel_without_an_answer_is_repeated(desk, place, now, monkeypatch):
    (order,) = place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"))
    orders.claim_cancel([order.pk], actor="test", now=now)  # and then the process dies
    Order.objects.filter(pk=order.pk).update(deadline=database_now() - timedelta(seconds=1))
    assert settle(order, now).status == OrderStatus.CANCELED


def test_a_report_from_before_the_cancel_does_not_take_the_wish_back(desk, place, now):
    (order,) = place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"))
    orders.claim_cancel([order.pk], actor="test", now=now)  # and then the process dies
    orders.sync([desk], now=now)  # the venue, which heard of nothing, reports it as working
    order.refresh_from_db()
    assert order.status == OrderStatus.PENDING_CANCEL
    Order.objects.filter(pk=order.pk).update(deadline=database_now() - timedelta(seconds=1))
    assert settle(order, now).status == OrderStatus.CANCELED


def test_an_order_canceled_before_it_was_sent_is_never_sent(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, BrokerUnavailable("refused"))
    (canceled,) = orders.cancel([order], actor="test", now=now)
    assert (canceled.status, canceled.reason_code) == (OrderStatus.REJECTED, "NEVER_SENT")
    Order.objects.filter(pk=order.pk).update(deadline=database_now() - timedelta(seconds=1))
    assert settle(order, now).status == OrderStatus.REJECTED
    assert SimulatedOrder.objects.count() == 0


def killed_before_the_wire(desk, intent, now, monkeypatch, **changes) -> Order:
    with monkeypatch.context() as patch:
        patch.setattr(orders, "send", lambda items, now: None)
        (order,) = orders.submit([intent(desk, **changes)], now=now)
    return order


def test_an_order_canceled_while_nobody_knows_of_it_is_never_sent(desk, intent, now, monkeypatch):
    order = killed_before_the_wire(desk, intent, now, monkeypatch)
    (canceled,) = orders.cancel([order], actor="test", now=now)
    assert (canceled.status, canceled.cancel_wanted_at) == (OrderStatus.SUBMITTED, now)
    orders.cancel([order], actor="test", now=now)
    assert JournalEntry.objects.filter(name="order.cancel_requested", subject=f"order:{order.pk}").count() == 1
    age(order, seconds=40)
    assert (settle(order, now).status, order.reason_code) == (OrderStatus.REJECTED, "ABSENT_AT_VENUE")
    assert SimulatedOrder.objects.count() == 0


@pytest.mark.parametrize("price", ["100.00", None], ids=["resting", "filled"])
def test_a_wish_to_cancel_an_unknown_order_meets_it_when_it_shows_up(desk, intent, now, monkeypatch, price):
    wish = {"order_type": OrderType.LIMIT, "limit_price": Decimal(price)} if price else {}
    order = send_into(desk, lambda desk: intent(desk, **wish), now, monkeypatch, OutcomeUnknown("timeout"), lands=True)
    (canceled,) = orders.cancel([order], actor="test", now=now)
    assert (canceled.status, canceled.cancel_wanted_at) == (OrderStatus.UNKNOWN, now)
    assert settle(order, now).status == (OrderStatus.CANCELED if price else OrderStatus.FILLED)
    assert books.check([desk]).differences == []


def test_a_wish_to_cancel_outlives_a_sync_that_finds_the_order_first(desk, intent, now, monkeypatch):
    wish = {"order_type": OrderType.LIMIT, "limit_price": Decimal("100.00")}
    order = send_into(desk, lambda desk: intent(desk, **wish), now, monkeypatch, OutcomeUnknown("timeout"), lands=True)
    orders.cancel([order], actor="test", now=now)
    orders.sync([desk], now=now)
    order.refresh_from_db()
    assert order.status == OrderStatus.ACCEPTED
    assert settle(order, now).status == OrderStatus.CANCELED
    assert SimulatedOrder.objects.get().state == "CANCELED"


def test_a_cancel_that_comes_between_look_up_and_sending_wins(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"))
    seen = Order.objects.select_related("portfolio").get()
    orders.cancel([order], actor="test", now=now)
    order_look_ups.send_again(seen, now=now)
    assert SimulatedOrder.objects.count() == 0


@pytest.mark.parametrize("who", ["sender", "sync"])
def test_an_order_given_up_as_absent_that_arrives_late_is_canceled_there(desk, intent, now, monkeypatch, who):
    """Its sender was slow, not dead: the order works at the venue while the desk calls it rejected."""
    wish = intent(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"))
    written, _ = orders.write_rows([wish], now=now)
    order = written[0].order
    portfolios.halt(desk, reason="", actor="test", now=now)
    age(order, seconds=40)
    assert settle(order, now).reason_code == "ABSENT_AT_VENUE"
    if who == "sender":
        orders.send(written, now=now)
    else:
        registry.adapter(orders.account_key(desk), now=now).submit_many([new_order(order, written[0].leg, wish.symbol)])
    orders.sync([desk], now=now)
    orders.sync([desk], now=now)
    assert JournalEntry.objects.filter(name="order.found_late", subject=f"order:{order.pk}").count() == 1
    assert (settle(order, now).status, order.reason_code) == (OrderStatus.REJECTED, "ABSENT_AT_VENUE")
    assert SimulatedOrder.objects.get().state == "CANCELED"
    assert order.next_look_up_at is None


class Raising:
    """A venue that fails for one portfolio and serves the others."""

    def __init__(self, error: Exception, portfolio: Portfolio) -> None:
        self.error, self.account, self.real = error, portfolio.account_id, registry.adapter

    def __call__(self, key, now):
        return Failing(self.error) if key.account_id == self.account else self.real(key, now=now)


def lock_timeout() -> OperationalError:
    error = OperationalError("canceling statement due to lock timeout")
    error.__cause__ = type("LockNotAvailable", (Exception,), {"sqlstate": "55P03"})()
    return error


@pytest.mark.parametrize(
    ("error", "status", "is_sent"),
    [
        (lock_timeout(), OrderStatus.SUBMITTED, False),
        (OperationalError("database is locked"), OrderStatus.SUBMITTED, False),
        (OperationalError("server closed the connection"), OrderStatus.UNKNOWN, True),
        (ValueError("no"), OrderStatus.UNKNOWN, True),
    ],
)
def test_one_venue_account_that_fails_stops_no_other(
    desk, other_desk, intent, now, monkeypatch, error, status, is_sent
):
    with monkeypatch.context() as patch:
        patch.setattr(registry, "adapter", Raising(error, desk))
        mine, others = orders.submit([intent(desk), intent(other_desk)], now=now)
    assert (mine.status, mine.sent_at is not None) == (status, is_sent)
    assert others.venue_order_id
    assert SimulatedOrder.objects.count() == 1


def test_pressing_again_sends_what_could_not_be_sent(desk, intent, now, monkeypatch):
    order = send_into(desk, intent, now, monkeypatch, BrokerUnavailable("refused"))
    (again,) = orders.submit([intent(desk)], now=now)
    assert (again.pk, again.status) == (order.pk, OrderStatus.FILLED)
    assert SimulatedOrder.objects.count() == 1


@pytest.mark.parametrize(("looks", "wait"), [(0, 2), (1, 5), (5, 80), (6, 60), (40, 60)])
def test_look_ups_grow_apart(desk, intent, now, monkeypatch, looks, wait):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"))
    order.look_ups = looks
    real_now = database_now()
    order_look_ups.postpone(order, "still silent", real_now=real_now)
    order.refresh_from_db()
    assert order.next_look_up_at - real_now == timedelta(seconds=wait)
