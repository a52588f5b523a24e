"""Limits hold whatever the order's type, and however many orders come in one request."""

from decimal import Decimal

import pytest

from brokers.enums import OrderStatus, OrderType, Side, TimeInForce
from portfolio import orders, portfolios, standing
from portfolio.enums import OrderRole
from portfolio.models import OrderLeg, RiskLimits, Trade

ASK = Decimal("500.10")


def estimated(order_type: OrderType, side: Side = Side.BUY, *, limit=None, stop=None, market=ASK) -> Decimal | None:
    return standing.estimated_price(
        order_type=order_type,
        side=side,
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
        market_price=market,
    )


@pytest.mark.parametrize(
    ("order_type", "given", "price"),
    [
        (OrderType.MARKET, {}, ASK),
        (OrderType.LIMIT, {"limit": "1.00"}, Decimal("1.00")),
        (OrderType.LIMIT, {"limit": "900.00"}, Decimal("900.00")),
        (OrderType.STOP, {"stop": "1.00"}, ASK),  # reached already: it buys at the ask
        (OrderType.STOP, {"stop": "500.10"}, ASK),
        (OrderType.STOP, {"stop": "500.11"}, Decimal("500.11")),
        (OrderType.STOP_LIMIT, {"stop": "1.00", "limit": "510.00"}, Decimal("510.00")),
        (OrderType.TRAILING_STOP, {}, ASK),
        (OrderType.LIMIT, {"side": Side.SELL, "limit": "1.00"}, ASK),  # a short sale may get more
        (OrderType.LIMIT, {"side": Side.SELL, "limit": "600.00"}, Decimal("600.00")),
        (OrderType.STOP, {"side": Side.SELL, "stop": "400.00"}, ASK),
        (OrderType.STOP_LIMIT, {"side": Side.SELL, "stop": "400.00", "limit": "390.00"}, ASK),
    ],
)
def test_an_order_is_judged_at_the_worst_it_may_fill_at(order_type, given, price):
    assert estimated(order_type, **given) == price


def test_without_a_market_price_only_a_buy_limit_can_be_judged():
    assert estimated(OrderType.LIMIT, limit="7.00", market=None) == 7
    assert estimated(OrderType.STOP, stop="7.00", market=None) is None
    assert estimated(OrderType.LIMIT, Side.SELL, limit="7.00", market=None) is None
    assert estimated(OrderType.TRAILING_STOP, market=None) is None


def test_a_buy_stop_below_the_market_is_judged_at_the_market(desk, place):
    (order,) = place(desk, order_type=OrderType.STOP, stop_price=Decimal("1.00"), quantity=Decimal(10_000))
    assert order.status == OrderStatus.DENIED
    assert "POSITION_EXCEEDS_LIMIT" in [denial["code"] for denial in order.denials]


def test_a_buy_stop_below_the_market_meets_the_largest_order(desk, place):
    RiskLimits.objects.update(order_value_max=Decimal(1_000))
    (order,) = place(desk, order_type=OrderType.STOP, stop_price=Decimal("1.00"), quantity=Decimal(5))
    assert [denial["code"] for denial in order.denials] == ["NOTIONAL_EXCEEDS_LIMIT"]


def test_working_trailing_stops_count_at_the_price_they_were_judged_at(desk, place, now):
    trailing = {
        "order_type": OrderType.TRAILING_STOP, "trail_percent": Decimal(10), "time_in_force": TimeInForce.GTC,
        "quantity": Decimal(20),
    }  # fmt: skip
    (order,) = place(desk, "form:1", **trailing)
    assert order.status == OrderStatus.ACCEPTED
    assert order.judged_price > 0
    stands = standing.of([desk], now=now)[desk.pk]
    assert stands.symbol_values[order.legs.get().instrument_id] == 20 * order.judged_price
    RiskLimits.objects.update(position_percent=order.judged_price * 39 / 1000)  # 39 shares' worth, of 100,000
    (second,) = place(desk, "form:2", **trailing)
    assert [denial["code"] for denial in second.denials] == ["POSITION_EXCEEDS_LIMIT"]


