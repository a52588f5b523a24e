"""What every adapter promises, whichever venue is behind it."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.enums import FINAL_STATUSES, ActivityKind, OrderStatus, OrderType, Side, TimeInForce
from brokers.errors import OrderRejected
from brokers.messages import NewOrder, OrderChange

LONG_AGO = timedelta(days=30)


def order(name="one", *, side=Side.BUY, quantity="10", **fields):
    base = {"order_type": OrderType.MARKET, **fields}
    return NewOrder(client_order_id=name, symbol="AAPL", side=side, quantity=Decimal(quantity), **base)


def limit(price, name="limit", **fields):
    return order(name, order_type=OrderType.LIMIT, limit_price=Decimal(price), **fields)


def test_an_order_is_found_again_by_its_client_order_id(desk):
    sent = desk.broker().submit(limit("140.00"))
    found = desk.broker().order(client_order_id="limit")
    assert (found.venue_order_id, found.status) == (sent.venue_order_id, OrderStatus.ACCEPTED)
    assert desk.broker().order(client_order_id="another") is None


def test_the_same_order_sent_twice_is_one_order(desk):
    if not desk.broker().capabilities.dedupes_client_id:
        pytest.skip("This venue does not refuse a repeated id; its capabilities say so.")
    first = desk.broker().submit(order())
    again = desk.broker().submit(order())
    assert again.venue_order_id == first.venue_order_id
    assert len(desk.broker().fills(since=desk.now - LONG_AGO)) == 1


def test_the_same_id_with_other_content_is_rejected(desk):
    desk.broker().submit(order())
    with pytest.raises(OrderRejected) as rejected:
        desk.broker().submit(order(quantity="11"))
    assert rejected.value.refusals[0].message


def test_a_refused_order_raises_with_codes_and_sentences(desk):
    with pytest.raises(OrderRejected) as rejected:
        desk.broker().submit(order(quantity="100000"))
    (refusal,) = rejected.value.refusals
    assert refusal.code == "INSUFFICIENT_BUYING_POWER"
    assert refusal.message.endswith(".")
    assert str(rejected.value) == refusal.message


def test_one_refused_order_of_many_leaves_the_others(desk):
    answers = desk.broker().submit_many([order("bad", quantity="0"), order("good")])
    assert isinstance(answers[0], OrderRejected)
    assert answers[1].filled_quantity == 10


def test_cancel_of_a_filled_order_is_no_failure_and_tells_of_the_fill(desk):
    sent = desk.broker().submit(order())
    assert desk.broker().cancel(sent.venue_order_id).status is OrderStatus.FILLED


def test_cancel_ends_a_working_order_and_may_be_repeated(desk):
    sent = desk.broker().submit(limit("140.00"))
    assert desk.broker().cancel(sent.venue_order_id).status is OrderStatus.CANCELED
    assert desk.broker().cancel(sent.venue_order_id).status is OrderStatus.CANCELED


def test_replace_gives_a_new_order_and_ends_the_old(desk):
    sent = desk.broker().submit(limit("140.00"))
    new = desk.broker().replace(sent.venue_order_id, OrderChange(client_order_id="new", limit_price=Decimal("141.00")))
    assert new.status is OrderStatus.ACCEPTED
    old = desk.broker().order(client_order_id="limit")
    assert (old.status, old.replaced_by) == (OrderStatus.CANCELED, "new")


def test_every_fill_has_an_id_of_its_own_and_the_id_of_its_order(desk):
    sent = [desk.broker().submit(order("a")), desk.broker().submit(order("b"))]
    fills = desk.broker().fills(since=desk.now - LONG_AGO)
    assert len({fill.venue_fill_id for fill in fills}) == 2
    assert {fill.venue_order_id for fill in fills} == {each.venue_order_id for each in sent}


def test_asking_again_gives_equal_reports(desk):
    desk.broker().submit(order())
    since = desk.now - LONG_AGO
    assert desk.broker().fills(since=since) == desk.broker().fills(since=since)
    assert desk.broker().orders(since=since) == desk.broker().orders(since=since)
    assert desk.broker().activities(since=since) == desk.broker().activities(since=since)


def test_reports_cannot_be_changed(desk):
    report = desk.broker().submit(order())
    with pytest.raises(FrozenInstanceError):
        report.status = OrderStatus.REJECTED


def test_numbers_are_decimals_and_times_are_aware(desk):
    desk.broker().submit(order())
    (fill,) = desk.broker().fills(since=desk.now - LONG_AGO)
    for number in (fill.quantity, fill.price, fill.commission, fill.fees):
        assert isinstance(number, Decimal)
    account = desk.broker().account()
    for number in (account.cash, account.reserved, account.buying_power):
        assert isinstance(number, Decimal)
    assert fill.executed_at.utcoffset() == timedelta(0)
    assert account.caught_up_until.utcoffset() == timedelta(0)


def test_quantity_is_filled_plus_remaining_and_a_final_order_stays(desk):
    desk.broker().submit(limit("149.90", quantity="30"))
    desk.move("149.50", "149.60")
    report = desk.broker().order(client_order_id="limit")
    assert report.status in FINAL_STATUSES
    assert report.filled_quantity == report.quantity == 30
    desk.move("120.00", "120.10")
    assert desk.broker().order(client_order_id="limit") == report


def test_a_buy_never_fills_above_its_limit_and_a_sell_never_below(desk):
    desk.broker().submit(limit("150.02", "buy"))
    desk.broker().submit(limit("149.98", "sell", side=Side.SELL))
    for fill in desk.broker().fills(since=desk.now - LONG_AGO):
        assert fill.price <= Decimal("150.02") if fill.side is Side.BUY else fill.price >= Decimal("149.98")


def test_positions_are_the_sum_of_the_fills(desk):
    desk.broker().submit(order("in", quantity="30"))
    desk.broker().submit(order("out", quantity="12", side=Side.SELL))
    fills = desk.broker().fills(since=desk.now - LONG_AGO)
    (position,) = desk.broker().positions()
    assert position.quantity == sum(fill.side.sign * fill.quantity for fill in fills) == 18


def test_cash_is_deposits_less_what_the_fills_cost(desk):
    desk.broker().submit(order())
    desk.deposit(Decimal("250.00"))
    since = desk.now - LONG_AGO
    moved = sum(each.amount for each in desk.broker().activities(since=since))
    for fill in desk.broker().fills(since=since):
        moved -= fill.side.sign * fill.quantity * fill.price + fill.commission + fill.fees
    assert desk.broker().account().cash == moved


def test_deposits_are_reported_as_activities(desk):
    desk.deposit(Decimal("250.00"))
    found = desk.broker().activities(since=desk.now)
    assert [(each.kind, each.amount) for each in found] == [(ActivityKind.DEPOSIT, Decimal("250.00"))]


def test_fills_and_activities_of_an_account_have_one_order(desk):
    desk.broker().submit(order("a"))
    desk.deposit(Decimal("1.00"))
    desk.move("150.00", "150.04")
    desk.broker().submit(order("b"))
    since = desk.now - LONG_AGO
    everything = [*desk.broker().fills(since=since), *desk.broker().activities(since=since)]
    numbers = [each.sequence for each in everything]
    assert len(set(numbers)) == len(numbers)


def test_what_it_says_it_can_do_it_does(desk):
    able = desk.broker().capabilities
    assert able.order_types >= {OrderType.MARKET, OrderType.LIMIT}
    assert TimeInForce.DAY in able.times_in_force
    if able.preview:
        found = desk.broker().preview(order())
        assert found.refusals == ()
        assert found.buying_power == Decimal("100000")
    assert desk.broker().order(client_order_id="one") is None
