"""Whose it is: portfolios, orders, fills, trades, positions, ledger."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class PortfolioConfig(AppConfig):
    name = "portfolio"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(guard_owners, sender=self)


def guard_owners(*, using: str, **_: Any) -> None:
    """Restore the keys that keep one user's rows from hanging on another's."""
    from portfolio import owner_keys

    owner_keys.install(connections[using])
