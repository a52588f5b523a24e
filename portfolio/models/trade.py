"""A trade: one idea from entry to exit, its legs and its lots."""

from django.db import models
from django.db.models import Q

from brokers.choices import choices
from brokers.fixed_point import MoneyField, QuantityField
from brokers.models import Instrument
from portfolio.enums import POOLED_ORIGINS, CloseReason, Direction, Origin, TradeStatus
from portfolio.models.order import Fill
from portfolio.models.portfolio import Portfolio
from portfolio.ownership import UserOwned


class Trade(UserOwned):
    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="trades")
    origin = models.CharField(max_length=9, choices=choices(Origin))
    symbol = models.CharField(max_length=60)
    direction = models.CharField(max_length=5, choices=choices(Direction))
    status = models.CharField(max_length=7, choices=choices(TradeStatus), default=TradeStatus.OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    close_reason = models.CharField(max_length=17, choices=choices(CloseReason), blank=True)
    entry_context = models.JSONField(default=dict)
    outcome = models.JSONField(default=dict)
    realized_pnl = MoneyField(default=0)
    commission = MoneyField(default=0)
    fees = MoneyField(default=0)
    tags = models.JSONField(default=list)
    notes = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "symbol", "origin"],
                condition=Q(origin__in=sorted(POOLED_ORIGINS)) & ~Q(status=TradeStatus.CLOSED),
                name="trade_one_open_pooled",
            )
        ]
        indexes = [
            models.Index(fields=["user", "portfolio", "-id"]),
            models.Index(fields=["portfolio"], condition=~Q(status=TradeStatus.CLOSED), name="trade_open"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.status}"


class TradeLeg(UserOwned):
    """One instrument of a trade: signed open quantity, average entry and exit prices."""

    trade = models.ForeignKey(Trade, models.PROTECT, related_name="legs")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    open_quantity = QuantityField(default=0)
    entered_quantity = QuantityField(default=0)
    exited_quantity = QuantityField(default=0)
    average_entry = MoneyField(null=True)
    average_exit = MoneyField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trade", "instrument"], name="trade_leg_once")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.open_quantity}"


class Lot(UserOwned):
    """
    A tax lot: signed quantity bought (+) or sold short (-) at one price at one time.

    `cost` is what the remaining quantity cost (signed, commission not included), kept to the unit so
    that closing the last share releases exactly what is left.
    """

    trade_leg = models.ForeignKey(TradeLeg, models.PROTECT, related_name="lots")
    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="lots")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    opening_fill = models.OneToOneField(Fill, models.PROTECT, related_name="lot")
    quantity = QuantityField()
    remaining = QuantityField()
    cost = MoneyField()
    price = MoneyField()
    opened_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["portfolio", "instrument"], condition=~Q(remaining=0), name="lot_open")]
        constraints = [models.CheckConstraint(condition=~Q(quantity=0), name="lot_not_empty")]

    def __str__(self) -> str:
        return f"{self.remaining} of {self.quantity} at {self.price}"
