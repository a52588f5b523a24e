"""When the database gives no lock: the transaction is rolled back, nothing was done, and asking again is safe."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError

from brokers.errors import BrokerUnavailable

RETRY_SECONDS = 1
# PostgreSQL: serialization failure, deadlock, lock timeout. SQLite says it in words.
_SQLSTATES = frozenset({"40001", "40P01", "55P03"})


def is_lock_failure(error: BaseException) -> bool:
    """Return whether a statement failed for a lock alone: held too long by another, or a deadlock."""
    if not isinstance(error, OperationalError):
        return False
    return getattr(error.__cause__, "sqlstate", None) in _SQLSTATES or "is locked" in str(error)


@contextmanager
def unavailable_while_locked() -> Iterator[None]:
    """Raise BrokerUnavailable in place of a failure to get a lock; wrap whole transactions only."""
    try:
        yield
    except OperationalError as error:
        if not is_lock_failure(error):
            raise
        raise BrokerUnavailable(
            f"Another process holds this account; nothing was done. Try again in {RETRY_SECONDS} s.",
            retry_after_seconds=RETRY_SECONDS,
        ) from error
