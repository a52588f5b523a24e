"""The net holding of one instrument in one portfolio."""

from django.db import models

from brokers.choices import choices
from brokers.enums import PriceSource
from brokers.fixed_point import MoneyField, QuantityField
from brokers.models import Instrument
from portfolio.models.portfolio import Portfolio
from portfolio.ownership import UserOwned


class Position(UserOwned):
    """
    The sum of the open lots; flat positions stay as rows with quantity 0.

    `cost` is the signed cost of the open lots. The mark is null, with `mark_reason`, when there is no
    usable price; then there is no unrealized P&L either.
    """

    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="positions")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    quantity = QuantityField(default=0)
    cost = MoneyField(default=0)
    average_cost = MoneyField(default=0)
    realized_pnl = MoneyField(default=0)
    mark = MoneyField(null=True)
    mark_source = models.CharField(max_length=10, choices=choices(PriceSource), blank=True)
    mark_as_of = models.DateTimeField(null=True)
    mark_reason = models.CharField(max_length=200, blank=True)
    market_value = MoneyField(null=True)
    unrealized_pnl = MoneyField(null=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["portfolio", "instrument"], name="position_once")]
        indexes = [
            models.Index(fields=["user", "portfolio"]),
            models.Index(fields=["instrument"], condition=~models.Q(quantity=0), name="position_held"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.instrument_id}"
