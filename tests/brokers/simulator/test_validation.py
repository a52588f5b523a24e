from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.enums import (
    AccountKind,
    AccountStatus,
    InstrumentKind,
    OrderType,
    PositionEffect,
    Side,
    TimeInForce,
)
from brokers.messages import InstrumentFacts, NewOrder
from brokers.simulator import validation
from brokers.simulator.presets import SimulationSettings, StopOnWrongSide
from brokers.simulator.validation import RestingOrder, Surroundings

OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
FACTS = InstrumentFacts(
    instrument_id=1,
    symbol="AAPL",
    kind=InstrumentKind.EQUITY,
    multiplier=1,
    price_increment=None,
    is_fractionable=True,
    is_shortable=True,
    is_active=True,
)
AROUND = Surroundings(
    now=NOON,
    account_status=AccountStatus.ACTIVE,
    account_kind=AccountKind.CASH,
    may_short=False,
    instrument=FACTS,
    settings=SimulationSettings(),
    last=Decimal("150.00"),
    position=Decimal(100),
)
SHORTER = replace(AROUND, account_kind=AccountKind.MARGIN, may_short=True, position=Decimal(0), last=Decimal("5.00"))


def order(**fields):
    base = NewOrder(
        client_order_id="one", symbol="AAPL", side=Side.BUY, order_type=OrderType.MARKET, quantity=Decimal(1)
    )
    return replace(base, **fields)


def limit(price, **fields):
    return order(order_type=OrderType.LIMIT, limit_price=Decimal(price), **fields)


def stop(price, **fields):
    return order(order_type=OrderType.STOP, stop_price=Decimal(price), **fields)


def trailing(**fields):
    return order(order_type=OrderType.TRAILING_STOP, **fields)


def sell(quantity, **fields):
    return order(side=Side.SELL, quantity=Decimal(quantity), **fields)


def codes(new_order, around=AROUND):
    return [refusal.code for refusal in validation.refusals(new_order, around)]


def settings(**changes):
    return replace(AROUND, settings=replace(AROUND.settings, **changes))


def facts(**changes):
    return replace(AROUND, instrument=replace(FACTS, **changes))


def test_an_ordinary_order_is_taken():
    assert codes(order()) == []


