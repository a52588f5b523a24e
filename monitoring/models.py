"""What the watch itself leaves behind: passes of the tick and signs of life."""

from django.db import models


class TickRun(models.Model):
    """One pass over a batch of portfolios. `started_at` is real time, `desk_time` the desk's clock."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    desk_time = models.DateTimeField()
    kind = models.CharField(max_length=10, default="tick")
    portfolios = models.PositiveIntegerField(default=0)
    fills = models.PositiveIntegerField(default=0)
    unpriced = models.JSONField(default=list)
    stages = models.JSONField(default=dict, help_text="Milliseconds a stage.")
    errors = models.JSONField(default=list)
    is_good = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "-id"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.desk_time}"


class Heartbeat(models.Model):
    """Last sign of life of one process, in real time."""

    process = models.CharField(max_length=80, unique=True)
    role = models.CharField(max_length=10)
    seen_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.process} {self.seen_at}"
