"""
Say when the New York Stock Exchange is open, from plain tuples built once from exchange_calendars.

Every instant in and out is an aware UTC datetime; every date is a New York date. Nothing here guesses: a
question outside the calendar's first and last day raises `BeyondCalendar` and never means "closed".
"""

from __future__ import annotations

import threading
import time as stopwatch
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import numpy as np

CLOSING_MINUTES = 30
FIRST_DAY = date(1998, 1, 1)

_NEW_YORK = ZoneInfo("America/New_York")
_PRE_OPEN_START = time(4)
_EXTENDED_END = time(20)
_EXTENDED_END_HALF_DAY = time(17)
_LATE_CLOSE = timedelta(minutes=15)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_MINUTE = 60_000_000

# The library knows about one year from the day it is asked, so a long-lived process asks again when a
# question comes near the end, but not more than hourly: the answer only grows by a day a day.
_REBUILD_WITHIN = timedelta(days=90)
_REBUILD_EVERY_SECONDS = 3600.0

# Trade dates from which shares settle in so many days, newest first; 3 days before the last of them.
_SETTLEMENT_DAYS = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2))
_SETTLEMENT_DAYS_BEFORE = 3


class Phase(StrEnum):
    """Part of the trading day; regular hours are OPEN and CLOSING together."""

    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; regular hours are [open, close), extended hours reach from 04:00 to `extended_end`."""

    date: date
    open: datetime
    close: datetime
    is_half_day: bool
    pre_open_start: datetime
    extended_end: datetime

    @property
    def closing_start(self) -> datetime:
        """Return the first instant of CLOSING, 30 minutes before the session's own close."""
        return self.close - timedelta(minutes=CLOSING_MINUTES)


class BeyondCalendar(Exception):
    """The calendar does not reach the day asked about; the caller must not take that for a closed day."""

    def __init__(self, asked: date, last: date) -> None:
        super().__init__(asked, last)
        self.asked = asked
        self.last = last

    def __str__(self) -> str:
        return f"The exchange calendar runs from {FIRST_DAY} to {self.last} and does not reach {self.asked}."


def session(asked: date) -> Session | None:
    """Return the session of a New York date, or None when the exchange does not trade that day."""
    return _table_for(asked).by_date.get(asked)


def sessions(start: date, end: date) -> list[Session]:
    """Return the sessions from `start` to `end`, both included, oldest first."""
    table = _table_for(end)
    table.require(start)
    return list(table.sessions[bisect_left(table.dates, start) : bisect_right(table.dates, end)])


def next_session(after: date) -> Session:
    """Return the first session later than a date."""
    table = _table_for(after)
    return table.at(bisect_right(table.dates, after), asked=after + timedelta(days=1))


def previous_session(before: date) -> Session:
    """Return the last session earlier than a date."""
    table = _table_for(before)
    return table.at(bisect_left(table.dates, before) - 1, asked=before - timedelta(days=1))


def session_at(now: datetime) -> Session | None:
    """Return the session whose regular hours, [open, close), contain this instant, or None."""
    table = _table_at(now)
    number = bisect_right(table.opens, now) - 1
    if number < 0 or now >= table.closes[number]:
        return None
    return table.sessions[number]


def latest_open(now: datetime) -> Session:
    """Return the last session that has opened by this instant; it may have closed since."""
    table = _table_at(now)
    return table.at(bisect_right(table.opens, now) - 1, asked=new_york_date(now))


def current_or_next_session(now: datetime) -> Session:
    """Return the first session that closes later than this instant."""
    table = _table_at(now)
    return table.at(bisect_right(table.closes, now), asked=new_york_date(now) + timedelta(days=1))


def phase(now: datetime) -> Phase:
    """Return the part of the trading day; each part includes its first instant and not its last."""
    current = session_at(now)
    if current is not None:
        return Phase.OPEN if now < current.closing_start else Phase.CLOSING
    coming = session(new_york_date(now))
    if coming is not None and coming.pre_open_start <= now < coming.open:
        return Phase.PRE_OPEN
    return Phase.CLOSED


