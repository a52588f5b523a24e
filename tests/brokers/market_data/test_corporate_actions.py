"""Events read from adjusted closes, the top-up of each session, and what is effective when."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from brokers.enums import CorporateActionKind, CorporateActionState
from brokers.market_data import corporate_actions, imports, sources
from brokers.market_data.import_histories import Point, classify, listings, merged
from brokers.models import CorporateAction, ImportRun, Instrument

SCALE = 10**12


def step(adjusted_before, close_before, adjusted_after, close_after):
    """Classify two consecutive closes, given as decimals."""
    units = [int(Decimal(text).scaleb(6)) for text in (close_before, close_after)]
    adjusted = [int(Decimal(text).scaleb(12)) for text in (adjusted_before, adjusted_after)]
    return classify(Point(1, units[0], adjusted[0]), Point(2, units[1], adjusted[1]))


# ------------------------------------------------------------------ steps


@pytest.mark.parametrize(
    ("adjusted_before", "kind", "cash"),
    [
        # The close after is 100 adjusted 100, the close before 100: the adjusted close before is the step x 100.
        ("100", None, 0),
        ("99.9998", None, 0),  # exactly 0.000002 below 1
        ("100.0002", None, 0),  # exactly 0.000002 above
        ("99.9997", CorporateActionKind.DIVIDEND, 300),
        ("99.5", CorporateActionKind.DIVIDEND, 500_000),
        ("90", CorporateActionKind.DIVIDEND, 10_000_000),  # 0.9 is still a dividend
        ("89.9", CorporateActionKind.UNCLASSIFIED, 0),  # within 0.0001 of no p/q: 17/19 = 0.8947, 9/10
        ("83.5547", CorporateActionKind.UNCLASSIFIED, 0),
        ("100.0003", CorporateActionKind.UNCLASSIFIED, 0),
        ("110", CorporateActionKind.UNCLASSIFIED, 0),  # 1.1 is not above 1.1
    ],
)
def test_a_step_is_nothing_a_dividend_or_unclassified(adjusted_before, kind, cash):
    event = step(adjusted_before, "100", "100", "100")
    assert (event.kind if event else None) == kind
    assert (event.cash_units if event else 0) == cash


@pytest.mark.parametrize(
    ("adjusted_before", "old", "new"),
    [
        ("50", 1, 2),
        ("14.285719593", 1, 7),  # 7-for-1 as the real file has it
        ("14.2843", 1, 7),  # 0.000099 below 1/7, relatively
        ("25", 1, 4),
        ("66.6664", 2, 3),
        ("2000", 20, 1),
        ("800", 8, 1),
        ("111.1111", 10, 9),
    ],
)
def test_a_step_near_a_small_ratio_is_a_split(adjusted_before, old, new):
    event = step(adjusted_before, "100", "100", "100")
    assert event.kind is CorporateActionKind.SPLIT
    assert (event.ratio_from, event.ratio_to) == (old, new)


def test_a_step_just_outside_the_ratio_is_unclassified():
    assert step("14.2841", "100", "100", "100").kind is CorporateActionKind.UNCLASSIFIED  # 0.000113 below 1/7
    assert step("4.5454", "100", "100", "100").kind is CorporateActionKind.UNCLASSIFIED  # 1/22: beyond 20


def test_a_dividend_is_the_fall_of_the_adjustment_times_the_close_before():
    # 1 % of a close of 50 while the price itself moves.
    event = step("49.5", "50", "48", "48")
    assert (event.cash_units, event.step) == (500_000, "0.990000")


def test_a_missing_adjusted_close_is_skipped_and_a_stored_row_is_not():
    numbers = {1: 1, 2: 2, 3: 3}
    before, after = Point(1, 100, 100), Point(3, 100, 102)
    [skipped] = listings([before, Point(2, 100), after], session_numbers=numbers, derive=True)
    assert [event.ordinal for event in skipped.events] == [3]
    [across] = listings([before, Point(2, 100, owner=9), after], session_numbers=numbers, derive=True)
    assert across.events == []
    assert across.owner == 9


def test_the_first_of_two_rows_of_a_day_counts_and_stored_rows_keep_their_owner():
    stored = {1: Point(1, 10, owner=5), 2: Point(2, 11, owner=5)}
    rows = [Point(3, 12), Point(1, 10, 7), Point(3, 13)]
    assert list(merged(rows, stored)) == [Point(1, 10, 7, owner=5), Point(2, 11, owner=5), Point(3, 12)]


# ------------------------------------------------------------------ top-up

# The universe pays its quarterly dividends on third Wednesdays: 2026-09-16 is one of SPY's.
EX_DATE = date(2026, 9, 16)


@pytest.fixture
def listed(settings, db):
    settings.REPLAY_BARS, settings.REPLAY_SEED = "synthetic", 42
    sources.list_instruments()


def spys():
    return CorporateAction.objects.filter(instrument__symbol="SPY").order_by("-ex_date").first()


@pytest.mark.parametrize(
    ("now", "newest", "state"),
    [
        # New York closes at 20:00 UTC in summer; the event is public from that instant.
        (datetime(2026, 9, 15, 19, 59, 59, tzinfo=UTC), date(2026, 6, 17), CorporateActionState.EFFECTIVE),
        (datetime(2026, 9, 15, 20, 0, tzinfo=UTC), EX_DATE, CorporateActionState.ANNOUNCED),
        (datetime(2026, 9, 16, 7, 59, 59, tzinfo=UTC), EX_DATE, CorporateActionState.ANNOUNCED),
        (datetime(2026, 9, 16, 8, 0, tzinfo=UTC), EX_DATE, CorporateActionState.EFFECTIVE),
    ],
)
def test_events_become_public_at_the_close_before_and_effective_at_four(listed, now, newest, state):
    assert corporate_actions.top_up(now=now) > 1000
    assert (spys().ex_date, spys().state) == (newest, state)


def test_a_second_top_up_finds_the_rows(listed, django_assert_num_queries):
    now = datetime(2026, 9, 15, 20, 0, tzinfo=UTC)
    corporate_actions.top_up(now=now)
    count = CorporateAction.objects.count()
    with django_assert_num_queries(1):
        assert corporate_actions.top_up(now=now) == 0
    corporate_actions.top_up(now=datetime(2026, 9, 16, 8, 0, tzinfo=UTC))
    assert CorporateAction.objects.count() == count
    assert ImportRun.objects.filter(kind=corporate_actions.TOP_UP).count() == 2
    assert spys().state == CorporateActionState.EFFECTIVE


def test_a_stored_event_is_the_markets_own(listed):
    corporate_actions.top_up(now=datetime(2026, 9, 16, 8, 0, tzinfo=UTC))
    [event] = [
        each
        for each in sources.replay_market().events("SPY", until_ordinal=sources.to_ordinal(EX_DATE))
        if each.ex_ordinal == sources.to_ordinal(EX_DATE)
    ]
    row = spys()
    assert (row.source, row.event_id, row.kind) == ("replay", event.event_id, "DIVIDEND")
    assert row.cash_per_share == Decimal(event.cash_units).scaleb(-6)
    assert row.pay_date == date(2026, 9, 25)  # seven sessions later
    assert row.record_date == EX_DATE


# ------------------------------------------------------------------ effective


def test_effective_events_lie_after_one_day_and_up_to_another(settings, db):
    settings.REPLAY_BARS = "imported"
    instrument = Instrument.objects.create(symbol="KO", kind="EQUITY")
    other = Instrument.objects.create(symbol="PEP", kind="EQUITY")

    def store(kind, day, *, of=instrument, **values):
        name = f"{kind}{day}{of.symbol}"
        return CorporateAction.objects.create(
            source="test", event_id=name, instrument=of, kind=kind, ex_date=day, **values
        )

    monday, tuesday, wednesday = (date(2026, 11, day) for day in (9, 10, 11))
    store("DIVIDEND", monday, cash_per_share=1)
    dividend = store("DIVIDEND", tuesday, cash_per_share=1)
    split = store("SPLIT", tuesday, ratio_to=2)
    last = store("RENAME", wednesday)
    store("UNCLASSIFIED", tuesday, step="0.8")
    store("SPLIT", wednesday, ratio_to=3, state=CorporateActionState.WITHDRAWN)
    store("DIVIDEND", tuesday, of=other, cash_per_share=1)
    found = corporate_actions.effective([instrument.pk], after=monday, until=wednesday)
    assert found == [split, dividend, last]
    assert corporate_actions.effective([instrument.pk], after=monday, until=monday) == []


def test_events_of_the_invented_and_the_imported_market_stay_apart(listed, settings, tmp_path):
    corporate_actions.top_up(now=datetime(2026, 9, 16, 8, 0, tzinfo=UTC))
    spy = Instrument.objects.get(symbol="SPY")
    path = tmp_path / "bars.csv"
    path.write_text(
        "date,symbol,open,high,low,close,volume,dividend\n"
        "2026-09-15,SPY,600,600,600,600,1,\n2026-09-16,SPY,600,600,600,600,1,1.75\n"
    )
    assert imports.import_bars(path).events_inserted == 1
    day = {"after": date(2026, 9, 15), "until": EX_DATE}
    [invented] = corporate_actions.effective([spy.pk], **day)
    assert invented.source == "replay"
    settings.REPLAY_BARS = "imported"
    [imported] = corporate_actions.effective([spy.pk], **day)
    assert (imported.source, imported.cash_per_share) == ("import", Decimal("1.75"))
    [event] = sources.replay_market().events("SPY", until_ordinal=sources.to_ordinal(EX_DATE))
    assert event.cash_units == 1_750_000


def test_the_name_of_the_invented_market_is_no_source_of_an_import(listed, tmp_path):
    with pytest.raises(imports.FileRefused, match="kept for the invented market"):
        imports.import_bars(tmp_path / "bars.csv", source="replay")
