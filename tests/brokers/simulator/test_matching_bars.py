"""Orders against bars: every line of the table; half of the assumed spread is one cent up to 100."""

from decimal import Decimal

import pytest

from brokers.enums import Side, TimeInForce
from brokers.simulator.bars import Exit, half_spread
from brokers.simulator.fills import AUCTION_MISSED
from brokers.simulator.matching import EnvelopeViolation, Rule, Verdict, check_envelope, first_exit
from brokers.simulator.presets import LiquidityModel
from tests.brokers.simulator.scenes import (
    SHARES,
    bar,
    bps,
    filled,
    order,
    price,
    quantity,
    settings,
    shares,
    waiting,
)

FIVE_BPS = shares(settings=settings(slippage=bps("5")))
PLAIN = shares()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("47.20", "0.01"),  # 2 bps are 0.00944: the increment is wider, half of it 0.005, up
        ("100.00", "0.01"),  # exactly 0.02
        ("100.01", "0.02"),  # 0.010001, up
        ("300.00", "0.03"),
        ("0.5000", "0.0001"),  # 2 bps are one increment of 0.0001, half of it up
    ],
)
def test_half_the_assumed_spread(at, expected):
    assert half_spread(price(at), increments=SHARES, spread_bps=Decimal(2)) == price(expected)


@pytest.mark.parametrize(("side", "expected"), [("BUY", "50.01"), ("SELL", "49.99")])
def test_a_market_order_gets_the_open_and_half_the_spread(side, expected):
    assert filled(order(side), bar("50.00", "51.00", "49.00", "50.50"), PLAIN).price_units == price(expected)


# ---------------------------------------------------------------------- limits


def test_a_limit_within_the_open_gets_the_open():
    look = bar("50.00", "51.00", "49.00", "50.50")
    assert filled(order("BUY", "LIMIT", limit="50.50"), look, PLAIN).price_units == price("50.01")
    assert filled(order("BUY", "LIMIT", limit="50.02"), look, FIVE_BPS).price_units == price("50.02")


def test_a_trade_exactly_at_the_limit_does_not_fill_and_one_increment_through_does():
    at = bar("50.00", "50.50", "49.00", "50.00")
    answer = waiting(order("BUY", "LIMIT", limit="49.00"), at, PLAIN)
    assert answer.waiting_for == "low 49.00 is not under limit 49.00"
    fill = filled(order("BUY", "LIMIT", limit="49.01"), at, PLAIN)
    assert (fill.price_units, fill.evidence["rule"]) == (price("49.01"), Rule.BAR_LIMIT)


def test_a_sell_limit_needs_a_high_one_increment_above_it():
    at = bar("50.00", "51.00", "49.00", "50.00")
    waiting(order("SELL", "LIMIT", limit="51.00"), at, PLAIN)
    assert filled(order("SELL", "LIMIT", limit="50.99"), at, PLAIN).price_units == price("50.99")


def test_one_increment_through_a_limit_of_one_dollar_is_a_hundredth_of_a_cent_below_and_a_cent_above():
    below = bar("1.10", "1.20", "0.9999", "1.10")
    assert filled(order("BUY", "LIMIT", limit="1.00"), below, PLAIN).price_units == price("1.00")
    waiting(order("SELL", "LIMIT", limit="1.00"), bar("0.90", "1.00", "0.90", "0.95"), PLAIN)
    above = bar("0.90", "1.01", "0.90", "0.95")
    assert filled(order("SELL", "LIMIT", limit="1.00"), above, PLAIN).price_units == price("1.00")


def test_a_gap_through_a_limit_fills_at_the_open():
    gap = bar("47.20", "47.50", "47.00", "47.30")
    assert filled(order("BUY", "LIMIT", limit="49.00"), gap, PLAIN).price_units == price("47.21")


def test_an_immediate_limit_sees_the_open_alone():
    look = bar("50.00", "50.50", "48.00", "50.00")
    waiting(order("BUY", "LIMIT", limit="49.00", time_in_force=TimeInForce.IOC), look, PLAIN)


# ---------------------------------------------------------------------- stops


def test_a_gap_through_a_sell_stop_gets_the_open_never_the_stop():
    # O 47.20, h 0.01: 47.19 x 0.9995 = 47.166, down.
    fill = filled(order("SELL", "STOP", stop="50.00"), bar("47.20", "48.00", "47.00", "47.50"), FIVE_BPS)
    assert (fill.price_units, fill.evidence["rule"]) == (price("47.16"), Rule.BAR_STOP_GAP)


