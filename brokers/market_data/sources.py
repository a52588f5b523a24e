"""Who can quote what: the replay market of this process, its stored bars, and the instruments it lists."""

from __future__ import annotations

import datetime
import itertools
import threading
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Max, Q

from brokers import instruments, money
from brokers.enums import CorporateActionKind, CorporateActionState, ImportState, InstrumentKind, Timeframe
from brokers.market_data import calendar
from brokers.market_data.listings import SHARE_KINDS, tradable_shares
from brokers.market_data.replay.market import (
    MODEL_VERSION,
    ImportedBars,
    MarketEvent,
    ReplayMarket,
    SessionTable,
)
from brokers.market_data.replay.universe import UNIVERSE, UNIVERSE_VERSION, UniverseRow
from brokers.models import Bar, CorporateAction, ImportRun, Instrument

SYNTHETIC = "replay"
IMPORTED = "imported"
LABELS = {SYNTHETIC: "SYNTHETIC", IMPORTED: "REPLAY OF IMPORTED BARS"}
_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()


def to_ordinal(day: datetime.date) -> int:
    """Return the days since 1970-01-01, the replay market's dates."""
    return day.toordinal() - _EPOCH_ORDINAL


def to_date(ordinal: int) -> datetime.date:
    """Return the date of such an ordinal."""
    return datetime.date.fromordinal(int(ordinal) + _EPOCH_ORDINAL)


def source_name() -> str:
    """Return what stands in `source` columns of prices and events: `replay` or `imported`."""
    return IMPORTED if settings.REPLAY_BARS == "imported" else SYNTHETIC


def market_label() -> str:
    """Return the words that mark invented or replayed prices on every page and in every export."""
    return LABELS[source_name()]


def market_identity() -> str:
    """
    Return what makes two processes show the same replay prices: seed, versions, kind of bars.

    Unlike the identity on a fill it leaves out the version of imported bars: more bars may come any day.
    """
    return (
        f"seed={settings.REPLAY_SEED} universe={UNIVERSE_VERSION} model={MODEL_VERSION} "
        f"calendar={calendar.calendar_version()} bars={settings.REPLAY_BARS}"
    )


def replay_market() -> ReplayMarket:
    """
    Return this process's replay market, built once and again when its stored bars or the calendar change.

    With REPLAY_BARS=imported every call asks for the version of the stored bars: one query.
    """
    return _built.market(version=_version())


def stored_version() -> str:
    """Return a text that changes whenever an import has ended and may have changed stored bars."""
    newest = (
        ImportRun.objects.filter(kind="bars", is_dry_run=False)
        .exclude(state=ImportState.RUNNING)
        .order_by("-finished_at", "-pk")
        .values_list("pk", "finished_at")
        .first()
    )
    return f"import {newest[0]} {newest[1].isoformat()}" if newest and newest[1] else "no import"


def last_imported_session() -> datetime.date | None:
    """Return the date of the newest stored daily bar in imported mode, None otherwise."""
    if source_name() != IMPORTED:
        return None
    return Bar.objects.filter(timeframe=Timeframe.DAY).aggregate(last=Max("session_date"))["last"]


def list_instruments() -> int:
    """
    Add what is missing of the instruments the replay market quotes, and return how many were added.

    An import creates the instruments of its own bars, so imported mode adds none. A symbol that has an
    active instrument of either kind of share keeps it, whatever was edited there. Repeating it adds nothing.
    """
    if source_name() == IMPORTED:
        return 0
    symbols = [row.symbol for row in UNIVERSE]
    known = set(tradable_shares(symbols))
    missing = [listed(row.symbol) for row in UNIVERSE if row.symbol not in known]
    Instrument.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


def listed(symbol: str) -> Instrument:
    """Return an unsaved instrument for a symbol: a row of the universe where there is one, else a stock."""
    row = _UNIVERSE_BY_SYMBOL.get(symbol)
    kind = InstrumentKind.EQUITY if row is None or row.is_stock else InstrumentKind.ETF
    return Instrument(
        symbol=symbol,
        kind=kind,
        listed_name=row.name if row else "",
        sector=row.sector if row else "",
        is_fractionable=True,
        quantity_increment=instruments.quantity_step(kind=kind, is_fractionable=True),
        leverage=row.leverage if row and row.leverage != 1 else None,
        base_symbol=row.base if row else "",
    )


_UNIVERSE_BY_SYMBOL: dict[str, UniverseRow] = {row.symbol: row for row in UNIVERSE}


