"""The price cache: `LatestPrice` rows as readings of the gate, and answers as rows."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import connection, transaction

from brokers.enums import PriceSource
from brokers.market_data.feeds import DayFigures
from brokers.market_data.gate import Reading
from brokers.models import Instrument, LatestPrice

if TYPE_CHECKING:
    from brokers.market_data.prices import Price


def by_id(instrument_ids: Iterable[int]) -> dict[int, Instrument]:
    """Return these instruments, active or not, with their cached prices, in one query."""
    return Instrument.objects.select_related("latest_price").in_bulk(list(instrument_ids))


def cached(instrument: Instrument) -> LatestPrice | None:
    return getattr(instrument, "latest_price", None)


def source_of(row: LatestPrice) -> PriceSource:
    """Return which of the four sources the accepted price came from; the column says `replay:QUOTE`."""
    return PriceSource(row.source.rpartition(":")[2])


def accepted(row: LatestPrice | None) -> Reading | None:
    """Return the last accepted price as the gate compares it."""
    if row is None:
        return None
    name = row.source.rpartition(":")[0]
    if source_of(row) is PriceSource.QUOTE:
        return Reading(source=name, as_of=row.quote_as_of, price=(row.bid + row.ask) / 2)
    return Reading(source=name, as_of=row.last_as_of, price=row.last)


def quarantined(row: LatestPrice | None) -> Reading | None:
    """Return the price that waits for its confirmation."""
    if row is None or row.quarantined_price is None:
        return None
    return Reading(source=row.quarantined_source, as_of=row.quarantined_at, price=row.quarantined_price)


def is_same(row: LatestPrice | None, price: Price) -> bool:
    """Return whether the cache says this already, so that nothing need be written."""
    return (
        row is not None
        and row.quarantined_price is None
        and source_of(row) is price.source
        and accepted(row).as_of == price.as_of
    )


def accepted_row(price: Price, *, feed: str, day: DayFigures, now: datetime.datetime) -> LatestPrice:
    """Return the whole row of an accepted price; it ends a quarantine."""
    is_quote = price.source is PriceSource.QUOTE
    return LatestPrice(
        instrument_id=price.instrument_id,
        bid=price.bid,
        ask=price.ask,
        bid_size=price.bid_size,
        ask_size=price.ask_size,
        quote_as_of=price.as_of if is_quote else None,
        last=price.last,
        last_as_of=price.as_of if price.last is not None else None,
        day_volume=day.volume,
        previous_close=day.previous_close,
        source=f"{feed}:{price.source}",
        updated_at=now,
    )


def store(rows: Iterable[LatestPrice]) -> None:
    """Insert or replace rows, one per instrument, with one prepared statement."""
    # One order for every process, or two of them could wait for each other's rows.
    ordered = sorted(rows, key=lambda row: row.instrument_id)
    values = [
        [column.get_db_prep_save(getattr(row, column.attname), connection) for column in _COLUMNS] for row in ordered
    ]
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.executemany(_UPSERT, values)


def _upsert() -> str:
    # Not bulk_create: on SQLite it would send a statement for every fifty-odd rows.
    names = [column.column for column in _COLUMNS]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != "instrument_id")
    return (
        f"INSERT INTO {LatestPrice._meta.db_table} ({', '.join(names)}, created_at) "
        f"VALUES ({', '.join(['%s'] * len(names))}, CURRENT_TIMESTAMP) "
        f"ON CONFLICT (instrument_id) DO UPDATE SET {changes}"
    )


_COLUMNS = [each for each in LatestPrice._meta.concrete_fields if each.name not in ("id", "created_at")]
_UPSERT = _upsert()
