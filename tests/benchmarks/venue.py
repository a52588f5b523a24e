"""A tick end to end: orders at the simulated venue, fills, books; and a tick in which nothing happens."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from brokers.enums import OrderType, Side
from brokers.market_data import sources
from brokers.models import SimulatedAccount
from brokers.money import MONEY
from brokers.simulator import accounts
from brokers.simulator.presets import DEFAULT_PRESET, PRESETS
from monitoring import tick
from portfolio import books, orders
from portfolio.enums import Origin
from portfolio.models import Order, Portfolio

from . import desks
from .measure import Outcome, Way, interleave

SYMBOLS = ("SPY", "AAPL", "MSFT", "JPM", "XOM")
SIZES = {"small": (60, 2_000), "full": (200, 10_000)}  # portfolios with orders, idle portfolios
FEW = 20
SHARD = 2_000
IDLE_SECONDS = 10  # a tick is rung every ten seconds


@dataclass(slots=True)
class Count:
    """Statements that went to the database."""

    queries: int = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries += 1
        return execute(sql, params, many, context)


@contextmanager
def counting() -> Iterator[Count]:
    count = Count()
    with connection.execute_wrapper(count):
        yield count


def run(size: str) -> Outcome:
    busy, idle = SIZES[size]
    outcome = Outcome(name="venue")
    sources.list_instruments()
    fresh_orders(outcome, busy)
    nothing_to_do(outcome, idle)
    return outcome


# Orders, fills, books ----------------------------------------------------------------------------------


def fresh_orders(outcome: Outcome, count: int) -> None:
    few, many = funded_portfolios(FEW, group="few"), funded_portfolios(count, group="many")
    desks.analyze()
    # The first tick reads calendars and prices for the first time; later ones are like each other.
    counts = [placed_and_counted(each, number) for number, each in enumerate((few, many, few, many))][2:]
    outcome.must(
        counts[0] == counts[1],
        f"a tick with fills takes {counts[0]} statements for {FEW} portfolios and {counts[1]} for {count}",
    )
    ways = [
        Way(
            name="ours: submit one market order a portfolio",
            size=count,
            prepare=lambda number: number + 4,
            run=lambda number: place(many, number),
        ),
        Way(
            name="ours: the tick that brings their fills",
            size=count,
            prepare=lambda number: number + 4,
            run=lambda number: tick.run(many, now=at(number, seconds=10)),
        ),
    ]
    timings = interleave(ways)
    outcome.timings += timings.values()
    filled = Order.objects.filter(portfolio__in=many, status="FILLED").count()
    expected = count * (2 + len(timings[ways[0].name].runs))
    outcome.must_equal(filled, expected, f"{expected:,} orders sent and filled")
    found = books.check(many)
    outcome.must(not found.differences, f"books proved over {sum(found.compared.values()):,} comparisons")


def funded_portfolios(count: int, *, group: str) -> list[Portfolio]:
    """Open accounts at the venue and bring their first deposits into the books."""
    opened = at(0) - timedelta(minutes=30)
    rows = desks.open_portfolios(count, group=group)
    for row in rows:
        account = accounts.open(event_id=row.name, cash=desks.CASH, seed=desks.SEED, now=opened)
        row.account_id = str(account.account_id)
        row.synced_until = opened
        row.save()
    orders.sync(rows, now=at(0) - timedelta(minutes=20))
    return list(Portfolio.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk"))


def at(number: int, *, seconds: int = 0) -> datetime:
    return desks.NOW + timedelta(minutes=number, seconds=seconds)


def place(portfolios: Sequence[Portfolio], number: int) -> None:
    orders.submit(
        [
            orders.OrderIntent(
                portfolio=portfolio,
                origin=Origin.API,
                intent_key=f"benchmark {number}",
                symbol=SYMBOLS[(index + number) % len(SYMBOLS)],
                side=Side.BUY,
                order_type=OrderType.MARKET,
                quantity=Decimal(1 + index % 5),
                actor="benchmark",
            )
            for index, portfolio in enumerate(portfolios)
        ],
        now=at(number),
    )


def placed_and_counted(portfolios: Sequence[Portfolio], number: int) -> int:
    """Return the statements of the tick that brings one fill to each portfolio."""
    place(portfolios, number)
    with counting() as count:
        tick.run(portfolios, now=at(number, seconds=10))
    return count.queries


# Nothing to do -----------------------------------------------------------------------------------------


def nothing_to_do(outcome: Outcome, count: int) -> None:
    portfolios = idle_portfolios(count)
    desks.analyze()
    shards = [portfolios[start : start + SHARD] for start in range(0, count, SHARD)]
    with counting() as counted:
        tick_idle(shards, 0)
    way = Way(
        name=f"ours: a tick over {count:,} idle portfolios",
        size=count,
        prepare=lambda number: number + 1,
        run=lambda number: tick_idle(shards, number),
    )
    (timing,) = interleave([way]).values()
    outcome.timings.append(timing)
    outcome.must(all(timing.answers), "every idle pass was good: no fill, no error")
    outcome.at_most("seconds for an idle tick; the next is rung after ten", timing.seconds, IDLE_SECONDS)
    outcome.notes.append(
        f"The idle tick took {counted.queries} statements in {len(shards)} shards of up to {SHARD:,} portfolios."
    )


def idle_portfolios(count: int) -> list[Portfolio]:
    """Write accounts and portfolios without holdings, both up to date as of a moment ago."""
    before = at(30) - timedelta(seconds=10)
    rows = desks.open_portfolios(count, group="idle")
    SimulatedAccount.objects.bulk_create(
        [
            SimulatedAccount(
                account_id=uuid.UUID(row.account_id),
                cash_units=100_000 * MONEY,
                preset=DEFAULT_PRESET,
                settings=PRESETS[DEFAULT_PRESET].to_json(),
                seed=desks.SEED,
                matched_until=before,
            )
            for row in rows
        ],
        batch_size=desks.BATCH,
    )
    Portfolio.objects.filter(name__startswith="idle").update(synced_until=before)
    return list(Portfolio.objects.filter(name__startswith="idle").order_by("pk"))


def tick_idle(shards: Sequence[Sequence[Portfolio]], number: int) -> bool:
    """Take one pass over each shard; true when all were good and brought nothing."""
    passes = [tick.run(shard, now=at(30, seconds=10 * number)) for shard in shards]
    return all(each.is_good and not each.fills for each in passes)
