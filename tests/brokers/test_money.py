from decimal import Decimal

import pytest

from brokers import money
from brokers.money import NotRepresentable


@pytest.mark.parametrize(
    ("text", "units"), [("0.000001", 1), ("-1.5", -1_500_000), ("9223372036854.775807", 2**63 - 1)]
)
def test_money_to_units_and_back(text, units):
    assert money.money_units(text) == units
    assert money.money_value(units) == Decimal(text)


@pytest.mark.parametrize("text", ["0.0000001", "NaN", "Infinity", "abc", "9223372036854.775808", ""])
def test_what_a_column_cannot_hold_is_refused_not_rounded(text):
    with pytest.raises(NotRepresentable):
        money.money_units(text)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (-4, 3, -1), (0, 7, 0), (1, 2, 1), (-1, 2, -1)],
)
def test_ties_go_away_from_zero(numerator, denominator, rounded):
    assert money.divide_half_away(numerator, denominator) == rounded


def test_ten_dollars_and_half_a_cent_rounds_up_and_its_negative_down():
    assert money.round_to_cent(10_005_000) == 10_010_000
    assert money.round_to_cent(-5_000) == -10_000


def test_price_times_quantity_is_exact_past_64_bits():
    assert money.notional(9_000_000_000_000, 10**15) == 9_000_000_000_000_000_000
    assert money.notional_cents(150_023_333, 3 * 10**9) == 450_070_000
