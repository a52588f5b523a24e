"""Bars as arrays: raw, adjusted on read, never later than now; real days replayed with their true extremes."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from brokers.enums import Timeframe
from brokers.market_data import bars, calendar, imports, sources
from brokers.market_data.bars import BarEvent, Bars
from brokers.models import Bar, CorporateAction, Instrument

REAL_FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "us_equities_daily.csv.gz"
HEADER = "date,symbol,open,high,low,close,volume"
DAYS = [date(2021, 3, day) for day in (29, 30, 31)] + [date(2021, 4, 1)]


def series(*closes, events=()):
    """Daily bars from 2021-03-29 on whose prices are all the close, with a volume of 100."""
    ordinal = np.array([sources.to_ordinal(day) for day in DAYS[: len(closes)]])
    price = np.array([int(Decimal(close).scaleb(6)) for close in closes])
    return Bars(
        symbol="KO",
        timeframe=Timeframe.DAY,
        ordinal=ordinal,
        at=ordinal * 86_400,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=np.full(len(closes), 100),
        events=tuple(events),
    )


def event(day, **values):
    return BarEvent(ordinal=sources.to_ordinal(day), **values)


# ------------------------------------------------------------------ adjustment, worked by hand


def test_a_two_for_one_split_halves_what_came_before():
    raw = series("100", "100", "51", "52", events=[event(DAYS[2], split=Fraction(2))])
    found = bars.adjusted(raw, as_of=DAYS[3])
    assert list(found.split) == [Fraction(1, 2), Fraction(1, 2), 1, 1]
    assert found.split_closes().tolist() == [50, 50, 51, 52]
    assert found.volumes().tolist() == [200, 200, 100, 100]
    assert found.closes().tolist() == [50, 50, 51, 52]


def test_a_dividend_lowers_what_came_before_by_its_share_of_the_close():
    raw = series("99", "100", "98", "98", events=[event(DAYS[2], dividend_units=2_000_000)])
    found = bars.adjusted(raw, as_of=DAYS[3])
    assert list(found.dividend) == [Decimal("0.98"), Decimal("0.98"), 1, 1]
    assert found.close_at(1) == 98  # the total return of the ex-date is zero
    assert found.split_closes().tolist() == [99, 100, 98, 98]


def test_a_dividend_on_the_day_of_a_split_is_on_the_new_basis():
    raw = series("100", "100", "49", events=[event(DAYS[2], split=Fraction(2), dividend_units=1_000_000)])
    found = bars.adjusted(raw, as_of=DAYS[2])
    assert found.dividend[1] == Decimal("0.98")  # one dollar of fifty
    assert found.close_at(1) == 49


def test_factors_multiply_and_dividends_have_twelve_digits():
    dividends = [event(day, dividend_units=1_000_000) for day in DAYS[1:3]]
    found = bars.adjusted(series("3", "3", "3", events=dividends), as_of=DAYS[2])
    assert list(found.dividend) == [Decimal("0.444444444444"), Decimal("0.666666666667"), 1]


def test_an_unclassified_step_is_a_distribution():
    raw = series("100", "84", events=[event(DAYS[1], step=Decimal("0.835547"))])
    assert bars.adjusted(raw, as_of=DAYS[1]).close_at(0) == Decimal("83.5547")


def test_only_events_up_to_as_of_count():
    raw = series("100", "50", "50", events=[event(DAYS[1], split=Fraction(2)), event(DAYS[2], split=Fraction(3))])
    assert list(bars.adjusted(raw, as_of=DAYS[0]).split) == [1, 1, 1]
    assert list(bars.adjusted(raw, as_of=DAYS[1]).split) == [Fraction(1, 2), 1, 1]
    assert list(bars.adjusted(raw, as_of=DAYS[2]).split) == [Fraction(1, 6), Fraction(1, 3), 1]


def test_an_event_of_today_adjusts_bars_that_end_yesterday():
    raw = series("100", "100", events=[event(DAYS[2], split=Fraction(4))])
    assert bars.adjusted(raw, as_of=DAYS[2]).split_closes().tolist() == [25, 25]


def test_an_event_at_or_before_the_first_bar_changes_nothing():
    raw = series("100", "100", events=[event(DAYS[0], split=Fraction(4), dividend_units=1)])
    assert bars.adjusted(raw, as_of=DAYS[1]).closes().tolist() == [100, 100]


# ------------------------------------------------------------------ the replay market


@pytest.fixture
def synthetic(settings, db):
    settings.REPLAY_BARS, settings.REPLAY_SEED = "synthetic", 42


NOW = datetime(2026, 11, 13, 16, 0, 2, tzinfo=UTC)


def test_todays_bar_is_made_of_the_prints_so_far(synthetic):
    found = bars.daily(["SPY"], now=NOW)["SPY"]
    minutes = bars.minutes("SPY", session_date=date(2026, 11, 13), now=NOW)
    assert sources.to_date(found.ordinal[-1]) == date(2026, 11, 13)
    assert (found.open[-1], found.close[-1]) == (minutes.open[0], minutes.close[-1])
    assert (found.high[-1], found.low[-1]) == (minutes.high.max(), minutes.low.min())
    assert minutes.at[-1] <= NOW.timestamp()
    assert found.at[-1] == datetime(2026, 11, 13, 14, 30, tzinfo=UTC).timestamp()


def test_nothing_later_than_now_is_told(synthetic):
    later = bars.daily(["SPY", "TQQQ"], now=NOW + timedelta(days=400 - 60))
    for symbol, before in bars.daily(["SPY", "TQQQ"], now=NOW).items():
        known = len(before) - 1  # all but today's unfinished bar
        assert np.array_equal(before.close[:known], later[symbol].close[:known])
        assert before.ordinal[-1] == sources.to_ordinal(date(2026, 11, 13))
        assert all(each.ordinal <= before.ordinal[-1] for each in before.events)


def test_a_total_return_is_the_same_raw_with_dividend_and_adjusted(synthetic):
    found = bars.daily(["SPY"], now=NOW)["SPY"]
    closes = bars.adjusted(found, as_of=date(2026, 11, 13)).closes()
    [paid] = [each for each in found.events if each.ordinal == sources.to_ordinal(date(2026, 9, 16))]
    day = int(np.searchsorted(found.ordinal, paid.ordinal))
    expected = found.close[day] / (found.close[day - 1] - paid.dividend_units)
    assert closes[day] / closes[day - 1] == pytest.approx(expected, rel=1e-10)


def test_a_symbol_nobody_knows_is_left_out_or_refused(synthetic):
    assert list(bars.daily(["SPY", "ZZZ"], now=NOW)) == ["SPY"]
    with pytest.raises(bars.NoBars, match="no bars of ZZZ"):
        bars.minutes("ZZZ", session_date=date(2026, 11, 13), now=NOW)


def test_the_data_version_is_the_markets_identity(synthetic):
    assert bars.data_version() == sources.replay_market().identity
    assert bars.daily(["SPY"], now=NOW)["SPY"].data_version == bars.data_version()


# ------------------------------------------------------------------ stored rows


def test_stored_bars_of_another_symbol_are_read_beside_the_replay_market(synthetic, tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n2021-03-29,IBM,10,11,9,10,5\n2021-03-30,IBM,10,12,10,11,6\n")
    imports.import_bars(path)
    closing = datetime(2021, 3, 30, 20, 0, tzinfo=UTC)
    found = bars.daily(["IBM", "SPY"], now=closing)
    assert list(found) == ["IBM", "SPY"]
    assert found["IBM"].close.tolist() == [10_000_000, 11_000_000]
    assert found["IBM"].at[1] == datetime(2021, 3, 30, 13, 30, tzinfo=UTC).timestamp()
    before = bars.daily(["IBM"], now=closing - timedelta(microseconds=1))["IBM"]
    assert before.close.tolist() == [10_000_000]


def test_stored_minutes_appear_when_they_are_complete(synthetic, tmp_path):
    path = tmp_path / "minutes.csv"
    path.write_text(f"{HEADER}\n2021-03-29T13:30:00Z,IBM,10,11,9,10,5\n2021-03-29T13:31:00Z,IBM,10,12,10,11,6\n")
    imports.import_bars(path, timeframe=Timeframe.MINUTE)
    start = datetime(2021, 3, 29, 13, 30, tzinfo=UTC)

    def count(seconds):
        return len(bars.minutes("IBM", session_date=date(2021, 3, 29), now=start + timedelta(seconds=seconds)))

    assert [count(seconds) for seconds in (59, 60, 119, 120)] == [0, 1, 1, 2]


def test_stored_events_adjust_stored_bars(synthetic):
    instrument = Instrument.objects.create(symbol="IBM", kind="EQUITY")
    for day, close in zip(DAYS[:3], (100, 50, 50), strict=True):
        Bar.objects.create(
            instrument=instrument, timeframe="DAY", at=calendar.session(day).open, session_date=day,
            open=close, high=close, low=close, close=close, volume=1, source="test",
        )  # fmt: skip
    CorporateAction.objects.create(
        source="test", event_id="1", instrument=instrument, kind="SPLIT", ex_date=DAYS[1], ratio_to=2
    )
    CorporateAction.objects.create(
        source="test", event_id="2", instrument=instrument, kind="UNCLASSIFIED", ex_date=DAYS[2], step="0.9"
    )
    now = datetime(2021, 3, 31, 20, 0, tzinfo=UTC)
    found = bars.adjusted(bars.daily(["IBM"], now=now)["IBM"], as_of=DAYS[2])
    assert found.closes().tolist() == pytest.approx([45, 45, 50])
    early = bars.daily(["IBM"], now=datetime(2021, 3, 30, 20, 0, tzinfo=UTC))["IBM"]
    assert [sources.to_date(each.ordinal) for each in early.events] == [DAYS[1]]


# ------------------------------------------------------------------ real days, replayed


@pytest.mark.skipif(not REAL_FILE.is_file(), reason="the real data file lies beside the repository and is not here")
def test_the_crash_of_2020_is_replayed_with_its_true_highs_and_lows(settings, db):
    settings.REPLAY_BARS = "imported"
    imports.import_bars(REAL_FILE)
    rows = Bar.objects.filter(
        instrument__symbol__in=("SPY", "AAPL", "USO"),
        session_date__range=(date(2020, 2, 3), date(2020, 4, 30)),
    ).select_related("instrument")
    assert rows.count() == 3 * (19 + 22 + 21)
    lowest = min(rows, key=lambda row: (row.instrument.symbol != "SPY", row.low))
    assert (lowest.session_date, lowest.low) == (date(2020, 3, 23), Decimal("218.27"))
    market = sources.replay_market()
    for row in rows:
        session = calendar.session(row.session_date)
        found = market.minute_bars(
            row.instrument.symbol,
            ordinal=sources.to_ordinal(row.session_date),
            until=int(session.close.timestamp()),
        )
        replayed = (found.open[0], found.high.max(), found.low.min(), found.close[-1], found.volume.sum())
        stored = [int(value.scaleb(6)) for value in (row.open, row.high, row.low, row.close)]
        assert [int(value) for value in replayed] == [*stored, row.volume], row
    found = bars.daily(["AIG"], now=datetime(2021, 4, 1, 12, 0, tzinfo=UTC))["AIG"]
    assert any(each.step == Decimal("0.835547") for each in found.events)
