"""The exchange calendar: sessions, phases, half days, daylight saving, settlement, option expiry, horizon."""

import dataclasses
import pickle
import time as stopwatch
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from brokers.market_data import calendar
from brokers.market_data.calendar import BeyondCalendar, Phase


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# New York closes at 13:00 on the Friday after Thanksgiving, on a 3 July from Monday to Thursday and on a 24
# December from Monday to Thursday.
FRIDAYS_AFTER_THANKSGIVING = [
    "2006-11-24", "2007-11-23", "2008-11-28", "2009-11-27", "2010-11-26", "2011-11-25", "2012-11-23",
    "2013-11-29", "2014-11-28", "2015-11-27", "2016-11-25", "2017-11-24", "2018-11-23", "2019-11-29",
    "2020-11-27", "2021-11-26", "2022-11-25", "2023-11-24", "2024-11-29", "2025-11-28", "2026-11-27",
]  # fmt: skip
JULY_3RDS = [f"{year}-07-03" for year in (2006, 2007, 2008, 2012, 2013, 2014, 2017, 2018, 2019, 2023, 2024, 2025)]
CHRISTMAS_EVES = [
    f"{year}-12-24" for year in (2007, 2008, 2009, 2012, 2013, 2014, 2015, 2018, 2019, 2020, 2024, 2025, 2026)
]
HALF_DAYS = sorted(date.fromisoformat(d) for d in FRIDAYS_AFTER_THANKSGIVING + JULY_3RDS + CHRISTMAS_EVES)


# Sessions


def test_a_friday_in_november_trades_from_14_30_to_21_00_utc():
    friday = calendar.session(date(2026, 11, 20))
    assert (friday.open, friday.close) == (utc("2026-11-20T14:30"), utc("2026-11-20T21:00"))
    assert not friday.is_half_day
    assert (friday.pre_open_start, friday.extended_end) == (utc("2026-11-20T09:00"), utc("2026-11-21T01:00"))


@pytest.mark.parametrize(
    "closed",
    [
        "1998-01-01",
        "2001-09-11",
        "2001-09-14",
        "2004-06-11",  # mourning for President Reagan
        "2012-10-29",  # hurricane
        "2012-10-30",
        "2018-12-05",  # mourning for President Bush
        "2025-01-09",  # mourning for President Carter
        "2022-06-20",  # Juneteenth, observed on Monday
        "2026-11-21",  # Saturday
        "2026-11-22",
        "2026-11-26",
    ],
)
def test_holidays_weekends_and_unplanned_closures_have_no_session(closed):
    assert calendar.session(date.fromisoformat(closed)) is None


def test_neighbours_of_thanksgiving():
    thanksgiving = date(2026, 11, 26)
    assert calendar.next_session(thanksgiving).date == date(2026, 11, 27)
    assert calendar.previous_session(thanksgiving).date == date(2026, 11, 25)
    assert calendar.next_session(date(2026, 11, 27)).date == date(2026, 11, 30)
    assert calendar.previous_session(date(2026, 11, 27)).date == date(2026, 11, 25)


def test_sessions_include_both_ends():
    week = calendar.sessions(date(2026, 11, 23), date(2026, 11, 27))
    assert [day.date.day for day in week] == [23, 24, 25, 27]
    assert calendar.sessions(date(2026, 11, 28), date(2026, 11, 29)) == []


def test_every_instant_is_aware_utc():
    for day in calendar.sessions(date(2026, 1, 1), date(2026, 12, 31)):
        for instant in (day.open, day.close, day.pre_open_start, day.extended_end, day.closing_start):
            assert instant.tzinfo is UTC


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T14:29:59.999999", None),
        ("2026-11-20T14:30", date(2026, 11, 20)),
        ("2026-11-20T20:59:59.999999", date(2026, 11, 20)),
        ("2026-11-20T21:00", None),
        ("2026-11-27T17:59:59.999999", date(2026, 11, 27)),
        ("2026-11-27T18:00", None),
    ],
)
def test_session_at_includes_the_open_and_not_the_close(at, expected):
    found = calendar.session_at(utc(at))
    assert (found and found.date) == expected


