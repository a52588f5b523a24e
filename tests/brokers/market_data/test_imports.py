"""Files of bars: read once, read twice, broken in places, broken as a whole, broken off in the middle."""

import gzip
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from brokers.enums import CorporateActionKind, ImportState, Timeframe
from brokers.market_data import imports
from brokers.market_data.import_rows import BarFile
from brokers.models import Bar, CorporateAction, ImportRowError, ImportRun, Instrument

pytestmark = pytest.mark.django_db

REPOSITORY = Path(__file__).resolve().parents[3]
REAL_FILE = REPOSITORY.parent / "shared" / "data" / "us_equities_daily.csv.gz"
needs_real_file = pytest.mark.skipif(
    not REAL_FILE.is_file(), reason="the real data file lies beside the repository and is not here"
)
HEADER = "date,symbol,open,high,low,close,volume"
# Three sessions in a row.
MONDAY = "2021-03-29,SPY,395.31,396.20,393.53,395.98,108094400"
TUESDAY = "2021-03-30,SPY,394.60,395.18,393.00,394.81,76973000"
WEDNESDAY = "2021-03-31,SPY,395.80,397.82,395.62,396.33,112734200"


@pytest.fixture
def written(tmp_path):
    def write(*lines, name="bars.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def counts(run):
    return (run.rows_read, run.rows_inserted, run.rows_updated, run.rows_unchanged, run.rows_failed)


# ------------------------------------------------------------------ the ordinary way


def test_a_bar_is_stored_raw_at_its_sessions_open(written):
    run = imports.import_bars(written(HEADER, MONDAY))
    bar = Bar.objects.get()
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(map(Decimal, ("395.31", "396.20", "393.53", "395.98")))
    assert bar.volume == 108094400
    assert (bar.at, bar.session_date) == (datetime(2021, 3, 29, 13, 30, tzinfo=UTC), date(2021, 3, 29))
    assert (bar.instrument.symbol, bar.source, bar.timeframe) == ("SPY", "import", Timeframe.DAY)
    assert (run.state, counts(run)) == (ImportState.DONE, (1, 1, 0, 0, 0))
    assert run.finished_at is not None


def test_columns_come_in_any_order_and_case_and_others_are_ignored(written):
    imports.import_bars(written("Volume,note,CLOSE,low,high,open,symbol,date", "7,x,2,1,3,1.5,KO,2021-03-29"))
    bar = Bar.objects.get()
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (Decimal("1.5"), 3, 1, 2, 7)


def test_gzip_is_recognized_by_its_content_and_a_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_bytes(gzip.compress(f"\ufeff{HEADER}\n{MONDAY}\n".encode()))
    assert imports.import_bars(path).rows_inserted == 1


def test_the_same_file_twice_is_all_unchanged(written):
    path = written(HEADER, MONDAY, TUESDAY)
    imports.import_bars(path)
    again = imports.import_bars(path)
    assert counts(again) == (2, 0, 0, 2, 0)
    assert Bar.objects.count() == 2


def test_the_date_may_run_backwards_and_blank_lines_do_not_count(written):
    run = imports.import_bars(written(HEADER, WEDNESDAY, "", MONDAY, TUESDAY))
    assert counts(run) == (3, 3, 0, 0, 0)
    assert Instrument.objects.filter(symbol="SPY").count() == 1


def test_a_dry_run_counts_and_stores_nothing_else(written):
    run = imports.import_bars(written(HEADER, MONDAY, "2021-03-30,SPY,1,1,1,1,x"), dry_run=True)
    assert counts(run) == (2, 1, 0, 0, 1)
    assert run.row_errors.count() == 1
    assert not Bar.objects.exists()
    assert not Instrument.objects.exists()
    assert imports.import_bars(written(HEADER, MONDAY)).rows_inserted == 1


def test_minutes_are_stored_at_their_own_time(written):
    run = imports.import_bars(
        written(
            HEADER,
            "2021-03-29T09:30:00-04:00,SPY,1,1,1,1,5",
            "2021-03-29T19:59:00Z,SPY,1,1,1,1,5",
            "2021-03-29T20:00:00Z,SPY,1,1,1,1,5",
            "2021-03-29T13:29:00Z,SPY,1,1,1,1,5",
            "2021-03-29T13:30:30Z,SPY,1,1,1,1,5",
            "2021-03-29T13:30:00,SPY,1,1,1,1,5",
        ),
        timeframe=Timeframe.MINUTE,
    )
    assert list(Bar.objects.order_by("at").values_list("at", flat=True)) == [
        datetime(2021, 3, 29, 13, 30, tzinfo=UTC),
        datetime(2021, 3, 29, 19, 59, tzinfo=UTC),
    ]
    messages = list(run.row_errors.order_by("line").values_list("message", flat=True))
    assert [("outside" in m, "start of a minute" in m, "no time zone" in m) for m in messages] == [
        (True, False, False),
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


# ------------------------------------------------------------------ values that differ


def test_a_changed_value_is_refused_and_the_old_one_kept(written):
    imports.import_bars(written(HEADER, MONDAY))
    run = imports.import_bars(written(HEADER, MONDAY.replace("395.98", "396.00")))
    assert counts(run) == (1, 0, 0, 0, 1)
    assert Bar.objects.get().close == Decimal("395.98")
    error = run.row_errors.get()
    assert (error.line, error.column, error.value) == (2, "close", "395.980000")
    assert "396.000000" in error.message
    assert "--overwrite" in error.message


def test_overwrite_replaces_it_and_keeps_the_old_value_as_a_line(written):
    imports.import_bars(written(HEADER, MONDAY, TUESDAY))
    changed = written(HEADER, MONDAY.replace("395.98", "396.00"), TUESDAY)
    run = imports.import_bars(changed, overwrite=True, source="vendor")
    assert counts(run) == (2, 0, 1, 1, 0)
    bar = Bar.objects.get(session_date=date(2021, 3, 29))
    assert (bar.close, bar.source) == (Decimal("396.00"), "vendor")
    assert run.row_errors.get().value == "395.980000"
    assert counts(imports.import_bars(changed, overwrite=True, source="vendor")) == (2, 0, 0, 2, 0)


def test_a_session_given_twice_in_one_file_counts_once(written):
    run = imports.import_bars(written(HEADER, MONDAY, MONDAY, MONDAY.replace("395.98", "396.00")))
    assert counts(run) == (3, 1, 0, 1, 1)
    assert Bar.objects.get().close == Decimal("395.98")


# ------------------------------------------------------------------ broken lines


@pytest.mark.parametrize(
    ("line", "column", "value", "sentence"),
    [
        ("2021-3-30,SPY,1,1,1,1,1", "date", "2021-3-30", "not a date like"),
        ("2021-02-30,SPY,1,1,1,1,1", "date", "2021-02-30", "not a day of the calendar"),
        ("2021-04-02,SPY,1,1,1,1,1", "date", "2021-04-02", "no session on 2021-04-02"),
        ("1997-12-31,SPY,1,1,1,1,1", "date", "1997-12-31", "does not reach 1997-12-31"),
        ("2021-03-30,spy,1,1,1,1,1", "symbol", "spy", "not a stock or fund symbol"),
        ("2021-03-30,,1,1,1,1,1", "symbol", "", "not a stock or fund symbol"),
        ("2021-03-30,SPY,,1,1,1,1", "open", "", "The open is missing"),
        ("2021-03-30,SPY,1,one,1,1,1", "high", "one", "not a number"),
        ("2021-03-30,SPY,1,1,0,1,1", "low", "0", "not above zero"),
        ("2021-03-30,SPY,1,1,1,-1,1", "close", "-1", "not above zero"),
        ("2021-03-30,SPY,1,1,1,1.0000001,1", "close", "1.0000001", "more than 6 decimals"),
        ("2021-03-30,SPY,1,NaN,1,1,1", "high", "NaN", "not a number"),
        ("2021-03-30,SPY,1,1,1,1,1.5", "volume", "1.5", "more than 0 decimals"),
        ("2021-03-30,SPY,1,1,1,1,-1", "volume", "-1", "below zero"),
        ("2021-03-30,SPY,3,2,1,2,1", "open", "3.000000", "above the high of 2.000000"),
        ("2021-03-30,SPY,2,2,1,0.5,1", "close", "0.500000", "below the low of 1.000000"),
        ("2021-03-30,SPY,2,1,2,2,1", "low", "2.000000", "above the high of 1.000000"),
        ("2021-03-30,SPY,1,1,1,1", "", "", "has 6 fields, but the header has 7"),
        ("2021-03-30,SPY,1,1,1,1,1,1", "", "", "has 8 fields"),
    ],
)
def test_a_broken_line_is_told_with_line_column_and_value_and_the_others_go_on(written, line, column, value, sentence):
    run = imports.import_bars(written(HEADER, MONDAY, line, WEDNESDAY))
    assert counts(run) == (3, 2, 0, 0, 1)
    error = ImportRowError.objects.get()
    assert (error.run, error.line, error.column, error.value) == (run, 3, column, value)
    assert sentence in error.message
    assert error.message.endswith(".")


@pytest.mark.parametrize("text", ["1e2", "100.000000", "100.0000000", "+100", "00100"])
def test_unusual_spellings_of_a_number_are_read_exactly(written, text):
    imports.import_bars(written(HEADER, f"2021-03-30,SPY,100,100,100,{text},1e3"))
    assert (Bar.objects.get().close, Bar.objects.get().volume) == (100, 1000)


# ------------------------------------------------------------------ broken files


def broken_files(tmp_path):
    whole = gzip.compress(f"{HEADER}\n{MONDAY}\n".encode())
    contents = {
        "empty.csv": b"",
        "header.csv": b"2021-03-29,SPY,1,1,1,1,1\n",
        "short.csv": b"date,symbol,open\n",
        "twice.csv": f"{HEADER},close\n".encode(),
        "cut.csv.gz": whole[:-12],
        "torn.csv.gz": whole[:20] + b"\0\0\0" + whole[23:],
        "picture.csv": b"\x89PNG\r\n\x1a\n\xff\xfe",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.csv", "There is no file"),
        ("empty.csv", "empty.csv is empty"),
        ("header.csv", "it lacks date, symbol, open, high, low, close, volume"),
        ("short.csv", "it lacks high, low, close, volume"),
        ("twice.csv", "names a column twice: close"),
        ("cut.csv.gz", "is a damaged gzip file"),
        ("torn.csv.gz", "is a damaged gzip file"),
        ("picture.csv", "is not a text file in UTF-8"),
    ],
)
def test_a_wrong_file_is_one_sentence_and_changes_nothing(tmp_path, name, sentence):
    folder = broken_files(tmp_path)
    with pytest.raises(CommandError) as refused:
        call_command("import_bars", str(folder / name))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.returncode == 1
    assert not ImportRun.objects.exists()
    assert not Instrument.objects.exists()


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(imports.FileRefused, match="There is no file"):
        BarFile(tmp_path, timeframe=Timeframe.DAY)


# ------------------------------------------------------------------ broken off


def test_a_run_that_broke_off_goes_on_after_its_last_complete_chunk(written, monkeypatch):
    monkeypatch.setattr(imports, "CHUNK_ROWS", 1)
    path = written(HEADER, MONDAY, "2021-03-30,SPY,1,1,1,1,x", WEDNESDAY)
    insert = imports._insert_bars

    def fail_on_wednesday(bars, run):
        if any(row.session_date == date(2021, 3, 31) for row in bars.values()):
            raise DatabaseError("disk full")
        insert(bars, run)

    monkeypatch.setattr(imports, "_insert_bars", fail_on_wednesday)
    with pytest.raises(imports.ImportStopped, match=r"disk full.*2 rows are done"):
        imports.import_bars(path)
    broken_off = ImportRun.objects.get()
    assert (broken_off.state, counts(broken_off)) == (ImportState.FAILED, (2, 1, 0, 0, 1))

    monkeypatch.setattr(imports, "_insert_bars", insert)
    resumed = imports.import_bars(path)
    assert resumed.pk == broken_off.pk
    assert (resumed.state, counts(resumed)) == (ImportState.DONE, (3, 2, 0, 0, 1))
    assert resumed.error == ""
    assert Bar.objects.count() == 2
    assert resumed.row_errors.count() == 1


def test_a_killed_run_left_running_is_taken_up_again(written, monkeypatch):
    monkeypatch.setattr(imports, "CHUNK_ROWS", 1)
    path = written(HEADER, MONDAY, TUESDAY)

    def killed(run):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imports.import_bars(path, report=killed)
    assert (ImportRun.objects.get().state, Bar.objects.count()) == (ImportState.RUNNING, 1)
    assert counts(imports.import_bars(path)) == (2, 2, 0, 0, 0)


def test_a_canceled_run_stops_after_its_chunk_and_can_go_on(written, monkeypatch):
    monkeypatch.setattr(imports, "CHUNK_ROWS", 1)
    path = written(HEADER, MONDAY, TUESDAY, WEDNESDAY)

    def cancel(run):
        ImportRun.objects.update(cancel_requested=True)

    with pytest.raises(imports.ImportStopped, match="canceled"):
        imports.import_bars(path, report=cancel)
    run = ImportRun.objects.get()
    assert (run.state, run.rows_read) == (ImportState.CANCELED, 2)
    assert counts(imports.import_bars(path)) == (3, 3, 0, 0, 0)


# ------------------------------------------------------------------ companies and events


def test_a_listed_instrument_takes_the_bars_of_its_symbol(written):
    listed = Instrument.objects.create(symbol="SPY", kind="ETF", listed_name="kept")
    imports.import_bars(written(HEADER, MONDAY))
    assert Bar.objects.get().instrument == listed
    assert Instrument.objects.get().listed_name == "kept"


@pytest.mark.parametrize(
    ("second", "companies"),
    [
        ("2021-05-12,KO,10,10,10,10,1", 1),  # 30 sessions without a bar
        ("2021-05-13,KO,10,10,10,10,1", 2),  # 31
        ("2021-03-30,KO,30,30,30,30,1", 1),  # exactly three times
        ("2021-03-30,KO,30,30,30,30.01,1".replace("30,30,30,30.01", "30,31,30,30.01"), 2),
        ("2021-03-30,KO,4,4,3,3.34,1", 1),  # just above a third
        ("2021-03-30,KO,4,4,3,3.33,1", 2),  # just below a third
    ],
)
def test_a_long_gap_or_a_price_out_of_all_proportion_starts_another_company(written, second, companies):
    imports.import_bars(written(HEADER, "2021-03-29,KO,10,10,10,10,1", second))
    assert Instrument.objects.filter(symbol="KO").count() == companies
    newest = Instrument.objects.get(symbol="KO", is_active=True)
    assert newest.bars.filter(close__gt=0).order_by("-at").first().session_date.isoformat() == second[:10]


def test_the_older_company_is_closed_with_its_last_day(written):
    imports.import_bars(written(HEADER, "2021-03-29,KO,10,10,10,10,1"))
    first = Instrument.objects.get()
    imports.import_bars(written(HEADER, "2021-06-01,KO,50,50,50,50,1"))
    first.refresh_from_db()
    assert (first.is_active, first.last_date) == (False, date(2021, 3, 29))
    second = Instrument.objects.get(is_active=True)
    assert (second.symbol, second.first_date) == ("KO", date(2021, 6, 1))
    names = second.aliases.values_list("symbol", "first_date", "last_date")
    assert list(names) == [("KO", date(2021, 6, 1), None)]
    again = imports.import_bars(written(HEADER, "2021-03-29,KO,10,10,10,10,1"))
    assert counts(again) == (1, 0, 0, 1, 0)


def test_a_later_file_goes_on_with_the_same_company(written):
    imports.import_bars(written(HEADER, MONDAY))
    imports.import_bars(written(HEADER, TUESDAY, WEDNESDAY))
    assert Instrument.objects.get().bars.count() == 3


def test_event_columns_are_taken_as_they_are_and_explain_a_price(written):
    run = imports.import_bars(
        written(
            f"{HEADER},dividend,split_ratio",
            "2021-03-29,KO,80,80,80,80,1,0,0.0",
            "2021-03-30,KO,10,10,10,10,1,0.25,8:1",
            "2021-03-31,KO,80,80,80,80,1,,0.125",
        )
    )
    assert run.events_inserted == 3
    assert Instrument.objects.count() == 1
    rows = CorporateAction.objects.order_by("ex_date", "kind")
    assert list(rows.values_list("kind", "ex_date", "ratio_from", "ratio_to", "cash_per_share")) == [
        ("DIVIDEND", date(2021, 3, 30), 1, 1, Decimal("0.25")),
        ("SPLIT", date(2021, 3, 30), 1, 8, None),
        ("SPLIT", date(2021, 3, 31), 8, 1, None),
    ]


# ------------------------------------------------------------------ the real file


@needs_real_file
def test_the_real_file_twice(django_assert_max_num_queries):
    first = imports.import_bars(REAL_FILE)
    assert counts(first) == (65_727, 65_727, 0, 0, 0)
    second = imports.import_bars(REAL_FILE)
    assert counts(second) == (65_727, 0, 0, 65_727, 0)
    assert second.events_inserted == 0
    assert Bar.objects.count() == 65_727
    assert not ImportRowError.objects.exists()
    check_events_of_the_real_file()
    check_companies_of_the_real_file()


def check_events_of_the_real_file():
    def events(symbol, kind):
        return CorporateAction.objects.filter(instrument__symbol=symbol, kind=kind).order_by("ex_date")

    dividends = events("SPY", CorporateActionKind.DIVIDEND)
    assert dividends.count() == 94
    assert (dividends.last().ex_date, dividends.last().cash_per_share) == (
        date(2021, 3, 19),
        Decimal("1.2778"),
    )
    splits = events("AAPL", CorporateActionKind.SPLIT).values_list("ratio_to", "ratio_from", "ex_date")
    assert list(splits) == [
        (2, 1, date(2000, 6, 21)),
        (2, 1, date(2005, 2, 28)),
        (7, 1, date(2014, 6, 9)),
        (4, 1, date(2020, 8, 31)),
    ]
    uso = events("USO", CorporateActionKind.SPLIT).get()
    assert (uso.ratio_to, uso.ratio_from, uso.ex_date) == (1, 8, date(2020, 4, 29))
    aig = events("AIG", CorporateActionKind.SPLIT).last()
    assert (aig.ratio_to, aig.ratio_from, aig.ex_date) == (1, 20, date(2009, 7, 1))
    unclassified = CorporateAction.objects.get(kind=CorporateActionKind.UNCLASSIFIED)
    assert (unclassified.instrument.symbol, unclassified.ex_date) == ("AIG", date(2011, 1, 20))
    assert unclassified.step == "0.835547"


def check_companies_of_the_real_file():
    starts = {
        instrument.symbol: instrument.bars.order_by("at").first().session_date
        for instrument in Instrument.objects.filter(is_active=True)
    }
    assert len(starts) == 15
    assert starts["WM"] == date(2009, 8, 5)
    assert starts["BNO"] == date(2010, 6, 2)
    assert starts["USO"] == date(2006, 4, 10)
    assert starts["FB"] == date(2012, 5, 18)
    assert starts["AAPL"] == starts["AIG"] == date(1998, 1, 2)  # splits and crashes start no company


def test_the_command_shows_progress_refusals_and_totals(written):
    out = io.StringIO()
    path = written(HEADER, MONDAY, "2021-03-30,SPY,1,1,1,1,x")
    call_command("import_bars", str(path), source="vendor", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "2 rows read, 1 refused …"
    assert lines[1].startswith("line 3: The volume cannot be stored: 'x' is not a number.")
    assert lines[2] == ("2 rows read: 1 inserted, 0 updated, 0 unchanged, 1 refused; 0 corporate events added.")