def test_a_stop_touched_inside_the_bar():
    # 49.99 x 0.9995 = 49.965, down.
    fill = filled(order("SELL", "STOP", stop="50.00"), bar("51.00", "51.50", "50.00", "51.00"), FIVE_BPS)
    assert (fill.price_units, fill.evidence["rule"]) == (price("49.96"), Rule.BAR_STOP)


def test_a_stop_one_increment_from_the_low_waits():
    answer = waiting(order("SELL", "STOP", stop="49.99"), bar("51.00", "51.50", "50.00", "51.00"), PLAIN)
    assert answer.waiting_for == "low 50.00 > stop 49.99"
    assert not answer.is_triggered


def test_a_buy_stop_mirrors():
    inside = bar("49.00", "50.00", "48.50", "49.50")
    assert filled(order("BUY", "STOP", stop="50.00"), inside, PLAIN).price_units == price("50.01")
    gap = bar("52.00", "53.00", "51.50", "52.00")
    assert filled(order("BUY", "STOP", stop="50.00"), gap, PLAIN).price_units == price("52.01")


def test_a_stop_limit_at_a_gap_within_its_limit_gets_the_open():
    terms = order("BUY", "STOP_LIMIT", stop="50.00", limit="50.60")
    fill = filled(terms, bar("50.50", "51.00", "50.20", "50.90"), PLAIN)
    assert (fill.price_units, fill.evidence["rule"]) == (price("50.51"), Rule.BAR_STOP_GAP)


def test_a_stop_limit_triggered_inside_the_bar_counts_the_close_only():
    terms = order("BUY", "STOP_LIMIT", stop="50.00", limit="50.40")
    # The close is the only price certainly after the trigger: 50.30 + 0.01.
    assert filled(terms, bar("49.50", "51.00", "49.40", "50.30"), PLAIN).price_units == price("50.31")
    # A close under the stop does not make it cheaper than the stop: 50.00 + 0.01.
    assert filled(terms, bar("49.50", "51.00", "49.40", "49.60"), PLAIN).price_units == price("50.01")
    # Exactly at the limit, bounded by it.
    assert filled(terms, bar("49.50", "51.00", "49.40", "50.40"), PLAIN).price_units == price("50.40")


def test_a_stop_limit_skipped_by_a_gap_rests_as_a_limit_from_the_next_bar():
    terms = order("BUY", "STOP_LIMIT", stop="50.00", limit="50.40")
    answer = waiting(terms, bar("51.00", "52.00", "50.80", "51.50"), PLAIN)
    assert (answer.is_triggered, answer.waiting_for) == (True, "close 51.50 > limit 50.40")
    resting = order("BUY", "STOP_LIMIT", stop="50.00", limit="50.40", is_triggered=True, is_resting=True)
    assert filled(resting, bar("51.00", "51.20", "50.39", "51.00"), PLAIN).price_units == price("50.40")


def test_a_triggered_stop_fills_at_the_next_open():
    terms = order("SELL", "STOP", stop="50.00", is_triggered=True)
    assert filled(terms, bar("52.00", "53.00", "51.00", "52.00"), PLAIN).price_units == price("51.99")


# ---------------------------------------------------------------------- trailing stops


def test_a_sell_trail_is_moved_by_the_high_and_met_by_the_close():
    # Old stop 98 not reached by 98.50; new stop 103 - 2 = 101; close 100.90: 100.99 x 0.9995 = 100.939.
    terms = order("SELL", "TRAILING_STOP", trail_amount="2.00", watermark="100.00")
    fill = filled(terms, bar("99.50", "103.00", "98.50", "100.90"), FIVE_BPS)
    assert fill.price_units == price("100.93")


def test_a_sell_trail_whose_close_stays_above_the_new_stop_waits_with_the_new_watermark():
    terms = order("SELL", "TRAILING_STOP", trail_amount="2.00", watermark="100.00")
    answer = waiting(terms, bar("99.50", "103.00", "98.50", "101.01"), PLAIN)
    assert answer.watermark_units == price("103.00")
    assert answer.waiting_for == "close 101.01 > stop 101.00"


def test_a_sell_trail_reached_at_its_old_stop_does_not_profit_from_the_high():
    terms = order("SELL", "TRAILING_STOP", trail_amount="2.00", watermark="100.00")
    assert filled(terms, bar("99.50", "103.00", "98.00", "102.00"), PLAIN).price_units == price("97.99")
    assert filled(terms, bar("97.00", "103.00", "96.00", "102.00"), PLAIN).price_units == price("96.99")


