"""Signs of life: each process says every 15 seconds, in real time, that it is there."""

import os
import socket
import threading

from django.db import DatabaseError, connection

from brokers.real_time import database_now
from monitoring.models import Heartbeat

EVERY_SECONDS = 15.0


def process_name(role: str) -> str:
    return f"{role}@{socket.gethostname()}:{os.getpid()}"[:80]


def show(role: str) -> None:
    """Write this process's sign of life."""
    now = database_now()
    Heartbeat.objects.update_or_create(process=process_name(role), defaults={"role": role[:10], "seen_at": now})


def start(role: str) -> threading.Event:
    """Show this process's sign of life from a thread until it ends, or until the returned event is set."""
    stop = threading.Event()
    threading.Thread(target=keep_showing, args=(role, stop), name="heartbeat", daemon=True).start()
    return stop


def keep_showing(role: str, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            show(role)
        except DatabaseError:
            connection.close()  # the next beat opens a fresh one; a missing sign is itself the alarm
        stop.wait(EVERY_SECONDS)
    connection.close()
