"""
Daily and minute bars as arrays, from the replay market or from stored rows, and their adjusted series.

Bars are raw, never adjusted; adjustment happens on read, as of a date. Nothing after `now` is ever returned.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from django.db import connection
from django.db.models import Q, QuerySet

from brokers.enums import CorporateActionKind, CorporateActionState, Timeframe
from brokers.market_data import calendar, corporate_actions, sources
from brokers.market_data.listings import tradable_shares
from brokers.market_data.replay.market import UnknownSymbol
from brokers.models import CorporateAction, Instrument

DIVIDEND_DIGITS = Decimal(1).scaleb(-12)


class NoBars(LookupError):
    """There is no bar of this symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"There are no bars of {symbol}.")
        self.symbol = symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class BarEvent:
    """
    What changes a price from one session to the next at an ex-date (an ordinal).

    `split` is new shares for an old one, `dividend_units` cash per share, `step` the factor of a distribution
    nobody has classified; none of them: 1, 0 and 1.
    """

    ordinal: int
    split: Fraction = Fraction(1)
    dividend_units: int = 0
    step: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """
    Raw bars of one symbol, ascending, as int64 arrays.

    `ordinal` is the session's date in days since 1970-01-01, `at` the start of the period in seconds since
    1970 in UTC, prices units of 0.000001, volume shares. The last bar may be the current, unfinished one.
    """

    symbol: str
    timeframe: Timeframe
    ordinal: np.ndarray
    at: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    events: tuple[BarEvent, ...] = ()
    data_version: str = ""

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """
    The factors of each daily bar as of a date, exact, and the series they give as floats for statistics.

    raw x split = split-adjusted price, volume / split = split-adjusted volume, raw x split x dividend = fully
    adjusted price.
    """

    bars: Bars
    as_of: datetime.date
    split: Sequence[Fraction]
    dividend: Sequence[Decimal]

    def split_closes(self) -> np.ndarray:
        """Return closes in dollars on the split basis of `as_of`."""
        return self.bars.close / 1e6 * self._split()

    def closes(self) -> np.ndarray:
        """Return fully adjusted closes in dollars: their ratios are total returns."""
        return self.split_closes() * np.array([float(factor) for factor in self.dividend])

    def volumes(self) -> np.ndarray:
        """Return volumes in shares of `as_of`."""
        return self.bars.volume / self._split()

    def close_at(self, number: int) -> Decimal:
        """Return one fully adjusted close in dollars, exact but for the twelve digits of its factor."""
        split = self.split[number]
        raw = Decimal(int(self.bars.close[number])).scaleb(-6)
        return raw * split.numerator / split.denominator * self.dividend[number]

    def _split(self) -> np.ndarray:
        return np.array([float(factor) for factor in self.split])


def data_version() -> str:
    """Return a text that changes whenever the same question may get other bars."""
    return sources.replay_market().identity


def daily(symbols: Iterable[str], *, now: datetime.datetime) -> dict[str, Bars]:
    """
    Return the daily bars of sessions closed by now, and today's so far; a symbol without any is left out.

    The replay market answers where it knows the symbol, else the stored rows of the symbol's active share.
    """
    wanted = list(dict.fromkeys(symbols))
    market = sources.replay_market()
    known = set(market.symbols)
    replayed = [symbol for symbol in wanted if symbol in known]
    # Stored rows matter in imported mode and for symbols the replay market lacks.
    is_synthetic = sources.source_name() == sources.SYNTHETIC
    listed = {} if is_synthetic and len(replayed) == len(wanted) else tradable_shares(wanted)
    extra = {} if is_synthetic else _unclassified(listed.values(), now)
    found = {symbol: _replayed(symbol, now, extra.get(symbol, ())) for symbol in replayed}
    for symbol, instrument in listed.items():
        if symbol not in known:
            bars = stored_daily(instrument, now=now)
            if len(bars):
                found[symbol] = bars
    return {symbol: found[symbol] for symbol in wanted if symbol in found}


