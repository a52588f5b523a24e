"""The queue's application. A message says "look"; what is due stands in the database."""

import os
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import beat_init, setup_logging, worker_init, worker_ready
from django.conf import settings

if not settings.configured:
    # Only the celery command comes here before the settings are read; every other process has a name by now.
    os.environ.setdefault("DESK_PROCESS", "worker")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")

# The desk's messages are JSON with ids only, so a worker of root, as in a container, takes no risk by them.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("paperdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def make_queue_folders() -> None:
    """Create the folders of the file-system queue; with Redis there are none to make."""
    options = app.conf.broker_transport_options
    for name in ("data_folder_in", "data_folder_out", "control_folder"):
        if name in options:
            Path(options[name]).mkdir(parents=True, exist_ok=True)


@setup_logging.connect
def _keep_our_log_lines(**_: Any) -> None:
    """Being connected is enough: Celery then leaves the logging of settings.py alone."""


@worker_init.connect
@beat_init.connect
def _start_sound(**_: Any) -> None:
    from tradingsite import checks

    make_queue_folders()
    checks.stop_unless_sound()


@worker_ready.connect
def _show_worker(**_: Any) -> None:
    from monitoring import heartbeats

    heartbeats.start("worker")


@beat_init.connect
def _show_beat(**_: Any) -> None:
    from monitoring import heartbeats

    heartbeats.start("beat")
