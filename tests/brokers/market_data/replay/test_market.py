import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from brokers.market_data.replay import draws
from brokers.market_data.replay.market import MODEL_VERSION, Observations, ReplayMarket, UnknownSymbol
from brokers.market_data.replay.universe import UNIVERSE, UNIVERSE_VERSION

from .times import close_at, index_of, open_at, ordinal

ROOT = Path(__file__).resolve().parents[4]
BAR_COLUMNS = ("ordinal", "open", "high", "low", "close", "volume", "dividend", "split_from", "split_to")
MINUTE_COLUMNS = ("at", "open", "high", "low", "close", "volume")
THANKSGIVING_WEEK = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27")
NEVER = 2**40


def listed(value, columns):
    return {name: getattr(value, name).tolist() for name in columns}


def observed(value):
    return None if value is None else listed(value, Observations.__slots__)


def cut_off(market, sessions, until):
    """Return a market whose calendar ends with the session of `until`."""
    end = int(np.searchsorted(sessions.open_at - 19_800, until, side="right"))
    return ReplayMarket(
        seed=42, sessions=type(sessions)(*(column[:end] for column in sessions)), calendar_version="cut"
    )


# ---------------------------------------------------------------------- bars


@pytest.mark.parametrize("day", THANKSGIVING_WEEK)
def test_minute_bars_add_up_to_the_daily_bar(market, sessions, day):
    minutes = 210 if day == "2026-11-27" else 390
    for symbol in market.symbols:
        bars = market.minute_bars(symbol, ordinal=ordinal(day), until=close_at(sessions, day))
        official = market.daily(symbol, until=close_at(sessions, day))
        assert len(bars.at) == minutes
        assert bars.open[0] == official.open[-1]
        assert bars.high.max() == official.high[-1]
        assert bars.low.min() == official.low[-1]
        assert bars.close[-1] == official.close[-1]
        assert bars.volume.sum() == official.volume[-1]
        volumes = market.minute_volumes(symbol, ordinal=ordinal(day))
        assert volumes.tolist() == bars.volume.tolist()


def test_a_half_day_closes_at_1300_new_york(market, sessions):
    closing = close_at(sessions, "2026-11-27")
    assert closing % 86_400 == 18 * 3600
    day = market.observations("SPY", after=closing - 5, until=closing + 6 * 3600)
    assert day.is_regular.tolist()[:2] == [True, False]
    # Extended hours end at 17:00, and that moment is outside.
    assert day.at[-1] == closing + 4 * 3600 - 5


def test_todays_bar_is_built_from_what_has_printed(market, sessions):
    start = open_at(sessions, "2026-11-24")
    for elapsed in (0, 5, 61, 12_345, 23_399):
        bar = market.daily("AAPL", until=start + elapsed)
        seen = market.observations("AAPL", after=start - 1, until=start + elapsed).last
        assert bar.ordinal[-1] == ordinal("2026-11-24")
        got = [int(column[-1]) for column in (bar.open, bar.high, bar.low, bar.close)]
        assert got == [seen[0], seen.max(), seen.min(), seen[-1]]


def test_the_bar_is_final_at_the_close_and_absent_before_the_open(market, sessions):
    start, end = open_at(sessions, "2026-11-24"), close_at(sessions, "2026-11-24")
    assert market.daily("AAPL", until=start - 1).ordinal[-1] == ordinal("2026-11-23")
    final = market.daily("AAPL", until=end)
    assert listed(final, BAR_COLUMNS) == listed(market.daily("AAPL", until=end + 1), BAR_COLUMNS)
    assert market.daily("AAPL", until=end - 1).volume[-1] < final.volume[-1]


def test_bars_cannot_be_changed_by_a_caller(market):
    with pytest.raises(ValueError, match="read-only"):
        market.daily("SPY", until=NEVER).close[0] = 1


@pytest.mark.parametrize("day", ["2026-11-26", "2026-11-28"])
def test_a_day_without_session_has_nothing(market, day):
    noon = ordinal(day) * 86_400 + 17 * 3600
    assert len(market.observations("SPY", after=noon, until=noon + 3600).at) == 0
    assert len(market.minute_bars("SPY", ordinal=ordinal(day), until=noon).at) == 0
    assert len(market.minute_volumes("SPY", ordinal=ordinal(day))) == 0
    assert market.volume_of_last_minute("SPY", at=noon) == 0


