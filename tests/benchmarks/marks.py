"""Marks: every holding valued at fresh prices, against a loop over the ORM and against `bulk_update`."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

from brokers.enums import PriceSource
from brokers.market_data.prices import Price
from brokers.models import Instrument
from brokers.money import money_units, money_value, notional, quantity_units
from portfolio import positions
from portfolio.models import Portfolio, Position

from . import desks
from .measure import Outcome, Timing, Way, interleave

POSITIONS = 10
SIZES = {"small": (1_000, 100, 500), "full": (10_000, 200, 500)}  # portfolios ours, portfolios plain, prices
UNIT = Decimal("0.000001")
LOOP_TARGET, BULK_TARGET = 75, 30
Prices = dict[str, Price]


def run(size: str) -> Outcome:
    count, sample_count, price_count = SIZES[size]
    shares = desks.list_shares(price_count)
    portfolios = desks.open_portfolios(count, group="marks")
    write_positions(portfolios, shares)
    desks.analyze()
    sample = portfolios[:sample_count]
    keys = [portfolio.pk for portfolio in sample]
    ways = [
        Way(
            name="ours: positions.mark, one statement",
            size=count * POSITIONS,
            prepare=lambda number: prices_at(shares, number),
            run=lambda found: positions.mark(portfolios, found, now=desks.NOW),
        ),
        Way(
            name="loop over the ORM, save()",
            size=sample_count * POSITIONS,
            prepare=lambda number: prices_at(shares, number),
            run=lambda found: save_one_by_one(keys, found),
        ),
        Way(
            name="one query, bulk_update in 500s",
            size=sample_count * POSITIONS,
            prepare=lambda number: prices_at(shares, number),
            run=lambda found: save_in_bulk(keys, found),
        ),
    ]
    timings = interleave(ways)
    outcome = Outcome(name="marks", timings=list(timings.values()))
    compare(outcome, portfolios, keys, prices_at(shares, len(shares)))
    judge(outcome, *timings.values())
    return outcome


def judge(outcome: Outcome, ours: Timing, loop: Timing, bulk: Timing) -> None:
    outcome.ratio_at_least("positions a second, against the loop", loop, ours, LOOP_TARGET)
    outcome.ratio_at_least("positions a second, against bulk_update", bulk, ours, BULK_TARGET)
    outcome.notes.append(
        f"The loop and bulk_update mark {loop.size:,} positions a round and are compared by the position."
    )


def write_positions(portfolios: Sequence[Portfolio], shares: Sequence[Instrument]) -> None:
    """Give each portfolio ten holdings, long and short, whole shares and fractions."""
    draw = Random(desks.SEED)
    rows = []
    for portfolio in portfolios:
        for share in draw.sample(shares, POSITIONS):
            quantity = Decimal(draw.choice((-1, 1)) * draw.randint(1, 5_000_000_000_000)).scaleb(-9)
            cost = (quantity * draw.randint(1, 500)).quantize(UNIT, ROUND_HALF_UP)
            rows.append(
                Position(user_id=portfolio.user_id, portfolio=portfolio, instrument=share, quantity=quantity, cost=cost)
            )
    Position.objects.bulk_create(rows, batch_size=desks.BATCH)


def prices_at(shares: Sequence[Instrument], number: int) -> Prices:
    """Return new prices for every share, the same for the same number."""
    draw = Random(desks.SEED + number)
    as_of = desks.NOW + timedelta(seconds=10 * number)
    return {
        share.symbol: Price(
            symbol=share.symbol,
            instrument_id=share.pk,
            value=Decimal(draw.randint(1_000_000, 900_000_000)).scaleb(-6),
            bid=None,
            ask=None,
            bid_size=0,
            ask_size=0,
            last=None,
            source=PriceSource.QUOTE,
            as_of=as_of,
            age_seconds=Decimal(0),
            is_stale=False,
            is_previous_close=False,
        )
        for share in shares
    }


def save_one_by_one(portfolio_ids: Sequence[int], found: Prices) -> None:
    for key in portfolio_ids:
        for position in Position.objects.filter(portfolio_id=key).select_related("instrument"):
            if put_mark(position, found):
                position.save()


def save_in_bulk(portfolio_ids: Sequence[int], found: Prices) -> None:
    rows = list(Position.objects.filter(portfolio_id__in=portfolio_ids).select_related("instrument"))
    marked = [position for position in rows if put_mark(position, found)]
    Position.objects.bulk_update(marked, FIELDS, batch_size=500)


FIELDS = ("mark", "mark_source", "mark_as_of", "mark_reason", "market_value", "unrealized_pnl")


def put_mark(position: Position, found: Prices) -> bool:
    price = found.get(position.instrument.symbol)
    if price is None or not position.quantity:
        return False
    position.mark, position.mark_source, position.mark_as_of = price.value, price.source, price.as_of
    position.mark_reason = ""
    worth = (price.value * position.quantity).quantize(UNIT, ROUND_HALF_UP) * position.instrument.multiplier
    position.market_value, position.unrealized_pnl = worth, worth - position.cost
    return True


def compare(outcome: Outcome, portfolios: Sequence[Portfolio], keys: Sequence[int], found: Prices) -> None:
    """All values against Python's integers; the sample's rows the same from all three ways."""
    positions.mark(portfolios, found, now=desks.NOW)
    ours = marks_of(keys)
    wrong = sum(1 for row in Position.objects.select_related("instrument") if not is_exact(row, found))
    outcome.must(wrong == 0, f"{len(portfolios) * POSITIONS:,} values are the exact product, rounded half away")
    for name, way in (("the loop", save_one_by_one), ("bulk_update", save_in_bulk)):
        Position.objects.filter(portfolio_id__in=keys).update(mark=None, market_value=None, unrealized_pnl=None)
        way(keys, found)
        outcome.must_equal(ours, marks_of(keys), f"{len(ours):,} marked rows, ours and {name}")


def is_exact(row: Position, found: Prices) -> bool:
    price, quantity = money_units(found[row.instrument.symbol].value), quantity_units(row.quantity)
    return row.market_value == money_value(notional(price, quantity)) and (
        row.unrealized_pnl == row.market_value - row.cost
    )


def marks_of(portfolio_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    rows = Position.objects.filter(portfolio_id__in=portfolio_ids).order_by("pk")
    return list(rows.values_list("pk", *FIELDS))
