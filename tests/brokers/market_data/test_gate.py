"""The price gate, check by check, each limit from both sides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from brokers.enums import InstrumentKind
from brokers.market_data import gate
from brokers.market_data.gate import (
    EffectiveEvent,
    GateContext,
    GateOutcome,
    Reading,
    ReceivedQuote,
    ReceivedTrade,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
YESTERDAY = datetime(2026, 11, 19, 21, 0, tzinfo=UTC)
THIS_MORNING = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

EQUITY = GateContext(symbol="AAPL", kind=InstrumentKind.EQUITY, now=NOW)
OPTION = GateContext(symbol="AAPL261218C00190000", kind=InstrumentKind.OPTION, now=NOW)


def quote(bid, ask, *, source="alpaca", as_of=NOW):
    sides = [side if side is None else Decimal(side) for side in (bid, ask)]
    return ReceivedQuote(source=source, as_of=as_of, bid=sides[0], ask=sides[1])


def trade(price, *, source="alpaca", as_of=NOW):
    return ReceivedTrade(source=source, as_of=as_of, price=price if price is None else Decimal(price))


def reading(price, *, source="alpaca", as_of=NOW - timedelta(seconds=60)):
    return Reading(source=source, as_of=as_of, price=Decimal(price))


# A price is a price


def test_a_sound_quote_is_worth_its_midpoint_unrounded():
    result = gate.judge(quote("100.01", "100.02"), context=EQUITY)
    assert result.outcome is GateOutcome.ACCEPTED
    assert result.price == Decimal("100.015")
    assert (result.code, result.reason) == ("", "")


@pytest.mark.parametrize("nothing", [None, "0", "-1", "NaN", "sNaN", "Infinity"])
def test_nothing_zero_negative_and_not_a_number_are_missing(nothing):
    for received, code in [
        (quote(nothing, "100"), "no_bid"),
        (quote("100", nothing), "no_ask"),
        (trade(nothing), "no_price"),
    ]:
        result = gate.judge(received, context=EQUITY)
        assert (result.outcome, result.price, result.code) == (GateOutcome.MISSING, None, code)


def test_a_locked_quote_is_a_quote():
    assert gate.judge(quote("100.00", "100.00"), context=EQUITY).price == 100


def test_a_crossed_quote_is_missing():
    result = gate.judge(quote("100.01", "100.00"), context=EQUITY)
    assert (result.outcome, result.code) == (GateOutcome.MISSING, "crossed")
    assert result.reason == ("The quote of AAPL from alpaca is crossed: its bid of 100.01 is above its ask of 100.00.")


@pytest.mark.parametrize(
    ("context", "bid", "ask", "outcome"),
    [
        (EQUITY, "97.50", "102.50", GateOutcome.ACCEPTED),  # 5 of 100: exactly 5 %
        (EQUITY, "97.49", "102.51", GateOutcome.MISSING),
        (OPTION, "3.00", "5.00", GateOutcome.ACCEPTED),  # 2 of 4: exactly 50 %
        (OPTION, "2.99", "5.01", GateOutcome.MISSING),
        (OPTION, "0.01", "0.11", GateOutcome.ACCEPTED),  # 167 %, but exactly 0.10
        (OPTION, "0.01", "0.12", GateOutcome.MISSING),
        (EQUITY, "0.10", "0.20", GateOutcome.MISSING),  # the ten cents are for options only
    ],
)
def test_the_widest_spread(context, bid, ask, outcome):
    assert gate.judge(quote(bid, ask), context=context).outcome is outcome


def test_the_sentence_about_a_wide_quote_has_its_numbers():
    result = gate.judge(quote("90", "110"), context=EQUITY)
    assert result.reason == (
        "The quote of AAPL from alpaca is too wide: 90 to 110 is 20.0 % of the middle, more than 5.0 %."
    )


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [
        (timedelta(seconds=2), GateOutcome.ACCEPTED),
        (timedelta(seconds=2, microseconds=1), GateOutcome.REFUSED),
        (timedelta(hours=-3), GateOutcome.ACCEPTED),  # age is judged where prices are chosen
    ],
)
def test_a_time_in_the_future_is_refused(ahead, outcome):
    assert gate.judge(trade("100", as_of=NOW + ahead), context=EQUITY).outcome is outcome


def test_a_flawed_price_leaves_the_quarantined_one_alone():
    context = replace(EQUITY, accepted=reading("100"), quarantined=reading("150"))
    for received in (trade(None), quote("101", "100"), trade("100", as_of=NOW + timedelta(seconds=9))):
        assert gate.judge(received, context=context).quarantined == reading("150")


# Jumps


@pytest.mark.parametrize(
    ("price", "outcome"),
    [
        ("120", GateOutcome.ACCEPTED),  # exactly 20 %
        ("120.000001", GateOutcome.QUARANTINED),
        ("80", GateOutcome.ACCEPTED),
        ("79.999999", GateOutcome.QUARANTINED),
    ],
)
def test_a_jump_from_100(price, outcome):
    result = gate.judge(trade(price), context=replace(EQUITY, accepted=reading("100")))
    assert result.outcome is outcome
    assert (result.price is None) is (outcome is GateOutcome.QUARANTINED)


def test_a_quarantined_price_is_kept_with_its_source_and_time():
    result = gate.judge(trade("150"), context=replace(EQUITY, accepted=reading("100")))
    assert result.quarantined == reading("150", as_of=NOW)
    assert result.code == "jump"
    assert result.reason == (
        "AAPL moved from 100 to 150, more than 20.0 % at once. A second source, or a second reading 30 s "
        "after the first, must confirm it within 5.0 %."
    )


def test_the_first_price_of_an_instrument_has_nothing_to_jump_from():
    assert gate.judge(trade("150"), context=EQUITY).price == 150


def test_options_may_jump():
    context = replace(OPTION, accepted=reading("1.00"))
    assert gate.judge(quote("8.00", "8.20"), context=context).price == Decimal("8.10")


def test_a_quote_is_measured_by_its_midpoint():
    context = replace(EQUITY, accepted=reading("100"))
    assert gate.judge(quote("119", "121"), context=context).outcome is GateOutcome.ACCEPTED
    assert gate.judge(quote("119", "121.01"), context=context).outcome is GateOutcome.QUARANTINED


# Confirmation

FIRST = reading("200", as_of=NOW - timedelta(seconds=10))
JUMPED = replace(EQUITY, accepted=reading("100"), quarantined=FIRST)


@pytest.mark.parametrize(
    ("price", "outcome"),
    [
        ("210", GateOutcome.ACCEPTED),  # exactly 5 %
        ("210.000001", GateOutcome.QUARANTINED),
        ("190", GateOutcome.ACCEPTED),
        ("189.999999", GateOutcome.QUARANTINED),
    ],
)
def test_a_second_source_within_five_percent_releases_at_once(price, outcome):
    result = gate.judge(trade(price, source="tradier"), context=JUMPED)
    assert result.outcome is outcome
    if outcome is GateOutcome.ACCEPTED:
        assert (result.price, result.quarantined, result.code) == (Decimal(price), None, "second_source")


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(0, GateOutcome.QUARANTINED), (29.999999, GateOutcome.QUARANTINED), (30, GateOutcome.ACCEPTED)],
)
def test_a_second_reading_releases_after_thirty_seconds(seconds, outcome):
    later = FIRST.as_of + timedelta(seconds=seconds)
    result = gate.judge(trade("205", as_of=later), context=replace(JUMPED, now=later))
    assert result.outcome is outcome
    if outcome is GateOutcome.ACCEPTED:
        assert (result.price, result.quarantined, result.code) == (Decimal(205), None, "second_reading")
    else:
        assert result.quarantined == FIRST  # the thirty seconds run from the first reading


def test_reading_the_same_stale_price_again_confirms_nothing():
    much_later = replace(JUMPED, now=NOW + timedelta(minutes=5))
    result = gate.judge(trade("200", as_of=FIRST.as_of), context=much_later)
    assert result.outcome is GateOutcome.QUARANTINED


def test_another_jump_elsewhere_starts_a_new_quarantine():
    later = FIRST.as_of + timedelta(seconds=60)
    result = gate.judge(trade("300", as_of=later), context=replace(JUMPED, now=later))
    assert result.outcome is GateOutcome.QUARANTINED
    assert result.quarantined == reading("300", as_of=later)


def test_a_price_back_where_it_was_clears_the_quarantine():
    result = gate.judge(trade("101"), context=JUMPED)
    assert (result.outcome, result.price, result.quarantined) == (GateOutcome.ACCEPTED, 101, None)


# Splits and dividends

TWO_FOR_ONE = EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, split_ratio=Fraction(2))
CLOSE_BEFORE = reading("200", as_of=YESTERDAY)


@pytest.mark.parametrize(
    ("price", "outcome"),
    [
        ("100", GateOutcome.ACCEPTED),  # 200 before is 100 now
        ("120", GateOutcome.ACCEPTED),
        ("120.01", GateOutcome.QUARANTINED),
        ("200", GateOutcome.QUARANTINED),  # a source that has not noticed
    ],
)
def test_after_a_split_the_previous_price_is_adjusted(price, outcome):
    context = replace(EQUITY, accepted=CLOSE_BEFORE, event=TWO_FOR_ONE)
    assert gate.judge(trade(price), context=context).outcome is outcome


def test_without_the_split_the_same_price_would_be_a_jump():
    context = replace(EQUITY, accepted=CLOSE_BEFORE)
    assert gate.judge(trade("100"), context=context).outcome is GateOutcome.QUARANTINED


def test_a_price_accepted_since_the_split_is_not_adjusted_again():
    context = replace(EQUITY, accepted=reading("100"), event=TWO_FOR_ONE)
    assert gate.judge(trade("101"), context=context).outcome is GateOutcome.ACCEPTED
    assert gate.judge(trade("50"), context=context).outcome is GateOutcome.QUARANTINED


def test_a_price_quarantined_before_the_split_is_confirmed_on_the_new_basis():
    context = replace(
        EQUITY,
        accepted=reading("200", as_of=YESTERDAY - timedelta(minutes=5)),
        quarantined=reading("300", as_of=YESTERDAY),
        event=TWO_FOR_ONE,
    )
    assert gate.judge(trade("150"), context=context).code == "second_reading"


def test_while_our_books_lack_the_adjustment_no_price_is_used():
    context = replace(EQUITY, accepted=CLOSE_BEFORE, event=replace(TWO_FOR_ONE, is_applied=False))
    for price in ("100", "200"):
        result = gate.judge(trade(price), context=context)
        assert (result.outcome, result.price, result.code) == (
            GateOutcome.REFUSED,
            None,
            "adjustment_missing",
        )
        assert "2026-11-20 09:00 UTC" in result.reason


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (None, "200"),
        (EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, split_ratio=Fraction(7)), None),
        (EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, split_ratio=Fraction(1, 8)), "1600"),
        (EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, split_ratio=Fraction(3, 2)), None),
        (EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, dividend=Decimal("30")), "170"),
        (
            EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, split_ratio=Fraction(2), dividend=Decimal("3")),
            "97",  # the dividend is on the basis after the split
        ),
        (EffectiveEvent(effective_at=YESTERDAY, is_applied=True, split_ratio=Fraction(2)), "200"),
    ],
)
def test_a_price_of_200_yesterday_on_todays_basis(event, expected):
    found = gate.adjusted_previous(Decimal(200), as_of=YESTERDAY, event=event)
    if expected is None:
        assert abs(found * event.split_ratio.numerator - 200 * event.split_ratio.denominator) < Decimal("1e-20")
    else:
        assert found == Decimal(expected)


def test_a_large_dividend_is_no_jump():
    event = EffectiveEvent(effective_at=THIS_MORNING, is_applied=True, dividend=Decimal("60"))
    context = replace(EQUITY, accepted=CLOSE_BEFORE, event=event)
    assert gate.judge(trade("140"), context=context).outcome is GateOutcome.ACCEPTED
    assert gate.judge(trade("140"), context=replace(context, event=None)).outcome is GateOutcome.QUARANTINED
