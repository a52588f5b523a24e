import pytest

from portfolio.accounting.valuation import average_price, drawdown_units, market_value, scaled_peak

M = 10**6
Q = 10**9


@pytest.mark.parametrize(
    ("price", "quantity", "multiplier", "value"),
    [
        (100 * M, 10 * Q, 1, 1000 * M),
        (100 * M, -10 * Q, 1, -1000 * M),
        (2_500_000, 1 * Q, 100, 250 * M),
        (1, 500_000_000, 1, 1),  # half a unit rounds away from zero
        (1, 499_999_999, 1, 0),
        (9_000_000 * M, 1_000_000 * Q, 1, 9_000_000_000_000 * M),  # far past 64 bits on the way
    ],
)
def test_market_value(price, quantity, multiplier, value):
    assert market_value(price=price, quantity=quantity, multiplier=multiplier) == value


def test_average_price_of_a_short_is_positive():
    assert average_price(cost=-250 * M, quantity=-5 * Q) == 50 * M
    assert average_price(cost=0, quantity=0) == 0


@pytest.mark.parametrize(
    ("equity", "lost"),
    [(10_000, 0), (10_001, 0), (8_500, 150_000), (8_000, 200_000), (0, 1_000_000)],
)
def test_drawdown_from_a_peak_of_10_000(equity, lost):
    assert drawdown_units(equity=equity * M, peak=10_000 * M) == lost


def test_a_deposit_is_neither_gain_nor_drawdown():
    peak = scaled_peak(peak=10_000 * M, equity=8_000 * M, flow=8_000 * M)
    assert peak == 20_000 * M  # down 20 % before and after
    assert scaled_peak(peak=20_000 * M, equity=16_000 * M, flow=-8_000 * M) == 10_000 * M


def test_the_first_deposit_is_the_peak():
    assert scaled_peak(peak=0, equity=0, flow=5_000 * M) == 5_000 * M
