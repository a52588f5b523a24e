import numpy as np
import pytest

from brokers.market_data.replay import draws

SPY_PATH = 0x1107FDBD72F322BE


def test_the_check_values_of_the_design_hold():
    assert draws.key(42, "path", "SPY") == SPY_PATH
    assert draws.draw_one(SPY_PATH, 0) == 0x6A0C2ED5C0C17167
    assert draws.draw_one(SPY_PATH, 1) == 0xCEA1691CDAED94A8
    assert draws.uniform_one(SPY_PATH, 0) == 0.41424839705064703
    assert draws.bell(SPY_PATH, np.array([0]))[0] == -0.3582979251714301


def test_a_single_draw_is_the_same_as_in_an_array():
    many = draws.draw(SPY_PATH, np.arange(50))
    chances = draws.uniform(SPY_PATH, np.arange(50))
    for index in (0, 1, 7, 49):
        assert int(many[index]) == draws.draw_one(SPY_PATH, index)
        assert float(chances[index]) == draws.uniform_one(SPY_PATH, index)


def test_one_key_per_counter_gives_each_key_its_own_draw():
    keys = np.array([3, SPY_PATH], dtype=np.uint64)
    assert draws.draw(keys, np.array([5, 5])).tolist() == [draws.draw_one(3, 5), draws.draw_one(SPY_PATH, 5)]


@pytest.mark.parametrize("bits", [0, (1 << 64) - 1])
def test_the_extreme_draws_stay_inside_their_ranges(bits, monkeypatch):
    monkeypatch.setattr(draws, "draw", lambda stream, index: np.array([bits], dtype=np.uint64))
    monkeypatch.setattr(draws, "draw_one", lambda stream, index: bits)
    assert 0 < draws.uniform(0, np.array([0]))[0] < 1
    assert draws.uniform_one(0, 0) == draws.uniform(0, np.array([0]))[0]
    assert abs(draws.bell(0, np.array([0]))[0]) <= 3.47


def test_the_bell_has_mean_zero_and_variance_one():
    sample = draws.bell(draws.key("sample"), np.arange(100_000))
    assert abs(sample.mean()) < 0.02
    assert abs(sample.var() - 1) < 0.02


def test_the_parts_of_a_key_are_told_apart():
    assert draws.key("ab", "c") != draws.key("a", "bc")
