import datetime
import math

import numpy as np
import pytest

from brokers.market_data.replay import daily, draws
from brokers.market_data.replay.events import to_date, to_ordinal
from brokers.market_data.replay.market import ReplayMarket
from brokers.market_data.replay.universe import FACTOR_DEVIATIONS, FACTORS, UNIVERSE

from .times import index_of, ordinal

LATEST = to_ordinal(datetime.date(2026, 12, 31))
ROWS = {row.symbol: row for row in UNIVERSE}
FUNDS = [row for row in UNIVERSE if row.base]


def returns_of(market, symbol):
    """Return total daily returns on official closes, each on the later day's split basis."""
    bars = market.daily(symbol, until=2**40)
    before = bars.close[:-1] * bars.split_from[1:] / bars.split_to[1:]
    return (bars.close[1:] + bars.dividend[1:]) / before - 1


def test_the_universe_has_sixty_symbols_with_known_bases():
    assert len(UNIVERSE) == len(ROWS) == 60
    assert {row.base for row in FUNDS} == {"SPY", "QQQ", "TLT", "SMH"}
    assert all(ROWS[row.base].leverage == 1 for row in FUNDS)
    assert all(-3 <= row.leverage <= 3 and row.leverage not in (0, 1) for row in FUNDS)


def test_every_bar_is_a_possible_bar(market):
    for symbol in market.symbols:
        bars = market.daily(symbol, until=2**40)
        assert (bars.low > 0).all()
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert (bars.volume > 0).all()
        for prices in (bars.open, bars.high, bars.low, bars.close):
            assert not (prices % 10_000).any()


@pytest.mark.parametrize("seed", [1, 42, 2026])
def test_prices_stay_at_levels_a_person_would_believe(sessions, seed):
    market = ReplayMarket(seed=seed, sessions=sessions, calendar_version="test")
    for symbol in market.symbols:
        dollars = market.daily(symbol, until=2**40).close / 1e6
        assert dollars.min() > 1
        # Funds without leverage do not split forward, so a lucky one may stand in the thousands.
        assert dollars.max() < (1_300 if ROWS[symbol].splits_forward else 10_000)


def test_the_default_market_has_a_believable_spy(market):
    assert 200 < market.daily("SPY", until=2**40).close[-1] / 1e6 < 1_500


def test_bars_begin_at_the_epoch_and_skip_no_session(market, sessions):
    bars = market.daily("AAPL", until=2**40)
    first = index_of(sessions, "2006-01-03")
    assert bars.ordinal.tolist() == sessions.ordinal[first:].tolist()


@pytest.mark.parametrize("day", ["2006-01-04", "2015-08-24", "2026-11-27"])
def test_a_close_follows_from_the_draws_of_its_day(market, sessions, day):
    row, number = ROWS["XOM"], ordinal(day)
    drivers = daily.drivers(seed=42, sessions=sessions)
    at = int(np.searchsorted(drivers.ordinal, number))
    scale = float(drivers.volatility[at])
    drift = {0.7: 0.0007, 1.0: 0.0004, 2.2: -0.0012}[scale]
    expected = drift * row.betas.market
    for beta, name, deviation in zip(row.betas, FACTORS, FACTOR_DEVIATIONS, strict=True):
        expected += beta * draws.bell(draws.key(42, "f", name), np.array([number]))[0] * deviation * scale
    strength = 4 if draws.uniform_one(draws.key(42, "jump", "XOM"), number) < 0.01 else 1
    own = draws.bell(draws.key(42, "own", "XOM"), np.array([number]))[0]
    expected += row.sigma * scale * own * strength
    # Both closes are rounded to the cent, at prices above 20.
    assert returns_of(market, "XOM")[at - 1] == pytest.approx(expected, abs=0.01 / 20)


def test_regimes_change_by_month_and_start_normal(sessions):
    drivers = daily.drivers(seed=42, sessions=sessions)
    assert drivers.volatility[0] == 1.0
    assert set(drivers.volatility) == {0.7, 1.0, 2.2}
    changes = np.flatnonzero(np.diff(drivers.volatility)) + 1
    assert set(changes) <= set(drivers.month_start)


