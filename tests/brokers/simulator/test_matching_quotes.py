"""Orders against a quote: every line of the table, with the numbers of the design page."""

from decimal import Decimal

import pytest

from brokers.enums import TimeInForce
from brokers.money import round_to_cent
from brokers.simulator.fills import (
    AUCTION_MISSED,
    AUCTION_REMAINDER,
    FOK_NOT_FILLED,
    IOC_REMAINDER,
)
from brokers.simulator.matching import (
    EnvelopeViolation,
    Rule,
    Verdict,
    check_envelope,
    spoken,
    trigger_price,
)
from brokers.simulator.presets import LiquidityModel, SlippageModel, SlippagePlan, Trigger
from tests.brokers.simulator.scenes import (
    SHARES,
    answered,
    bps,
    filled,
    options,
    order,
    price,
    quantity,
    quote,
    settings,
    shares,
    waiting,
)

QUOTE = quote("149.98", "150.02", "150.00")
FIVE_BPS = shares(settings=settings(slippage=bps("5")))
CLOSED = quote("149.98", "150.02", "150.00", is_regular=False)


@pytest.mark.parametrize(("side", "expected"), [("BUY", "150.02"), ("SELL", "149.98")])
def test_a_market_order_gets_the_far_side(side, expected):
    assert filled(order(side), QUOTE, shares()).price_units == price(expected)


@pytest.mark.parametrize(("side", "ask", "bid"), [("BUY", "0", "149.98"), ("SELL", "150.02", "0")])
def test_without_a_quote_on_the_needed_side_a_day_market_order_waits(side, ask, bid):
    answer = waiting(order(side), quote(bid, ask, "150.00"), shares())
    assert answer.waiting_for == f"there is no {'ask' if side == 'BUY' else 'bid'}"
    assert answer.ends_order == ""


def test_without_a_quote_an_immediate_market_order_is_over():
    ioc = order("BUY", time_in_force=TimeInForce.IOC)
    assert waiting(ioc, quote("149.98", "0", "150.00"), shares()).ends_order == IOC_REMAINDER


def test_a_market_order_waits_through_a_halt():
    halted = quote("0", "0", "150.00", is_halted=True)
    assert waiting(order("BUY"), halted, shares()).waiting_for == "trading is halted"


def test_a_market_order_waits_for_regular_hours():
    answer = waiting(order("BUY", time_in_force=TimeInForce.IOC), CLOSED, shares())
    assert (answer.waiting_for, answer.ends_order) == ("the market is closed", "")


# ---------------------------------------------------------------------- limits


def test_a_marketable_limit_pays_slippage_up_to_its_limit():
    assert filled(order("BUY", "LIMIT", limit="150.20"), QUOTE, FIVE_BPS).price_units == price("150.10")
    assert filled(order("BUY", "LIMIT", limit="150.03"), QUOTE, FIVE_BPS).price_units == price("150.03")


def test_a_sell_limit_above_the_bid_waits_and_says_why():
    answer = waiting(order("SELL", "LIMIT", limit="150.03"), QUOTE, FIVE_BPS)
    assert answer.waiting_for == "bid 149.98 < limit 150.03"


def test_a_buy_limit_under_the_ask_says_why_it_waits():
    answer = waiting(order("BUY", "LIMIT", limit="150.00"), quote("150.00", "150.04", "150.02"), shares())
    assert answer.waiting_for == "ask 150.04 > limit 150.00"


def test_a_limit_exactly_on_the_quote_fills():
    assert filled(order("BUY", "LIMIT", limit="150.02"), QUOTE, FIVE_BPS).price_units == price("150.02")
    assert filled(order("SELL", "LIMIT", limit="149.98"), QUOTE, FIVE_BPS).price_units == price("149.98")


def test_one_increment_short_of_the_quote_waits():
    waiting(order("BUY", "LIMIT", limit="150.01"), QUOTE, shares())
    waiting(order("SELL", "LIMIT", limit="149.99"), QUOTE, shares())


def test_a_resting_limit_gets_its_own_price_and_no_improvement():
    fill = filled(order("BUY", "LIMIT", limit="151.00", is_resting=True), QUOTE, FIVE_BPS)
    assert fill.price_units == price("151.00")
    assert fill.evidence["rule"] == Rule.LIMIT_RESTING


def test_a_resting_limit_fills_when_the_print_went_through_it():
    resting = order("BUY", "LIMIT", limit="150.00", is_resting=True)
    through = quote("149.99", "150.02", "149.99")
    assert filled(resting, through, shares()).price_units == price("150.00")


def test_a_new_limit_does_not_fill_on_a_print_alone():
    waiting(order("BUY", "LIMIT", limit="150.00"), quote("149.99", "150.02", "149.99"), shares())


