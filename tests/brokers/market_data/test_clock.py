"""Replay time: anchors, speeds, jumps, restarts, and what refuses to run backwards."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction

from brokers.market_data import clock
from brokers.models import ReplayAnchor

START = datetime(2026, 11, 19, 15, 0, tzinfo=UTC)
REAL = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Wall:
    """The wall clock and the stopwatch of this machine, set by hand."""

    def __init__(self, at):
        self.at = at

    def now(self, zone):
        return self.at.astimezone(zone)

    def monotonic(self):
        return self.at.timestamp()


@pytest.fixture
def wall(monkeypatch, settings, db):
    settings.DESK_CLOCK, settings.REPLAY_BARS = "replay", "synthetic"
    settings.REPLAY_START, settings.REPLAY_SPEED, settings.REPLAY_SEED = START, 1.0, 42
    wall = Wall(REAL)
    monkeypatch.setattr(clock, "_wall_clock", wall.now)
    monkeypatch.setattr(clock, "_stopwatch", wall.monotonic)
    clock.forget()
    yield wall
    clock.forget()


class Process:
    """Another process: its own memory of the clock, the same database."""

    def __init__(self):
        self._memory = clock._Memory()

    def now(self, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(clock, "_memory", self._memory)
            return clock.now()


# ------------------------------------------------------------------ passing time


def test_the_first_question_writes_anchor_one_at_the_configured_start(wall):
    assert clock.now() == START
    row = ReplayAnchor.objects.get()
    assert (row.number, row.anchor_real, row.anchor_virtual, row.speed) == (1, REAL, START, 1)
    assert "seed=42" in row.market_identity


def test_at_speed_one_a_real_second_is_a_desk_second(wall):
    clock.now()
    wall.at += timedelta(seconds=7.25)
    assert clock.now() == START + timedelta(seconds=7.25)


def test_at_speed_sixty_a_real_second_is_a_desk_minute(wall, settings):
    settings.REPLAY_SPEED = 60.0
    clock.start()
    wall.at += 10 * SECOND
    assert clock.now() == START + timedelta(minutes=10)
    assert clock.speed() == 60


def test_a_fraction_of_a_microsecond_is_cut_off(wall, settings):
    settings.REPLAY_SPEED = 0.33
    clock.start()
    wall.at += timedelta(microseconds=10)  # 3.3 microseconds of desk time
    assert clock.now() == START + timedelta(microseconds=3)


def test_real_time_is_the_wall_clock_and_writes_no_anchor(wall, settings):
    settings.DESK_CLOCK = "real"
    assert clock.now() == REAL
    assert clock.speed() == 1
    assert not ReplayAnchor.objects.exists()
    found = clock.status()
    assert (found.is_replay, found.is_paused, found.label) == (False, False, "")


def test_a_wall_clock_step_back_gives_the_previous_time_until_it_has_caught_up(wall):
    clock.now()
    wall.at += 10 * SECOND
    assert clock.now() == START + 10 * SECOND
    wall.at -= 4 * SECOND
    assert clock.now() == START + 10 * SECOND
    wall.at += 5 * SECOND
    assert clock.now() == START + 11 * SECOND


# ------------------------------------------------------------------ where replay begins


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        # Friday 2026-11-20 opens 14:30 UTC: exactly 30 minutes later counts.
        (datetime(2026, 11, 20, 15, 0, tzinfo=UTC), datetime(2026, 11, 20, 15, 0, tzinfo=UTC)),
        (datetime(2026, 11, 20, 14, 59, 59, tzinfo=UTC), datetime(2026, 11, 19, 15, 0, tzinfo=UTC)),
        # Sunday: Friday's session; Friday after Thanksgiving is a half day and counts too.
        (datetime(2026, 11, 22, 12, 0, tzinfo=UTC), datetime(2026, 11, 20, 15, 0, tzinfo=UTC)),
        (datetime(2026, 11, 28, 12, 0, tzinfo=UTC), datetime(2026, 11, 27, 15, 0, tzinfo=UTC)),
        # Summer time opens at 13:30 UTC.
        (datetime(2026, 7, 1, 20, 0, tzinfo=UTC), datetime(2026, 7, 1, 14, 0, tzinfo=UTC)),
    ],
)
def test_without_replay_start_it_begins_half_an_hour_into_the_last_session(wall, real, expected):
    assert clock.default_start(real) == expected


# ------------------------------------------------------------------ anchors and processes


def test_two_processes_switch_at_the_same_instant(wall, monkeypatch):
    one, two = Process(), Process()
    assert one.now(monkeypatch) == two.now(monkeypatch) == START
    appended = clock.set_speed(Decimal(60), reason="test")
    assert appended.real == REAL + 5 * SECOND
    wall.at = REAL + 5 * SECOND - timedelta(microseconds=1)
    assert one.now(monkeypatch) == two.now(monkeypatch) == START + 5 * SECOND - timedelta(microseconds=1)
    wall.at = REAL + 5 * SECOND
    assert one.now(monkeypatch) == two.now(monkeypatch) == START + 5 * SECOND
    wall.at = REAL + 6 * SECOND
    assert one.now(monkeypatch) == two.now(monkeypatch) == START + 65 * SECOND


def test_anchors_are_read_again_after_two_seconds_and_not_before(wall, django_assert_num_queries):
    clock.now()
    wall.at += timedelta(seconds=1.9)
    with django_assert_num_queries(0):
        clock.now()
    wall.at += timedelta(seconds=0.2)
    with django_assert_num_queries(1):
        clock.now()


def test_a_restart_continues_as_if_nothing_had_stopped(wall):
    clock.start()
    wall.at += timedelta(hours=3)
    clock.forget()
    clock.start()
    assert clock.now() == START + timedelta(hours=3)
    assert ReplayAnchor.objects.count() == 1


def test_a_speed_set_by_command_survives_a_restart_with_the_same_environment(wall):
    clock.start()
    clock.set_speed(Decimal(60), reason="test")
    wall.at += 10 * SECOND
    clock.forget()
    clock.start()
    assert clock.speed() == 60
    assert ReplayAnchor.objects.count() == 2


def test_a_changed_replay_speed_appends_an_anchor_at_start_once(wall, settings):
    clock.start()
    settings.REPLAY_SPEED = 10.0
    clock.forget()
    clock.start()
    clock.start()
    assert list(ReplayAnchor.objects.values_list("number", "speed")) == [(1, 1), (2, 10)]
    wall.at += 6 * SECOND
    assert clock.now() == START + 15 * SECOND  # five seconds at 1, one at 10


def test_the_process_that_comes_second_reads_the_first_ones_anchor(wall, monkeypatch):
    clock.start()
    monkeypatch.setattr(clock, "_read_anchors", iter_once([()], clock._read_anchors))
    assert clock.start().number == 1
    assert ReplayAnchor.objects.count() == 1


def iter_once(answers, then):
    remaining = list(answers)
    return lambda: remaining.pop(0) if remaining else then()


def test_anchors_cannot_be_changed_or_deleted(wall):
    clock.start()
    with pytest.raises(DatabaseError), transaction.atomic():
        ReplayAnchor.objects.update(speed=2)
    with pytest.raises(DatabaseError), transaction.atomic():
        ReplayAnchor.objects.all().delete()


# ------------------------------------------------------------------ pause, resume, jump


def test_paused_time_stands_and_resumes_at_the_speed_before(wall, settings):
    settings.REPLAY_SPEED = 20.0
    clock.start()
    clock.pause(reason="test")
    wall.at += timedelta(seconds=1000)
    assert clock.now() == START + 100 * SECOND  # five seconds at 20 until the switch
    assert clock.status().is_paused
    clock.resume(reason="test")
    wall.at += 6 * SECOND
    assert clock.now() == START + 120 * SECOND
    assert clock.speed() == 20


def test_pausing_twice_and_resuming_a_running_clock_are_refused(wall):
    with pytest.raises(clock.ClockRefused, match="running, at speed 1"):
        clock.resume(reason="test")
    clock.pause(reason="test")
    with pytest.raises(clock.ClockRefused, match="paused already"):
        clock.pause(reason="test")


def test_a_jump_goes_to_the_next_open_and_time_runs_on_from_there(wall):
    clock.start()
    clock.jump(clock.NEXT_OPEN, reason="test")
    wall.at += 5 * SECOND
    assert clock.now() == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    assert clock.speed() == 1


def test_a_jump_over_thanksgiving_finds_the_half_day(wall, settings):
    settings.REPLAY_START = datetime(2026, 11, 25, 22, 0, tzinfo=UTC)
    clock.start()
    assert clock.jump(clock.NEXT_OPEN, reason="test").virtual == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)


def test_a_jump_back_is_refused_with_both_times_and_the_way_out(wall):
    with pytest.raises(clock.ClockRefused) as refused:
        clock.jump(START, reason="test")
    message = str(refused.value)
    assert "2026-11-19 15:00:05 UTC" in message
    assert "2026-11-19 15:00:00 UTC" in message
    assert "fresh database" in message
    assert ReplayAnchor.objects.count() == 1


def test_a_jump_past_the_calendar_is_refused(wall):
    with pytest.raises(clock.ClockRefused, match="does not reach 2040-01-02"):
        clock.jump(datetime(2040, 1, 2, 15, tzinfo=UTC), reason="test")


def test_a_second_anchor_starts_from_the_value_of_one_that_is_not_in_force_yet(wall):
    clock.start()
    clock.jump(datetime(2026, 11, 20, 14, 30, tzinfo=UTC), reason="test")
    wall.at += SECOND
    assert clock.set_speed(Decimal(2), reason="test").virtual == datetime(2026, 11, 20, 14, 30, 1, tzinfo=UTC)
    assert clock.status().switching_at == REAL + 6 * SECOND


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize("speed", ["-0.01", "600.01", "1.005", "NaN", "Infinity"])
def test_speeds_outside_the_limits_are_refused(speed):
    with pytest.raises(clock.ClockRefused, match="replay speed is"):
        clock.checked_speed(Decimal(speed))


@pytest.mark.parametrize("speed", ["0", "0.01", "1.50", "600"])
def test_speeds_at_the_limits_are_taken(speed):
    assert clock.checked_speed(Decimal(speed)) == Decimal(speed)


def test_a_process_of_another_market_must_not_run(wall, settings):
    clock.start()
    assert clock.identity_problem() is None
    settings.REPLAY_SEED = 43
    problem = clock.identity_problem()
    assert "seed=42" in problem
    assert "seed=43" in problem
    with pytest.raises(clock.ClockRefused, match="seed=43"):
        clock.set_speed(Decimal(2), reason="test")


def test_a_new_database_and_real_time_have_no_identity_problem(wall, settings):
    assert clock.identity_problem() is None
    clock.start()
    settings.REPLAY_SEED, settings.DESK_CLOCK = 43, "real"
    assert clock.identity_problem() is None


# ------------------------------------------------------------------ the command


def run(*words):
    out = io.StringIO()
    call_command("replay_clock", *words, stdout=out)
    return out.getvalue()


def test_the_command_says_what_time_it_is(wall):
    assert run() == "Replay time is 2026-11-19 15:00:00 UTC, speed 1, prices SYNTHETIC.\n"


def test_the_command_sets_the_speed_and_says_from_when(wall):
    assert "From 2026-11-20 08:00:05 UTC real time on" in run("--speed", "60")
    wall.at += 5 * SECOND
    assert clock.speed() == 60


def test_the_command_jumps_to_a_time(wall):
    run("--jump", "2026-11-23T14:30:00Z")
    wall.at += 5 * SECOND
    assert clock.now() == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--speed", "fast"), "'fast' is not a number"),
        (("--speed", "601"), "must be from 0 (paused) to 600"),
        (("--jump", "tomorrow"), "neither next-open nor a time"),
        (("--jump", "2026-11-23T14:30:00"), "has no time zone"),
        (("--resume",), "is running"),
    ],
)
def test_the_command_refuses_in_a_sentence(wall, words, sentence):
    with pytest.raises(CommandError) as refused:
        run(*words)
    assert sentence in str(refused.value)
    assert ReplayAnchor.objects.count() <= 1


def test_the_command_refuses_to_set_real_time(wall, settings):
    settings.DESK_CLOCK = "real"
    assert "runs in real time" in run()
    with pytest.raises(CommandError, match="DESK_CLOCK=real"):
        run("--pause")