@pytest.mark.parametrize(
    ("regime", "chance", "following"),
    [
        (daily.CALM, 0.899, daily.CALM),
        (daily.CALM, 0.901, daily.NORMAL),
        (daily.NORMAL, 0.849, daily.NORMAL),
        (daily.NORMAL, 0.954, daily.CALM),
        (daily.NORMAL, 0.956, daily.STRESS),
        (daily.STRESS, 0.699, daily.STRESS),
        (daily.STRESS, 0.701, daily.NORMAL),
    ],
)
def test_the_chain_of_regimes(regime, chance, following):
    assert daily._next_regime(regime, chance) == following


@pytest.mark.parametrize("fund", FUNDS, ids=lambda row: row.symbol)
def test_a_leveraged_fund_earns_its_multiple_less_cost_every_day(market, fund):
    cost = (0.0095 + (fund.leverage - 1) * 0.042) / 252
    base = returns_of(market, fund.base)
    expected = np.maximum(0.01, 1 + fund.leverage * base - cost) - 1
    bars = market.daily(fund.symbol, until=2**40)
    # The series is exact; what is seen are two closes rounded to the cent.
    tolerance = 0.011 * 1e6 * (1 + abs(fund.leverage)) / bars.close[:-1].min()
    assert returns_of(market, fund.symbol) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("fund", FUNDS, ids=lambda row: row.symbol)
def test_a_leveraged_funds_unrounded_series_is_exact_to_the_last_digit(sessions, fund):
    drivers = daily.drivers(seed=42, sessions=sessions)
    base = daily.drawn_series(row=ROWS[fund.base], drivers=drivers)
    series = daily.leveraged_series(row=fund, base=base, drivers=drivers)
    split = series.bars.split_from[1:] / series.bars.split_to[1:]
    change = series.carried[1:] / (series.carried[:-1] * split) - 1
    base_change = (base.bars.close + base.bars.dividend) / base.reference - 1
    cost = (0.0095 + (fund.leverage - 1) * 0.042) / 252
    assert change == pytest.approx(fund.leverage * base_change[:-1] - cost, abs=1e-13)


def test_an_inverse_funds_high_is_the_image_of_its_bases_low(sessions):
    drivers = daily.drivers(seed=42, sessions=sessions)
    base = daily.drawn_series(row=ROWS["SPY"], drivers=drivers)
    fund = daily.leveraged_series(row=ROWS["SH"], base=base, drivers=drivers)
    cost = (0.0095 - 2 * 0.042) / 252
    for day in (0, 100, 3_000):
        low = (base.bars.low[day] + base.bars.dividend[day]) / base.reference[day]
        high = math.floor(fund.carried[day] * (1 - (low - 1) - cost) / 10_000 + 0.5) * 10_000
        assert fund.bars.high[day] == high


def test_shares_pay_on_the_third_wednesday_of_their_months(market):
    dividends = market.events("JPM", until_ordinal=LATEST)
    assert {event.kind for event in dividends} == {"DIVIDEND"}
    dates = [to_date(event.ex_ordinal) for event in dividends]
    assert {date.month for date in dates} == {1, 4, 7, 10}
    assert all(15 <= date.day <= 21 for date in dates)
    assert dates[-1] == datetime.date(2026, 10, 21)


def test_a_dividend_is_a_quarter_of_the_yield_on_the_close_before(market):
    bars = market.daily("JPM", until=2**40)
    for day in np.flatnonzero(bars.dividend)[-3:]:
        exact = 0.024 / 4 * bars.close[day - 1]
        assert abs(bars.dividend[day] - exact) <= 50
        assert bars.dividend[day] % 100 == 0


@pytest.mark.parametrize(
    ("ex", "record", "pay"),
    [
        # T+1: the record date is the ex-date. Juneteenth is no session.
        ("2026-06-17", "2026-06-17", "2026-06-29"),
        # T+2 and T+3 before.
        ("2018-06-20", "2018-06-21", "2018-06-29"),
        ("2016-06-15", "2016-06-17", "2016-06-24"),
    ],
)
def test_record_and_payment_follow_in_sessions(market, ex, record, pay):
    event = next(event for event in market.events("SPY", until_ordinal=LATEST) if event.ex_ordinal == ordinal(ex))
    assert (event.record_ordinal, event.pay_ordinal) == (ordinal(record), ordinal(pay))
    assert event.event_id == f"DIVIDEND:SPY:{ex}"


