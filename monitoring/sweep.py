"""The second parent: whatever is overdue, unknown or half done is found in rows and taken further."""

from datetime import datetime, timedelta

from brokers.real_time import database_now
from monitoring.models import Heartbeat, TickRun
from monitoring.tick import Stages
from portfolio import anchors, order_look_ups, snapshots, trades
from portfolio.models import Anchor, Portfolio

ANCHOR_EVERY = timedelta(days=1)
KEEP_RUNS = timedelta(days=2)
KEEP_HEARTBEATS = timedelta(hours=1)


def run(*, now: datetime) -> TickRun:
    """Take one pass over everything overdue and return its record."""
    record = TickRun.objects.create(started_at=database_now(), desk_time=now, kind="sweep")
    stages = Stages()
    errors = stages.run("orders", lambda: order_look_ups.settle_overdue(now=now), otherwise=[])
    portfolios = list(Portfolio.objects.filter(archived_at__isnull=True))
    stages.run("trades", lambda: trades.carry_on(portfolios, now=now), otherwise=[])
    stages.run("bookends", lambda: snapshots.note_missed(portfolios, now=now), otherwise=0)
    stages.run("anchors", lambda: anchor_daily(now=now), otherwise=None)
    stages.run("prune", prune, otherwise=None)
    record.finished_at = database_now()
    record.portfolios, record.stages = len(portfolios), stages.milliseconds
    record.errors = (stages.errors + errors)[:50]
    record.is_good = not record.errors
    record.save()
    return record


def anchor_daily(*, now: datetime) -> None:
    """Sign the heads of the journal once a day."""
    if not Anchor.objects.filter(created_at__gt=database_now() - ANCHOR_EVERY).exists():
        anchors.write(now=now)


def prune() -> None:
    """Passes and signs of life are kept for a while only; they are no books."""
    now = database_now()
    TickRun.objects.filter(started_at__lt=now - KEEP_RUNS).delete()
    Heartbeat.objects.filter(seen_at__lt=now - KEEP_HEARTBEATS).delete()