def test_a_level_that_a_reverse_split_raised_counts(desk, place):
    place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"), time_in_force=TimeInForce.GTC)
    leg = OrderLeg.objects.select_related("order", "instrument").get()
    assert standing.outstanding(leg) == 1_000
    leg.order.quantity, leg.order.limit_price = Decimal("1.25"), Decimal("800.00")
    assert standing.outstanding(leg) == 1_000


# Several wishes in one request -------------------------------------------------------------------------


def test_one_request_opens_no_more_trades_than_a_day_may(desk, intent, now):
    RiskLimits.objects.update(trades_per_day=1)
    sent = orders.submit([intent(desk, f"form:{n}") for n in range(3)], now=now)
    assert sorted(order.status == OrderStatus.DENIED for order in sent) == [False, True, True]


def test_one_request_passes_no_limit_in_parts(desk, intent, now):
    price = orders.preview(intent(desk), now=now).price
    RiskLimits.objects.update(position_percent=price * 50 / 1000, sector_percent=None)  # exactly 50 shares' worth
    sent = orders.submit([intent(desk, f"form:{n}", quantity=Decimal(25)) for n in range(3)], now=now)
    by_key = {order.intent_key: order for order in sent}
    assert [by_key[f"form:{n}"].status == OrderStatus.DENIED for n in range(3)] == [False, False, True]
    assert by_key["form:2"].denials[0]["code"] == "POSITION_EXCEEDS_LIMIT"


def test_two_sales_of_one_request_never_take_the_same_trade(desk, place, intent, now):
    place(desk)
    sell = {"side": Side.SELL, "quantity": Decimal(10)}
    sent = orders.submit([intent(desk, "form:2", **sell), intent(desk, "form:3", **sell)], now=now)
    assert [order.role for order in sent] == [OrderRole.EXIT, OrderRole.EXIT]
    denied = next(order for order in sent if order.status == OrderStatus.DENIED)
    assert denied.denials[0]["code"] == "EXIT_WORKING"
    assert "another order of this request" in denied.denials[0]["message"]


# Exits of named trades ---------------------------------------------------------------------------------


def test_a_trade_of_somebody_else_is_refused_and_not_written_down(desk, other_desk, place, intent, now):
    place(other_desk)
    (order,) = orders.submit([intent(desk, "form:9", side=Side.SELL, trade=Trade.objects.get())], now=now)
    assert (order.status, order.trade_id, order.user_id) == (OrderStatus.DENIED, None, desk.user_id)
    assert [denial["code"] for denial in order.denials] == ["TRADE_NOT_OPEN"]


def test_a_trade_of_another_portfolio_of_mine_is_refused(desk, place, intent, now):
    place(desk)
    second = portfolios.open(user=desk.user, name="Second", cash=Decimal(1000), actor="test", now=now)
    (order,) = orders.submit([intent(second, "form:9", side=Side.SELL, trade=Trade.objects.get())], now=now)
    assert (order.status, order.trade_id) == (OrderStatus.DENIED, None)


def test_a_purchase_is_no_exit_of_a_long_trade(desk, place, intent, now):
    place(desk)
    (order,) = orders.submit([intent(desk, "form:9", trade=Trade.objects.get())], now=now)
    assert (order.status, order.denials[0]["code"]) == (OrderStatus.DENIED, "EXIT_WRONG_SIDE")
    assert "holds 10 SPY" in order.denials[0]["message"]


def test_an_exit_of_a_named_trade_still_passes(desk, place, intent, now):
    place(desk)
    (order,) = orders.submit([intent(desk, "form:9", side=Side.SELL, trade=Trade.objects.get())], now=now)
    assert order.status != OrderStatus.DENIED