@pytest.mark.parametrize(
    ("at", "opened", "closing_next"),
    [
        ("2026-11-20T14:29:59.999999", "2026-11-19", "2026-11-20"),
        ("2026-11-20T14:30", "2026-11-20", "2026-11-20"),
        ("2026-11-20T20:59:59.999999", "2026-11-20", "2026-11-20"),
        ("2026-11-20T21:00", "2026-11-20", "2026-11-23"),
        ("2026-11-26T16:00", "2026-11-25", "2026-11-27"),
    ],
)
def test_latest_open_and_the_session_that_closes_next(at, opened, closing_next):
    assert calendar.latest_open(utc(at)).date == date.fromisoformat(opened)
    assert calendar.current_or_next_session(utc(at)).date == date.fromisoformat(closing_next)


def test_another_time_zone_gives_the_same_answer():
    tokyo = timezone(timedelta(hours=9))
    assert calendar.session_at(utc("2026-11-20T15:00").astimezone(tokyo)).date == date(2026, 11, 20)
    assert calendar.phase(utc("2026-11-20T15:00").astimezone(tokyo)) is Phase.OPEN


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        calendar.session_at(datetime(2026, 11, 20, 15))
    with pytest.raises(ValueError, match="no time zone"):
        calendar.new_york(datetime(2026, 11, 20, 15))


# Phases


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T08:59:59.999999", Phase.CLOSED),
        ("2026-11-20T09:00", Phase.PRE_OPEN),  # 04:00 New York
        ("2026-11-20T14:29:59.999999", Phase.PRE_OPEN),
        ("2026-11-20T14:30", Phase.OPEN),
        ("2026-11-20T20:29:59.999999", Phase.OPEN),
        ("2026-11-20T20:30", Phase.CLOSING),
        ("2026-11-20T20:59:59.999999", Phase.CLOSING),
        ("2026-11-20T21:00", Phase.CLOSED),
        ("2026-11-21T09:00", Phase.CLOSED),  # Saturday has no 04:00
        ("2026-11-23T09:00", Phase.PRE_OPEN),
        ("2026-11-27T17:29:59.999999", Phase.OPEN),  # half day
        ("2026-11-27T17:30", Phase.CLOSING),
        ("2026-11-27T18:00", Phase.CLOSED),
    ],
)
def test_phases_on_both_sides_of_each_border(at, expected):
    assert calendar.phase(utc(at)) is expected
    assert calendar.is_regular_hours(utc(at)) is (expected in {Phase.OPEN, Phase.CLOSING})


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T08:59:59", False),
        ("2026-11-20T09:00", True),
        ("2026-11-20T14:30", False),
        ("2026-11-20T20:59:59", False),
        ("2026-11-20T21:00", True),
        ("2026-11-21T00:59:59", True),  # 19:59:59 in New York
        ("2026-11-21T01:00", False),
        ("2026-11-27T18:00", True),  # half day, extended to 17:00 New York
        ("2026-11-27T21:59:59", True),
        ("2026-11-27T22:00", False),
        ("2026-11-26T15:00", False),  # Thanksgiving
    ],
)
def test_extended_hours(at, expected):
    assert calendar.is_extended_hours(utc(at)) is expected


# Half days


def test_every_half_day_since_2006_closes_at_13_00_in_new_york():
    assert len(HALF_DAYS) == 46
    found = [d for d in calendar.sessions(date(2006, 1, 1), date(2026, 12, 31)) if d.is_half_day]
    assert [day.date for day in found] == HALF_DAYS
    for day in found:
        assert f"{calendar.new_york(day.close):%H:%M}" == "13:00"
        assert f"{calendar.new_york(day.closing_start):%H:%M}" == "12:30"
        assert f"{calendar.new_york(day.extended_end):%H:%M}" == "17:00"


