"""The schedule: intervals from the database, shortened while replay time runs fast."""

from celery.schedules import schedule
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from brokers.market_data import clock

SECONDS_MIN = 1.0


def real_seconds(interval_seconds: float, *, speed: float) -> float:
    """
    Return how long to wait in real time for an interval of desk time.

    Never under one second, so that speed 600 does not flood the queue, and never longer than the
    interval itself: paused or slow replay time must not stop the signs of life.
    """
    return max(interval_seconds / max(speed, 1.0), min(SECONDS_MIN, interval_seconds))


class ReplayEntry(ModelEntry):
    """One schedule row; plain intervals follow the desk's clock."""

    def is_due(self):
        stored = self.model.schedule
        if isinstance(stored, schedule):
            seconds = real_seconds(stored.run_every.total_seconds(), speed=_speed())
            self.schedule = schedule(run_every=seconds, nowfun=stored.nowfun, app=stored.app)
        return super().is_due()


class ReplayScheduler(DatabaseScheduler):
    Entry = ReplayEntry


def _speed() -> float:
    return float(clock.speed())
