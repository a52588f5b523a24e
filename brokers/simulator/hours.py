"""When an order works: from when it is active, when it ends, and which auctions take it. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from brokers.enums import TimeInForce
from brokers.market_data import calendar
from brokers.market_data.calendar import Session

GTC_DAYS = 90
GTC_AFTER_CLOSE = timedelta(minutes=15)
TO_EVENING = timedelta(hours=15)  # from 04:00 to 19:00 in New York; clocks change before 04:00
OPENING_AUCTION_STOP = timedelta(minutes=2)  # 09:28
CLOSING_AUCTION_STOP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (included) to `end` (excluded)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Life:
    """An order is matched from `active_from` on, both included, until `expires_at`."""

    active_from: datetime
    expires_at: datetime


new_york_date = calendar.new_york_date
is_open = calendar.is_regular_hours
is_extended = calendar.is_extended_hours


def next_open(now: datetime) -> datetime:
    """Return the first regular open later than this instant."""
    today = calendar.session(calendar.new_york_date(now))
    if today is not None and now < today.open:
        return today.open
    return calendar.next_session(calendar.new_york_date(now)).open


def life(
    *,
    time_in_force: TimeInForce,
    extended_hours: bool,
    expires_on: date | None,
    now: datetime,
    latency: timedelta = timedelta(0),
) -> Life:
    """
    Return from when to when an order accepted now is matched.

    An order entered at the close or later belongs to the next session. Latency delays the start.
    """
    session = _extended_session(now) if extended_hours else calendar.current_or_next_session(now)
    opens = session.pre_open_start if extended_hours else session.open
    starts = max(now + latency, opens)
    if time_in_force is TimeInForce.OPG:
        starts = session.open
    elif time_in_force is TimeInForce.CLS:
        starts = session.close
    return Life(starts, _end(time_in_force, session, extended_hours=extended_hours, expires_on=expires_on, now=now))


def auction_window(time_in_force: TimeInForce, now: datetime) -> Window:
    """Return when orders for the coming opening (OPG) or closing (CLS) print are taken."""
    if time_in_force is TimeInForce.OPG:
        session = _session_opening_after(now)
        end = session.open - OPENING_AUCTION_STOP
    else:
        session = calendar.current_or_next_session(now)
        end = session.close - CLOSING_AUCTION_STOP
    return Window(calendar.previous_session(session.date).pre_open_start + TO_EVENING, end)


def gtd_end(expires_on: date) -> datetime:
    """Return the close of the last session on or before a date."""
    return _session_on_or_before(expires_on).close


def _end(
    time_in_force: TimeInForce,
    session: Session,
    *,
    extended_hours: bool,
    expires_on: date | None,
    now: datetime,
) -> datetime:
    if time_in_force is TimeInForce.GTC:
        last_day = calendar.new_york_date(now) + timedelta(days=GTC_DAYS)
        return _session_on_or_before(last_day).close + GTC_AFTER_CLOSE
    if time_in_force is TimeInForce.GTD and expires_on is not None:
        return gtd_end(expires_on)
    if time_in_force is TimeInForce.OPG:
        return session.open
    return session.extended_end if extended_hours else session.close


def _extended_session(now: datetime) -> Session:
    today = calendar.session(calendar.new_york_date(now))
    if today is not None and now < today.extended_end:
        return today
    return calendar.next_session(calendar.new_york_date(now))


def _session_opening_after(now: datetime) -> Session:
    today = calendar.session(calendar.new_york_date(now))
    if today is not None and now < today.open:
        return today
    return calendar.next_session(calendar.new_york_date(now))


def _session_on_or_before(day: date) -> Session:
    return calendar.session(day) or calendar.previous_session(day)
