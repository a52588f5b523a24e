"""One holder at a time, in real time. Saves work, never carries safety."""

from datetime import timedelta

from django.db.models import F

from brokers.real_time import database_now
from portfolio.models import Lease


def claim(name: str, *, holder: str, seconds: float) -> int | None:
    """
    Take the lease when it is free or expired and return its fence, or None when somebody else holds it.

    The holder itself may claim again at any time, which renews it.
    """
    now = database_now()
    Lease.objects.bulk_create([Lease(name=name, holder="", until=now - timedelta(days=1))], ignore_conflicts=True)
    until = now + timedelta(seconds=seconds)
    free = Lease.objects.filter(name=name, until__lt=now) | Lease.objects.filter(name=name, holder=holder)
    if not free.update(holder=holder, until=until, fence=F("fence") + 1):
        return None
    return Lease.objects.values_list("fence", flat=True).get(name=name)


def release(name: str, *, holder: str) -> None:
    """Give the lease back; a holder that lost it changes nothing."""
    Lease.objects.filter(name=name, holder=holder).update(until=database_now() - timedelta(seconds=1))
