from datetime import UTC, date, datetime, timedelta

import pytest

from brokers.enums import TimeInForce
from brokers.simulator import hours

FRIDAY = date(2026, 11, 20)
OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
MONDAY_OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MONDAY_CLOSE = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)


def life(now, time_in_force=TimeInForce.DAY, *, extended=False, expires_on=None, latency=timedelta(0)):
    found = hours.life(
        time_in_force=time_in_force, extended_hours=extended, expires_on=expires_on, now=now, latency=latency
    )
    return found.active_from, found.expires_at


@pytest.mark.parametrize(
    ("now", "active", "ends"),
    [
        (OPEN - timedelta(seconds=1), OPEN, CLOSE),
        (OPEN, OPEN, CLOSE),
        (CLOSE - timedelta(seconds=1), CLOSE - timedelta(seconds=1), CLOSE),  # 15:59:59 still belongs to today
        (CLOSE, MONDAY_OPEN, MONDAY_CLOSE),  # 16:00:00 is the next session's
        (datetime(2026, 11, 22, 12, 0, tzinfo=UTC), MONDAY_OPEN, MONDAY_CLOSE),
    ],
)
def test_a_day_order_lives_until_the_close_of_the_session_it_is_entered_for(now, active, ends):
    assert life(now) == (active, ends)


def test_on_a_half_day_a_day_order_ends_at_13_00_new_york():
    half_day_close = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    assert life(datetime(2026, 11, 27, 17, 59, tzinfo=UTC))[1] == half_day_close
    assert life(half_day_close)[0] == datetime(2026, 11, 30, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "active", "ends"),
    [
        # 03:59 in New York waits for 04:00; 19:59:59 is active at once; 20:00 is Monday's.
        (
            datetime(2026, 11, 20, 8, 59, tzinfo=UTC),
            datetime(2026, 11, 20, 9, tzinfo=UTC),
            datetime(2026, 11, 21, 1, tzinfo=UTC),
        ),
        (
            datetime(2026, 11, 21, 0, 59, 59, tzinfo=UTC),
            datetime(2026, 11, 21, 0, 59, 59, tzinfo=UTC),
            datetime(2026, 11, 21, 1, tzinfo=UTC),
        ),
        (
            datetime(2026, 11, 21, 1, tzinfo=UTC),
            datetime(2026, 11, 23, 9, tzinfo=UTC),
            datetime(2026, 11, 24, 1, tzinfo=UTC),
        ),
    ],
)
def test_an_extended_hours_day_order_works_from_04_00_to_20_00(now, active, ends):
    assert life(now, extended=True) == (active, ends)


def test_gtc_ends_90_days_later_15_minutes_after_the_close():
    # 90 days after Friday 2026-11-20 is Thursday 2027-02-18, a session.
    assert life(OPEN, TimeInForce.GTC)[1] == datetime(2027, 2, 18, 21, 15, tzinfo=UTC)


def test_gtc_whose_90th_day_is_no_session_ends_with_the_session_before():
    # 90 days after 2026-11-17 is Monday 2027-02-15, Presidents' Day; the session before is Friday the 12th.
    assert life(datetime(2026, 11, 17, 15, tzinfo=UTC), TimeInForce.GTC)[1] == datetime(2027, 2, 12, 21, 15, tzinfo=UTC)


def test_gtd_ends_at_the_close_of_the_last_session_up_to_its_date():
    sunday = date(2026, 11, 29)
    assert life(OPEN, TimeInForce.GTD, expires_on=sunday)[1] == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def test_auction_orders_are_active_at_the_print_alone():
    assert life(OPEN - timedelta(hours=1), TimeInForce.OPG) == (OPEN, OPEN)
    assert life(OPEN + timedelta(hours=1), TimeInForce.CLS) == (CLOSE, CLOSE)


def test_latency_delays_the_start_but_not_past_the_open():
    wait = timedelta(milliseconds=250)
    assert life(OPEN + timedelta(hours=1), latency=wait)[0] == OPEN + timedelta(hours=1, milliseconds=250)
    assert life(OPEN - timedelta(hours=1), latency=wait)[0] == OPEN
