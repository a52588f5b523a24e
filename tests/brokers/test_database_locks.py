"""A lock that is not given: nothing was done, and the caller is told to try again."""

import pytest
from django.db import OperationalError

from brokers.database_locks import is_lock_failure, unavailable_while_locked
from brokers.errors import BrokerUnavailable


def failure(text="", sqlstate=None):
    error, cause = OperationalError(text), Exception(text)
    cause.sqlstate = sqlstate
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (failure("canceling statement due to lock timeout", "55P03"), True),
        (failure("deadlock detected", "40P01"), True),
        (failure("could not serialize access", "40001"), True),
        (failure("database is locked"), True),
        (failure("database table is locked: brokers_simulatedaccount"), True),
        (failure("canceling statement due to statement timeout", "57014"), False),
        (failure("server closed the connection unexpectedly", "08006"), False),
        (ValueError("the door is locked"), False),
    ],
)
def test_only_locks_are_lock_failures(error, found):
    assert is_lock_failure(error) is found


def test_a_lock_failure_says_when_to_try_again():
    with pytest.raises(BrokerUnavailable, match="nothing was done") as raised, unavailable_while_locked():
        raise failure("deadlock detected", "40P01")
    assert raised.value.retry_after_seconds == 1


def test_any_other_failure_stays_what_it_is():
    with pytest.raises(OperationalError, match="closed"), unavailable_while_locked():
        raise failure("server closed the connection unexpectedly", "08006")
