"""From a wish to a fill, and everything that can go wrong on the way."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from brokers import registry
from brokers.enums import OrderStatus, OrderType, Side, TimeInForce
from brokers.errors import BrokerUnavailable, OutcomeUnknown
from brokers.models import SimulatedOrder
from portfolio import books, order_wire, orders, portfolios, rebuild
from portfolio.enums import OrderRole, Origin, TradeStatus
from portfolio.models import Fill, JournalEntry, Order, OrderLeg, Position, Trade
from portfolio.order_intents import client_order_id
from tests.brokers.simulator.scripted import ScriptedMarket

FINAL = OrderStatus.FILLED


def assert_clean(*desks) -> None:
    assert books.check(list(desks)).differences == []
    for desk in desks:
        assert rebuild.compare(type(desk).objects.get(pk=desk.pk)) == []


def test_a_market_order_fills_and_the_book_follows(desk, place):
    (order,) = place(desk)
    fill, position, trade = Fill.objects.get(), Position.objects.get(), Trade.objects.get()
    assert (order.status, order.filled_quantity, order.trade) == (FINAL, 10, trade)
    assert (trade.status, trade.direction, trade.origin, trade.symbol) == ("OPEN", "LONG", "MANUAL", "SPY")
    assert position.quantity == 10
    assert position.cost == fill.price * 10
    assert desk.cash == 100_000 - fill.price * 10 - fill.commission - fill.fees
    assert position.market_value == position.mark * 10
    assert position.unrealized_pnl == position.market_value - position.cost
    assert_clean(desk)


def test_the_same_intent_is_the_same_order(desk, place, intent, now):
    (first,) = place(desk)
    (again,) = orders.submit([intent(desk)], now=now + timedelta(seconds=5))
    assert again.pk == first.pk
    assert SimulatedOrder.objects.count() == Fill.objects.count() == 1


def test_the_same_key_with_another_body_is_refused_and_changes_nothing(desk, place, intent, now):
    place(desk)
    with pytest.raises(orders.IntentChanged, match="other content"):
        orders.submit([intent(desk, quantity=Decimal(11))], now=now)
    assert Order.objects.count() == 1


def test_one_key_in_two_portfolios_is_two_wishes(desk, other_desk, place):
    (mine,), (theirs,) = place(desk), place(other_desk)
    assert mine.pk != theirs.pk
    assert mine.client_order_id != theirs.client_order_id
    assert set(Fill.objects.for_user(desk.user).values_list("user_id", flat=True)) == {desk.user_id}
    assert_clean(desk, other_desk)


def test_client_order_ids_are_short_plain_and_repeatable(settings):
    settings.DESK_ID = "0" * 32
    made = client_order_id(portfolio_id=7, origin=Origin.MANUAL, intent_key="form:abc")
    assert made == client_order_id(portfolio_id=7, origin=Origin.MANUAL, intent_key="form:abc")
    assert len(made) <= 27
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    settings.DESK_ID = "1" * 32
    assert made != client_order_id(portfolio_id=7, origin=Origin.MANUAL, intent_key="form:abc")


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"quantity": Decimal(-5)}, "QUANTITY_NOT_POSITIVE", "must be above 0, not -5"),
        ({"quantity": Decimal(0)}, "QUANTITY_NOT_POSITIVE", "must be above 0"),
        ({"quantity": Decimal("1e30")}, "NUMBER_NOT_USABLE", "too large"),
        ({"quantity": Decimal(10**10)}, "NUMBER_NOT_USABLE", ""),
        ({"quantity": Decimal("NaN")}, "QUANTITY_NOT_POSITIVE", "NaN"),
        ({"quantity": Decimal("0.0000000001")}, "NUMBER_NOT_USABLE", "more than 9 decimals"),
        ({"symbol": "NOPE"}, "SYMBOL_UNKNOWN", "no instrument called 'NOPE'"),
        ({"quantity": None}, "QUANTITY_OR_NOTIONAL", "either a quantity or an amount"),
        ({"notional": Decimal(100), "side": Side.SELL}, "QUANTITY_OR_NOTIONAL", "bought, not sold"),
        ({"quantity": Decimal(100)}, "POSITION_EXCEEDS_LIMIT", "of equity"),
    ],
)
def test_the_desk_denies_in_words_and_sends_nothing(desk, place, changes, code, sentence):
    (order,) = place(desk, **changes)
    assert order.status == OrderStatus.DENIED
    assert code in [denial["code"] for denial in order.denials]
    assert any(sentence in denial["message"] for denial in order.denials)
    assert SimulatedOrder.objects.count() == 0
    assert desk.cash == 100_000
    assert JournalEntry.objects.for_user(desk.user).filter(name="order.denied").exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order_type": OrderType.LIMIT, "limit_price": Decimal("200.003")}, "PRICE_INCREMENT"),
        ({"order_type": OrderType.LIMIT}, "LIMIT_PRICE_REQUIRED"),
        ({"order_type": OrderType.STOP}, "STOP_PRICE_REQUIRED"),
        ({"side": Side.SELL}, "SHORT_NOT_ALLOWED"),
        ({"time_in_force": TimeInForce.GTD}, "EXPIRES_ON"),
        (
            {"time_in_force": TimeInForce.FOK, "order_type": OrderType.STOP, "stop_price": Decimal(999)},
            "TIF_NOT_ALLOWED",
        ),
    ],
)
def test_the_venue_rejects_with_its_own_words(desk, place, changes, code):
    (order,) = place(desk, **changes)
    assert (order.status, order.reason_code) == (OrderStatus.REJECTED, code)
    assert len(order.reason_text) > 20
    assert desk.cash == 100_000
    assert Position.objects.count() == 0


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_ioc_and_fok_are_for_an_open_market(desk, place, now, tif):
    (order,) = place(desk, at=now + timedelta(hours=6), time_in_force=tif)
    assert (order.status, order.reason_code) == (OrderStatus.REJECTED, "TIF_NOT_ALLOWED")


def test_preview_says_what_submit_would_and_writes_nothing(desk, intent, now):
    refused = orders.preview(intent(desk, quantity=Decimal(150)), now=now)
    assert [refusal.code for refusal in refused.denials] == ["POSITION_EXCEEDS_LIMIT"]
    fine = orders.preview(intent(desk), now=now)
    assert fine.denials == ()
    assert fine.buying_power == 100_000
    assert fine.price is not None
    assert fine.notional == fine.price * 10
    assert Order.objects.count() == SimulatedOrder.objects.count() == 0


def test_a_working_order_can_be_canceled_once_and_again(desk, place, now):
    (order,) = place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"), time_in_force=TimeInForce.GTC)
    assert order.status == OrderStatus.ACCEPTED
    assert "100.00" in order.waiting_for
    (canceled,) = orders.cancel([order], actor="test", now=now)
    assert canceled.status == OrderStatus.CANCELED
    (still,) = orders.cancel([order], actor="test", now=now)
    assert still.version == canceled.version
    assert_clean(desk)


def test_halt_refuses_new_orders_and_lets_cancels_pass(desk, place, now):
    (order,) = place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"))
    portfolios.halt(desk, reason="thinking", actor="test", now=now)
    (denied,) = place(desk, "form:2")
    assert denied.denials[0]["code"] == "TRADING_HALTED"
    assert "thinking" in denied.denials[0]["message"]
    assert orders.cancel([order], actor="test", now=now)[0].status == OrderStatus.CANCELED
    portfolios.resume(desk, actor="test", now=now)
    assert place(desk, "form:3")[0].status == FINAL


def test_reduce_only_takes_a_sale_and_no_purchase(desk, place, now):
    place(desk)
    portfolios.reduce(desk, reason="", actor="test", now=now)
    desk.refresh_from_db()
    assert place(desk, "form:2")[0].denials[0]["code"] == "REDUCE_ONLY"
    assert place(desk, "form:3", side=Side.SELL)[0].status == FINAL


# Closing by hand ---------------------------------------------------------------------------------------


def test_a_sale_of_more_than_the_oldest_trade_becomes_one_order_a_trade(desk, place):
    place(desk, "form:1", quantity=Decimal(10))
    place(desk, "form:2", quantity=Decimal(20))
    first, second = place(desk, "form:3", side=Side.SELL, quantity=Decimal(15))
    assert [(first.role, first.quantity), (second.role, second.quantity)] == [
        (OrderRole.EXIT, 10),
        (OrderRole.EXIT, 5),
    ]
    assert sorted(Trade.objects.values_list("status", flat=True)) == ["CLOSED", "OPEN"]
    assert Position.objects.get().quantity == 15
    assert_clean(desk)


def test_selling_more_than_is_held_is_denied_with_both_numbers(desk, place):
    place(desk)
    (order,) = place(desk, "form:2", side=Side.SELL, quantity=Decimal(11))
    assert order.denials[0]["code"] == "QUANTITY_EXCEEDS_HOLDING"
    assert "10 SPY" in order.denials[0]["message"]


def test_a_second_exit_of_a_trade_is_denied_while_the_first_works(desk, place):
    place(desk)
    (stop,) = place(
        desk, "form:2", side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal("200.00"),
        time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    (second,) = place(desk, "form:3", side=Side.SELL)
    assert second.denials[0]["code"] == "EXIT_WORKING"
    assert str(stop.pk) in second.denials[0]["message"]


def test_nobody_sells_what_another_origin_owns(desk, place):
    place(desk)
    (order,) = place(desk, "api:1", origin=Origin.API, side=Side.SELL)
    assert order.denials[0]["code"] == "OPPOSITE_TRADE_OPEN"
    assert Position.objects.get().quantity == 10


def test_api_fills_pool_into_one_open_trade_a_symbol(desk, place):
    place(desk, "api:1", origin=Origin.API)
    place(desk, "api:2", origin=Origin.API, quantity=Decimal(5))
    place(desk, "form:1", quantity=Decimal(3))
    assert sorted(Trade.objects.values_list("origin", "legs__open_quantity")) == [("API", 15), ("MANUAL", 3)]
    assert_clean(desk)


# The wire ----------------------------------------------------------------------------------------------


class Silent:
    """A venue whose submit fails the way a test wants."""

    def __init__(self, error: Exception, broker: object | None = None) -> None:
        self.error, self.broker = error, broker

    def submit_many(self, new_orders):
        if self.broker is not None:
            self.broker.submit_many(new_orders)
        raise self.error


def test_a_timeout_on_submit_leaves_the_order_unknown(desk, intent, now, monkeypatch):
    monkeypatch.setattr(registry, "adapter", lambda key, now: Silent(OutcomeUnknown("read timed out")))
    (order,) = orders.submit([intent(desk)], now=now)
    assert order.status == OrderStatus.UNKNOWN
    assert order.next_look_up_at is not None
    assert "looking" in order.reason_text


def test_what_was_never_sent_stays_submitted_without_sent_at(desk, intent, now, monkeypatch):
    monkeypatch.setattr(registry, "adapter", lambda key, now: Silent(BrokerUnavailable("connection refused")))
    (order,) = orders.submit([intent(desk)], now=now)
    assert (order.status, order.sent_at) == (OrderStatus.SUBMITTED, None)


def test_the_row_is_committed_before_the_wire(desk, intent, now, monkeypatch):
    seen = []

    class Watching:
        def submit_many(self, new_orders):
            seen.extend(Order.objects.filter(client_order_id=new_orders[0].client_order_id, sent_at__isnull=False))
            raise OutcomeUnknown("gone")

    monkeypatch.setattr(registry, "adapter", lambda key, now: Watching())
    orders.submit([intent(desk)], now=now)
    assert len(seen) == 1
    assert OrderLeg.objects.count() == 1


def test_sync_finds_an_unknown_order_that_had_landed(desk, intent, now, monkeypatch):
    broker = registry.adapter(orders.account_key(desk), now=now)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "adapter", lambda key, now: Silent(OutcomeUnknown("lost"), broker))
        (order,) = orders.submit([intent(desk)], now=now)
    assert order.status == OrderStatus.UNKNOWN
    orders.sync([desk], now=now)
    order.refresh_from_db()
    assert order.status == FINAL
    assert_clean(desk)


def test_one_broken_portfolio_does_not_stop_the_others(desk, other_desk, intent, now):
    orders.submit([intent(desk), intent(other_desk)], now=now)
    type(desk).objects.filter(pk=desk.pk).update(account_id="not-an-account")
    result = orders.sync(type(desk).objects.all(), now=now)
    assert list(result.errors) == [desk.pk]
    desk.refresh_from_db()
    assert desk.sync_error
    assert Order.objects.get(portfolio=other_desk).status == FINAL


def test_booking_twice_is_booking_once(desk, place, now):
    place(desk)
    before = list(Fill.objects.values()), list(Position.objects.values("quantity", "cost"))
    type(desk).objects.filter(pk=desk.pk).update(synced_until=now - timedelta(days=1))
    desk.refresh_from_db()
    orders.sync([desk], now=now)
    assert (list(Fill.objects.values()), list(Position.objects.values("quantity", "cost"))) == before
    assert_clean(desk)


def test_partial_fills_leave_the_order_working_until_the_rest(desk, place, now):
    """40 GLD a minute is more than some minutes give: whatever is filled, the sums hold at each step."""
    desk.risk_limits.delete()
    (order,) = place(desk, symbol="BIL", quantity=Decimal(900), order_type=OrderType.MARKET)
    for minute in range(1, 30):
        orders.sync([desk], now=now + timedelta(minutes=minute))
        desk.refresh_from_db()
        order.refresh_from_db()
        assert order.filled_quantity == sum(Fill.objects.values_list("quantity", flat=True))
        assert_clean(desk)
        if order.is_final:
            break
    assert order.status == FINAL
    assert Trade.objects.get().status == TradeStatus.OPEN


def test_canceling_the_rest_of_an_entry_whose_fills_are_sold_closes_the_trade(desk, place, now, monkeypatch):
    """Of 100 wanted 40 were bought and sold again: with the rest of the entry the trade is over, at once."""
    market = ScriptedMarket()
    market.quote(now - timedelta(minutes=5), "99.98", "100.00", symbol="AAPL", size=40)
    market.volume = 0
    monkeypatch.setattr(registry, "market", lambda: market)
    wish = {"symbol": "AAPL", "order_type": OrderType.LIMIT, "limit_price": Decimal("100.00")}
    (entry,) = place(desk, quantity=Decimal(100), time_in_force=TimeInForce.GTC, **wish)
    assert entry.filled_quantity == 40
    place(desk, "form:2", symbol="AAPL", side=Side.SELL, quantity=Decimal(40), at=now + timedelta(minutes=2))
    trade = Trade.objects.get()
    assert (trade.status, trade.legs.get().open_quantity) == (TradeStatus.OPEN, 0)
    (canceled,) = orders.cancel([entry], actor="test", now=now + timedelta(minutes=3))
    trade.refresh_from_db()
    assert (canceled.status, trade.status) == (OrderStatus.CANCELED, TradeStatus.CLOSED)
    assert books.check([desk]).differences == []


def test_an_answer_that_cannot_be_written_stops_no_other_portfolio(desk, other_desk, intent, now, monkeypatch):
    """Somebody holds the portfolio's row: its order stays SUBMITTED, and the caller hears of it at the end."""
    real = order_wire.write_answers

    def locked_for_one(answers, *, now):
        if Order.objects.filter(pk__in=answers, portfolio=desk).exists():
            raise OperationalError("database is locked")
        real(answers, now=now)

    monkeypatch.setattr(order_wire, "write_answers", locked_for_one)
    with pytest.raises(OperationalError):
        orders.submit([intent(desk), intent(other_desk)], now=now)
    assert Order.objects.get(portfolio=desk).status == OrderStatus.SUBMITTED
    assert Order.objects.get(portfolio=other_desk).venue_order_id


def test_a_cancel_that_the_venue_cannot_take_stops_no_other(desk, other_desk, place, now, monkeypatch):
    wish = {"order_type": OrderType.LIMIT, "limit_price": Decimal("100.00")}
    (mine,), (others,) = place(desk, **wish), place(other_desk, **wish)
    real = registry.adapter

    def locked_for_one(key, now):
        if key.account_id == desk.account_id:
            raise OperationalError("database is locked")
        return real(key, now=now)

    with monkeypatch.context() as patch:
        patch.setattr(registry, "adapter", locked_for_one)
        mine, others = orders.cancel([mine, others], actor="test", now=now)
    assert (mine.status, others.status) == (OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED)
    assert mine.waiting_for == "The venue has not taken the cancel: database is locked"
