"""Mark positions to the market: one statement for all portfolios, or a list of the unpriced."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from brokers.market_data.prices import Price
from brokers.models import Instrument
from brokers.money import money_units
from portfolio.models import Portfolio, Position

# SQLite turns an overflowing product into a float in silence, so price x quantity is taken in parts:
# |quantity| = W * 10^9 + H * 10^3 + L, rounded half away from zero like PostgreSQL's numeric.
SQLITE_VALUE = """
    (p.price * (abs(q.quantity) / 1000000000)
     + (p.price * ((abs(q.quantity) % 1000000000) / 1000)) / 1000000
     + (((p.price * ((abs(q.quantity) % 1000000000) / 1000)) % 1000000) * 1000
        + p.price * (abs(q.quantity) % 1000) + 500000000) / 1000000000)
    * p.multiplier * (CASE WHEN q.quantity < 0 THEN -1 ELSE 1 END)
"""
MARK_SQLITE = f"""
    UPDATE portfolio_position AS q SET
        mark = p.price, mark_source = p.source, mark_as_of = p.as_of, mark_reason = '',
        market_value = {SQLITE_VALUE}, unrealized_pnl = {SQLITE_VALUE} - q.cost
    FROM (SELECT value ->> 0 AS instrument_id, value ->> 1 AS price, value ->> 2 AS multiplier,
                 value ->> 3 AS source, value ->> 4 AS as_of FROM json_each(%s)) AS p
    WHERE q.instrument_id = p.instrument_id AND q.quantity <> 0
      AND q.portfolio_id IN (SELECT value FROM json_each(%s))
"""
POSTGRESQL_VALUE = """
    round(p.price::numeric * abs(q.quantity) / 1000000000)::bigint * p.multiplier
    * (CASE WHEN q.quantity < 0 THEN -1 ELSE 1 END)
"""
MARK_POSTGRESQL = f"""
    UPDATE portfolio_position AS q SET
        mark = p.price, mark_source = p.source, mark_as_of = p.as_of, mark_reason = '',
        market_value = {POSTGRESQL_VALUE}, unrealized_pnl = {POSTGRESQL_VALUE} - q.cost
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[])
        AS p(instrument_id, price, multiplier, source, as_of)
    WHERE q.instrument_id = p.instrument_id AND q.quantity <> 0 AND q.portfolio_id = ANY(%s)
"""


def mark(portfolios: Collection[Portfolio], found: Mapping[str, Any], *, now: datetime) -> list[str]:
    """
    Value every holding of these portfolios in the symbols of `found`; return the symbols without a price.

    `found` is what prices.latest or prices.stored returned. A holding without a usable price loses its mark,
    its value and its unrealized P&L and says why; the time of its last mark stays, to show since when.
    """
    multipliers = dict(Instrument.objects.filter(symbol__in=list(found)).values_list("pk", "multiplier"))
    priced = [item for item in found.values() if isinstance(item, Price)]
    keys = [portfolio.pk for portfolio in portfolios]
    rows = [
        (
            item.instrument_id,
            money_units(item.value),
            multipliers[item.instrument_id],
            item.source,
            item.as_of,
        )
        for item in priced
        if item.instrument_id in multipliers
    ]
    unpriced = {symbol: item for symbol, item in found.items() if not isinstance(item, Price)}
    with transaction.atomic():
        if rows:
            write_marks(rows, keys)
        for symbol, problem in unpriced.items():
            unmark(symbol, str(problem), keys)
    return sorted(unpriced)


def write_marks(rows: Sequence[tuple[Any, ...]], portfolio_ids: list[int]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(MARK_POSTGRESQL, [*map(list, zip(*rows, strict=True)), portfolio_ids])
            return
        as_of = Position._meta.get_field("mark_as_of")
        prices = [[*row[:3], str(row[3]), str(as_of.get_db_prep_value(row[4], connection))] for row in rows]
        cursor.execute(MARK_SQLITE, [json.dumps(prices), json.dumps(portfolio_ids)])


def unmark(symbol: str, reason: str, portfolio_ids: list[int]) -> None:
    """Take the mark away where there is none: a missing price is never yesterday's passed off as today's."""
    Position.objects.filter(
        portfolio_id__in=portfolio_ids, instrument__symbol=symbol, instrument__is_active=True
    ).exclude(quantity=0).update(
        mark=None, market_value=None, unrealized_pnl=None, mark_source="", mark_reason=reason[:200]
    )


def held_symbols(portfolios: Collection[Portfolio]) -> list[str]:
    """The symbols that any of these portfolios holds, in order."""
    rows = Position.objects.filter(portfolio__in=[p.pk for p in portfolios]).exclude(quantity=0)
    return sorted(set(rows.values_list("instrument__symbol", flat=True)))