def test_a_trail_without_a_watermark_starts_at_the_open():
    terms = order("BUY", "TRAILING_STOP", trail_amount="1.00")
    assert filled(terms, bar("50.00", "51.00", "49.50", "50.80"), PLAIN).price_units == price("51.01")
    answer = waiting(terms, bar("50.00", "50.99", "49.99", "50.80"), PLAIN)
    assert answer.watermark_units == price("49.99")


# ---------------------------------------------------------------------- auctions, halts, volume


def test_opening_and_closing_orders_get_the_prints():
    opening = order("BUY", time_in_force=TimeInForce.OPG)
    closing = order("SELL", time_in_force=TimeInForce.CLS)
    first = bar("50.00", "51.00", "49.00", "50.50", is_first=True)
    last = bar("50.00", "51.00", "49.00", "50.50", is_last=True)
    assert filled(opening, first, PLAIN).price_units == price("50.00")
    assert waiting(opening, last, PLAIN).waiting_for == "the opening print"
    assert filled(closing, last, PLAIN).price_units == price("50.50")
    limited = order("SELL", "LIMIT", limit="50.51", time_in_force=TimeInForce.CLS)
    assert waiting(limited, last, PLAIN).ends_order == AUCTION_MISSED


def test_a_halted_bar_fills_nothing():
    halted = bar("50.00", "50.00", "50.00", "50.00", is_halted=True)
    assert waiting(order("BUY"), halted, PLAIN).waiting_for == "trading is halted"


@pytest.mark.parametrize(("volume", "expected"), [(9, 1), (10, 1), (25, 2), (None, 100)])
def test_bars_give_a_share_of_their_own_volume(volume, expected):
    context = shares(settings=settings(liquidity=LiquidityModel.SIZE), volume=1_000_000)
    look = bar("50.00", "51.00", "49.00", "50.50", volume=volume)
    assert filled(order("BUY", "MARKET", 500), look, context).quantity_units == quantity(expected)


def test_a_bar_without_volume_fills_nothing():
    context = shares(settings=settings(liquidity=LiquidityModel.SIZE))
    answer = waiting(order("BUY"), bar("50.00", "50.00", "50.00", "50.00", volume=0), context)
    assert answer.waiting_for == "nothing traded"


# ---------------------------------------------------------------------- both exits, the envelope

LONG_EXITS = {"target_units": price("55.00"), "stop_units": price("45.00")}
SHORT_EXITS = {"target_units": price("45.00"), "stop_units": price("55.00")}


@pytest.mark.parametrize(
    ("side", "exits", "prices", "expected"),
    [
        (Side.SELL, LONG_EXITS, ("56.00", "57.00", "44.00", "50.00"), Exit.TARGET),
        (Side.SELL, LONG_EXITS, ("44.00", "57.00", "43.00", "50.00"), Exit.STOP),
        (Side.SELL, LONG_EXITS, ("50.00", "57.00", "44.00", "56.00"), Exit.STOP),
        (Side.SELL, LONG_EXITS, ("50.00", "57.00", "46.00", "50.00"), Exit.TARGET),
        (Side.SELL, LONG_EXITS, ("50.00", "55.00", "45.01", "50.00"), None),
        (Side.BUY, SHORT_EXITS, ("44.00", "56.00", "43.00", "50.00"), Exit.TARGET),
        (Side.BUY, SHORT_EXITS, ("50.00", "55.00", "44.00", "44.00"), Exit.STOP),
    ],
)
def test_both_exits_in_one_bar(side, exits, prices, expected):
    assert first_exit(side, **exits, bar=bar(*prices)) is expected


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (("56.00", "57.00", "44.00", "56.00"), Exit.STOP),  # the open is past
        (("50.00", "57.00", "46.00", "50.00"), None),  # the high may have come before the entry
        (("50.00", "57.00", "46.00", "55.01"), Exit.TARGET),
        (("50.00", "57.00", "45.00", "56.00"), Exit.STOP),
    ],
)
def test_exits_after_an_entry_inside_the_same_bar(prices, expected):
    assert first_exit(Side.SELL, **LONG_EXITS, bar=bar(*prices), entered_at_open=False) is expected


def test_the_envelope_of_a_bar_is_its_range_with_half_spread_and_slippage():
    verdict = Verdict(rule=Rule.BAR_OPEN, lowest_units=price("48.99"), highest_units=price("51.01"))
    scene = {"side": Side.BUY, "slippage_units": price("0.005"), "increments": SHARES}
    check_envelope(verdict, price_units=price("51.02"), **scene)
    with pytest.raises(EnvelopeViolation):
        check_envelope(verdict, price_units=price("51.03"), **scene)
