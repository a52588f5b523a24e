import csv
import gzip
import itertools

import numpy as np
import pytest

from brokers.market_data.replay.events import MarketEvent
from brokers.market_data.replay.market import ImportedBars, ReplayMarket, UnknownSymbol

from .test_market import ROOT
from .times import close_at, open_at, ordinal

REAL_BARS = ROOT.parent / "shared" / "data" / "us_equities_daily.csv.gz"
DAYS = ("2014-06-05", "2014-06-06", "2014-06-10", "2014-06-11")
BARS = np.array(
    [
        # open, high, low, close in units; the third day needs a finer grid than cents.
        (646_200_000, 649_370_000, 642_610_000, 647_350_000),
        (649_900_000, 651_260_000, 644_470_000, 645_570_000),
        (94_730_000, 95_050_050, 93_570_000, 94_250_000),
        (94_250_000, 94_250_000, 94_250_000, 94_250_000),
    ]
)
SPLIT = MarketEvent(
    kind="SPLIT",
    symbol="AAPL",
    ex_ordinal=ordinal("2014-06-09"),
    record_ordinal=ordinal("2014-06-09"),
    pay_ordinal=ordinal("2014-06-09"),
    ratio_from=1,
    ratio_to=7,
    cash_units=0,
    event_id="split",
)


def bars_of(days=DAYS, prices=BARS, events=(SPLIT,)):
    opened, high, low, closed = prices.T.copy()
    volume = np.array([12_000_000, 10_000_000, 9_000_000, 0])[: len(prices)]
    return ImportedBars("AAPL", np.array([ordinal(day) for day in days]), opened, high, low, closed, volume, events)


@pytest.fixture
def replayed(sessions):
    return ReplayMarket(
        seed=42,
        sessions=sessions,
        calendar_version="test",
        imported={"AAPL": bars_of()},
        data_version="run 7",
    )


def test_only_the_imported_symbols_exist(replayed):
    assert replayed.symbols == ("AAPL",)
    assert replayed.label == "REPLAY OF IMPORTED BARS"
    assert replayed.identity == "seed=42 universe=1 model=1 calendar=test data=run 7"
    assert replayed.half_spread_bps("AAPL") == 2.0
    with pytest.raises(UnknownSymbol):
        replayed.daily("SPY", until=2**40)


@pytest.mark.parametrize("number", range(4))
def test_imported_bars_are_printed_exactly(replayed, sessions, number):
    start, end = open_at(sessions, DAYS[number]), close_at(sessions, DAYS[number])
    prints = replayed.observations("AAPL", after=start - 1, until=end).last
    assert [prints[0], prints.max(), prints.min(), prints[-1]] == BARS[number].tolist()
    if number != 2:
        assert not (prints % 10_000).any()


def test_a_session_without_a_bar_is_a_session_without_trading(replayed, sessions):
    start, end = open_at(sessions, "2014-06-09"), close_at(sessions, "2014-06-09")
    assert len(replayed.observations("AAPL", after=start - 20_000, until=end + 20_000).at) == 0
    assert replayed.volume_of_last_minute("AAPL", at=start) == 0
    assert replayed.daily("AAPL", until=start + 600).ordinal[-1] == ordinal("2014-06-06")
    # The newest observation is the last one of the session before.
    newest = replayed.observation_at("AAPL", at=start)
    assert newest.at[0] == open_at(sessions, "2014-06-06") + 10 * 3600 + 1800 - 5
    assert newest.last[0] == 645_570_000


def test_the_first_bars_open_is_not_given_away_before_it_prints(replayed, sessions):
    start = open_at(sessions, "2014-06-05")
    assert replayed.observation_at("AAPL", at=start - 1) is None
    assert replayed.observations("AAPL", after=start - 20_000, until=start).at.tolist() == [start]
    assert replayed.observation_at("AAPL", at=start).last[0] == 646_200_000
    before_second = replayed.observations("AAPL", after=start + 86_400 - 20_000, until=start + 86_399)
    assert len(before_second.at) == 3960


def test_the_callers_arrays_stay_writable(sessions):
    stored = bars_of()
    market = ReplayMarket(seed=42, sessions=sessions, calendar_version="test", imported={"AAPL": stored})
    assert not market.daily("AAPL", until=2**40).close.flags.writeable
    assert stored.close.flags.writeable


def test_a_split_on_a_day_without_a_bar_counts_on_the_next(replayed, sessions):
    bars = replayed.daily("AAPL", until=2**40)
    assert bars.split_to.tolist() == [1, 1, 7, 1]
    pre_open = replayed.observation_at("AAPL", at=open_at(sessions, "2014-06-10") - 19_800)
    # 645.57 / 7 = 92.2242857…, on that day's grid of 0.000001.
    assert pre_open.last[0] == 92_224_286
    assert pre_open.bid[0] < 92_224_286 < pre_open.ask[0]
    assert replayed.events("AAPL", until_ordinal=ordinal("2014-06-08")) == ()
    assert replayed.events("AAPL", until_ordinal=ordinal("2014-06-09")) == (SPLIT,)


def test_later_bars_change_nothing_earlier(sessions, replayed):
    fewer = ReplayMarket(
        seed=42, sessions=sessions, calendar_version="test", imported={"AAPL": bars_of(DAYS[:2], BARS[:2])}
    )
    start, end = open_at(sessions, "2014-06-05") - 20_000, close_at(sessions, "2014-06-06") + 20_000
    ours, theirs = (market.observations("AAPL", after=start, until=end) for market in (replayed, fewer))
    for name in ("at", "last", "bid", "ask", "bid_size", "ask_size"):
        assert getattr(ours, name).tolist() == getattr(theirs, name).tolist()


def test_a_bar_on_a_day_without_session_is_refused(sessions):
    stray = bars_of(("2014-06-05", "2014-06-07"), BARS[:2])
    market = ReplayMarket(seed=42, sessions=sessions, calendar_version="test", imported={"AAPL": stray})
    with pytest.raises(ValueError, match="AAPL has an imported bar on 2014-06-07, which is no session"):
        market.daily("AAPL", until=2**40)


def test_a_symbol_without_bars_is_refused(sessions):
    market = ReplayMarket(seed=42, sessions=sessions, calendar_version="test", imported={"AAPL": bars_of((), BARS[:0])})
    with pytest.raises(ValueError, match="AAPL has no imported bar"):
        market.daily("AAPL", until=2**40)


@pytest.mark.skipif(not REAL_BARS.exists(), reason="the example file of real daily bars is not beside this repository")
def test_real_bars_are_printed_exactly(sessions):
    with gzip.open(REAL_BARS, "rt") as file:
        wanted = (line for line in csv.DictReader(file) if line["symbol"] == "IBM")
        lines = list(itertools.islice(wanted, 0, 4_000, 40))
    days = [line["date"] for line in lines]
    columns = [
        np.array([round(float(line[name]) * 1_000_000) for line in lines]) for name in ("open", "high", "low", "close")
    ]
    volume = np.array([round(float(line["volume"])) for line in lines])
    bars = ImportedBars("IBM", np.array([ordinal(day) for day in days]), *columns, volume)
    market = ReplayMarket(seed=1, sessions=sessions, calendar_version="test", imported={"IBM": bars})
    for number, day in enumerate(days):
        minutes = market.minute_bars("IBM", ordinal=ordinal(day), until=close_at(sessions, day))
        got = [
            minutes.open[0],
            minutes.high.max(),
            minutes.low.min(),
            minutes.close[-1],
            minutes.volume.sum(),
        ]
        assert got == [column[number] for column in (*columns, volume)]
