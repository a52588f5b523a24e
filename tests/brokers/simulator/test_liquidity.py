"""How much fills: size, volume, what was used, chance, and what the cash pays."""

from decimal import Decimal

import pytest

from brokers.enums import InstrumentKind, TimeInForce
from brokers.simulator import chance, liquidity
from brokers.simulator.fills import CASH_AT_FILL, FillDecision
from brokers.simulator.presets import PRESETS, CommissionModel, CommissionPlan, LiquidityModel
from tests.brokers.simulator.scenes import (
    answered,
    bps,
    filled,
    order,
    price,
    quantity,
    quote,
    settings,
    shares,
    waiting,
)

BY_SIZE = settings(liquidity=LiquidityModel.SIZE)


def allowed(volume, size, kind=InstrumentKind.EQUITY, **fields):
    offered = liquidity.Availability(kind=kind, volume=volume, size=size)
    rules = settings(liquidity=LiquidityModel.SIZE, **fields)
    return liquidity.allowed_units(rules, offered)


@pytest.mark.parametrize(
    ("volume", "size", "expected"),
    [
        (23_400, 100, 2_340),
        (23_400, 3_000, 3_000),
        (19, 0, 1),  # 10 % is 1.9
        (9, 0, 1),  # at least one when anything traded
        (0, 0, 0),
        (None, 300, 300),
        (0, 300, 300),
        (None, None, 100),
    ],
)
def test_what_one_account_may_take_in_a_minute(volume, size, expected):
    assert allowed(volume, size) == quantity(expected)


def test_one_contract_when_nothing_is_known_of_an_option():
    assert allowed(None, None, InstrumentKind.OPTION) == quantity(1)


def test_depth_multiple_scales_the_shown_size():
    assert allowed(0, 300, depth_multiple=Decimal("1.5")) == quantity(450)


def test_ten_thousand_shares_against_four_minutes():
    left, fills = order("BUY", "MARKET", 10_000), []
    for volume in (23_400, 18_000, 41_250, 80_000):
        look = quote("149.98", "150.02", "150.00", ask_size=100)
        context = shares(settings=BY_SIZE, volume=volume)
        part = filled(order("BUY", "MARKET", 10_000, filled_units=sum(fills)), look, context)
        fills.append(part.quantity_units)
        # Polling again in the same minute gives nothing more.
        again = shares(settings=BY_SIZE, volume=volume, used_units=part.quantity_units)
        if not part.completes_order:
            still = order("BUY", "MARKET", 10_000, filled_units=sum(fills))
            assert waiting(still, look, again).waiting_for.startswith("this minute's share of the volume")
    assert fills == [quantity(2_340), quantity(1_800), quantity(4_125), quantity(1_735)]
    assert sum(fills) == left.quantity_units


def test_used_up_liquidity_is_said_with_numbers():
    context = shares(settings=BY_SIZE, volume=23_400, used_units=quantity(2_340))
    answer = waiting(order("BUY"), quote("149.98", "150.02", "150.00", ask_size=100), context)
    assert answer.waiting_for == "this minute's share of the volume is used up: 2340 of 2340"
    assert answer.attempts == 0


def test_splitting_an_order_does_not_help():
    look = quote("149.98", "150.02", "150.00", ask_size=100)
    first = filled(order("BUY", "MARKET", 1_500), look, shares(settings=BY_SIZE, volume=23_400))
    context = shares(settings=BY_SIZE, volume=23_400, used_units=first.quantity_units)
    second = filled(order("BUY", "MARKET", 1_500), look, context)
    assert first.quantity_units + second.quantity_units == quantity(2_340)


def test_the_far_side_gives_the_size():
    look = quote("149.98", "150.02", "150.00", bid_size=10, ask_size=20)
    context = shares(settings=BY_SIZE, volume=0)
    assert filled(order("BUY"), look, context).quantity_units == quantity(20)
    assert filled(order("SELL"), look, context).quantity_units == quantity(10)


def test_a_fraction_of_a_share_fills_whole():
    context = shares(settings=BY_SIZE, volume=10)
    assert filled(order("BUY", "MARKET", "0.5"), quote("9", "10", "10", ask_size=0), context).completes_order


