"""The outside world: venues, prices, calendar, clock, the simulated venue."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class BrokersConfig(AppConfig):
    name = "brokers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(protect_append_only_tables, sender=self)


def protect_append_only_tables(*, using: str, **_: Any) -> None:
    """Re-create every trigger after each migrate; remade tables lose theirs in silence."""
    from brokers import append_only

    append_only.install_triggers(connections[using])