RESTRICTED = replace(AROUND, account_status=AccountStatus.RESTRICTED)
WASH = replace(
    AROUND,
    settings=replace(AROUND.settings, wash_trades=True),
    resting=(RestingOrder("sell one", Side.SELL, OrderType.LIMIT, Decimal("151.00")),),
)
NO_QUEUE = replace(settings(queue_when_closed=False), now=NIGHT)
REJECTING = settings(stop_on_wrong_side=StopOnWrongSide.REJECT)
CASES = [
    # code, an order just outside, an order just inside, and what surrounds both (or each)
    ("ACCOUNT_RESTRICTED", order(), sell(1), RESTRICTED),
    ("CLIENT_ORDER_ID_REUSED", order(client_order_id="x" * 129), order(client_order_id="x" * 128), AROUND),
    ("QUANTITY_NOT_POSITIVE", order(quantity=Decimal(0)), order(quantity=Decimal("0.000000001")), AROUND),
    ("QUANTITY_TOO_LARGE", order(quantity=Decimal(10**9 + 1)), order(quantity=Decimal(10**9)), AROUND),
    ("QUANTITY_OR_NOTIONAL", order(notional=Decimal(5)), order(quantity=None, notional=Decimal(5)), AROUND),
    ("QUANTITY_OR_NOTIONAL", order(quantity=None), order(), AROUND),
    ("QUANTITY_OR_NOTIONAL", order(side=Side.SELL, quantity=None, notional=Decimal(5)), sell(1), AROUND),
    (
        "NOTIONAL_TOO_SMALL",
        order(quantity=None, notional=Decimal("0.99")),
        order(quantity=None, notional=Decimal("1.00")),
        AROUND,
    ),
    (
        "QUANTITY_NOT_POSITIVE",
        order(quantity=None, notional=Decimal(0)),
        order(quantity=None, notional=Decimal("1.00")),
        AROUND,
    ),
    ("LIMIT_PRICE_REQUIRED", order(order_type=OrderType.LIMIT), limit("150"), AROUND),
    ("STOP_PRICE_REQUIRED", order(order_type=OrderType.STOP), stop("151"), AROUND),
    ("PRICE_NOT_ALLOWED", order(limit_price=Decimal(150)), order(), AROUND),
    ("PRICE_NOT_ALLOWED", order(trail_amount=Decimal(1)), trailing(trail_amount=Decimal(1)), AROUND),
    ("PRICE_NOT_ALLOWED", limit("0"), limit("0.0001"), AROUND),
    ("TRAIL_ONE_OF", trailing(), trailing(trail_amount=Decimal("0.01")), AROUND),
    (
        "TRAIL_ONE_OF",
        trailing(trail_amount=Decimal(1), trail_percent=Decimal(1)),
        trailing(trail_percent=Decimal(1)),
        AROUND,
    ),
    ("TRAIL_ONE_OF", trailing(trail_percent=Decimal("0.09")), trailing(trail_percent=Decimal("0.1")), AROUND),
    ("TRAIL_ONE_OF", trailing(trail_percent=Decimal("50.01")), trailing(trail_percent=Decimal("50")), AROUND),
    ("PRICE_INCREMENT", limit("290.123"), limit("290.12"), AROUND),
    ("PRICE_INCREMENT", limit("0.99995"), limit("0.9999"), AROUND),
    ("WHOLE_QUANTITY", order(quantity=Decimal("1.5")), order(quantity=Decimal(2)), facts(is_fractionable=False)),
    ("WHOLE_QUANTITY", order(quantity=Decimal("0.0000000001")), order(quantity=Decimal("0.000000001")), AROUND),
    (
        "WHOLE_QUANTITY",
        trailing(trail_percent=Decimal(1), quantity=Decimal("1.5")),
        trailing(trail_percent=Decimal(1)),
        AROUND,
    ),
    (
        "TIF_NOT_ALLOWED",
        order(quantity=Decimal("1.5"), time_in_force=TimeInForce.GTC),
        order(quantity=Decimal("1.5")),
        AROUND,
    ),
    (
        "EXTENDED_HOURS_RULE",
        order(extended_hours=True),
        limit("150", extended_hours=True, time_in_force=TimeInForce.GTC),
        AROUND,
    ),
    (
        "EXTENDED_HOURS_RULE",
        limit("150", extended_hours=True, time_in_force=TimeInForce.GTD, expires_on=date(2026, 11, 23)),
        limit("150", extended_hours=True),
        AROUND,
    ),
    ("STOP_ON_WRONG_SIDE", stop("150.00"), stop("150.01"), REJECTING),
    (
        "STOP_ON_WRONG_SIDE",
        stop("150.00", side=Side.SELL),
        stop("149.99", side=Side.SELL),
        REJECTING,
    ),
    (
        "MARKET_CLOSED",
        order(),
        limit("150", extended_hours=True),
        replace(NO_QUEUE, now=datetime(2026, 11, 20, 22, 0, tzinfo=UTC)),
    ),
    (
        "EFFECT_MISMATCH",
        order(position_effect=PositionEffect.CLOSE),
        order(position_effect=PositionEffect.OPEN),
        AROUND,
    ),
    (
        "EFFECT_MISMATCH",
        sell(1, position_effect=PositionEffect.OPEN),
        sell(1, position_effect=PositionEffect.CLOSE),
        AROUND,
    ),
    ("QUANTITY_HELD", sell(78), sell(77), replace(AROUND, held=Decimal(23))),
    ("QUANTITY_HELD", sell(101, position_effect=PositionEffect.CLOSE), sell(100), AROUND),
    ("CROSSES_ZERO", sell(101), sell(100), AROUND),
    ("WASH_TRADE", limit("151.00"), limit("150.99"), WASH),
    ("WASH_TRADE", order(), trailing(trail_amount=Decimal(1)), WASH),
    ("WASH_TRADE", stop("152.00"), limit("150.99"), WASH),
]


@pytest.mark.parametrize(("code", "outside", "inside", "around"), CASES)
def test_each_rule_refuses_just_outside_and_takes_just_inside(code, outside, inside, around):
    assert codes(outside, around) == [code]
    assert codes(inside, around) == []


@pytest.mark.parametrize(
    ("code", "refused", "taken"),
    [
        ("ACCOUNT_ARCHIVED", replace(AROUND, account_status=AccountStatus.ARCHIVED), AROUND),
        ("CLIENT_ORDER_ID_REUSED", replace(AROUND, is_client_order_id_taken=True), AROUND),
        ("SYMBOL_UNKNOWN", replace(AROUND, instrument=None), AROUND),
        ("SYMBOL_NOT_TRADABLE", facts(is_active=False), AROUND),
        ("SYMBOL_NOT_TRADABLE", facts(kind=InstrumentKind.OPTION), facts(kind=InstrumentKind.ETF)),
        ("MARKET_CLOSED", NO_QUEUE, replace(NO_QUEUE, now=NOON)),
    ],
)
def test_the_same_order_depends_on_what_surrounds_it(code, refused, taken):
    assert codes(order(), refused) == [code]
    assert codes(order(), taken) == []