@pytest.mark.parametrize("symbol", ["SGOV", "BIL"])
def test_a_bill_fund_accrues_and_pays_it_out_each_month(market, symbol):
    bars = market.daily(symbol, until=2**40)
    start = ROWS[symbol].start_price * 1e6
    months = {to_date(int(number)).replace(day=1) for number in bars.ordinal}
    paid = np.flatnonzero(bars.dividend)
    assert len(paid) == len(months) - 1
    # After paying, the price is back where it started, plus one day and a cent of rounding.
    assert np.abs(bars.close[paid] - start * (1 + 0.042 / 252)).max() <= 30_000
    yearly = bars.dividend[-252:].sum() / start
    assert yearly == pytest.approx(0.042, abs=0.002)
    assert returns_of(market, symbol).min() > -0.0003


def test_splits_are_checked_at_month_end_and_effective_on_the_second_session(market):
    seen = 0
    for symbol in market.symbols:
        bars = market.daily(symbol, until=2**40)
        months = [to_date(int(number)).month for number in bars.ordinal]
        for day in np.flatnonzero(bars.split_from != bars.split_to):
            ratio = (int(bars.split_from[day]), int(bars.split_to[day]))
            assert months[day] == months[day - 1] != months[day - 2]
            decided_at = bars.close[day - 2]
            assert ratio == (1, 4) if decided_at > 800_000_000 else ratio == (8, 1)
            assert decided_at > 800_000_000 or decided_at < 5_000_000
            seen += 1
    assert seen > 10


def test_only_single_shares_and_leveraged_funds_split_forward(market):
    for symbol in market.symbols:
        forward = [event for event in market.events(symbol, until_ordinal=LATEST) if event.ratio_to == 4]
        assert not forward or ROWS[symbol].is_stock or ROWS[symbol].base


def test_a_shorter_calendar_gives_the_same_days(market, sessions):
    end = index_of(sessions, "2019-07-10") + 1
    earlier = type(market)(
        seed=42, sessions=type(sessions)(*(column[:end] for column in sessions)), calendar_version="short"
    )
    for symbol in ("SPY", "SOXS", "NVDA", "SGOV", "AMD"):
        short, long = earlier.daily(symbol, until=2**40), market.daily(symbol, until=2**40)
        for name in (
            "ordinal",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "dividend",
            "split_from",
            "split_to",
        ):
            assert getattr(short, name).tolist() == getattr(long, name)[: len(short.ordinal)].tolist(), name


def test_a_holiday_added_later_shifts_no_other_days_draws(sessions):
    keep = sessions.ordinal != ordinal("2026-11-25")
    without = daily.SessionTable(*(column[keep] for column in sessions))
    full, fewer = (daily.drivers(seed=42, sessions=table) for table in (sessions, without))
    there = full.ordinal != ordinal("2026-11-25")
    assert full.factors[0][there].tolist() == fewer.factors[0].tolist()


def test_statistics_by_hand():
    nothing, one = np.zeros(4, np.int64), np.ones(4, np.int64)
    bars = daily.DailyBars(
        ordinal=np.arange(4),
        open=nothing,
        high=nothing,
        low=nothing,
        close=np.array([100, 110, 54, 60]) * 1_000_000,
        volume=np.array([9, 100, 400, 300]),
        dividend=np.array([0, 0, 1, 0]) * 1_000_000,
        split_from=one,
        split_to=np.array([1, 1, 2, 1]),
    )
    # Returns: 110/100, (54 + 1) against 55, 60/54; volumes on the last basis 200, 400, 300.
    logs = [math.log(1.1), 0.0, math.log(60 / 54)]
    mean = sum(logs) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in logs) / 2)
    assert daily.statistics(bars=bars, before=4) == (pytest.approx(deviation, abs=1e-12), 300.0)
    assert daily.statistics(bars=bars, before=2) == (0.0, 100.0)
    assert daily.statistics(bars=bars, before=1) == (0.0, 0.0)


def test_only_the_last_twenty_returns_count(market):
    # GLD pays nothing and has no split, so its raw closes are its adjusted closes.
    bars = market.daily("GLD", until=2**40)
    assert not bars.dividend.any()
    changes = np.diff(np.log(bars.close[479:500]))
    deviation, volume = market.daily_statistics("GLD", before_ordinal=int(bars.ordinal[500]))
    assert len(changes) == 20
    assert deviation == pytest.approx(changes.std(ddof=1), abs=1e-11)
    assert volume == pytest.approx(bars.volume[480:500].mean())
