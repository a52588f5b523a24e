"""A portfolio's equity at a moment."""

from django.db import models
from django.db.models import Q

from brokers.choices import choices
from brokers.fixed_point import MoneyField
from portfolio.enums import SnapshotKind
from portfolio.models.portfolio import Portfolio
from portfolio.ownership import UserOwned


class Snapshot(UserOwned):
    """
    Equity at `at`; equity, drawdown and day P&L are null where a mark was missing (`complete` is false).

    `drawdown` is the positive fraction of the peak that has been lost, as money-scaled Decimal.
    """

    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="snapshots")
    at = models.DateTimeField()
    session_date = models.DateField()
    kind = models.CharField(max_length=10, choices=choices(SnapshotKind))
    cash = MoneyField()
    receivable = MoneyField(default=0)
    positions_value = MoneyField(null=True)
    equity = MoneyField(null=True)
    equity_peak = MoneyField()
    drawdown = MoneyField(null=True)
    day_pnl = MoneyField(null=True)
    flows = MoneyField(default=0, help_text="Deposits less withdrawals since opening.")
    positions = models.JSONField(default=list)
    complete = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "session_date", "kind"],
                condition=~Q(kind=SnapshotKind.INTRADAY),
                name="snapshot_bookend_once",
            ),
            models.UniqueConstraint(fields=["portfolio", "at", "kind"], name="snapshot_moment_once"),
        ]
        indexes = [models.Index(fields=["user", "portfolio", "-at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"