def minutes_before_close(now: datetime) -> Decimal | None:
    """
    Return the minutes left in the current session, > 0, or None outside regular hours.

    Something set for N minutes before the close is due when this is N or less: on a half day, which closes
    at 13:00 New York, ten minutes before is 12:50.
    """
    current = session_at(now)
    if current is None:
        return None
    return Decimal((current.close - now) // _MICROSECOND) / _MICROSECONDS_PER_MINUTE


def is_regular_hours(now: datetime) -> bool:
    """Return whether the exchange is in its regular session."""
    return session_at(now) is not None


def is_extended_hours(now: datetime) -> bool:
    """Return whether it is before the open (from 04:00) or after the close (to 20:00, half days 17:00)."""
    _table_at(now)
    today = session(new_york_date(now))
    if today is None:
        return False
    return today.pre_open_start <= now < today.open or today.close <= now < today.extended_end


def settlement_date(trade_date: date) -> date:
    """
    Return when shares traded on a date are paid for: T+1 from 2024-05-28, T+2 from 2017-09-05, T+3 before.

    Columbus Day and Veterans Day are not counted (FINRA Notice 99-83): the exchange trades, but banks are
    closed and nothing settles.
    """
    days = next((days for since, days in _SETTLEMENT_DAYS if trade_date >= since), _SETTLEMENT_DAYS_BEFORE)
    return _settlement_day_after(trade_date, days=days)


def option_settlement_date(trade_date: date) -> date:
    """Return the day option trades of a date are paid for: T+1, counted as for shares."""
    return _settlement_day_after(trade_date, days=1)


def option_last_trade(expiry: date, *, late_close: bool = False) -> datetime:
    """
    Return when an option stops trading: the close of the last session on or before its expiry date.

    A Saturday expiry means Friday's close, an expiry on a holiday the session before. `late_close` is for
    contracts that trade 15 minutes longer; PM-settled index options do not do so on their last day.
    """
    table = _table_for(expiry)
    close = table.at(bisect_right(table.dates, expiry) - 1, asked=expiry).close
    return close + _LATE_CLOSE if late_close else close


def session_arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return every session as three read-only int64 arrays, oldest first.

    They hold the date's ordinal (`date.toordinal`), the open and the close in seconds since 1970 in UTC, from
    1998 to the horizon.
    """
    return _current_table().arrays


@cache
def calendar_version() -> str:
    """Return exchange and library version, part of the replay market's identity: `XNYS-4.13.2`."""
    return f"XNYS-{version('exchange_calendars')}"


def horizon() -> date:
    """Return the last session the calendar knows, about one year after it was built."""
    return _current_table().last


def new_york(now: datetime) -> datetime:
    """Return the same instant with New York's clock, for display."""
    if now.tzinfo is None:
        raise ValueError(f"The time {now.isoformat()} has no time zone.")
    return now.astimezone(_NEW_YORK)


def new_york_date(now: datetime) -> date:
    """Return the date in New York at this instant."""
    return new_york(now).date()


@dataclass(frozen=True, slots=True)
class _Table:
    """Every session from FIRST_DAY to the horizon; the lists are parallel and ascending."""

    sessions: tuple[Session, ...]
    by_date: dict[date, Session]
    dates: list[date]
    opens: list[datetime]
    closes: list[datetime]
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray]
    start: datetime  # midnight in New York before FIRST_DAY
    end: datetime  # midnight in New York after the last session
    built_at: float  # seconds of this process's stopwatch

    @property
    def last(self) -> date:
        return self.dates[-1]

    def require(self, asked: date) -> None:
        if not FIRST_DAY <= asked <= self.last:
            raise BeyondCalendar(asked, self.last)

    def at(self, number: int, *, asked: date) -> Session:
        if not 0 <= number < len(self.sessions):
            raise BeyondCalendar(asked, self.last)
        return self.sessions[number]


