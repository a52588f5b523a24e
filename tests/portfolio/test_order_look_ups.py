"""Whatever was left half done is found in rows and taken further, once."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers import registry
from brokers.enums import OrderStatus, OrderType
from brokers.errors import BrokerUnavailable, OutcomeUnknown
from brokers.models import SimulatedOrder
from brokers.real_time import database_now
from portfolio import books, order_look_ups, orders, portfolios
from portfolio.models import Fill, Order


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


@pytest.mark.parametrize(("looks", "wait"), [(0, 2), (1, 5), (5, 80), (6, 60), (40, 60)])
def test_look_ups_grow_apart(desk, intent, now, monkeypatch, looks, wait):
    order = send_into(desk, intent, now, monkeypatch, OutcomeUnknown("timeout"))
    order.look_ups = looks
    real_now = database_now()
    order_look_ups.postpone(order, "still silent", real_now=real_now)
    order.refresh_from_db()
    assert order.next_look_up_at - real_now == timedelta(seconds=wait)