def test_every_other_session_closes_at_16_00_in_new_york():
    for day in calendar.sessions(date(1998, 1, 1), date(2026, 12, 31)):
        if not day.is_half_day:
            assert f"{calendar.new_york(day.close):%H:%M}" == "16:00"
            assert f"{calendar.new_york(day.extended_end):%H:%M}" == "20:00"


def test_ten_minutes_before_the_close_of_a_half_day_is_12_50():
    half_day = calendar.session(date(2026, 11, 27))
    assert half_day.close == utc("2026-11-27T18:00")
    due = utc("2026-11-27T17:50")
    assert f"{calendar.new_york(due):%H:%M}" == "12:50"
    assert calendar.minutes_before_close(due) == 10
    assert calendar.minutes_before_close(utc("2026-11-27T20:50")) is None  # ten to four: closed for hours


@pytest.mark.parametrize(
    ("at", "minutes", "is_due"),
    [
        ("2026-11-20T20:49:59.999999", None, False),
        ("2026-11-20T20:50", Decimal(10), True),  # exactly N minutes counts as due
        ("2026-11-20T20:50:30", Decimal("9.5"), True),
        ("2026-11-20T14:30", Decimal(390), False),
        ("2026-11-20T20:59:57", Decimal("0.05"), True),
    ],
)
def test_minutes_before_close(at, minutes, is_due):
    left = calendar.minutes_before_close(utc(at))
    assert minutes is None or left == minutes
    assert (left <= 10) is is_due


@pytest.mark.parametrize("at", ["2026-11-20T14:29:59", "2026-11-20T21:00", "2026-11-21T18:00"])
def test_there_are_no_minutes_before_close_outside_the_session(at):
    assert calendar.minutes_before_close(utc(at)) is None


# Daylight saving


@pytest.mark.parametrize(
    ("friday", "monday", "open_friday", "open_monday"),
    [
        (date(2006, 3, 31), date(2006, 4, 3), "14:30", "13:30"),  # first Sunday of April, until 2006
        (date(2006, 10, 27), date(2006, 10, 30), "13:30", "14:30"),
        (date(2007, 3, 9), date(2007, 3, 12), "14:30", "13:30"),  # second Sunday of March, since 2007
        (date(2007, 11, 2), date(2007, 11, 5), "13:30", "14:30"),
        (date(2026, 3, 6), date(2026, 3, 9), "14:30", "13:30"),
        (date(2026, 10, 30), date(2026, 11, 2), "13:30", "14:30"),
    ],
)
def test_the_open_moves_an_hour_in_utc_over_a_change_of_the_clock(friday, monday, open_friday, open_monday):
    assert f"{calendar.session(friday).open:%H:%M}" == open_friday
    assert f"{calendar.session(monday).open:%H:%M}" == open_monday
    assert calendar.next_session(friday).date == monday


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        # 2026-03-08: New York goes from 02:00 to 03:00, so Monday's 04:00 is 08:00 UTC and not 09:00.
        ("2026-03-06T21:00", Phase.CLOSED),
        ("2026-03-08T06:59:59", Phase.CLOSED),
        ("2026-03-08T07:00", Phase.CLOSED),
        ("2026-03-09T07:59:59", Phase.CLOSED),
        ("2026-03-09T08:00", Phase.PRE_OPEN),
        ("2026-03-09T13:30", Phase.OPEN),
        ("2026-03-09T19:30", Phase.CLOSING),
        ("2026-03-09T20:00", Phase.CLOSED),
        # 2026-11-01: from 02:00 back to 01:00, so Monday's 04:00 is 09:00 UTC and not 08:00.
        ("2026-11-01T05:30", Phase.CLOSED),  # the first 01:30
        ("2026-11-01T06:30", Phase.CLOSED),  # the second
        ("2026-11-02T08:59:59", Phase.CLOSED),
        ("2026-11-02T09:00", Phase.PRE_OPEN),
        ("2026-11-02T14:29:59", Phase.PRE_OPEN),
        ("2026-11-02T14:30", Phase.OPEN),
        ("2026-11-02T20:59:59", Phase.CLOSING),
        ("2026-11-02T21:00", Phase.CLOSED),
    ],
)
def test_phases_around_the_nights_the_clock_changes(at, phase):
    assert calendar.phase(utc(at)) is phase