_table: _Table | None = None
_building = threading.Lock()


def _table_for(asked: date) -> _Table:
    table = _current_table()
    if asked > table.last - _REBUILD_WITHIN:
        table = _rebuilt(table)
    table.require(asked)
    return table


def _table_at(now: datetime) -> _Table:
    if now.tzinfo is None:
        raise ValueError(f"The time {now.isoformat()} has no time zone.")
    table = _current_table()
    if now >= table.end - _REBUILD_WITHIN:
        table = _rebuilt(table)
    if not table.start <= now < table.end:
        raise BeyondCalendar(new_york_date(now), table.last)
    return table


def _current_table() -> _Table:
    global _table
    if _table is None:
        with _building:
            if _table is None:
                _table = _build()
    return _table


def _rebuilt(table: _Table) -> _Table:
    """Return a table less than an hour old, the given one if it is."""
    global _table
    if stopwatch.monotonic() - table.built_at < _REBUILD_EVERY_SECONDS:
        return table
    with _building:
        if _table is table:
            _table = _build()
    return _table or table


def _build(*, end: date | None = None) -> _Table:
    # The class, not get_calendar(): that one hands back the calendar it made before, with its old end.
    from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar

    source = XNYSExchangeCalendar(start=FIRST_DAY.isoformat(), end=end and end.isoformat())
    half_days = {stamp.date() for stamp in source.early_closes}
    rows = tuple(
        _make_session(day.date(), opens.to_pydatetime(), closes.to_pydatetime(), half_days)
        for day, opens, closes in zip(source.sessions, source.opens, source.closes, strict=True)
    )
    return _Table(
        sessions=rows,
        by_date={row.date: row for row in rows},
        dates=[row.date for row in rows],
        opens=[row.open for row in rows],
        closes=[row.close for row in rows],
        arrays=_arrays(rows),
        start=_new_york_instant(FIRST_DAY, time()),
        end=_new_york_instant(rows[-1].date + timedelta(days=1), time()),
        built_at=stopwatch.monotonic(),
    )


def _make_session(day: date, opens: datetime, closes: datetime, half_days: set[date]) -> Session:
    is_half_day = day in half_days
    return Session(
        date=day,
        open=opens.astimezone(UTC),
        close=closes.astimezone(UTC),
        is_half_day=is_half_day,
        pre_open_start=_new_york_instant(day, _PRE_OPEN_START),
        extended_end=_new_york_instant(day, _EXTENDED_END_HALF_DAY if is_half_day else _EXTENDED_END),
    )


def _new_york_instant(day: date, at: time) -> datetime:
    return datetime.combine(day, at, tzinfo=_NEW_YORK).astimezone(UTC)


def _arrays(rows: tuple[Session, ...]) -> tuple[Any, Any, Any]:
    import numpy as np

    columns = (
        np.array([row.date.toordinal() for row in rows], dtype=np.int64),
        np.array([int(row.open.timestamp()) for row in rows], dtype=np.int64),
        np.array([int(row.close.timestamp()) for row in rows], dtype=np.int64),
    )
    for column in columns:
        column.setflags(write=False)
    return columns


def _settlement_day_after(trade_date: date, *, days: int) -> date:
    day = trade_date
    while days:
        day = next_session(day).date
        if not _banks_are_closed(day):
            days -= 1
    return day


def _banks_are_closed(day: date) -> bool:
    """Return whether a session is one of the two bank holidays on which the exchange trades."""
    is_columbus_day = day.month == 10 and day.weekday() == 0 and 8 <= day.day <= 14
    is_veterans_day = day.month == 11 and (day.day == 11 or (day.day == 12 and day.weekday() == 0))
    return is_columbus_day or is_veterans_day