def test_a_print_exactly_at_a_resting_limit_does_not_fill_it():
    resting = order("BUY", "LIMIT", limit="150.00", is_resting=True)
    answer = waiting(resting, QUOTE, shares())
    assert answer.waiting_for == "ask 150.02 > limit 150.00"


def test_with_fill_on_touch_about_one_print_in_four_fills():
    touching = shares(settings=settings(fill_on_touch=True))
    resting = order("BUY", "LIMIT", limit="150.00", is_resting=True)
    answers = [
        type(answered(resting, quote("149.98", "150.02", "150.00", step=step), touching)).__name__
        for step in range(4_000)
    ]
    # 4,000 x 0.25 = 1,000; five standard deviations are 137.
    assert 863 < answers.count("FillDecision") < 1_137


def test_a_touch_leaves_its_draw_in_the_evidence():
    touching = shares(settings=settings(fill_on_touch=True))
    resting = order("BUY", "LIMIT", limit="150.00", is_resting=True)
    looks = (quote("149.98", "150.02", "150.00", step=step) for step in range(100))
    answers = (answered(resting, look, touching) for look in looks)
    touched = next(answer for answer in answers if type(answer).__name__ == "FillDecision")
    assert touched.evidence["rule"] == Rule.LIMIT_TOUCHED
    assert [draw["stream"] for draw in touched.evidence["draws"]] == [3]


def test_an_extended_hours_limit_trades_on_extended_quotes():
    extended = order("BUY", "LIMIT", limit="150.02", extended_hours=True)
    assert filled(extended, CLOSED, shares()).price_units == price("150.02")


def test_what_is_left_of_the_extended_hour_bounds_the_fill():
    context = shares(settings=settings(liquidity=LiquidityModel.SIZE), hour_left=40)
    extended = order("BUY", "LIMIT", limit="150.02", extended_hours=True)
    assert filled(extended, CLOSED, context).quantity_units == quantity(40)


# ---------------------------------------------------------------------- stops


def test_a_stop_exactly_on_the_print_triggers_and_fills_on_the_same_quote():
    fill = filled(order("BUY", "STOP", stop="150.00"), QUOTE, FIVE_BPS)
    assert fill.price_units == price("150.10")
    assert fill.is_triggered
    assert filled(order("SELL", "STOP", stop="150.00"), QUOTE, FIVE_BPS).price_units == price("149.90")


def test_a_stop_one_increment_away_waits():
    answer = waiting(order("BUY", "STOP", stop="150.01"), QUOTE, shares())
    assert answer.waiting_for == "last 150.00 < stop 150.01"
    assert not answer.is_triggered
    assert waiting(order("SELL", "STOP", stop="149.99"), QUOTE, shares()).waiting_for == ("last 150.00 > stop 149.99")


@pytest.mark.parametrize(
    ("last", "triggers"),
    [
        ("149.94", True),  # exactly one spread of 0.04 under the bid
        ("149.93", False),
    ],
)
def test_a_print_more_than_one_spread_outside_the_quote_triggers_nothing(last, triggers):
    look = quote("149.98", "150.02", last)
    scene = (order("SELL", "STOP", stop="149.94"), look, shares())
    if triggers:
        assert filled(*scene).price_units == price("149.98")
    else:
        assert waiting(*scene).waiting_for == "there is no usable trigger price"


def test_a_triggered_stop_without_a_quote_stays_triggered():
    one_sided = quote("149.98", "0", "150.00")
    answer = waiting(order("BUY", "STOP", stop="150.00"), one_sided, shares())
    assert answer.is_triggered
    later = order("BUY", "STOP", stop="150.00", is_triggered=True)
    assert filled(later, quote("148.98", "149.02", "149.00"), shares()).price_units == price("149.02")


def test_no_stop_wakes_outside_regular_hours():
    waiting(order("SELL", "STOP", stop="151.00"), CLOSED, shares())


@pytest.mark.parametrize(
    ("trigger", "side", "expected"),
    [
        (Trigger.LAST, "BUY", "150.01"),
        (Trigger.MARK, "BUY", "150.00"),
        (Trigger.QUOTE, "BUY", "150.02"),
        (Trigger.QUOTE, "SELL", "149.98"),
    ],
)
def test_the_price_that_triggers(trigger, side, expected):
    look = quote("149.98", "150.02", "150.01")
    assert trigger_price(order(side).side, look, trigger=trigger) == price(expected)


def test_an_option_stop_is_triggered_by_the_mark_not_by_the_last():
    stop = order("SELL", "STOP", 1, stop="2.00")
    waiting(stop, quote("2.00", "2.10", "1.95"), options())  # mark 2.05
    assert filled(stop, quote("1.95", "2.05", "2.10"), options()).price_units == price("1.95")


