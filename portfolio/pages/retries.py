"""
Ask again when the database could not give a lock: every act bears repeating.

A ticket and a close carry keys of their own and go on where they were interrupted; canceling, halting, resuming
and settings come to the same however often they are said; a portfolio's name is taken once.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

from brokers.database_locks import is_lock_failure

Answer = TypeVar("Answer")

TRIES = 3
PAUSE_SECONDS = 0.2


def when_locked(call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns, calling it up to three times while it fails for a lock alone."""
    for attempt in range(1, TRIES):
        try:
            return call()
        except OperationalError as error:
            if not is_lock_failure(error):
                raise
            time.sleep(PAUSE_SECONDS * attempt * random.uniform(0.5, 1.5))
    return call()
