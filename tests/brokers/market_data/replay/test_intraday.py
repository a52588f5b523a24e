import itertools

import numpy as np
import pytest

from brokers.market_data.replay import draws, intraday
from brokers.market_data.replay.intraday import Halt

CENT = 10_000
SPY_DAY = draws.draw_one(draws.key(42, "path", "SPY"), 16804)
NO_HALT = Halt()


def path_of(cents, *, steps=4680, day_key=SPY_DAY, halt=NO_HALT, grid=CENT):
    return intraday.day_path(
        units=tuple(price * grid for price in cents), grid=grid, steps=steps, day_key=day_key, halt=halt
    )


def whole(path):
    return intraday.prints(path, np.arange(path.steps + 1))


def test_business_time_by_hand():
    # 0.6 x 0.25 + 0.2 x ((-0.5)³ + 1) = 0.15 + 0.175
    times = intraday.business_time(np.array([0.0, 0.25, 0.5, 1.0]))
    assert times == pytest.approx([0, 0.325, 0.5, 1], abs=1e-15)


def test_the_worked_path_of_the_design():
    path = path_of((20090, 20231, 19982, 20208))
    asked = np.array([0, 1, 12, 600, 2340, 4000, 4679, 4680])
    expected = [20090, 20091, 20089, 20226, 19992, 20049, 20206, 20208]
    assert (intraday.prints(path, asked) // CENT).tolist() == expected
    day = whole(path) // CENT
    assert day[684] == 20231
    assert day[1408] == 19982


def random_days(count):
    generator = np.random.default_rng(8)
    for number in range(count):
        low = int(generator.integers(500, 50_000))
        band = int(generator.integers(0, 1 + low // 10))
        opened, closed = (low + int(part) for part in generator.integers(0, band + 1, 2))
        steps = 2520 if number % 5 == 0 else 4680
        yield (opened, low + band, low, closed), steps, int(generator.integers(0, 2**63))


def edge_days():
    for number, cents in enumerate(itertools.product((100, 101, 150), repeat=2)):
        yield (cents[0], 150, 100, cents[1]), 4680, number
    yield (100, 100, 100, 100), 4680, 77
    yield (100, 101, 100, 101), 2520, 78


@pytest.mark.parametrize("days", [random_days(120), edge_days()], ids=["random", "edges"])
def test_open_high_low_and_close_are_printed_exactly(days):
    for cents, steps, day_key in days:
        day = whole(path_of(cents, steps=steps, day_key=day_key)) // CENT
        assert (day[0], day.max(), day.min(), day[-1]) == cents


def test_a_flat_day_prints_one_price():
    assert set(whole(path_of((100, 100, 100, 100)))) == {100 * CENT}


def test_a_step_asked_alone_is_the_step_of_the_whole_path():
    path = path_of((20090, 20231, 19982, 20208))
    day = whole(path)
    for step in range(0, 4681, 61):
        assert intraday.prints(path, np.array([step]))[0] == day[step]
    few = np.array([4680, 3, 700, 12])
    assert intraday.prints(path, few).tolist() == day[few].tolist()


def test_a_finer_grid_is_kept():
    day = whole(path_of((1_001_234, 1_020_000, 990_001, 1_000_001), grid=100))
    assert (day[0], day.max(), day.min(), day[-1]) == (100_123_400, 102_000_000, 99_000_100, 100_000_100)
    assert not (day % 100).any()


def test_a_halt_freezes_the_print_and_extremes_wait_for_the_reopening():
    # Without a halt the high is at step 684 and the low at 1408: both inside this one.
    halt = Halt(660, 1440)
    day = whole(path_of((20090, 20231, 19982, 20208), halt=halt)) // CENT
    assert set(day[660:1440]) == {day[659]}
    assert day[1440] == 20231
    assert day[1441] == 19982
    assert (day[0], day.max(), day.min(), day[-1]) == (20090, 20231, 19982, 20208)


def halt_keys(count):
    keys = (key for key in itertools.count() if draws.uniform_one(key, 0) < 0.0005)
    return list(itertools.islice(keys, count))


@pytest.mark.parametrize("steps", [4680, 2520])
def test_halts_are_5_to_30_whole_minutes_between_the_first_and_the_last_minute(steps):
    for key in halt_keys(10):
        halt = intraday.draw_halt(halt_key=key, steps=steps)
        assert halt.start % 12 == 0
        assert 5 * 12 <= halt.end - halt.start <= 30 * 12
        assert halt.start >= 12
        assert halt.end <= steps - 12


def test_one_day_in_two_thousand_has_a_halt():
    halted = sum(intraday.draw_halt(halt_key=key, steps=4680) != NO_HALT for key in range(40_000))
    assert 5 <= halted <= 40


@pytest.mark.parametrize("volume", [0, 1, 49, 50, 1_000, 70_123_457])
@pytest.mark.parametrize("minutes", [390, 210])
def test_the_minutes_and_auctions_add_up_to_the_days_volume(volume, minutes):
    opening, shares, closing = intraday.minute_shares(volume=volume, minutes=minutes, minute_key=5, halt=NO_HALT)
    assert opening == volume * 2 // 100
    assert opening + shares.sum() + closing == volume
    assert closing >= 0
    assert (shares >= 0).all()


def test_nothing_trades_in_a_halt():
    opening, shares, closing = intraday.minute_shares(volume=1_000_000, minutes=390, minute_key=5, halt=Halt(120, 240))
    assert not shares[10:20].any()
    assert shares[9] > 0
    assert shares[20] > 0
    assert opening + shares.sum() + closing == 1_000_000


def test_minute_bars_by_hand():
    # Two minutes and one print: steps 0 … 24 of a session of 24 steps.
    path = np.array([5, 6, 4, 5, 5, 5, 5, 5, 5, 5, 5, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 3])
    bars = intraday.minute_bars(open_at=600, steps=24, path=path, shares=(10, np.array([24, 36]), 7))
    assert bars.at.tolist() == [600, 660]
    assert bars.open.tolist() == [5, 8]
    assert bars.high.tolist() == [7, 8]
    assert bars.low.tolist() == [4, 3]
    assert bars.close.tolist() == [7, 3]
    assert bars.volume.tolist() == [34, 43]


@pytest.mark.parametrize(
    ("shown", "closes", "volumes"),
    [
        (0, [], []),
        (1, [1], [10 + 2]),
        (12, [12], [10 + 24]),
        (13, [12, 13], [34, 3]),
        (24, [12, 24], [34, 36]),
    ],
)
def test_an_unfinished_minute_has_its_part_of_the_volume(shown, closes, volumes):
    bars = intraday.minute_bars(open_at=0, steps=24, path=np.arange(1, 26)[:shown], shares=(10, np.array([24, 36]), 7))
    assert bars.close.tolist() == closes
    assert bars.volume.tolist() == volumes