def test_a_stop_limit_fills_within_its_limit_at_the_triggering_quote():
    terms = order("BUY", "STOP_LIMIT", stop="150.00", limit="150.05")
    assert filled(terms, QUOTE, FIVE_BPS).price_units == price("150.05")


def test_a_stop_limit_skipped_by_a_gap_rests_triggered_and_fills_at_its_limit():
    terms = order("BUY", "STOP_LIMIT", stop="150.00", limit="150.01")
    answer = waiting(terms, QUOTE, shares())
    assert answer.is_triggered
    assert answer.waiting_for == "ask 150.02 > limit 150.01"
    later = order("BUY", "STOP_LIMIT", stop="150.00", limit="150.01", is_triggered=True, is_resting=True)
    # The last price is back under the stop: it stays triggered for good.
    assert filled(later, quote("149.90", "149.94", "149.92"), shares()).price_units == price("150.01")


# ---------------------------------------------------------------------- trailing stops


def test_a_trailing_stop_follows_the_high_and_never_moves_back():
    terms = order("SELL", "TRAILING_STOP", trail_amount="2.00", watermark="100.00")
    up = waiting(terms, quote("103.00", "103.02", "103.00"), shares())
    assert up.watermark_units == price("103.00")
    assert up.waiting_for == "last 103.00 > stop 101.00"
    after = order("SELL", "TRAILING_STOP", trail_amount="2.00", watermark="103.00")
    back = waiting(after, quote("101.50", "101.52", "101.50"), shares())
    assert back.watermark_units == price("103.00")
    assert filled(after, quote("100.99", "101.01", "101.00"), shares()).price_units == price("100.99")


def test_a_trailing_stop_starts_at_its_first_price():
    answer = waiting(order("BUY", "TRAILING_STOP", trail_amount="1.00"), QUOTE, shares())
    assert answer.watermark_units == price("150.00")
    assert answer.waiting_for == "last 150.00 < stop 151.00"


def test_a_percent_trail_is_rounded_away_from_the_price():
    # 33.33 + 2.5 % = 34.16325, up; 33.33 - 2.5 % = 32.49675, down.
    look = quote("33.32", "33.34", "33.33")
    buy = waiting(order("BUY", "TRAILING_STOP", trail_percent="2.5"), look, shares())
    assert buy.waiting_for == "last 33.33 < stop 34.17"
    sell = waiting(order("SELL", "TRAILING_STOP", trail_percent="2.5"), look, shares())
    assert sell.waiting_for == "last 33.33 > stop 32.49"


def test_a_wild_print_does_not_move_the_watermark():
    wild = quote("100.00", "100.02", "140.00")
    terms = order("SELL", "TRAILING_STOP", trail_amount="2.00", watermark="100.00")
    assert waiting(terms, wild, shares()).watermark_units == price("100.00")


# ---------------------------------------------------------------------- auctions, ioc, fok


def opg(side="BUY", kind="MARKET", **fields):
    return order(side, kind, time_in_force=TimeInForce.OPG, **fields)


OPENING = quote("149.98", "150.02", "150.00", is_opening_print=True)


def test_an_opening_order_gets_the_print_without_spread_but_with_slippage():
    # 150.00 + 5 bps = 150.075, up; 150.00 - 5 bps = 149.925, down.
    assert filled(opg("BUY"), OPENING, FIVE_BPS).price_units == price("150.08")
    assert filled(opg("SELL"), OPENING, FIVE_BPS).price_units == price("149.92")


def test_an_opening_order_waits_for_the_opening_print_only():
    assert waiting(opg(), QUOTE, shares()).waiting_for == "the opening print"
    halted = quote("0", "0", "150.00", is_halted=True)
    assert waiting(opg(), halted, shares()).ends_order == ""


def test_an_opening_limit_holds_and_ends_when_the_print_is_beyond_it():
    assert filled(opg("BUY", "LIMIT", limit="150.00"), OPENING, FIVE_BPS).price_units == price("150.00")
    missed = waiting(opg("BUY", "LIMIT", limit="149.99"), OPENING, FIVE_BPS)
    assert (missed.ends_order, missed.waiting_for) == (AUCTION_MISSED, "print 150.00 > limit 149.99")


def test_a_closing_order_takes_the_closing_print():
    closing = quote("149.98", "150.02", "150.01", is_closing_print=True)
    terms = order("SELL", time_in_force=TimeInForce.CLS)
    waiting(terms, OPENING, shares())
    assert filled(terms, closing, shares()).price_units == price("150.01")