@pytest.mark.parametrize(
    ("code", "refused", "taken"),
    [
        ("SHORT_NOT_ALLOWED", replace(SHORTER, account_kind=AccountKind.CASH), SHORTER),
        ("SHORT_NOT_ALLOWED", replace(SHORTER, may_short=False), SHORTER),
        ("SHORT_NOT_SHORTABLE", replace(SHORTER, instrument=replace(FACTS, is_shortable=False)), SHORTER),
    ],
)
def test_who_may_sell_short_and_what(code, refused, taken):
    assert codes(sell(10), refused) == [code]
    assert codes(sell(10), taken) == []


def test_strict_venues_take_no_cheap_shorts_and_none_beyond_the_day():
    strict = replace(SHORTER, settings=replace(AROUND.settings, short_price_minimum=Decimal(5), short_gtc=False))
    assert codes(sell(10), strict) == []  # 5.00 exactly is enough
    assert codes(sell(10), replace(strict, last=Decimal("4.99"))) == ["SHORT_UNDER_PRICE"]
    assert codes(sell(10, time_in_force=TimeInForce.GTC), strict) == ["SHORT_GTC"]
    both = codes(sell(10, time_in_force=TimeInForce.GTC), replace(strict, last=None))
    assert both == ["SHORT_UNDER_PRICE", "SHORT_GTC"]


# ------------------------------------------------------------------ time in force x type x phase

ALWAYS = {TimeInForce.DAY, TimeInForce.GTC}
EVENING = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)  # Thursday 19:30 in New York
PRICES = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"limit_price": Decimal("150")},
    OrderType.STOP: {"stop_price": Decimal("151")},
    OrderType.STOP_LIMIT: {"stop_price": Decimal("151"), "limit_price": Decimal("151")},
    OrderType.TRAILING_STOP: {"trail_percent": Decimal("1")},
}
TAKEN = {
    # in the evening both auctions of the next day are taken, at noon the closing one alone
    ("evening", OrderType.MARKET): ALWAYS | {TimeInForce.OPG, TimeInForce.CLS},
    ("evening", OrderType.LIMIT): ALWAYS | {TimeInForce.OPG, TimeInForce.CLS},
    ("noon", OrderType.MARKET): ALWAYS | {TimeInForce.IOC, TimeInForce.FOK, TimeInForce.CLS},
    ("noon", OrderType.LIMIT): ALWAYS | {TimeInForce.IOC, TimeInForce.FOK, TimeInForce.CLS},
    ("pre-open", OrderType.MARKET): ALWAYS | {TimeInForce.OPG, TimeInForce.CLS},
    ("pre-open", OrderType.LIMIT): ALWAYS | {TimeInForce.OPG, TimeInForce.CLS},
}
PHASES = {"evening": EVENING, "noon": NOON, "pre-open": OPEN - timedelta(hours=2)}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("order_type", list(OrderType))
def test_which_times_in_force_each_type_may_have_in_each_phase(phase, order_type):
    around = replace(AROUND, now=PHASES[phase])
    taken = {
        tif
        for tif in TimeInForce
        if tif is not TimeInForce.GTD
        and not codes(order(order_type=order_type, time_in_force=tif, **PRICES[order_type]), around)
    }
    assert taken == TAKEN.get((phase, order_type), ALWAYS)


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_order_for_at_once_is_refused_with_a_sentence_while_the_market_is_closed(tif):
    (refusal,) = validation.refusals(order(time_in_force=tif), replace(AROUND, now=NIGHT))
    assert refusal.code == "TIF_NOT_ALLOWED"
    assert refusal.message == (
        f"{tif} is for an open market, and it is closed until 2026-11-23 14:30 UTC; use DAY to wait for the open."
    )


@pytest.mark.parametrize(
    ("tif", "now", "found"),
    [
        (TimeInForce.OPG, datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC), ["AUCTION_WINDOW"]),  # 18:59:59
        (TimeInForce.OPG, datetime(2026, 11, 20, 0, 0, tzinfo=UTC), []),  # 19:00
        (TimeInForce.OPG, datetime(2026, 11, 20, 14, 27, 59, tzinfo=UTC), []),  # 09:27:59
        (TimeInForce.OPG, datetime(2026, 11, 20, 14, 28, tzinfo=UTC), ["AUCTION_WINDOW"]),
        (TimeInForce.CLS, datetime(2026, 11, 20, 20, 49, 59, tzinfo=UTC), []),
        (TimeInForce.CLS, datetime(2026, 11, 20, 20, 50, tzinfo=UTC), ["AUCTION_WINDOW"]),
        (TimeInForce.CLS, datetime(2026, 11, 27, 17, 49, 59, tzinfo=UTC), []),  # the half day closes at 13:00
        (TimeInForce.CLS, datetime(2026, 11, 27, 17, 50, tzinfo=UTC), ["AUCTION_WINDOW"]),
    ],
)
def test_auction_orders_are_taken_in_their_window_alone(tif, now, found):
    assert codes(order(time_in_force=tif), replace(AROUND, now=now)) == found


