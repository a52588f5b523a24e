"""One holder at a time, in real time. Saves work, never carries safety."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F

from brokers.real_time import database_now
from portfolio.models import Lease


def claim(name: str, *, holder: str, seconds: float) -> int | None:
    """
    Take the lease when it is free or expired and return its fence, or None while it is held.

    Nobody is let in twice, whatever the name: two threads of one process are called the same.
    """
    now = database_now()
    Lease.objects.bulk_create([Lease(name=name, holder="", until=now - timedelta(days=1))], ignore_conflicts=True)
    until = now + timedelta(seconds=seconds)
    with transaction.atomic():
        row = Lease.objects.select_for_update().get(name=name)
        free = Lease.objects.filter(name=name, until__lt=now, fence=row.fence)
        if not free.update(holder=holder, until=until, fence=F("fence") + 1):
            return None
    return row.fence + 1


def release(name: str, *, holder: str, fence: int) -> None:
    """Give back the lease that `claim` returned this fence for; who lost it meanwhile changes nothing."""
    held = Lease.objects.filter(name=name, holder=holder, fence=fence)
    held.update(until=database_now() - timedelta(seconds=1))
