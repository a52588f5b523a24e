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
# |quantity| = W * 10^9 + H * 10^3 + L, rounded half away from zero. Remainders are written %% because the
# statements take parameters.
SQLITE_VALUE = """
    (p.price * (abs(q.quantity) / 1000000000)
     + (p.price * ((abs(q.quantity) %% 1000000000) / 1000)) / 1000000
     + (((p.price * ((abs(q.quantity) %% 1000000000) / 1000)) %% 1000000) * 1000
        + p.price * (abs(q.quantity) %% 1000) + 500000000) / 1000000000)
    * p.multiplier * (CASE WHEN q.quantity < 0 THEN -1 ELSE 1 END)
"""
# MATERIALIZED makes the prices a table instead of text that is read again for each position, CAST lets SQLite
# index it, and CROSS JOIN makes it go through the positions once instead of trying each portfolio with each price.
MARK_SQLITE = f"""
    WITH p(instrument_id, price, multiplier, source, as_of) AS MATERIALIZED (
        SELECT CAST(value ->> 0 AS INTEGER), value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(%s)
    )
    UPDATE portfolio_position AS q SET
        mark = p.price, mark_source = p.source, mark_as_of = p.as_of, mark_reason = '',
        market_value = {SQLITE_VALUE}, unrealized_pnl = {SQLITE_VALUE} - q.cost
    FROM (
        SELECT held.id, p.* FROM portfolio_position AS held CROSS JOIN p ON p.instrument_id = held.instrument_id
        WHERE held.quantity <> 0 AND held.portfolio_id IN (SELECT value FROM json_each(%s))
    ) AS p WHERE q.id = p.id
"""
# PostgreSQL's `/` keeps some sixteen digits of a quotient, so round(a / b) may round twice; div() is exact.
POSTGRESQL_VALUE = """
    div(p.price::numeric * abs(q.quantity) + 500000000, 1000000000)::bigint * p.multiplier
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
# In the order of their keys, so that two passes over the same holdings wait for each other instead of both.
LOCK_POSTGRESQL = """
    SELECT count(*) FROM (
        SELECT id FROM portfolio_position
        WHERE instrument_id = ANY(%s) AND quantity <> 0 AND portfolio_id = ANY(%s)
        ORDER BY id FOR NO KEY UPDATE
    ) AS held
"""
UNMARK = """
    UPDATE portfolio_position AS q SET
        mark = NULL, market_value = NULL, unrealized_pnl = NULL, mark_source = '', mark_reason = p.reason
"""
UNMARK_SQLITE = f"""
    WITH p(instrument_id, reason) AS MATERIALIZED (
        SELECT CAST(value ->> 0 AS INTEGER), value ->> 1 FROM json_each(%s)
    )
    {UNMARK} FROM (
        SELECT held.id, p.reason FROM portfolio_position AS held CROSS JOIN p ON p.instrument_id = held.instrument_id
        WHERE held.quantity <> 0 AND held.portfolio_id IN (SELECT value FROM json_each(%s))
    ) AS p WHERE q.id = p.id
"""
UNMARK_POSTGRESQL = f"""
    {UNMARK} FROM unnest(%s::bigint[], %s::text[]) AS p(instrument_id, reason)
    WHERE q.instrument_id = p.instrument_id AND q.quantity <> 0 AND q.portfolio_id = ANY(%s)
"""


def mark(portfolios: Collection[Portfolio], found: Mapping[str, Any], *, now: datetime) -> list[str]:
    """
    Value every holding of these portfolios in the symbols of `found`; return the symbols without a price.

    `found` is what prices.latest or prices.stored returned. A holding without a usable price loses its mark,
    its value and its unrealized P&L and says why; the time of its last mark stays, to show since when. So does
    one whose instrument is listed no more, or whose symbol now stands for another instrument.
    """
    listed = Instrument.objects.filter(symbol__in=list(found)).values_list("pk", "symbol", "multiplier")
    keys = [portfolio.pk for portfolio in portfolios]
    priced, unpriced, others = [], [], []
    for key, symbol, multiplier in listed:
        item = found[symbol]
        if isinstance(item, Price) and item.instrument_id == key:
            priced.append((key, money_units(item.value), multiplier, item.source, item.as_of))
        else:
            unpriced.append((key, why_unpriced(symbol, item)))
            others += [key] if isinstance(item, Price) else []
    with transaction.atomic():
        lock([row[0] for row in (*priced, *unpriced)], keys)
        write_marks(priced, keys)
        take_marks_away(unpriced, keys)
    missing = {symbol for symbol, item in found.items() if not isinstance(item, Price)}
    return sorted(missing | held_elsewhere(others, keys))


def why_unpriced(symbol: str, item: Any) -> str:
    """The reason a holding shows; one price cannot stand for another instrument of the same symbol."""
    if isinstance(item, Price):
        return f"There is no price of this {symbol}: at this desk the symbol now stands for another instrument."
    return str(item)[:200]


def held_elsewhere(instrument_ids: list[int], portfolio_ids: list[int]) -> set[str]:
    """Symbols that have a price, though not of the instrument that is held under them; rarely any."""
    if not instrument_ids:
        return set()
    rows = Position.objects.filter(instrument_id__in=instrument_ids, portfolio_id__in=portfolio_ids)
    return set(rows.exclude(quantity=0).values_list("instrument__symbol", flat=True))


def lock(instrument_ids: list[int], portfolio_ids: list[int]) -> None:
    """Lock what is about to be marked; SQLite's transactions keep every other writer out as it is."""
    if connection.vendor == "postgresql" and instrument_ids:
        with connection.cursor() as cursor:
            cursor.execute(LOCK_POSTGRESQL, [instrument_ids, portfolio_ids])


def write_marks(rows: Sequence[tuple[Any, ...]], portfolio_ids: list[int]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(MARK_POSTGRESQL, [*map(list, zip(*rows, strict=True)), portfolio_ids])
            return
        as_of = Position._meta.get_field("mark_as_of")
        prices = [[*row[:3], str(row[3]), str(as_of.get_db_prep_value(row[4], connection))] for row in rows]
        cursor.execute(MARK_SQLITE, [json.dumps(prices), json.dumps(portfolio_ids)])


def take_marks_away(rows: Sequence[tuple[int, str]], portfolio_ids: list[int]) -> None:
    """Where there is no price there is no mark: a missing one is never yesterday's passed off as today's."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(UNMARK_POSTGRESQL, [*map(list, zip(*rows, strict=True)), portfolio_ids])
        else:
            cursor.execute(UNMARK_SQLITE, [json.dumps(rows), json.dumps(portfolio_ids)])


def held_symbols(portfolios: Collection[Portfolio]) -> list[str]:
    """The symbols that any of these portfolios holds, in order."""
    rows = Position.objects.filter(portfolio__in=[p.pk for p in portfolios]).exclude(quantity=0)
    return sorted(set(rows.values_list("instrument__symbol", flat=True)))
