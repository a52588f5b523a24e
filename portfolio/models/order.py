"""An order with its whole life, its legs, and its fills."""

from django.db import models
from django.db.models import F, Q

from brokers.choices import choices
from brokers.enums import FINAL_STATUSES, OrderStatus, OrderType, PositionEffect, Side, TimeInForce
from brokers.fixed_point import MoneyField, QuantityField
from brokers.models import Instrument
from portfolio.enums import OrderRole, Origin
from portfolio.models.portfolio import Portfolio
from portfolio.ownership import UserOwned

FINAL = sorted(FINAL_STATUSES)


class Order(UserOwned):
    """
    Our request to trade.

    `sent_at` null means certainly not sent; `sent_at` and `deadline` are real time, every other moment is
    the desk's clock. `denials` lists every reason of a DENIED order with measured value and limit.
    """

    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="orders")
    origin = models.CharField(max_length=9, choices=choices(Origin))
    role = models.CharField(max_length=11, choices=choices(OrderRole))
    trade = models.ForeignKey("portfolio.Trade", models.PROTECT, null=True, related_name="orders")
    plan = models.JSONField(default=dict)
    replaces = models.ForeignKey("self", models.PROTECT, null=True, related_name="replacements")
    intent_key = models.CharField(max_length=160)
    attempt = models.PositiveIntegerField(default=1)
    client_order_id = models.CharField(max_length=40)
    request_hash = models.CharField(max_length=64)
    venue_order_id = models.CharField(max_length=64, blank=True)
    order_type = models.CharField(max_length=13, choices=choices(OrderType))
    time_in_force = models.CharField(max_length=3, choices=choices(TimeInForce))
    expires_on = models.DateField(null=True)
    quantity = QuantityField(null=True)
    notional = MoneyField(null=True)
    filled_quantity = QuantityField(default=0)
    limit_price = MoneyField(null=True)
    stop_price = MoneyField(null=True)
    trail_amount = MoneyField(null=True)
    trail_percent = MoneyField(null=True)
    extended_hours = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=choices(OrderStatus))
    venue_status = models.CharField(max_length=40, blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    reason_text = models.CharField(max_length=1000, blank=True)
    denials = models.JSONField(default=list)
    warnings = models.JSONField(default=list)
    waiting_for = models.CharField(max_length=200, blank=True)
    expected_price = MoneyField(null=True)
    judged_price = MoneyField(null=True, help_text="What limits were judged at.")
    average_fill_price = MoneyField(null=True)
    submitted_at = models.DateTimeField()
    venue_updated_at = models.DateTimeField(null=True)
    final_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    cancel_wanted_at = models.DateTimeField(null=True, help_text="Asked for before the venue could be told.")
    look_ups = models.PositiveIntegerField(default=0)
    next_look_up_at = models.DateTimeField(null=True)
    journal_sequence = models.PositiveBigIntegerField(null=True, help_text="The entry that recorded its start.")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "client_order_id"], name="order_client_order_id"),
            models.UniqueConstraint(
                fields=["trade"],
                condition=Q(role=OrderRole.EXIT) & ~Q(status__in=FINAL),
                name="order_one_exit",
            ),
            models.CheckConstraint(
                condition=Q(filled_quantity__gte=0)
                & (Q(quantity__isnull=True) | Q(filled_quantity__lte=F("quantity"))),
                name="order_filled_range",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "portfolio", "-id"]),
            models.Index(fields=["portfolio"], condition=~Q(status__in=FINAL), name="order_live"),
            models.Index(fields=["portfolio", "intent_key"]),
            models.Index(fields=["portfolio", "submitted_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.client_order_id} {self.status}"

    @property
    def is_final(self) -> bool:
        return OrderStatus(self.status).is_final


class OrderLeg(UserOwned):
    """One instrument of an order; `ratio` is units of it per unit of the order."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="legs")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=choices(Side))
    position_effect = models.CharField(max_length=5, choices=choices(PositionEffect))
    ratio = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "instrument", "side"], name="order_leg_once")]

    def __str__(self) -> str:
        return f"{self.side} {self.instrument_id}"


class Fill(UserOwned):
    """One execution as the venue reported it; never edited. `order` is null when it came from elsewhere."""

    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="fills")
    order = models.ForeignKey(Order, models.PROTECT, null=True, related_name="fills")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    trade = models.ForeignKey("portfolio.Trade", models.PROTECT, related_name="fills")
    side = models.CharField(max_length=4, choices=choices(Side))
    quantity = QuantityField()
    price = MoneyField()
    commission = MoneyField(default=0)
    fees = MoneyField(default=0)
    venue_fill_id = models.CharField(max_length=80)
    expected_price = MoneyField(null=True)
    slippage = MoneyField(null=True)
    evidence = models.JSONField(default=dict)
    executed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "venue_fill_id"], name="fill_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0, price__gt=0), name="fill_positive"),
        ]
        indexes = [models.Index(fields=["user", "portfolio", "-executed_at"])]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} at {self.price}"