def test_what_an_auction_leaves_over_is_canceled():
    thin = quote("149.98", "150.02", "150.00", is_opening_print=True, ask_size=30)
    context = shares(settings=settings(liquidity=LiquidityModel.SIZE), volume=0)
    fill = filled(opg(), thin, context)
    assert (fill.quantity_units, fill.ends_order) == (quantity(30), AUCTION_REMAINDER)


def test_like_alpaca_auction_orders_mostly_expire():
    context = settings(auction_fill_probability=Decimal("0.10"))
    answers = [answered(opg(), OPENING, shares(settings=context, order_key=key)) for key in range(2_000)]
    fills = [answer for answer in answers if type(answer).__name__ == "FillDecision"]
    # 2,000 x 0.10 = 200; five standard deviations are 67.
    assert 133 < len(fills) < 267
    assert {answer.ends_order for answer in answers if answer not in fills} == {AUCTION_MISSED}
    assert [draw["stream"] for draw in fills[0].evidence["draws"]] == [4]


def test_ioc_takes_what_is_there_and_fok_all_or_nothing():
    context = shares(settings=settings(liquidity=LiquidityModel.SIZE), volume=0)
    thin = quote("149.98", "150.02", "150.00", ask_size=99)
    part = filled(order("BUY", time_in_force=TimeInForce.IOC), thin, context)
    assert (part.quantity_units, part.ends_order) == (quantity(99), IOC_REMAINDER)
    none = waiting(order("BUY", time_in_force=TimeInForce.FOK), thin, context)
    assert none.ends_order == FOK_NOT_FILLED
    assert none.waiting_for == "only 99 of 100 could trade at once"
    enough = quote("149.98", "150.02", "150.00", ask_size=100)
    assert filled(order("BUY", time_in_force=TimeInForce.FOK), enough, context).completes_order


# ---------------------------------------------------------------------- rounding and the envelope


def test_money_ties_go_away_from_zero():
    assert round_to_cent(price("10.005")) == price("10.01")
    assert round_to_cent(price("-0.005")) == price("-0.01")


def test_slippage_of_exactly_half_an_increment_goes_against_the_trader():
    context = shares(settings=settings(slippage=bps("0.5")))  # 100.00 x 0.5 bps = 0.005
    look = quote("100.00", "100.00", "100.00")
    assert filled(order("BUY"), look, context).price_units == price("100.01")
    assert filled(order("SELL"), look, context).price_units == price("99.99")


def test_an_exact_multiple_stays():
    context = shares(settings=settings(slippage=bps("1")))  # 100.00 x 1 bp = 0.01
    assert filled(order("BUY"), quote("99.99", "100.00", "100.00"), context).price_units == price("100.01")


def test_below_one_dollar_the_increment_is_a_hundredth_of_a_cent():
    context = shares(settings=settings(slippage=bps("5")))  # 0.9990 x 5 bps = 0.0004995
    assert filled(order("BUY"), quote("0.9980", "0.9990", "0.9985"), context).price_units == price("0.9995")


def test_a_sell_never_gets_less_than_one_increment():
    plan = SlippagePlan(model=SlippageModel.SPREAD_FRACTION)
    context = options(settings=settings(option_slippage=plan))
    # Bid 0.01, spread 0.09: 0.01 - 0.0225 would be below nothing.
    assert filled(order("SELL", "MARKET", 1), quote("0.01", "0.10", "0.05"), context).price_units == price("0.01")


def envelope(side, text, **fields):
    verdict = Verdict(rule=Rule.MARKET, lowest_units=price("149.98"), highest_units=price("150.02"), **fields)
    check_envelope(verdict, side=order(side).side, price_units=price(text), slippage_units=5_000, increments=SHARES)


def test_the_envelope_is_the_quote_and_slippage_rounded_outward():
    envelope("BUY", "150.03")
    envelope("SELL", "149.97")
    with pytest.raises(EnvelopeViolation, match=r"BUY at 150\.04 would lie outside 149\.97 to 150\.03"):
        envelope("BUY", "150.04")
    with pytest.raises(EnvelopeViolation):
        envelope("SELL", "149.96")


def test_the_envelope_holds_limits():
    envelope("BUY", "150.02", limit_units=price("150.02"))
    with pytest.raises(EnvelopeViolation, match=r"limit 150\.01"):
        envelope("BUY", "150.02", limit_units=price("150.01"))
    with pytest.raises(EnvelopeViolation):
        envelope("SELL", "149.98", limit_units=price("149.99"))


@pytest.mark.parametrize(
    ("units", "text"),
    [(150_040_000, "150.04"), (999_900, "0.9999"), (1_000_000, "1.00"), (-2_500_000, "-2.50")],
)
def test_prices_are_spoken_with_at_least_two_decimals(units, text):
    assert spoken(units) == text
