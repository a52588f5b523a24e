import numpy as np
import pytest

from brokers.market_data.replay import quotes


def sides(middle, half_spread_bps, multiple=1.0):
    bid, ask = quotes.sides(middle=np.array([middle]), half_spread_bps=half_spread_bps, multiple=np.array([multiple]))
    return int(bid[0]), int(ask[0])


@pytest.mark.parametrize(
    ("middle", "bps", "multiple", "bid", "ask"),
    [
        # Half of 0.2 bps of 200.90 is 0.004, less than half an increment.
        (200_900_000, 0.2, 1, 200_890_000, 200_910_000),
        # 2 bps of 100.00 is 0.02, an exact multiple that stays.
        (100_000_000, 2, 1, 99_980_000, 100_020_000),
        # 2.2 times as wide: 0.044 away, rounded outward.
        (100_000_000, 2, 2.2, 99_950_000, 100_050_000),
        # Below a dollar the increment is 0.0001; at a dollar it is a cent.
        (999_900, 1, 1, 999_800, 1_000_000),
        (1_000_000, 1, 1, 990_000, 1_010_000),
        # A market one increment wide.
        (100_350_000, 0, 1, 100_350_000, 100_360_000),
        # The bid is never nothing.
        (100, 5_000, 10, 100, 600),
    ],
)
def test_bid_and_ask_by_hand(middle, bps, multiple, bid, ask):
    assert sides(middle, bps, multiple) == (bid, ask)


def test_the_spread_is_doubled_in_the_first_and_last_five_minutes():
    asked = np.array([0, 59, 60, 4619, 4620, 4680])
    multiples = quotes.spread_multiples(asked=asked, steps=4680, windows=np.ones(78))
    assert multiples.tolist() == [2, 2, 1, 1, 2, 2]


def test_a_wide_window_holds_for_five_minutes():
    windows = np.ones(78)
    windows[[1, 77]] = 10
    asked = np.array([59, 60, 119, 120, 4619, 4620, 4680])
    multiples = quotes.spread_multiples(asked=asked, steps=4680, windows=windows)
    assert multiples.tolist() == [2, 10, 10, 1, 1, 20, 20]


def test_one_window_in_five_hundred_is_wide():
    windows = np.concatenate([quotes.wide_windows(wide_key=key, steps=4680) for key in range(1_000)])
    assert len(windows) == 78_000
    assert set(windows) == {1.0, 10.0}
    assert 110 <= (windows == 10).sum() <= 205


@pytest.mark.parametrize(("volume", "largest"), [(0, 100), (1_999_999, 100), (4_000_000, 200), (200_000_000, 5_000)])
def test_sizes_are_round_lots_that_grow_with_volume(volume, largest):
    for side in quotes.sizes(size_key=9, asked=np.arange(4681), base_volume=volume):
        assert side.min() == 100
        assert side.max() == largest
        assert not (side % 100).any()