def test_new_yorks_date_changes_at_its_own_midnight():
    assert calendar.new_york_date(utc("2026-11-21T04:59:59")) == date(2026, 11, 20)
    assert calendar.new_york_date(utc("2026-11-21T05:00")) == date(2026, 11, 21)
    assert calendar.new_york_date(utc("2026-07-01T03:59:59")) == date(2026, 6, 30)
    assert calendar.new_york_date(utc("2026-07-01T04:00")) == date(2026, 7, 1)


# Settlement


@pytest.mark.parametrize(
    ("traded", "settles"),
    [
        ("2017-08-31", "2017-09-06"),  # T+3 over Labor Day (Monday the 4th)
        ("2017-09-01", "2017-09-07"),  # last day of T+3 ...
        ("2017-09-05", "2017-09-07"),  # ... and first of T+2 settle together
        ("2024-05-23", "2024-05-28"),  # T+2 over Memorial Day (Monday the 27th)
        ("2024-05-24", "2024-05-29"),  # last day of T+2 ...
        ("2024-05-28", "2024-05-29"),  # ... and first of T+1 settle together
        ("2026-11-25", "2026-11-27"),  # over Thanksgiving
        ("2026-11-27", "2026-11-30"),
    ],
)
def test_settlement_of_shares_where_the_rule_changed(traded, settles):
    assert calendar.settlement_date(date.fromisoformat(traded)) == date.fromisoformat(settles)


@pytest.mark.parametrize(
    ("traded", "settles"),
    [
        ("1999-10-05", "1999-10-08"),  # the table of FINRA (then NASD) Notice to Members 99-83
        ("1999-10-06", "1999-10-12"),
        ("1999-10-07", "1999-10-13"),
        ("1999-10-08", "1999-10-14"),
        ("1999-10-11", "1999-10-14"),  # Columbus Day: combined with the business day before
        ("1999-10-12", "1999-10-15"),
        ("2026-10-09", "2026-10-13"),  # Friday before Columbus Day, T+1
        ("2025-11-10", "2025-11-12"),  # Veterans Day is Tuesday
        ("2018-11-09", "2018-11-14"),  # Veterans Day on a Sunday is kept on Monday the 12th, T+2
    ],
)
def test_bank_holidays_on_which_the_exchange_trades_do_not_settle(traded, settles):
    assert calendar.settlement_date(date.fromisoformat(traded)) == date.fromisoformat(settles)


def test_options_always_settled_the_next_day():
    assert calendar.option_settlement_date(date(2010, 3, 1)) == date(2010, 3, 2)
    assert calendar.option_settlement_date(date(2024, 5, 24)) == date(2024, 5, 28)


# Option expiry


@pytest.mark.parametrize(
    ("expiry", "last_trade"),
    [
        ("2014-06-21", "2014-06-20T20:00"),  # Saturday: Friday's close
        ("2014-06-20", "2014-06-20T20:00"),
        ("2014-04-18", "2014-04-17T20:00"),  # Good Friday: the session before
        ("2008-03-22", "2008-03-20T20:00"),  # Saturday after Good Friday
        ("2026-11-27", "2026-11-27T18:00"),  # half day
        ("2026-11-20", "2026-11-20T21:00"),
    ],
)
def test_an_option_stops_trading_at_the_last_close_on_or_before_its_expiry(expiry, last_trade):
    assert calendar.option_last_trade(date.fromisoformat(expiry)) == utc(last_trade)


def test_late_closing_contracts_trade_fifteen_minutes_longer():
    assert calendar.option_last_trade(date(2026, 11, 20), late_close=True) == utc("2026-11-20T21:15")
    assert calendar.option_last_trade(date(2026, 11, 27), late_close=True) == utc("2026-11-27T18:15")