# ------------------------------------------------------------------ building the market


@dataclass(frozen=True, slots=True)
class _Version:
    identity: str
    horizon: datetime.date
    stored: str


class _Built:
    """The one replay market of this process, replaced when its version changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: _Version | None = None
        self._market: ReplayMarket | None = None

    def market(self, *, version: _Version) -> ReplayMarket:
        with self._lock:
            if self._market is None or self._version != version:
                self._market = _build(version)
                self._version = version
            return self._market


_built = _Built()


def _version() -> _Version:
    stored = stored_version() if source_name() == IMPORTED else ""
    return _Version(market_identity(), calendar.horizon(), stored)


def _build(version: _Version) -> ReplayMarket:
    return ReplayMarket(
        seed=settings.REPLAY_SEED,
        sessions=session_table(),
        calendar_version=calendar.calendar_version(),
        imported=stored_daily_bars() if version.stored else None,
        data_version=version.stored,
    )


def session_table() -> SessionTable:
    """Return the calendar in the replay market's words: days since 1970-01-01, seconds since 1970 in UTC."""
    ordinal, open_at, close_at = calendar.session_arrays()
    return SessionTable(ordinal - _EPOCH_ORDINAL, open_at, close_at)


def stored_daily_bars() -> dict[str, ImportedBars]:
    """
    Return the stored daily bars and events of every tradable share that has any, keyed by symbol.

    An older company under a reused ticker is not among them: its instrument is no longer active.
    """
    active = Instrument.objects.filter(kind__in=SHARE_KINDS, is_active=True, bars__timeframe=Timeframe.DAY)
    symbols = active.values_list("symbol", flat=True).distinct()
    by_id = {each.pk: each for each in tradable_shares(symbols).values()}
    events = _events_by_instrument(by_id)
    columns = _bar_columns(by_id)
    edges = [*np.flatnonzero(np.diff(columns[0], prepend=-1)), len(columns[0])]
    found = {}
    for start, end in itertools.pairwise(edges):
        instrument = by_id[int(columns[0][start])]
        parts = [np.ascontiguousarray(column[start:end]) for column in columns[1:]]
        found[instrument.symbol] = ImportedBars(
            instrument.listed_name or instrument.symbol, *parts, events=tuple(events.get(instrument.pk, ()))
        )
    return found


def _bar_columns(by_id: dict[int, Instrument]) -> list[np.ndarray]:
    """Read instrument id, day ordinal, open, high, low, close and volume as raw integers, in order."""
    # Raw integers on purpose: 65,000 rows through Decimal fields take seconds, through integers a moment.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT instrument_id, session_date, open, high, low, close, volume FROM brokers_bar "
            "WHERE timeframe = %s ORDER BY instrument_id, session_date",
            [Timeframe.DAY.value],
        )
        rows = [row for row in cursor.fetchall() if row[0] in by_id]
    identifier, dates, *prices = zip(*rows, strict=True) if rows else ((),) * 7
    ordinal = np.array(dates, dtype="datetime64[D]").astype(np.int64)
    return [np.array(identifier, np.int64), ordinal, *(np.array(column, np.int64) for column in prices)]


def _events_by_instrument(by_id: dict[int, Instrument]) -> dict[int, list[MarketEvent]]:
    """
    Translate stored splits and dividends; an unclassified step is no split and moves no positions.

    Events of the invented market are left out: a desk may have run it before its bars were imported.
    """
    stored = CorporateAction.objects.filter(
        instrument__in=by_id, kind__in=(CorporateActionKind.SPLIT, CorporateActionKind.DIVIDEND)
    ).exclude(Q(state=CorporateActionState.WITHDRAWN) | Q(source=SYNTHETIC))
    found: dict[int, list[MarketEvent]] = {}
    for action in stored.order_by("ex_date", "pk"):
        event = _market_event(action, by_id[action.instrument_id].symbol)
        found.setdefault(action.instrument_id, []).append(event)
    return found


def _market_event(action: CorporateAction, symbol: str) -> MarketEvent:
    return MarketEvent(
        kind=action.kind,
        symbol=symbol,
        ex_ordinal=to_ordinal(action.ex_date),
        record_ordinal=to_ordinal(action.record_date or action.ex_date),
        pay_ordinal=to_ordinal(action.pay_date or action.ex_date),
        ratio_from=action.ratio_from,
        ratio_to=action.ratio_to,
        cash_units=money.money_units(action.cash_per_share or 0),
        event_id=action.event_id,
    )
