"""Ask again when the database could not give a lock: safe, because every act carries its own key."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

Answer = TypeVar("Answer")

TRIES = 3
PAUSE_SECONDS = 0.2
# PostgreSQL: serialization failure, deadlock, lock timeout. SQLite says it in words.
TRANSIENT = frozenset({"40001", "40P01", "55P03"})


def when_locked(call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns, calling it up to three times while it fails for a lock alone."""
    for attempt in range(1, TRIES):
        try:
            return call()
        except OperationalError as error:
            if not is_transient(error):
                raise
            time.sleep(PAUSE_SECONDS * attempt * random.uniform(0.5, 1.5))
    return call()


def is_transient(error: OperationalError) -> bool:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) in TRANSIENT or "database is locked" in str(error)
