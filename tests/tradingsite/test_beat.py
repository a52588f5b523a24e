"""Schedules: created once, and faster while replay time runs faster."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tradingsite import beat


@pytest.mark.parametrize(
    ("interval", "speed", "seconds"),
    [
        (60, 1, 60),
        (60, 30, 2),
        (10, 10, 1),  # exactly the floor
        (10, 60, 1),  # 0.17 s would flood the queue
        (60, 600, 1),
        (60, 0, 60),  # paused: the signs of life go on
        (60, 0.5, 60),  # slow replay time does not slow the sweep
    ],
)
def test_real_seconds_of_an_interval(interval, speed, seconds):
    assert beat.real_seconds(interval, speed=speed) == seconds


@pytest.mark.django_db
def test_setting_schedules_up_twice_creates_each_once():
    call_command("setup_schedules")
    call_command("setup_schedules")
    found = PeriodicTask.objects.filter(name__in=["tick", "sweep"]).order_by("name")
    assert [(row.name, row.task, row.interval.every, row.expire_seconds) for row in found] == [
        ("sweep", "monitoring.tasks.ring_sweep", 60, 60),
        ("tick", "monitoring.tasks.ring_tick", 10, 10),
    ]


@pytest.mark.django_db
def test_an_interval_that_staff_changed_stays_changed():
    call_command("setup_schedules")
    slow = IntervalSchedule.objects.create(every=45, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.filter(name="tick").update(interval=slow, enabled=False)
    call_command("setup_schedules")
    tick = PeriodicTask.objects.get(name="tick")
    assert (tick.interval.every, tick.enabled) == (45, False)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("speed", "seconds_ago", "is_due"),
    [(1, 9, False), (1, 11, True), (5, 1, False), (5, 3, True), (600, 0.5, False), (600, 1.5, True)],
)
def test_a_tick_of_ten_seconds_follows_the_replay_speed(monkeypatch, speed, seconds_ago, is_due):
    call_command("setup_schedules")
    monkeypatch.setattr(beat, "_speed", lambda: speed)
    tick = PeriodicTask.objects.get(name="tick")
    tick.last_run_at = timezone.now() - timedelta(seconds=seconds_ago)
    assert beat.ReplayEntry(tick).is_due().is_due is is_due
