from datetime import timedelta

from brokers.real_time import database_now
from portfolio import leases
from portfolio.models import Lease


def test_one_holder_at_a_time(db):
    assert leases.claim("tick", holder="a", seconds=30) == 1
    assert leases.claim("tick", holder="b", seconds=30) is None
    assert leases.claim("tick", holder="a", seconds=30) == 2  # renewed, and the fence rose


def test_an_expired_lease_is_free(db):
    leases.claim("tick", holder="a", seconds=30)
    Lease.objects.update(until=database_now() - timedelta(seconds=1))
    assert leases.claim("tick", holder="b", seconds=30) == 2


def test_only_the_holder_gives_it_back(db):
    leases.claim("tick", holder="a", seconds=30)
    leases.release("tick", holder="b")
    assert leases.claim("tick", holder="b", seconds=30) is None
    leases.release("tick", holder="a")
    assert leases.claim("tick", holder="b", seconds=30) == 2
