"""The door with reports made by hand: odd amounts, splits between fills, values that follow, trades that end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from brokers.enums import ActivityKind, OrderStatus, OrderType, Side
from brokers.messages import ActivityReport, FillReport, OrderReport, VenueReports
from brokers.models import Instrument
from portfolio import books, order_wire, orders, rebuild, snapshots, standing
from portfolio.enums import Origin
from portfolio.models import Lot, Order, Portfolio, Position, Trade
from portfolio.order_sync import book_batch

NUMBERS = count(1)


def fill(order: Order, quantity: str, price: str, at, *, side: Side = Side.BUY) -> FillReport:
    number = next(NUMBERS)
    return FillReport(
        account_id="", venue_fill_id=f"fill-{number}", venue_order_id="v", client_order_id=order.client_order_id,
        symbol="SPY", side=side, quantity=Decimal(quantity), price=Decimal(price), commission=Decimal(0),
        fees=Decimal(0), executed_at=at, sequence=number,
    )  # fmt: skip


def split(ratio_to: int, ratio_from: int, at) -> ActivityReport:
    number = next(NUMBERS)
    return ActivityReport(
        account_id="", venue_activity_id=f"a-{number}", kind=ActivityKind.SPLIT, amount=Decimal(0), occurred_at=at,
        sequence=number, symbol="SPY", event_id=f"SPLIT:SPY:{number}", ratio_from=ratio_from, ratio_to=ratio_to,
    )  # fmt: skip


def says(order: Order, status: OrderStatus, quantity: str, filled: str, at) -> OrderReport:
    return OrderReport(
        account_id="", client_order_id=order.client_order_id, venue_order_id="v", status=status, raw_status=status,
        quantity=Decimal(quantity), filled_quantity=Decimal(filled), updated_at=at,
    )  # fmt: skip


@pytest.fixture
def waiting(desk, place, now, monkeypatch):
    """An order at a venue that says yes to everything, so that only made-up reports fill it."""

    def accept(portfolio, messages, *, now):
        return [
            OrderReport(
                account_id="", client_order_id=message.client_order_id, venue_order_id="v",
                status=OrderStatus.ACCEPTED, raw_status="", quantity=message.quantity, filled_quantity=Decimal(0),
                updated_at=now,
            )
            for message in messages
        ]  # fmt: skip

    def make(key: str, quantity: str, **changes) -> Order:
        limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal("1.00")}
        with monkeypatch.context() as patch:
            patch.setattr(order_wire, "ask_venue", accept)
            (order,) = place(desk, key, quantity=Decimal(quantity), **{**limit, **changes})
        assert order.status == OrderStatus.ACCEPTED
        return order

    return make


@pytest.fixture
def report(desk, now):
    """Book reports as one look at the venue, ten seconds after the last."""
    ticks = count(1)

    def book(*, fills=(), said=(), activities=()) -> None:
        at = now + timedelta(seconds=10 * next(ticks))
        said = tuple(replace(item, updated_at=at) for item in said)
        book_batch(
            {
                desk.pk: VenueReports(
                    account_id="",
                    caught_up_until=at,
                    orders=tuple(said),
                    fills=tuple(fills),
                    activities=tuple(activities),
                )
            },
            now=at,
        )
        assert books.check([desk]).differences == []
        assert rebuild.compare(Portfolio.objects.get(pk=desk.pk)) == []

    return book


def test_a_fill_worth_less_than_half_a_cent_is_booked(waiting, report, now):
    order = waiting("form:1", "5")
    report(
        fills=[fill(order, "0.00001", "255.00", now)],
        said=[says(order, OrderStatus.PARTIALLY_FILLED, "5", "0.00001", now)],
    )
    position, lot = Position.objects.get(), Lot.objects.get()
    assert (position.quantity, position.cost, lot.remaining, lot.cost) == (Decimal("0.00001"), 0, Decimal("0.00001"), 0)


def test_a_split_and_the_fill_after_it_arrive_together(waiting, report, now):
    order = waiting("form:1", "100")
    report(fills=[fill(order, "200", "50.00", now)], said=[says(order, OrderStatus.FILLED, "200", "200", now)])
    order.refresh_from_db()
    assert (order.status, order.quantity, order.filled_quantity) == (OrderStatus.FILLED, 200, 200)
    assert Position.objects.get().quantity == 200


def test_a_held_position_is_split_between_two_fills_of_one_look(waiting, report, now):
    order = waiting("form:1", "100")
    first, event, second = fill(order, "40", "100.00", now), split(2, 1, now), fill(order, "120", "50.00", now)
    report(fills=[first, second], activities=[event], said=[says(order, OrderStatus.FILLED, "160", "160", now)])
    position = Position.objects.get()
    assert (position.quantity, position.cost) == (200, 10_000)  # 40 became 80, and 120 more


def test_a_holding_that_begins_has_no_value_until_it_is_marked(desk, waiting, report, now, monkeypatch):
    monkeypatch.setattr("portfolio.order_sync.mark_filled", lambda *_, **__: None)
    order = waiting("form:1", "10")
    report(fills=[fill(order, "10", "255.00", now)], said=[says(order, OrderStatus.FILLED, "10", "10", now)])
    desk.refresh_from_db()
    assert Position.objects.get().market_value is None
    assert standing.of([desk], now=now)[desk.pk].equity is None
    (snapshot,) = snapshots.take([desk], now=now)
    assert (snapshot.complete, snapshot.equity) == (False, None)


def test_equity_never_counts_money_twice_between_fill_and_mark(desk, place, waiting, report, now, monkeypatch):
    place(desk, "form:1", quantity=Decimal(70))
    mark = Position.objects.get().mark
    monkeypatch.setattr("portfolio.order_sync.mark_filled", lambda *_, **__: None)
    sale = waiting("form:2", "60", side=Side.SELL, limit_price=Decimal("999.00"))
    price = str(mark)
    report(fills=[fill(sale, "60", price, now, side=Side.SELL)], said=[says(sale, OrderStatus.FILLED, "60", "60", now)])
    desk.refresh_from_db()
    position = Position.objects.get()
    assert position.market_value == mark * 10
    assert position.unrealized_pnl == position.market_value - position.cost
    before = standing.of([desk], now=now)[desk.pk].equity
    assert abs(before - 100_000) < 50  # what the spread cost, not sixty shares


def test_a_holding_bought_again_forgets_its_old_mark(desk, place, waiting, report, now, monkeypatch):
    place(desk, "form:1")
    place(desk, "form:2", side=Side.SELL)
    assert Position.objects.get().market_value == 0
    monkeypatch.setattr("portfolio.order_sync.mark_filled", lambda *_, **__: None)
    order = waiting("form:3", "10")
    report(fills=[fill(order, "10", "255.00", now)], said=[says(order, OrderStatus.FILLED, "10", "10", now)])
    assert (Position.objects.get().mark, Position.objects.get().market_value) == (None, None)


def test_a_trade_sold_out_while_its_entry_worked_ends_with_the_entry(desk, waiting, report, now):
    entry = waiting("form:1", "100")
    report(fills=[fill(entry, "40", "100.00", now)], said=[says(entry, OrderStatus.PARTIALLY_FILLED, "100", "40", now)])
    sale = waiting("form:2", "40", side=Side.SELL, limit_price=Decimal("999.00"))
    report(
        fills=[fill(sale, "40", "101.00", now, side=Side.SELL)], said=[says(sale, OrderStatus.FILLED, "40", "40", now)]
    )
    assert Trade.objects.get().status == "OPEN"  # the entry may still add to it
    report(said=[says(entry, OrderStatus.CANCELED, "100", "40", now)])
    trade = Trade.objects.get()
    assert (trade.status, trade.realized_pnl) == ("CLOSED", 40)


def test_a_pooled_exit_and_the_next_entry_in_one_look_are_two_trades(desk, waiting, report, now):
    first = waiting("api:1", "10", origin=Origin.API)
    report(fills=[fill(first, "10", "100.00", now)], said=[says(first, OrderStatus.FILLED, "10", "10", now)])
    sale = waiting("api:2", "10", origin=Origin.API, side=Side.SELL, limit_price=Decimal("999.00"))
    second = waiting("api:3", "5", origin=Origin.API)
    report(
        fills=[fill(sale, "10", "110.00", now, side=Side.SELL), fill(second, "5", "111.00", now)],
        said=[says(sale, OrderStatus.FILLED, "10", "10", now), says(second, OrderStatus.FILLED, "5", "5", now)],
    )
    old, new = Trade.objects.order_by("pk")
    assert (old.status, old.realized_pnl, new.status) == ("CLOSED", 100, "OPEN")
    assert new.legs.get().open_quantity == 5


def test_slippage_of_a_stop_is_measured_from_the_stop_in_force(desk, place, waiting, report, now):
    place(desk, "form:1")
    stop = waiting(
        "form:2", "10", side=Side.SELL, order_type=OrderType.STOP, limit_price=None, stop_price=Decimal("90.00")
    )
    report(
        fills=[fill(stop, "10", "44.90", now, side=Side.SELL)],
        said=[replace(says(stop, OrderStatus.FILLED, "10", "10", now), stop_price=Decimal("45.00"))],
    )
    assert stop.fills.get().slippage == Decimal("0.10")


def test_a_portfolio_in_trouble_goes_alone_and_the_rest_stays_one_batch(
    desk, other_desk, now, django_assert_num_queries
):
    Portfolio.objects.filter(pk=desk.pk).update(sync_error="NotBookable: something", account_id="nowhere")
    found = orders.sync(Portfolio.objects.all(), now=now)
    assert list(found.errors) == [desk.pk]
    assert Portfolio.objects.get(pk=other_desk.pk).sync_error == ""


def test_a_split_leaves_the_value_and_what_limits_judged_where_they_were(desk, place, waiting, report, now):
    place(desk, "form:1")
    before = Position.objects.get()
    resting = waiting("form:2", "20")
    judged = resting.judged_price
    report(activities=[split(4, 1, now)], said=[says(resting, OrderStatus.ACCEPTED, "80", "0", now)])
    after = Position.objects.get()
    resting.refresh_from_db()
    assert (after.quantity, after.mark) == (40, (before.mark / 4).quantize(Decimal("0.000001")))
    assert after.market_value == before.market_value
    assert (resting.quantity, resting.judged_price) == (80, judged / 4)


def test_a_fill_is_booked_in_what_was_ordered_though_the_ticker_changed_hands(desk, waiting, report, now):
    order = waiting("form:1", "10")
    ordered = order.legs.get().instrument
    Instrument.objects.filter(pk=ordered.pk).update(is_active=False)
    Instrument.objects.create(symbol="SPY", kind="EQUITY", listed_name="Another company")
    report(fills=[fill(order, "10", "100.00", now)], said=[says(order, OrderStatus.FILLED, "10", "10", now)])
    report(activities=[split(2, 1, now)])
    position = Position.objects.get()
    assert (position.instrument_id, position.quantity) == (ordered.pk, 20)