# Horizon


def test_questions_past_the_end_raise_and_never_mean_closed():
    last = calendar.horizon()
    after = last + timedelta(days=1)
    noon = datetime(after.year, after.month, after.day, 12, tzinfo=UTC)
    questions = [
        lambda: calendar.session(after),
        lambda: calendar.sessions(last, after),
        lambda: calendar.next_session(last),
        lambda: calendar.previous_session(after),
        lambda: calendar.settlement_date(last),
        lambda: calendar.option_last_trade(after),
        lambda: calendar.phase(noon),
        lambda: calendar.session_at(noon),
        lambda: calendar.is_extended_hours(noon),
        lambda: calendar.minutes_before_close(noon),
        lambda: calendar.latest_open(noon),
        lambda: calendar.current_or_next_session(noon),
    ]
    for question in questions:
        with pytest.raises(BeyondCalendar) as raised:
            question()
        assert raised.value.asked == after
        assert raised.value.last == last


def test_the_last_session_itself_is_known():
    last = calendar.horizon()
    assert calendar.session(last).date == last
    assert calendar.phase(calendar.session(last).close) is Phase.CLOSED


def test_questions_before_1998_raise():
    for question in (calendar.session, calendar.next_session, calendar.previous_session):
        with pytest.raises(BeyondCalendar):
            question(date(1997, 12, 31))
    with pytest.raises(BeyondCalendar):
        calendar.previous_session(date(1998, 1, 2))
    with pytest.raises(BeyondCalendar):
        calendar.phase(utc("1998-01-01T04:59:59"))
    assert calendar.phase(utc("1998-01-01T05:00")) is Phase.CLOSED


def test_the_error_is_a_sentence_with_both_dates_and_survives_pickling():
    error = BeyondCalendar(date(2028, 1, 1), date(2027, 11, 19))
    assert str(error) == ("The exchange calendar runs from 1998-01-01 to 2027-11-19 and does not reach 2028-01-01.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_question_near_the_end_rebuilds_a_table_an_hour_old(monkeypatch):
    old = dataclasses.replace(calendar._build(end=date(2026, 3, 31)), built_at=stopwatch.monotonic() - 3601)
    monkeypatch.setattr(calendar, "_table", old)
    assert calendar.session(date(2025, 12, 31)).date == date(2025, 12, 31)  # 90 days before the end
    assert calendar.horizon() == date(2026, 3, 31)
    assert calendar.session(date(2026, 4, 1)).date == date(2026, 4, 1)
    assert calendar.horizon() > date(2026, 3, 31)


def test_a_fresh_table_is_not_rebuilt(monkeypatch):
    monkeypatch.setattr(calendar, "_table", calendar._build(end=date(2026, 3, 31)))
    with pytest.raises(BeyondCalendar):
        calendar.session(date(2026, 4, 1))
    with pytest.raises(BeyondCalendar):
        calendar.phase(utc("2026-04-01T15:00"))


# For the replay market


def test_arrays_hold_every_session_as_integers():
    ordinals, opens, closes = calendar.session_arrays()
    assert {str(column.dtype) for column in (ordinals, opens, closes)} == {"int64"}
    assert len(ordinals) == len(opens) == len(closes)
    assert date.fromordinal(int(ordinals[0])) == date(1998, 1, 2)
    assert opens[0] == 883_751_400  # 1998-01-02 14:30 UTC
    assert closes[0] == 883_774_800  # 21:00 UTC, 23,400 s later
    assert date.fromordinal(int(ordinals[-1])) == calendar.horizon()
    assert (ordinals[1:] > ordinals[:-1]).all()
    assert (opens[1:] > closes[:-1]).all()
    with pytest.raises(ValueError, match="read-only"):
        opens[0] = 0


def test_the_version_names_exchange_and_library():
    exchange, _, number = calendar.calendar_version().partition("-")
    assert exchange == "XNYS"
    assert all(part.isdigit() for part in number.split("."))
