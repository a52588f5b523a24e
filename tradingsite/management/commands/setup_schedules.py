"""Create the schedules that are missing."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django_celery_beat.models import IntervalSchedule, PeriodicTask


class Command(BaseCommand):
    help = "Create missing schedules by name; what exists stays as it is, for staff may have changed it."

    def handle(self, *args: Any, **options: Any) -> None:
        created = [name for name, task, seconds in _schedules() if _create_if_missing(name, task, seconds)]
        if created:
            self.stdout.write(f"Schedules created: {', '.join(created)}.")


def _schedules() -> list[tuple[str, str, int]]:
    return [
        ("tick", "monitoring.tasks.ring_tick", settings.TICK_SECONDS),
        ("sweep", "monitoring.tasks.ring_sweep", settings.SWEEP_SECONDS),
    ]


def _create_if_missing(name: str, task: str, seconds: int) -> bool:
    """A message that waited a whole period is worthless: the next one says the same, so it expires."""
    if PeriodicTask.objects.filter(name=name).exists():
        return False
    every = {"every": seconds, "period": IntervalSchedule.SECONDS}
    interval = IntervalSchedule.objects.filter(**every).first() or IntervalSchedule.objects.create(**every)
    _, created = PeriodicTask.objects.get_or_create(
        name=name, defaults={"task": task, "interval": interval, "expire_seconds": seconds}
    )
    return created
