from datetime import timedelta

from brokers.real_time import database_now
from portfolio import leases
from portfolio.models import Lease


def test_one_holder_at_a_time(db):
    assert leases.claim("tick", holder="a", seconds=30) == 1
    assert leases.claim("tick", holder="b", seconds=30) is None


def test_two_threads_of_one_process_are_two(db):
    """They have the same name; the second must neither get in nor give away what the first holds."""
    fence = leases.claim("tick", holder="worker@host:1", seconds=30)
    assert leases.claim("tick", holder="worker@host:1", seconds=30) is None
    leases.release("tick", holder="worker@host:1", fence=fence - 1)
    assert leases.claim("tick", holder="worker@host:1", seconds=30) is None
    leases.release("tick", holder="worker@host:1", fence=fence)
    assert leases.claim("tick", holder="worker@host:1", seconds=30) == fence + 1


def test_an_expired_lease_is_free(db):
    leases.claim("tick", holder="a", seconds=30)
    Lease.objects.update(until=database_now() - timedelta(seconds=1))
    assert leases.claim("tick", holder="b", seconds=30) == 2


def test_whoever_lost_it_does_not_give_it_back(db):
    lost = leases.claim("tick", holder="a", seconds=30)
    Lease.objects.update(until=database_now() - timedelta(seconds=1))
    leases.claim("tick", holder="a", seconds=30)
    leases.release("tick", holder="a", fence=lost)
    assert leases.claim("tick", holder="b", seconds=30) is None