@pytest.mark.parametrize(("average", "cap"), [(1_000_000, 526), (0, 0)])
def test_an_extended_hour_offers_its_part_of_half_a_percent_of_the_day(average, cap):
    # 0.5 % of a million is 5,000 shares, over nine and a half hours.
    assert liquidity.extended_hour_cap(average_daily_volume=average) == cap


# ---------------------------------------------------------------------- chance


def test_one_evaluation_in_ten_is_partial_whatever_the_size():
    rules = settings(liquidity=LiquidityModel.RANDOM_PARTIAL)
    look = quote("149.98", "150.02", "150.00", ask_size=0)
    fills = [
        filled(order("BUY", "MARKET", 1_000), look, shares(settings=rules, order_key=key)).quantity_units
        for key in range(3_000)
    ]
    partial = [units for units in fills if units < quantity(1_000)]
    # 3,000 x 0.10 = 300; five standard deviations are 82.
    assert 218 < len(partial) < 382
    assert all(units % quantity(1) == 0 and units >= quantity(1) for units in partial)
    # Uniform over the whole order: the mean of 300 draws is 500 within five deviations of 17.
    assert 415 < sum(partial) / len(partial) / quantity(1) < 585


def test_the_same_order_and_attempt_draw_the_same_part():
    rules = settings(liquidity=LiquidityModel.RANDOM_PARTIAL)
    scene = (order("BUY", "MARKET", 1_000, attempts=3), quote("149.98", "150.02", "150.00"))
    one, two = (filled(*scene, shares(settings=rules, order_key=77)) for _ in range(2))
    assert one == two
    assert one.attempts == 4


def test_draws_are_those_of_the_market_and_streams_never_meet():
    # key(42,"path","SPY") and its first draws are check values of the market's design.
    key = 0x1107FDBD72F322BE
    assert chance.value(key, attempt=0, stream=chance.Stream.PARTIAL) == 0x6A0C2ED5C0C17167
    assert chance.value(key, attempt=0, stream=chance.Stream.SIZE) == 0xCEA1691CDAED94A8
    values = {chance.value(key, attempt=n, stream=stream) for n in range(100) for stream in chance.Stream}
    assert len(values) == 500


def test_a_portion_is_the_floor_of_the_uniform():
    # uniform(0) = 0.41424839705064703 by the market's design.
    assert chance.portion(0x6A0C2ED5C0C17167, 1_000) == 414
    assert chance.happens(0x6A0C2ED5C0C17167, Decimal("0.4143"))
    assert not chance.happens(0x6A0C2ED5C0C17167, Decimal("0.4142"))
    assert chance.portion(0, 10) == 0
    assert chance.portion(2**64 - 1, 10) == 9


def test_latency_is_fixed_plus_a_drawn_part():
    assert chance.latency_ms(7, fixed_ms=50, spread_ms=0) == 50
    drawn = {chance.latency_ms(key, fixed_ms=50, spread_ms=2) for key in range(100)}
    assert drawn == {50, 51, 52}


# ---------------------------------------------------------------------- cash and notional


def test_a_gap_at_the_open_cuts_a_buy_to_the_cash():
    # The ask opens at 149.10; 5 bps make 149.18. 670 x 149.18 = 99,950.60; 671 would be 100,099.78.
    context = shares(settings=settings(slippage=bps("5")), cash_units=price("100000"))
    fill = filled(order("BUY", "MARKET", 673), quote("149.08", "149.10", "149.09"), context)
    assert (fill.quantity_units, fill.price_units) == (quantity(670), price("149.18"))
    assert (fill.completes_order, fill.ends_order) == (False, CASH_AT_FILL)
    assert price("100000") - fill.notional_units == price("49.40")


@pytest.mark.parametrize(("cash", "count"), [("1000.35", 10), ("1000.34", 9)])
def test_costs_are_part_of_what_the_cash_must_pay(cash, count):
    plan = CommissionPlan(model=CommissionModel.PER_SHARE, rate=Decimal("0.0035"), minimum=Decimal("0.35"))
    context = shares(settings=settings(share_commission=plan), cash_units=price(cash))
    fill = filled(order("BUY", "MARKET", 10), quote("99.99", "100.00", "100.00"), context)
    assert fill.quantity_units == quantity(count)
    assert fill.notional_units + fill.commission_units <= price(cash)