def minutes(symbol: str, *, session_date: datetime.date, now: datetime.datetime) -> Bars:
    """
    Return a session's minute bars made by now; the last may be unfinished. Raises `NoBars`.

    They come from the replay market where it knows the symbol, else from stored rows.
    """
    market, ordinal = sources.replay_market(), sources.to_ordinal(session_date)
    try:
        found = market.minute_bars(symbol, ordinal=ordinal, until=int(now.timestamp()))
    except UnknownSymbol as error:
        instrument = tradable_shares([symbol]).get(symbol)
        if instrument is None:
            raise NoBars(symbol) from error
        return _stored_minutes(instrument, session_date, now)
    return Bars(
        symbol=symbol,
        timeframe=Timeframe.MINUTE,
        ordinal=np.full(len(found.at), ordinal, np.int64),
        at=found.at,
        open=found.open,
        high=found.high,
        low=found.low,
        close=found.close,
        volume=found.volume,
        data_version=market.identity,
    )


def stored_daily(instrument: Instrument, *, now: datetime.datetime) -> Bars:
    """Return an instrument's stored daily bars of sessions closed by now, with its stored events."""
    rows = _rows(instrument, Timeframe.DAY, calendar.FIRST_DAY, calendar.new_york_date(now))
    bars = _stored(instrument, Timeframe.DAY, rows)
    complete = len(bars)
    while complete and _close_of(bars.ordinal[complete - 1]) > now:
        complete -= 1
    events = tuple(_bar_event(action) for action in _actions(now).filter(instrument=instrument))
    return _first(bars, complete, events=events)


def adjusted(bars: Bars, *, as_of: datetime.date) -> Adjusted:
    """
    Return the factors of daily bars as of a date: of events with bar date < ex-date <= as_of.

    A dividend's factor is 1 - D / raw close of the session before, on the split basis of its ex-date; factors
    multiply. An event before the first bar or after `as_of` changes nothing.
    """
    split, dividend = Fraction(1), Decimal(1)
    splits, dividends = [split] * len(bars), [dividend] * len(bars)
    end = len(bars)
    last = sources.to_ordinal(as_of)
    for event in sorted(bars.events, key=lambda event: event.ordinal, reverse=True):
        first = int(np.searchsorted(bars.ordinal, event.ordinal))
        if event.ordinal > last or first == 0:
            continue
        splits[first:end] = [split] * (end - first)
        dividends[first:end] = [dividend.quantize(DIVIDEND_DIGITS)] * (end - first)
        end = first
        split /= event.split
        dividend *= _dividend_factor(event, int(bars.close[first - 1]))
    splits[:end] = [split] * end
    dividends[:end] = [dividend.quantize(DIVIDEND_DIGITS)] * end
    return Adjusted(bars=bars, as_of=as_of, split=splits, dividend=dividends)


def _dividend_factor(event: BarEvent, raw_close_before: int) -> Decimal:
    basis = Fraction(raw_close_before) / event.split
    cash = Fraction(event.dividend_units) / basis
    return (1 - Decimal(cash.numerator) / Decimal(cash.denominator)) * event.step


# ------------------------------------------------------------------ the replay market


def _replayed(symbol: str, now: datetime.datetime, extra: Sequence[BarEvent]) -> Bars:
    market = sources.replay_market()
    found = market.daily(symbol, until=int(now.timestamp()))
    in_force = sources.to_ordinal(corporate_actions.effective_until(now))
    events = [
        BarEvent(
            ordinal=event.ex_ordinal,
            split=Fraction(event.ratio_to, event.ratio_from),
            dividend_units=event.cash_units,
        )
        for event in market.events(symbol, until_ordinal=in_force)
    ]
    return Bars(
        symbol=symbol,
        timeframe=Timeframe.DAY,
        ordinal=found.ordinal,
        at=_opens(found.ordinal),
        open=found.open,
        high=found.high,
        low=found.low,
        close=found.close,
        volume=found.volume,
        events=(*events, *extra),
        data_version=market.identity,
    )


