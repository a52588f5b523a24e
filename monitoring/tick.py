"""
The one parent of a pass: prices, sync, marks, snapshots, for a batch of portfolios.

Only this module knows the order of the steps; each can be called and tested alone.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any

from django.db import OperationalError

from brokers.database_locks import is_lock_failure
from brokers.enums import FINAL_STATUSES
from brokers.market_data import corporate_actions, prices
from brokers.real_time import database_now
from monitoring.models import TickRun
from portfolio import orders, positions, snapshots, trades
from portfolio.models import OrderLeg, Portfolio

MARKING = ("prices", "fresh", "mark")  # what snapshots stand on


class Stages:
    """
    Runs the steps of a pass one by one, timing each and keeping the error of one that fails.

    A step that only could not get a lock is run once more: every step may be repeated.
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, int] = {}
        self.errors: list[str] = []
        self.failed: list[str] = []

    def run(self, name: str, step: Callable[[], Any], *, otherwise: Any) -> Any:
        """Return what the step returns, or `otherwise` when it raises."""
        started = perf_counter()
        try:
            return self.run_once_more(step)
        except Exception as error:
            self.failed.append(name)
            self.errors.append(f"{name}: {type(error).__name__}: {error}"[:300])
            return otherwise
        finally:
            self.milliseconds[name] = round((perf_counter() - started) * 1000)

    def run_once_more(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except OperationalError as error:
            if not is_lock_failure(error):
                raise
        return step()

    def skip(self, name: str, *, why: str) -> None:
        """Leave a step out, and say so in the record."""
        self.errors.append(f"{name}: {why}")


def run(portfolios: Sequence[Portfolio], *, now: datetime) -> TickRun:
    """
    Take one pass over these portfolios and return its record.

    A failing step is recorded and the steps that do not need it still run; a portfolio that fails, or is still
    catching up, keeps its own reason and its old marks while the others go on. Without today's prices and marks
    there are no snapshots. Good is a pass without failure.
    """
    record = TickRun.objects.create(started_at=database_now(), desk_time=now, portfolios=len(portfolios))
    stages = Stages()
    stages.run("events", lambda: corporate_actions.top_up(now=now), otherwise=None)
    found = stages.run("prices", lambda: prices.latest(watched_symbols(portfolios), now=now), otherwise={})
    synced = stages.run("sync", lambda: orders.sync(portfolios, now=now), otherwise=orders.Synced())
    stages.run("carry_on", lambda: trades.carry_on(portfolios, now=now), otherwise=[])
    found = stages.run("fresh", lambda: with_new_holdings(portfolios, found, now=now), otherwise=found)
    current = up_to_date(portfolios, now=now)
    unpriced = stages.run("mark", lambda: positions.mark(current, found, now=now), otherwise=[])
    if failed := [name for name in MARKING if name in stages.failed]:
        stages.skip("snapshots", why=f"not taken, because {' and '.join(failed)} failed.")
    else:
        stages.run("snapshots", lambda: snapshots.take(current, now=now), otherwise=[])
    errors = stages.errors + [f"portfolio {key}: {text}" for key, text in synced.errors.items()]
    record.finished_at = database_now()
    record.fills, record.unpriced = synced.fills, unpriced
    record.stages, record.errors, record.is_good = stages.milliseconds, errors[:50], not errors
    record.save()
    return record


def up_to_date(portfolios: Sequence[Portfolio], *, now: datetime) -> list[Portfolio]:
    """
    The portfolios whose book has taken in all that happened until now, read afresh.

    Today's price on holdings that still lack yesterday's split would show a loss that nobody made.
    """
    rows = Portfolio.objects.filter(pk__in=[portfolio.pk for portfolio in portfolios], synced_until__gte=now)
    return list(rows.order_by("pk"))


def watched_symbols(portfolios: Sequence[Portfolio]) -> list[str]:
    """What the batch holds or has orders working in; each symbol once, whoever holds it."""
    working = OrderLeg.objects.filter(order__portfolio_id__in=[portfolio.pk for portfolio in portfolios]).exclude(
        order__status__in=FINAL_STATUSES
    )
    ordered = working.values_list("instrument__symbol", flat=True).distinct()
    return sorted({*positions.held_symbols(portfolios), *ordered})


def with_new_holdings(portfolios: Sequence[Portfolio], found: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Add prices for holdings that the sync just brought in."""
    missing = [symbol for symbol in positions.held_symbols(portfolios) if symbol not in found]
    return {**found, **prices.latest(missing, now=now)} if missing else found
