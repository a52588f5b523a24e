"""Give each company found in an imported file its instrument: a stored one, the listed one, or a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction
from django.db.models import Max, Q

from brokers.enums import InstrumentKind, Timeframe
from brokers.market_data import sources
from brokers.market_data.import_histories import Listing, Point, listing_at
from brokers.market_data.listings import SHARE_KINDS, tradable_shares
from brokers.market_data.sources import to_date, to_ordinal
from brokers.models import Instrument, InstrumentAlias


@dataclass(frozen=True, slots=True)
class Companies:
    """Which instrument a ticker meant on a day."""

    listings: Mapping[str, Sequence[Listing]]
    identifiers: Mapping[str, Sequence[int]]

    def instrument_id(self, symbol: str, ordinal: int) -> int:
        """Return the instrument behind a ticker in the session of that day."""
        return self.identifiers[symbol][listing_at(self.listings[symbol], ordinal)]


def stored_points(symbols: Iterable[str]) -> dict[str, dict[int, Point]]:
    """Return every stored daily close under these tickers, by symbol and day, with its instrument."""
    found: dict[str, dict[int, Point]] = {symbol: {} for symbol in symbols}
    for symbol, identifiers in _instruments_under(found).items():
        for instrument_id in identifiers:
            for session_date, close in _closes(instrument_id):
                ordinal = to_ordinal(session_date)
                found[symbol][ordinal] = Point(ordinal, close, owner=instrument_id)
    return found


def resolve(listings: Mapping[str, Sequence[Listing]], *, dry_run: bool) -> Companies:
    """
    Find or make the instrument of every company; in a dry run, new ones get numbers below zero.

    The newest company of a ticker is the active one. An older one gets an instrument that is not active, and
    one that was active until now is closed with its last day.
    """
    if dry_run:
        return Companies(listings, _tentative(listings))
    with transaction.atomic():
        return Companies(listings, {symbol: _resolved(symbol, found) for symbol, found in listings.items()})


def _tentative(listings: Mapping[str, Sequence[Listing]]) -> dict[str, list[int]]:
    numbers = iter(range(-1, -1 - sum(map(len, listings.values())), -1))
    return {symbol: [each.owner or next(numbers) for each in found] for symbol, found in listings.items()}


def _resolved(symbol: str, found: Sequence[Listing]) -> list[int]:
    *older, newest = found
    return [*(each.owner or _closed(symbol, each).pk for each in older), _newest(symbol, newest)]


def _closed(symbol: str, listing: Listing) -> Instrument:
    """Return the instrument of a company that gave its ticker up; a run that broke off may have made it."""
    first, last = to_date(listing.first), to_date(listing.last)
    kept = Instrument.objects.filter(symbol=symbol, is_active=False, first_date=first).first()
    return kept or _created(symbol, first=first, last=last, is_active=False)


def _newest(symbol: str, listing: Listing) -> int:
    if listing.owner is not None:
        return listing.owner
    active = tradable_shares([symbol]).get(symbol)
    first = to_date(listing.first)
    if active is not None:
        last = active.bars.aggregate(last=Max("session_date"))["last"]
        if last is None:
            Instrument.objects.filter(pk=active.pk).update(first_date=first)
            return active.pk
        active.is_active, active.last_date = False, last
        active.save(update_fields=["is_active", "last_date"])
        active.aliases.filter(symbol=symbol, last_date=None).update(last_date=last)
    return _created(symbol, first=first, last=None, is_active=True).pk


def _created(symbol: str, *, first: date, last: date | None, is_active: bool) -> Instrument:
    # The universe names today's company; who bore the ticker before is not known.
    instrument = sources.listed(symbol) if is_active else _unknown_share(symbol)
    instrument.first_date, instrument.last_date, instrument.is_active = first, last, is_active
    instrument.save(force_insert=True)
    InstrumentAlias.objects.create(instrument=instrument, symbol=symbol, first_date=first, last_date=last)
    return instrument


def _unknown_share(symbol: str) -> Instrument:
    return Instrument(symbol=symbol, kind=InstrumentKind.EQUITY, is_shortable=False)


def _instruments_under(symbols: Iterable[str]) -> dict[str, list[int]]:
    """Return the shares that bear a ticker now or bore it once, by ticker."""
    wanted = list(symbols)
    shares = Instrument.objects.filter(kind__in=SHARE_KINDS)
    rows = shares.filter(Q(symbol__in=wanted) | Q(aliases__symbol__in=wanted)).values_list(
        "pk", "symbol", "aliases__symbol"
    )
    found: dict[str, set[int]] = {symbol: set() for symbol in wanted}
    for identifier, symbol, alias in rows:
        for name in {symbol, alias} & found.keys():
            found[name].add(identifier)
    return {symbol: sorted(identifiers) for symbol, identifiers in found.items()}


def _closes(instrument_id: int) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT session_date, close FROM brokers_bar WHERE instrument_id = %s AND timeframe = %s",
            [instrument_id, Timeframe.DAY.value],
        )
        return cursor.fetchall()