def _opens(ordinal: np.ndarray) -> np.ndarray:
    """Return the opening second of each session."""
    table = sources.session_table()
    return table.open_at[np.searchsorted(table.ordinal, ordinal)]


def _unclassified(instruments: Iterable[Instrument], now: datetime.datetime) -> dict[str, list[BarEvent]]:
    """Return the steps nobody has classified: an adjusted series must not show them as a loss."""
    by_id = {each.pk: each.symbol for each in instruments}
    if not by_id:
        return {}
    rows = _actions(now).filter(instrument__in=by_id, kind=CorporateActionKind.UNCLASSIFIED)
    found: dict[str, list[BarEvent]] = {}
    for action in rows:
        found.setdefault(by_id[action.instrument_id], []).append(_bar_event(action))
    return found


# ------------------------------------------------------------------ stored rows


def _actions(now: datetime.datetime) -> QuerySet[CorporateAction]:
    """Return the events in force that belong to stored bars, oldest first."""
    kinds = (CorporateActionKind.SPLIT, CorporateActionKind.DIVIDEND, CorporateActionKind.UNCLASSIFIED)
    in_force = corporate_actions.effective_until(now)
    found = CorporateAction.objects.filter(kind__in=kinds, ex_date__lte=in_force)
    return found.exclude(Q(state=CorporateActionState.WITHDRAWN) | Q(source=sources.SYNTHETIC)).order_by(
        "ex_date", "pk"
    )


def _bar_event(action: CorporateAction) -> BarEvent:
    is_open = action.kind == CorporateActionKind.UNCLASSIFIED and action.step
    return BarEvent(
        ordinal=sources.to_ordinal(action.ex_date),
        split=Fraction(action.ratio_to, action.ratio_from),
        dividend_units=int((action.cash_per_share or Decimal(0)).scaleb(6)),
        step=Decimal(action.step) if is_open else Decimal(1),
    )


def _stored_minutes(instrument: Instrument, day: datetime.date, now: datetime.datetime) -> Bars:
    rows = _rows(instrument, Timeframe.MINUTE, day, day)
    bars = _stored(instrument, Timeframe.MINUTE, rows)
    return _first(bars, int(np.searchsorted(bars.at, int(now.timestamp()) - 60, side="right")))


def _rows(instrument: Instrument, timeframe: Timeframe, first: datetime.date, last: datetime.date) -> list[tuple]:
    """Read raw integers: Decimals of six columns would take most of the time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT session_date, at, open, high, low, close, volume FROM brokers_bar "
            "WHERE instrument_id = %s AND timeframe = %s AND session_date BETWEEN %s AND %s ORDER BY at",
            [instrument.pk, timeframe.value, str(first), str(last)],
        )
        return cursor.fetchall()


def _stored(instrument: Instrument, timeframe: Timeframe, rows: list[tuple]) -> Bars:
    dates, times, *numbers = zip(*rows, strict=True) if rows else ((),) * 7
    seconds = [at.replace(tzinfo=at.tzinfo or datetime.UTC).timestamp() for at in times]
    opened, high, low, close, volume = (np.array(column, np.int64) for column in numbers)
    return Bars(
        symbol=instrument.symbol,
        timeframe=timeframe,
        ordinal=np.array(dates, dtype="datetime64[D]").astype(np.int64),
        at=np.array(seconds, np.int64),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        data_version=sources.stored_version(),
    )


def _first(bars: Bars, count: int, *, events: tuple[BarEvent, ...] = ()) -> Bars:
    columns = ("ordinal", "at", "open", "high", "low", "close", "volume")
    return Bars(
        symbol=bars.symbol,
        timeframe=bars.timeframe,
        events=events,
        data_version=bars.data_version,
        **{name: getattr(bars, name)[:count] for name in columns},
    )


def _close_of(ordinal: int) -> datetime.datetime:
    session = calendar.session(sources.to_date(ordinal))
    if session is None:
        raise ValueError(f"A stored bar is dated {sources.to_date(ordinal)}, which is no session.")
    return session.close
