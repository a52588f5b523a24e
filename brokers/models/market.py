"""Prices, bars, imports and the anchors of replay time."""

from django.db import models
from django.db.models import Q

from brokers.choices import choices
from brokers.enums import ImportState, Timeframe
from brokers.fixed_point import MoneyField
from brokers.models.instrument import Instrument


class Bar(models.Model):
    """Open, high, low, close and volume of one period: raw, never adjusted. `at` is the period's start."""

    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="bars")
    timeframe = models.CharField(max_length=6, choices=choices(Timeframe))
    at = models.DateTimeField()
    session_date = models.DateField()
    open = MoneyField()
    high = MoneyField()
    low = MoneyField()
    close = MoneyField()
    volume = models.BigIntegerField()
    source = models.CharField(max_length=40)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "timeframe", "at"], name="bar_once"),
            models.CheckConstraint(condition=Q(low__gt=0, volume__gte=0), name="bar_positive"),
            models.CheckConstraint(
                condition=Q(low__lte=models.F("open"))
                & Q(low__lte=models.F("close"))
                & Q(high__gte=models.F("open"))
                & Q(high__gte=models.F("close")),
                name="bar_range",
            ),
        ]
        indexes = [models.Index(fields=["timeframe", "session_date"])]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.timeframe} {self.session_date}"


class LatestPrice(models.Model):
    """The price cache: one row an instrument, written by the tick, read by everyone."""

    instrument = models.OneToOneField(Instrument, models.PROTECT, related_name="latest_price")
    bid = MoneyField(null=True)
    ask = MoneyField(null=True)
    bid_size = models.BigIntegerField(default=0)
    ask_size = models.BigIntegerField(default=0)
    quote_as_of = models.DateTimeField(null=True)
    last = MoneyField(null=True)
    last_size = models.BigIntegerField(default=0)
    last_as_of = models.DateTimeField(null=True)
    day_volume = models.BigIntegerField(default=0)
    previous_close = MoneyField(null=True)
    source = models.CharField(max_length=40)
    quarantined_price = MoneyField(null=True)
    quarantined_at = models.DateTimeField(null=True)
    quarantined_source = models.CharField(max_length=40, blank=True)
    updated_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.last}"


class ImportRun(models.Model):
    """One import of a file, resumable and countable."""

    kind = models.CharField(max_length=20, default="bars")
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    source = models.CharField(max_length=40)
    timeframe = models.CharField(max_length=6, choices=choices(Timeframe))
    is_dry_run = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=choices(ImportState), default=ImportState.RUNNING)
    rows_read = models.PositiveIntegerField(default=0)
    rows_inserted = models.PositiveIntegerField(default=0)
    rows_updated = models.PositiveIntegerField(default=0)
    rows_unchanged = models.PositiveIntegerField(default=0)
    rows_failed = models.PositiveIntegerField(default=0)
    events_inserted = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.file_name} {self.state}"


class ImportRowError(models.Model):
    """A refused line of an import, in words."""

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="row_errors")
    line = models.PositiveIntegerField()
    column = models.CharField(max_length=40, blank=True)
    value = models.CharField(max_length=200, blank=True)
    message = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["run", "line"])]

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class ReplayAnchor(models.Model):
    """How replay time maps to real time from `anchor_real` on; append-only."""

    number = models.PositiveIntegerField(unique=True)
    anchor_real = models.DateTimeField()
    anchor_virtual = models.DateTimeField()
    speed = models.DecimalField(max_digits=6, decimal_places=2)
    market_identity = models.CharField(max_length=200)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.CheckConstraint(condition=Q(speed__gte=0, speed__lte=600), name="replay_speed_max")]

    def __str__(self) -> str:
        return f"{self.number}: {self.anchor_virtual} at {self.speed}x"