@pytest.mark.parametrize(
    ("expires_on", "now", "found"),
    [
        (None, NOON, ["EXPIRES_ON"]),
        (date(2026, 11, 20), NOON, []),
        (date(2026, 11, 20), datetime(2026, 11, 20, 21, 0, tzinfo=UTC), ["EXPIRES_ON"]),  # closed just now
        (date(2026, 11, 19), NOON, ["EXPIRES_ON"]),
        (date(2027, 2, 18), NOON, []),  # exactly 90 days
        (date(2027, 2, 19), NOON, ["EXPIRES_ON"]),
    ],
)
def test_a_dated_order_lasts_from_today_to_90_days(expires_on, now, found):
    dated = order(time_in_force=TimeInForce.GTD, expires_on=expires_on)
    assert codes(dated, replace(AROUND, now=now)) == found


def test_a_last_day_belongs_to_dated_orders_only():
    assert codes(order(expires_on=date(2026, 11, 20))) == ["EXPIRES_ON"]


# ------------------------------------------------------------------ order of the groups, money, warnings


@pytest.mark.parametrize(
    ("new_order", "around", "found"),
    [
        (order(quantity=Decimal(0)), replace(AROUND, account_status=AccountStatus.ARCHIVED), "ACCOUNT_ARCHIVED"),
        (order(quantity=Decimal(0)), replace(AROUND, instrument=None), "SYMBOL_UNKNOWN"),
        (order(order_type=OrderType.LIMIT, quantity=Decimal(0)), AROUND, "QUANTITY_NOT_POSITIVE"),
        (limit("150.001", quantity=Decimal("1.5")), facts(is_fractionable=False), "PRICE_INCREMENT"),
        (sell("1.5", time_in_force=TimeInForce.GTC), facts(is_fractionable=False), "WHOLE_QUANTITY"),
        (sell(101, time_in_force=TimeInForce.OPG), AROUND, "AUCTION_WINDOW"),
        (sell(101, position_effect=PositionEffect.OPEN), AROUND, "EFFECT_MISMATCH"),
    ],
)
def test_of_two_faults_the_earlier_group_is_reported(new_order, around, found):
    assert codes(new_order, around) == [found]


def test_all_faults_of_one_group_are_reported_together():
    bare = order(order_type=OrderType.STOP_LIMIT)
    assert codes(bare) == ["LIMIT_PRICE_REQUIRED", "STOP_PRICE_REQUIRED"]


def test_buying_power_met_exactly_is_enough():
    def check(reserve):
        return validation.buying_power_refusal(order(), reserve_units=reserve, buying_power_units=1_000_000)

    assert check(1_000_000) == ()
    (refusal,) = check(1_010_000)
    assert refusal.code == "INSUFFICIENT_BUYING_POWER"
    assert refusal.message == "This order in AAPL needs 1.01 and the account has 1.00 to spend."


def test_a_limit_more_than_a_fifth_away_is_warned_of():
    assert validation.warnings(limit("120.00"), AROUND) == ()
    (text,) = validation.warnings(limit("119.99"), AROUND)
    assert text == "The limit price 119.99 is 20% away from the last price 150."


def test_an_order_above_a_tenth_of_the_usual_volume_is_warned_of():
    around = replace(AROUND, average_daily_volume=Decimal(1_000))
    assert validation.warnings(order(quantity=Decimal(100)), around) == ()
    assert validation.warnings(order(quantity=Decimal(101)), around) == (
        "101 shares are 10% of the 1000 AAPL traded on an average day.",
    )


def test_a_dated_order_that_ends_today_is_warned_of():
    dated = order(time_in_force=TimeInForce.GTD, expires_on=date(2026, 11, 20))
    assert validation.warnings(dated, AROUND) == ("The order ends today.",)


def test_refusals_speak_in_the_users_numbers():
    (refusal,) = validation.refusals(sell(23), replace(AROUND, position=Decimal(50), held=Decimal(50)))
    assert refusal.message == "The order closes 23 AAPL, but of 50 only 0 are free; other orders hold 50."
    assert (refusal.measured, refusal.limit) == ("23", "0")
