"""The replay market of a process: what it lists, when it is built again, what it is called."""

from datetime import UTC, date, datetime, timedelta

import pytest

from brokers.enums import InstrumentKind
from brokers.market_data import clock, imports, sources
from brokers.market_data.replay.universe import UNIVERSE
from brokers.models import Bar, Instrument

pytestmark = pytest.mark.django_db

HEADER = "date,symbol,open,high,low,close,volume"


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="bars.csv"):
        path = tmp_path / name
        path.write_text("\n".join((HEADER, *lines)) + "\n")
        return path

    return write


def test_the_universe_is_listed_once(settings):
    settings.REPLAY_BARS = "synthetic"
    assert sources.list_instruments() == 60
    assert sources.list_instruments() == 0
    apple, spy, upro = (Instrument.objects.get(symbol=symbol) for symbol in ("AAPL", "SPY", "UPRO"))
    assert (apple.kind, spy.kind) == (InstrumentKind.EQUITY, InstrumentKind.ETF)
    assert (spy.is_fractionable, spy.leverage, spy.base_symbol) == (True, None, "")
    assert (upro.leverage, upro.base_symbol) == (3, "SPY")
    assert all(row.listed_name and row.sector for row in Instrument.objects.all())


def test_an_edited_or_imported_instrument_is_kept(settings):
    settings.REPLAY_BARS = "synthetic"
    Instrument.objects.create(symbol="SPY", kind="EQUITY", sector="edited")
    assert sources.list_instruments() == 59
    assert Instrument.objects.get(symbol="SPY").sector == "edited"


def test_imported_mode_lists_nothing_of_its_own(settings):
    settings.REPLAY_BARS = "imported"
    assert sources.list_instruments() == 0


def test_the_synthetic_market_is_built_once_and_asks_no_database(settings, django_assert_num_queries):
    settings.REPLAY_BARS, settings.REPLAY_SEED = "synthetic", 42
    market = sources.replay_market()
    with django_assert_num_queries(0):
        assert sources.replay_market() is market
    assert set(market.symbols) == {row.symbol for row in UNIVERSE}
    assert (sources.source_name(), sources.market_label(), market.label) == ("replay", "SYNTHETIC", "SYNTHETIC")
    settings.REPLAY_SEED = 43
    assert sources.replay_market() is not market


def test_the_identity_names_seed_versions_and_kind_of_bars(settings):
    settings.REPLAY_BARS, settings.REPLAY_SEED = "synthetic", 7
    assert sources.market_identity().startswith(sources.replay_market().identity)
    assert "seed=7" in sources.market_identity()
    settings.REPLAY_BARS = "imported"
    assert "bars=imported" in sources.market_identity()


def test_an_import_replaces_the_market_of_imported_bars(settings, write, django_assert_num_queries):
    settings.REPLAY_BARS = "imported"
    imports.import_bars(write("2021-03-30,KO,10,11,9,10,1"))
    before = sources.replay_market()
    assert before.symbols == ("KO",)
    with django_assert_num_queries(1):
        assert sources.replay_market() is before
    imports.import_bars(write("2021-03-30,KO,10,11,9,10,1", "2021-03-31,PEP,10,11,9,10,1"))
    after = sources.replay_market()
    assert after.symbols == ("KO", "PEP")
    assert after.identity != before.identity
    assert (sources.source_name(), sources.market_label()) == ("imported", "REPLAY OF IMPORTED BARS")


def test_imported_mode_without_bars_is_an_empty_market(settings):
    settings.REPLAY_BARS = "imported"
    assert sources.replay_market().symbols == ()


def test_events_of_imported_bars_reach_the_replay_market(settings, tmp_path):
    settings.REPLAY_BARS = "imported"
    path = tmp_path / "bars.csv"
    path.write_text(
        f"{HEADER},dividend,split_ratio\n2021-03-29,KO,80,80,80,80,1,,\n2021-03-30,KO,40,40,40,40,1,0.25,2:1\n"
    )
    imports.import_bars(path)
    split, dividend = sources.replay_market().events("KO", until_ordinal=sources.to_ordinal(date(2021, 3, 30)))
    assert (split.kind, split.ratio_from, split.ratio_to) == ("SPLIT", 1, 2)
    assert (dividend.kind, dividend.cash_units) == ("DIVIDEND", 250_000)
    assert sources.to_date(split.ex_ordinal) == date(2021, 3, 30)


def test_imported_bars_that_ended_begin_a_year_of_sessions_before_their_end(settings, write):
    settings.REPLAY_BARS = "imported"
    real = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    assert clock.default_start(real) == datetime(2026, 11, 19, 15, 0, tzinfo=UTC)
    imports.import_bars(write("2021-03-30,KO,10,11,9,10,1", "2021-03-31,KO,10,11,9,10,1"))
    start = clock.default_start(real)
    # The 252 sessions that end with 2021-03-31 begin with 2020-04-01, which opens at 13:30 UTC.
    assert start == datetime(2020, 4, 1, 14, 0, tzinfo=UTC)


def test_the_market_shows_the_stored_bars(settings, write):
    settings.REPLAY_BARS = "imported"
    imports.import_bars(write("2021-03-30,KO,10,11.5,9.25,10.75,1200"))
    market = sources.replay_market()
    close = int(datetime(2021, 3, 30, 20, 0, tzinfo=UTC).timestamp())
    bars = market.daily("KO", until=close)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    assert [int(column[0]) for column in columns] == [10_000_000, 11_500_000, 9_250_000, 10_750_000, 1200]
    assert len(market.daily("KO", until=close - int(timedelta(days=1).total_seconds())).close) == 0
    assert Bar.objects.count() == 1
