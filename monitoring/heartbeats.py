"""Signs of life: each process says that it is there, in real time."""

import os
import socket

from brokers.real_time import database_now
from monitoring.models import Heartbeat


def process_name(role: str) -> str:
    return f"{role}@{socket.gethostname()}:{os.getpid()}"[:80]


def show(role: str) -> None:
    """Write this process's sign of life."""
    now = database_now()
    Heartbeat.objects.update_or_create(
        process=process_name(role), defaults={"role": role[:10], "seen_at": now}
    )
