"""Everything that happened, in order; and leases, which save work but carry no safety."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from portfolio.models.portfolio import Portfolio
from portfolio.ownership import OwnedQuerySet


class JournalEntry(models.Model):
    """One fact of a user's chain; `user` null is the desk's own chain. Append-only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    portfolio = models.ForeignKey(Portfolio, models.PROTECT, null=True, related_name="journal")
    sequence = models.PositiveBigIntegerField()
    name = models.CharField(max_length=40)
    subject = models.CharField(max_length=60)
    data = models.JSONField(default=dict)
    actor = models.CharField(max_length=80)
    cause = models.PositiveBigIntegerField(null=True, help_text="Sequence of the entry that caused this one.")
    at = models.DateTimeField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "journal entries"
        constraints = [
            models.UniqueConstraint(fields=["user", "sequence"], name="journal_sequence"),
            models.UniqueConstraint(fields=["sequence"], condition=Q(user__isnull=True), name="journal_desk_sequence"),
        ]
        indexes = [
            models.Index(fields=["portfolio", "-id"]),
            models.Index(
                fields=["portfolio", "subject"], condition=Q(name="snapshot.missed"), name="journal_missed_bookend"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.name}"


class JournalHead(models.Model):
    """Last sequence and hash of a chain; locked while the chain grows."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    sequence = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=Q(user__isnull=True), name="journal_head_one_desk")
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.sequence}"


class Anchor(models.Model):
    """A signed head, so that a cut-off tail is found out. Append-only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    sequence = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    signature = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "sequence"], name="anchor_once")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.sequence}"


class Lease(models.Model):
    """One holder at a time, in real time; `fence` rises by one at each claim."""

    name = models.CharField(max_length=60, unique=True)
    holder = models.CharField(max_length=80)
    until = models.DateTimeField()
    fence = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} until {self.until}"
