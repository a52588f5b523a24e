"""What beat rings and workers run; losing, doubling or delaying a message changes nothing but the delay."""

import os
from collections.abc import Sequence

from celery import shared_task

from brokers.market_data import clock
from monitoring import heartbeats, sweep, tick
from portfolio import leases
from portfolio.models import Portfolio

SHARD_PORTFOLIOS = 2_000
SHARDS_A_CORE = 4
TICK_LEASE_SECONDS = 30
SWEEP_LEASE_SECONDS = 50


@shared_task
def ring_tick(**_: object) -> None:
    """Split the open portfolios into a few shards: one runs here, more go out as one message each."""
    ids = list(Portfolio.objects.filter(archived_at__isnull=True).order_by("pk").values_list("pk", flat=True))
    shards = split(ids, at_most=SHARDS_A_CORE * (os.cpu_count() or 1))
    if len(shards) == 1:
        tick_shard(0, shards[0])
        return
    for number, shard in enumerate(shards):
        run_shard.delay(number=number, portfolio_ids=shard)


@shared_task
def run_shard(*, number: int, portfolio_ids: list[int], **_: object) -> None:
    tick_shard(number, portfolio_ids)


def tick_shard(number: int, portfolio_ids: Sequence[int]) -> None:
    """Run a pass unless the last one over this shard still runs."""
    name, holder = f"tick:{number}", heartbeats.process_name("worker")
    fence = leases.claim(name, holder=holder, seconds=TICK_LEASE_SECONDS)
    if fence is None:
        return
    try:
        portfolios = list(Portfolio.objects.filter(pk__in=portfolio_ids, archived_at__isnull=True).order_by("pk"))
        tick.run(portfolios, now=clock.now())
    finally:
        leases.release(name, holder=holder, fence=fence)


@shared_task
def ring_sweep(**_: object) -> None:
    holder = heartbeats.process_name("worker")
    fence = leases.claim("sweep", holder=holder, seconds=SWEEP_LEASE_SECONDS)
    if fence is None:
        return
    try:
        sweep.run(now=clock.now())
    finally:
        leases.release("sweep", holder=holder, fence=fence)


def split(ids: Sequence[int], *, at_most: int) -> list[list[int]]:
    """Cut ids into equal shards of about 2,000, never more than `at_most`; no ids make one empty shard."""
    count = max(1, min(at_most, -(-len(ids) // SHARD_PORTFOLIOS)))
    size = -(-len(ids) // count) if ids else 1
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)] or [[]]