# ---------------------------------------------------------------------- observations


def test_a_full_day_of_observations(market, sessions):
    start, end = open_at(sessions, "2026-11-24"), close_at(sessions, "2026-11-24")
    day = market.observations("SPY", after=start - 86_400 // 2, until=end + 5 * 3600)
    assert day.at[0] == start - 5 * 3600 - 1800
    assert day.at[-1] == start + 10 * 3600 + 1800 - 5
    assert set(np.diff(day.at)) == {5}
    regular = day.at[day.is_regular]
    assert (regular[0], regular[-1], len(regular)) == (start, end, 4681)


def test_a_window_starts_after_and_ends_at_its_bounds(market, sessions):
    start = open_at(sessions, "2026-11-24")
    assert market.observations("SPY", after=start, until=start + 10).at.tolist() == [start + 5, start + 10]
    assert market.observations("SPY", after=start - 1, until=start + 4).at.tolist() == [start]
    assert len(market.observations("SPY", after=start, until=start).at) == 0


@pytest.mark.parametrize("symbol", ["SPY", "SQQQ", "SGOV", "BRK.B"])
def test_any_window_equals_its_part_of_the_whole(sessions, symbol):
    generator = np.random.default_rng(3)
    begin, end = open_at(sessions, "2026-11-24") - 30_000, close_at(sessions, "2026-11-27") + 30_000
    fresh = ReplayMarket(seed=42, sessions=sessions, calendar_version="test")
    whole = ReplayMarket(seed=42, sessions=sessions, calendar_version="test").observations(
        symbol, after=begin, until=end
    )
    for after in generator.integers(begin, end - 20_000, 25):
        until = int(after) + int(generator.choice([5, 11, 60, 7_000, 20_000]))
        part = (whole.at > after) & (whole.at <= until)
        got = fresh.observations(symbol, after=int(after), until=until)
        assert observed(got) == {name: getattr(whole, name)[part].tolist() for name in Observations.__slots__}


def test_one_observation_is_the_newest_of_the_whole(market, sessions):
    begin, end = open_at(sessions, "2026-11-24") - 86_400, close_at(sessions, "2026-11-27") + 40_000
    whole = market.observations("NVDA", after=begin - 5 * 86_400, until=end)
    corners = [
        moment + shift
        for day in ("2026-11-24", "2026-11-27")
        for moment in (open_at(sessions, day), close_at(sessions, day), open_at(sessions, day) - 19_800)
        for shift in (-6, -5, -1, 0, 1, 4, 5, 6)
    ]
    for at in [*np.random.default_rng(4).integers(begin, end, 80).tolist(), *corners]:
        newest = int(np.searchsorted(whole.at, at, side="right")) - 1
        expected = {name: getattr(whole, name)[[newest]].tolist() for name in Observations.__slots__}
        assert observed(market.observation_at("NVDA", at=at)) == expected


def test_nothing_is_known_before_the_epoch(market, sessions):
    first = open_at(sessions, "2006-01-03") - 19_800
    assert market.observation_at("SPY", at=first - 1) is None
    assert market.observation_at("SPY", at=first) is not None
    assert market.previous_close("SPY", at=first) == 0
    assert market.observation_at("SPY", at=0) is None


def test_every_quote_is_a_possible_quote(market, sessions):
    for symbol in market.symbols:
        day = market.observations(
            symbol,
            after=open_at(sessions, "2026-11-24") - 20_000,
            until=open_at(sessions, "2026-11-24") + 3_600,
        )
        quoted = ~day.is_halted
        assert (day.ask[quoted] > day.bid[quoted]).all()
        assert (day.bid[quoted] > 0).all()
        assert (day.bid[quoted & day.is_regular] <= day.last[quoted & day.is_regular]).all()
        assert (day.ask[quoted & day.is_regular] >= day.last[quoted & day.is_regular]).all()
        assert not (day.bid % 10_000).any()
        assert set(day.bid_size[~day.is_regular]) == {100}


def test_a_bill_fund_is_quoted_a_cent_wide(market, sessions):
    start = open_at(sessions, "2026-11-24")
    day = market.observations("SGOV", after=start - 10_000, until=start + 10_000)
    assert set(day.ask - day.bid) == {10_000}


def test_pre_open_quotes_wander_from_the_close_to_the_open(market, sessions):
    start = open_at(sessions, "2026-11-24")
    day = market.observations("QQQ", after=start - 20_000, until=start - 1)
    closed = market.previous_close("QQQ", at=start)
    assert set(day.last) == {closed}
    opened = market.observation_at("QQQ", at=start).last[0]
    assert day.bid[0] <= closed <= day.ask[0]
    assert day.bid[-1] - 200_000 <= opened <= day.ask[-1] + 200_000
    assert len(set(day.bid)) > 20


def test_after_hours_quotes_stand_around_the_close(market, sessions):
    end = close_at(sessions, "2026-11-24")
    day = market.observations("QQQ", after=end, until=end + 4 * 3600)
    assert set(day.last) == {market.previous_close("QQQ", at=end)}
    assert len(set(day.bid)) == len(set(day.ask)) == 1
    assert (day.bid < day.last).all()
    assert (day.ask > day.last).all()


def test_the_close_is_the_previous_close_from_the_close_on(market, sessions):
    end = close_at(sessions, "2026-11-24")
    official = market.daily("QQQ", until=end).close
    assert market.previous_close("QQQ", at=end) == official[-1]
    assert market.previous_close("QQQ", at=end - 1) == official[-2]


@pytest.mark.parametrize("row", [row for row in UNIVERSE if row.base], ids=lambda row: row.symbol)
def test_a_leveraged_fund_follows_its_base_at_every_print(market, sessions, row):
    start, end = open_at(sessions, "2026-11-24"), close_at(sessions, "2026-11-24")
    base = market.observations(row.base, after=start - 1, until=end).last
    fund = market.observations(row.symbol, after=start - 1, until=end).last
    base_before, before = (market.previous_close(name, at=start) for name in (row.base, row.symbol))
    cost = (0.0095 + (row.leverage - 1) * 0.042) / 252
    expected = before * (1 + row.leverage * (base / base_before - 1) - cost)
    # One cent: the print is rounded, and so is the close seen here, not the one carried.
    assert np.abs(fund - expected).max() <= 11_000


# ---------------------------------------------------------------------- halts


def day_with_halt(sessions, symbol):
    """Find a symbol's latest day with a halt from its draws alone."""
    days = draws.draw(draws.key(42, "halt", symbol), sessions.ordinal)
    halted = np.flatnonzero(draws.uniform(days, np.zeros(len(days))) < 0.0005)
    return str(np.datetime_as_string(sessions.ordinal[halted[-1]].astype("datetime64[D]")))


@pytest.fixture(scope="module", params=["SPY", "AAPL", "GLD"])
def halted(request, market, sessions):
    """A symbol, a day with a halt, and its observations."""
    text = day_with_halt(sessions, request.param)
    start, end = open_at(sessions, text), close_at(sessions, text)
    return request.param, text, market.observations(request.param, after=start - 1, until=end)


def test_a_halt_freezes_the_print_and_removes_the_quote(market, halted):
    symbol, text, day = halted
    steps = np.flatnonzero(day.is_halted)
    assert set(np.diff(steps)) == {1}
    assert set(day.last[steps]) == {day.last[steps[0] - 1]}
    for side in (day.bid, day.ask, day.bid_size, day.ask_size):
        assert not side[steps].any()
        assert side[steps[0] - 1] > 0
        assert side[steps[-1] + 1] > 0
    volumes = market.minute_volumes(symbol, ordinal=ordinal(text))
    assert not volumes[steps[0] // 12 : (steps[-1] + 1) // 12].any()


def test_a_day_with_a_halt_still_has_its_exact_bar(market, sessions, halted):
    symbol, text, day = halted
    bar = market.daily(symbol, until=close_at(sessions, text))
    got = [day.last[0], day.last.max(), day.last.min(), day.last[-1]]
    assert got == [column[-1] for column in (bar.open, bar.high, bar.low, bar.close)]
    assert market.minute_volumes(symbol, ordinal=ordinal(text)).sum() == bar.volume[-1]


@pytest.mark.parametrize("fund", ["UPRO", "SDS"])
def test_a_leveraged_fund_is_halted_with_its_base(market, sessions, fund):
    text = day_with_halt(sessions, "SPY")
    start, end = open_at(sessions, text), close_at(sessions, text)
    base, derived = (market.observations(name, after=start - 1, until=end) for name in ("SPY", fund))
    assert derived.is_halted.tolist() == base.is_halted.tolist()
    bar = market.daily(fund, until=end)
    assert [derived.last.max(), derived.last.min()] == [bar.high[-1], bar.low[-1]]


# ---------------------------------------------------------------------- volume


def test_the_volume_of_the_last_complete_minute(market, sessions):
    start, end = open_at(sessions, "2026-11-24"), close_at(sessions, "2026-11-24")
    minutes = market.minute_volumes("AAPL", ordinal=ordinal("2026-11-24"))
    volume = minutes.sum()

    def last(at):
        return market.volume_of_last_minute("AAPL", at=at)

    assert last(start - 1) == 0
    assert last(start) == last(start + 59) == volume * 2 // 100
    assert last(start + 60) == last(start + 119) == minutes[0]
    assert last(start + 120) == minutes[1]
    assert last(end - 1) == minutes[-2]
    assert last(end) == minutes[-1]
    assert last(end + 1) == 0


def test_volume_is_heavy_at_both_ends_of_the_day(market):
    minutes = market.minute_volumes("SPY", ordinal=ordinal("2026-11-24"))
    assert minutes[1:31].sum() > 1.5 * minutes[180:210].sum()
    assert minutes[-31:-1].sum() > 1.5 * minutes[180:210].sum()


# ---------------------------------------------------------------------- no look-ahead


def answers(market, symbol, until):
    """Ask everything a caller may ask at `until`; payment dates are calendar facts and left out."""
    today = until // 86_400
    events = market.events(symbol, until_ordinal=today)
    return {
        "newest": observed(market.observation_at(symbol, at=until)),
        "window": observed(market.observations(symbol, after=until - 7_000, until=until)),
        "minutes": listed(market.minute_bars(symbol, ordinal=today, until=until), MINUTE_COLUMNS),
        "daily": listed(market.daily(symbol, until=until), BAR_COLUMNS),
        "previous close": market.previous_close(symbol, at=until),
        "volume": market.volume_of_last_minute(symbol, at=until),
        "statistics": market.daily_statistics(symbol, before_ordinal=today),
        "events": [(event.event_id, event.cash_units, event.ratio_from, event.ratio_to) for event in events],
    }


def test_no_question_sees_past_its_own_time(market, sessions):
    generator = np.random.default_rng(5)
    first, last = index_of(sessions, "2006-02-01"), len(sessions.ordinal) - 20
    for index in generator.integers(first, last, 12):
        until = int(sessions.open_at[index]) + int(generator.integers(-25_000, 40_000))
        earlier = cut_off(market, sessions, until)
        for symbol in generator.choice(market.symbols, 4, replace=False):
            assert answers(earlier, symbol, until) == answers(market, symbol, until)


def test_a_morning_shows_nothing_of_the_afternoon(market, sessions):
    start, end = open_at(sessions, "2026-11-24"), close_at(sessions, "2026-11-24")
    for symbol in ("AAPL", "SOXS"):
        whole = market.minute_bars(symbol, ordinal=ordinal("2026-11-24"), until=end)
        prints = market.observations(symbol, after=start - 1, until=end)
        noon = start + 9_000 + 25
        so_far = market.minute_bars(symbol, ordinal=ordinal("2026-11-24"), until=noon)
        assert so_far.high[:-1].tolist() == whole.high[:150].tolist()
        assert so_far.close[-1] == prints.last[(noon - start) // 5]
        assert market.daily(symbol, until=noon).high[-1] == prints.last[: (noon - start) // 5 + 1].max()


# ---------------------------------------------------------------------- the same in any process

ASK = """
import hashlib, json, sys
import numpy as np
from brokers.market_data.replay.market import ReplayMarket, SessionTable
table = np.load(sys.argv[1])
market = ReplayMarket(seed=42, sessions=SessionTable(*table), calendar_version="test")
answers = {}
for symbol, at in json.loads(sys.argv[2]):
    one = market.observation_at(symbol, at=at)
    bars = market.daily(symbol, until=at)
    quote = [int(one.last[0]), int(one.bid[0]), int(one.ask_size[0])]
    answers[f"{symbol} {at}"] = [*quote, int(bars.volume[-1]), market.volume_of_last_minute(symbol, at=at)]
print(json.dumps(answers))
"""


def test_two_other_processes_in_shuffled_order_give_the_same_answers(market, sessions, tmp_path):
    table = tmp_path / "sessions.npy"
    np.save(table, np.array(sessions))
    generator = np.random.default_rng(6)
    begin, end = open_at(sessions, "2026-11-20"), close_at(sessions, "2026-11-27")
    symbols, times = generator.choice(market.symbols, 60), generator.integers(begin, end, 60)
    questions = [(str(symbol), int(at)) for symbol, at in zip(symbols, times, strict=True)]
    results = []
    for order in (questions, questions[::-1]):
        command = [sys.executable, "-c", ASK, str(table), json.dumps(order)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        results.append(json.loads(done.stdout))
    assert results[0] == results[1]
    for symbol, at in questions:
        one = market.observation_at(symbol, at=at)
        assert results[0][f"{symbol} {at}"][:3] == [int(one.last[0]), int(one.bid[0]), int(one.ask_size[0])]


def test_a_fixed_block_of_closes_and_minutes_is_what_it_always_was(market, sessions):
    """A change here is a new market: it needs a new MODEL_VERSION or UNIVERSE_VERSION with the new digest."""
    digest = hashlib.sha256()
    for symbol in market.symbols:
        digest.update(market.daily(symbol, until=close_at(sessions, "2026-11-20")).close.astype("<i8").tobytes())
    for symbol in ("SPY", "SOXS", "SGOV", "TSLA"):
        end = close_at(sessions, "2026-11-27")
        bars = market.minute_bars(symbol, ordinal=ordinal("2026-11-27"), until=end)
        for name in MINUTE_COLUMNS:
            digest.update(getattr(bars, name).astype("<i8").tobytes())
    assert (MODEL_VERSION, UNIVERSE_VERSION) == (1, 1)
    assert digest.hexdigest() == "9fee32dc1637d3870d7c725be53e5fc66469413e77ff1d9729d8f2e9b5b510b7"


def test_threads_may_share_a_market(sessions, market):
    fresh = ReplayMarket(seed=42, sessions=sessions, calendar_version="test")
    at = open_at(sessions, "2026-11-24") + 5_000
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda symbol: observed(fresh.observation_at(symbol, at=at)), market.symbols * 4))
    assert asked == [observed(market.observation_at(symbol, at=at)) for symbol in market.symbols] * 4


def test_another_seed_is_another_market(market, sessions):
    other = ReplayMarket(seed=43, sessions=sessions, calendar_version="test")
    assert other.identity != market.identity
    at = open_at(sessions, "2026-11-24")
    assert other.observation_at("SPY", at=at).last[0] != market.observation_at("SPY", at=at).last[0]


def test_identity_names_all_it_depends_on(market):
    assert market.identity == "seed=42 universe=1 model=1 calendar=test"
    assert market.label == "SYNTHETIC"


def test_an_unknown_symbol_is_refused_with_its_name(market):
    with pytest.raises(UnknownSymbol, match="does not know the symbol ZZZZ"):
        market.observation_at("ZZZZ", at=1_700_000_000)
    with pytest.raises(UnknownSymbol):
        market.half_spread_bps("ZZZZ")


def test_the_cache_is_bounded(sessions, monkeypatch):
    monkeypatch.setattr("brokers.market_data.replay.market.CACHED_SESSIONS_MAX", 3)
    small = ReplayMarket(seed=42, sessions=sessions, calendar_version="test")
    at = open_at(sessions, "2026-11-24")
    for symbol in small.symbols[:10]:
        small.observation_at(symbol, at=at)
    assert len(small._cache) == 3
