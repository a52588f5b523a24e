"""What can be traded, under which names, and what happened to it."""

from django.db import models
from django.db.models import Q

from brokers.choices import choices
from brokers.enums import CorporateActionKind, CorporateActionState, InstrumentKind
from brokers.fixed_point import MoneyField, QuantityField


class Instrument(models.Model):
    """One tradable thing; its id outlives a ticker change."""

    symbol = models.CharField(max_length=40)
    kind = models.CharField(max_length=8, choices=choices(InstrumentKind))
    listed_name = models.CharField(max_length=120, blank=True)
    sector = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    multiplier = models.PositiveIntegerField(default=1)
    price_increment = MoneyField(null=True, blank=True, help_text="Empty: by rule.")
    quantity_increment = QuantityField(default=1)
    is_fractionable = models.BooleanField(default=False)
    is_shortable = models.BooleanField(default=True)
    leverage = models.SmallIntegerField(null=True, blank=True)
    base_symbol = models.CharField(max_length=40, blank=True)
    first_date = models.DateField(null=True, blank=True)
    last_date = models.DateField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "kind"], condition=Q(is_active=True), name="instrument_active_symbol"
            ),
            models.CheckConstraint(condition=Q(multiplier__gte=1), name="instrument_multiplier_positive"),
        ]

    def __str__(self) -> str:
        return self.symbol


class InstrumentAlias(models.Model):
    """A name an instrument had, and when."""

    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="aliases")
    symbol = models.CharField(max_length=40, db_index=True)
    first_date = models.DateField()
    last_date = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "instrument aliases"
        constraints = [models.UniqueConstraint(fields=["instrument", "symbol", "first_date"], name="alias_once")]

    def __str__(self) -> str:
        return f"{self.symbol} from {self.first_date}"


class CorporateAction(models.Model):
    """A split, dividend, rename or delisting as its source announced it."""

    source = models.CharField(max_length=40)
    event_id = models.CharField(max_length=80)
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="corporate_actions")
    kind = models.CharField(max_length=12, choices=choices(CorporateActionKind))
    ex_date = models.DateField()
    record_date = models.DateField(null=True, blank=True)
    pay_date = models.DateField(null=True, blank=True)
    ratio_from = models.PositiveIntegerField(default=1)
    ratio_to = models.PositiveIntegerField(default=1)
    cash_per_share = MoneyField(null=True, blank=True)
    step = models.CharField(max_length=24, blank=True, help_text="Adjustment step an event was derived from.")
    new_symbol = models.CharField(max_length=40, blank=True)
    state = models.CharField(
        max_length=10, choices=choices(CorporateActionState), default=CorporateActionState.ANNOUNCED
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "event_id"], name="corporate_action_once")]
        indexes = [models.Index(fields=["instrument", "ex_date"]), models.Index(fields=["ex_date"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.instrument_id} {self.ex_date}"