def test_no_cash_for_a_single_share_ends_the_order():
    context = shares(cash_units=price("99.99"))
    answer = waiting(order("BUY"), quote("99.99", "100.00", "100.00"), context)
    assert answer.ends_order == CASH_AT_FILL
    broke = shares(cash_units=price("-1"))
    assert waiting(order("BUY"), quote("99.99", "100.00", "100.00"), broke).ends_order == CASH_AT_FILL


def test_fok_is_not_cut_by_cash_but_refused():
    context = shares(cash_units=price("9999.99"))
    fok = order("BUY", "MARKET", 100, time_in_force=TimeInForce.FOK)
    assert waiting(fok, quote("99.99", "100.00", "100.00"), context).ends_order == CASH_AT_FILL


def test_sells_need_no_cash():
    assert filled(order("SELL"), quote("99.99", "100.00", "100.00"), shares(cash_units=0)).completes_order


def test_a_notional_buys_what_it_pays_at_the_fill_price():
    context = shares(settings=settings(slippage=bps("5")))
    # 150.02 + 5 bps = 150.10; 1,000.00 / 150.10 = 6.662225183 (floor).
    fill = filled(order("BUY", count=None, notional="1000.00"), quote("149.98", "150.02", "150.00"), context)
    assert fill.quantity_units == quantity("6.662225183")
    assert fill.completes_order
    assert fill.notional_units == price("1000.00")


def test_the_smallest_notional_of_one_dollar():
    fill = filled(order("BUY", count=None, notional="1.00"), quote("149.98", "150.00", "150.00"), shares())
    assert fill.quantity_units == quantity("0.006666666")
    assert fill.notional_units == price("1.00")


def test_a_notional_cut_by_liquidity_works_on():
    look = quote("99.99", "100.00", "100.00", ask_size=3)
    fill = filled(order("BUY", count=None, notional="1000"), look, shares(settings=BY_SIZE, volume=0))
    assert (fill.quantity_units, fill.completes_order, fill.ends_order) == (quantity(3), False, "")


def test_a_notional_ends_when_slippage_takes_what_liquidity_left():
    # 1,000.00 at 99.95 would be 10.005 shares; ten at 99.95 + 5 bps = 100.00 spend it all.
    context = shares(settings=settings(slippage=bps("5"), liquidity=LiquidityModel.SIZE), volume=0)
    fill = filled(order("BUY", count=None, notional="1000"), quote("99.94", "99.95", "99.95", ask_size=10), context)
    assert (fill.quantity_units, fill.notional_units) == (quantity(10), price("1000"))
    assert fill.completes_order


def test_a_quiet_preset_never_fills_more_than_a_generous_one():
    look = quote("149.98", "150.02", "150.00", ask_size=100)
    fills = [
        answered(order("BUY", "MARKET", 5_000), look, shares(settings=PRESETS[name], volume=23_400))
        for name in ("IBKR_TIERED", "CONSERVATIVE", "FRICTIONLESS")
    ]
    assert all(isinstance(fill, FillDecision) for fill in fills)
    assert [fill.quantity_units for fill in fills] == [quantity(585), quantity(2_340), quantity(5_000)]


def test_a_part_worth_nothing_is_not_traded_before_the_rest():
    def after(used):
        return shares(settings=BY_SIZE, volume=19, used_units=quantity(used))

    # 19 of volume allow one share, of which 0.00001 are left: at 150.02 that is 0.0015, which rounds to 0.00.
    scene = quote("149.98", "150.02", ask_size=0)
    found = waiting(order("BUY", count="5"), scene, after("0.99999"))
    assert found.waiting_for == "only 0.00001 could trade now, worth less than half a cent"
    assert found.ends_order == ""
    # 0.00004 are worth 0.0060: a cent.
    found = filled(order("BUY", count="5"), scene, after("0.99996"))
    assert (found.quantity_units, found.notional_units) == (quantity("0.00004"), price("0.01"))


def test_what_completes_an_order_trades_even_when_it_is_worth_nothing():
    found = filled(order("SELL", count="0.00001"), quote("149.98", "150.02"), shares())
    assert (found.notional_units, found.completes_order) == (0, True)


def test_cash_for_less_than_half_a_cent_of_it_ends_a_buy():
    found = waiting(order("BUY", count="1.5"), quote("149.98", "150.02"), shares(cash_units=price("0.0049")))
    assert found.ends_order == CASH_AT_FILL
