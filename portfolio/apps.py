"""Whose it is: portfolios, orders, fills, trades, positions, ledger."""

from django.apps import AppConfig


class PortfolioConfig(AppConfig):
    name = "portfolio"
    default_auto_field = "django.db.models.BigAutoField"
