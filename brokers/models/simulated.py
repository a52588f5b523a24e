"""
The simulated venue's own book.

It knows no user and no portfolio, only opaque account ids. Amounts are raw units (money and prices
10^-6, quantities 10^-9) because the venue works on whole columns of them.
"""

import uuid

from django.db import models
from django.db.models import F, Q

from brokers.choices import choices
from brokers.enums import (
    FINAL_SIMULATED_STATES,
    AccountKind,
    AccountStatus,
    ActivityKind,
    OrderType,
    PositionEffect,
    Side,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.models.instrument import Instrument

FINAL_STATES = sorted(FINAL_SIMULATED_STATES)


class SimulatedAccount(models.Model):
    account_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    currency = models.CharField(max_length=3, default="USD")
    cash_units = models.BigIntegerField(default=0)
    kind = models.CharField(max_length=6, choices=choices(AccountKind), default=AccountKind.CASH)
    may_short = models.BooleanField(default=False)
    preset = models.CharField(max_length=20)
    settings = models.JSONField(default=dict)
    settings_version = models.PositiveIntegerField(default=1)
    seed = models.BigIntegerField()
    matched_until = models.DateTimeField()
    generation = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=10, choices=choices(AccountStatus), default=AccountStatus.ACTIVE)
    error = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind=AccountKind.CASH) | Q(cash_units__gte=0), name="simulated_cash_not_negative"
            )
        ]

    def __str__(self) -> str:
        return str(self.account_id)


class SimulatedOrder(models.Model):
    account = models.ForeignKey(SimulatedAccount, models.PROTECT, related_name="orders")
    venue_order_id = models.UUIDField(unique=True)
    client_order_id = models.CharField(max_length=128)
    request_hash = models.CharField(max_length=64)
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=choices(Side))
    effect = models.CharField(max_length=5, choices=choices(PositionEffect))
    order_type = models.CharField(max_length=13, choices=choices(OrderType))
    time_in_force = models.CharField(max_length=3, choices=choices(TimeInForce))
    quantity_units = models.BigIntegerField(null=True)
    notional_units = models.BigIntegerField(null=True)
    filled_units = models.BigIntegerField(default=0)
    limit_units = models.BigIntegerField(null=True)
    stop_units = models.BigIntegerField(null=True)
    trail_amount_units = models.BigIntegerField(null=True)
    trail_percent_units = models.BigIntegerField(null=True)
    watermark_units = models.BigIntegerField(null=True)
    extended_hours = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=choices(SimulatedOrderState))
    accepted_at = models.DateTimeField()
    active_from = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    triggered_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    reserve_units = models.BigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0, help_text="Eligible evaluations so far.")
    waiting_for = models.CharField(max_length=200, blank=True)
    warnings = models.JSONField(default=list)
    replaces = models.ForeignKey("self", models.PROTECT, null=True, related_name="replacements")
    reason_code = models.CharField(max_length=40, blank=True)
    reason_text = models.CharField(max_length=400, blank=True)
    settings = models.JSONField(default=dict, help_text="The account's settings when accepted.")
    settings_version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="simulated_client_order_id"),
            models.CheckConstraint(
                condition=Q(filled_units__gte=0)
                & (Q(quantity_units__isnull=True) | Q(filled_units__lte=F("quantity_units"))),
                name="simulated_order_filled_range",
            ),
        ]
        indexes = [
            models.Index(fields=["account"], condition=~Q(state__in=FINAL_STATES), name="simulated_order_working"),
            models.Index(fields=["account", "updated_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.client_order_id} {self.state}"


class SimulatedFill(models.Model):
    account = models.ForeignKey(SimulatedAccount, models.PROTECT, related_name="fills")
    order = models.ForeignKey(SimulatedOrder, models.PROTECT, related_name="fills")
    execution_id = models.UUIDField(unique=True)
    sequence = models.PositiveIntegerField()
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=choices(Side))
    quantity_units = models.BigIntegerField()
    price_units = models.BigIntegerField()
    commission_units = models.BigIntegerField()
    fees_units = models.BigIntegerField()
    executed_at = models.DateTimeField()
    evidence = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "sequence"], name="simulated_fill_sequence"),
            models.CheckConstraint(
                condition=Q(quantity_units__gt=0, price_units__gt=0), name="simulated_fill_positive"
            ),
        ]
        indexes = [models.Index(fields=["account", "executed_at"])]

    def __str__(self) -> str:
        return str(self.execution_id)


class SimulatedPosition(models.Model):
    account = models.ForeignKey(SimulatedAccount, models.PROTECT, related_name="positions")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+")
    quantity_units = models.BigIntegerField()
    average_price_units = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "instrument"], name="simulated_position_once")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.instrument_id} {self.quantity_units}"


class SimulatedActivity(models.Model):
    """
    What the venue booked besides fills; `amount_units` is the signed change of cash.

    A declared dividend moves no cash and carries its promise in `promised_units`.
    """

    account = models.ForeignKey(SimulatedAccount, models.PROTECT, related_name="activities")
    activity_id = models.UUIDField(unique=True)
    kind = models.CharField(max_length=20, choices=choices(ActivityKind))
    event_id = models.CharField(max_length=120)
    instrument = models.ForeignKey(Instrument, models.PROTECT, null=True, related_name="+")
    quantity_units = models.BigIntegerField(null=True)
    price_units = models.BigIntegerField(null=True)
    amount_units = models.BigIntegerField(default=0)
    promised_units = models.BigIntegerField(null=True)
    ratio_from = models.PositiveIntegerField(default=1)
    ratio_to = models.PositiveIntegerField(default=1)
    fraction_units = models.BigIntegerField(
        null=True, help_text="Part of a share that a split left over, paid in cash at the session's close."
    )
    pays_on = models.DateField(null=True)
    text = models.CharField(max_length=200, blank=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "simulated activities"
        constraints = [models.UniqueConstraint(fields=["account", "event_id"], name="simulated_activity_once")]
        indexes = [models.Index(fields=["account", "occurred_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class FeeRate(models.Model):
    """A dated fee: the newest row whose date is not after the trade's New York date applies."""

    name = models.CharField(max_length=30)
    valid_from = models.DateField()
    rate = models.DecimalField(max_digits=16, decimal_places=9)
    cap = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    source = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "valid_from"], name="fee_rate_dated")]

    def __str__(self) -> str:
        return f"{self.name} {self.rate} from {self.valid_from}"
