"""The notation of numbers and times."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from portfolio.pages import figures

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1234.5", "1,234.50"),
        ("-38.2", "−38.20"),
        ("0", "0.00"),
        ("-0.004", "0.00"),  # never −0.00
        ("-0.005", "−0.01"),  # half away from zero
        ("0.005", "0.01"),
        (None, "–"),
    ],
)
def test_money(value, shown):
    assert figures.money(None if value is None else Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("172.8", "+172.80"), ("-64", "−64.00"), ("0", "0.00"), ("0.004", "0.00"), (None, "–")],
)
def test_changes_carry_their_sign(value, shown):
    assert figures.signed(None if value is None else Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("136.425", "136.43"), ("1", "1.00"), ("0.9999", "0.9999"), ("0.0345", "0.0345"), (None, "–")],
)
def test_prices_have_the_digits_of_their_increment(value, shown):
    assert figures.price(None if value is None else Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("40.000000000", "40"),
        ("-25", "−25"),
        ("0.125000000", "0.125"),
        ("1000", "1,000"),
        ("1E+3", "1,000"),
        ("0.000000001", "0.000000001"),
        ("0", "0"),
        (None, "–"),
    ],
)
def test_quantities(value, shown):
    assert figures.quantity(None if value is None else Decimal(value)) == shown


def test_percentages_are_fractions_times_a_hundred_and_unknown_is_no_zero():
    assert figures.percent(Decimal("0.021")) == "2.1\u00a0%"
    assert figures.signed_percent(Decimal("-0.0034"), 2) == "−0.34\u00a0%"
    assert figures.percent(None) == "–"


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(2026, 11, 20, 15, 41, 12, tzinfo=UTC), "10:41:12 EST"),
        (datetime(2026, 11, 19, 20, 50, tzinfo=UTC), "Thu Nov 19 15:50 EST"),
        (datetime(2026, 7, 1, 13, 30, tzinfo=UTC), "Wed Jul 1 09:30 EDT"),
        (datetime(2025, 11, 20, 15, 41, tzinfo=UTC), "Thu Nov 20 2025 10:41 EST"),
        (datetime(2026, 11, 21, 4, 30, tzinfo=UTC), "23:30:00 EST"),  # still the 20th in New York
    ],
)
def test_times_name_their_zone_and_the_day_when_it_is_another(at, shown):
    now = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
    assert figures.moment(at, zone=NEW_YORK, now=now) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (86_400, "1 d"), (-3, "0 s")],
)
def test_ages_round_down_to_the_largest_unit(seconds, shown):
    assert figures.duration(timedelta(seconds=seconds)).replace("\u00a0", " ") == shown


def test_slippage_is_written_in_basis_points():
    assert figures.bps(Decimal("5.75")) == "+5.8\u00a0bps"
    assert figures.bps(Decimal("-2")) == "−2.0\u00a0bps"
    assert figures.bps(None) == "–"
