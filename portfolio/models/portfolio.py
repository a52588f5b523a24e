"""A portfolio: one user's money at one venue in one environment, and what may be ordered in it."""

from django.db import models
from django.db.models import Q

from brokers.choices import choices
from brokers.enums import Environment, Venue
from brokers.fixed_point import MoneyField
from portfolio.enums import TradingState
from portfolio.ownership import UserOwned


class Portfolio(UserOwned):
    """
    One user, one venue, one environment, one currency, one book.

    Cash, receivable and equity peak are kept for speed; the ledger and the snapshots prove them.
    """

    name = models.CharField(max_length=60)
    venue = models.CharField(max_length=12, choices=choices(Venue), default=Venue.SIMULATOR)
    environment = models.CharField(max_length=5, choices=choices(Environment), default=Environment.PAPER)
    account_id = models.CharField(max_length=64)
    currency = models.CharField(max_length=3, default="USD")
    initial_cash = MoneyField()
    cash = MoneyField(default=0)
    receivable = MoneyField(default=0)
    equity_peak = MoneyField(default=0)
    trading_state = models.CharField(max_length=8, choices=choices(TradingState), default=TradingState.ACTIVE)
    state_reason = models.CharField(max_length=200, blank=True)
    state_changed_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    synced_until = models.DateTimeField()
    sync_error = models.CharField(max_length=400, blank=True)
    archived_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"], condition=Q(archived_at__isnull=True), name="portfolio_name"
            ),
            models.UniqueConstraint(fields=["user", "venue", "environment", "account_id"], name="portfolio_account"),
        ]

    def __str__(self) -> str:
        return self.name


class RiskLimits(UserOwned):
    """What may be ordered; percentages as people type them (20 means 20 %), empty means off."""

    portfolio = models.OneToOneField(Portfolio, models.PROTECT, related_name="risk_limits")
    position_percent = models.DecimalField(max_digits=6, decimal_places=2, null=True, default=20)
    symbol_warn_percent = models.DecimalField(max_digits=6, decimal_places=2, null=True, default=15)
    sector_percent = models.DecimalField(max_digits=6, decimal_places=2, null=True, default=30)
    trades_per_day = models.PositiveIntegerField(null=True, default=10)
    halt_equity_percent = models.DecimalField(max_digits=6, decimal_places=2, null=True, default=50)
    daily_loss = MoneyField(null=True, blank=True)
    order_value_max = MoneyField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "risk limits"

    def __str__(self) -> str:
        return f"limits of {self.portfolio_id}"
