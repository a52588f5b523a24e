"""What a source says of a symbol at an instant: quote, last trade, bars, events; here the replay market."""

from __future__ import annotations

import datetime
from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from brokers import money
from brokers.market_data import calendar, sources
from brokers.market_data.replay.market import Observations, ReplayMarket, UnknownSymbol

HALT_SECONDS_MAX = 1800
MINUTE = datetime.timedelta(minutes=1)


class SymbolNotQuoted(LookupError):
    """The source does not know this symbol; the message says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteLook:
    """Both sides of the market and the last trade beside them; a missing price is None."""

    as_of: datetime.datetime
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int
    ask_size: int
    last: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLook:
    """A last trade, or the close of a bar that ended at `as_of`."""

    as_of: datetime.datetime
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """The session's shares so far and the raw close of the one before, None when there is none."""

    volume: int
    previous_close: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """A split (new shares for an old one) or dividend with its ex-date."""

    ex_date: datetime.date
    split: Fraction
    dividend: Decimal


class Feed(Protocol):
    """One source of prices. `at` is the instant asked about; nothing later than it may be told."""

    name: str

    def quote(self, symbol: str, *, at: datetime.datetime) -> QuoteLook | None: ...
    def trade(self, symbol: str, *, at: datetime.datetime) -> TradeLook | None: ...
    def minute_bar(self, symbol: str, *, at: datetime.datetime) -> TradeLook | None: ...
    def daily_bar(self, symbol: str, *, at: datetime.datetime) -> TradeLook | None: ...
    def day(self, symbol: str, *, at: datetime.datetime) -> DayFigures: ...
    def events(self, symbol: str, *, after: datetime.date, until: datetime.date) -> tuple[FeedEvent, ...]: ...


class ReplayFeed:
    """The replay market as a source; every method raises `SymbolNotQuoted` for a symbol it does not have."""

    def __init__(self, market: ReplayMarket | None = None) -> None:
        self.name = sources.source_name()
        self._market = market or sources.replay_market()
        self._seen: dict[tuple[str, int], Observations | None] = {}

    def quote(self, symbol: str, *, at: datetime.datetime) -> QuoteLook | None:
        """Return the quote of the newest step of a regular session; quotes outside it are no prices here."""
        seen = self._observation(symbol, at)
        if seen is None or not seen.is_regular[0]:
            return None
        return QuoteLook(
            as_of=_time(seen.at[0]),
            bid=_price(seen.bid[0]),
            ask=_price(seen.ask[0]),
            bid_size=int(seen.bid_size[0]),
            ask_size=int(seen.ask_size[0]),
            last=_price(seen.last[0]),
        )

    def trade(self, symbol: str, *, at: datetime.datetime) -> TradeLook | None:
        """Return the newest print; in a halt the last one before it, with its own time."""
        seen = self._observation(symbol, at)
        if seen is None or not seen.is_regular[0]:
            return None
        if not seen.is_halted[0]:
            return TradeLook(as_of=_time(seen.at[0]), price=_price(seen.last[0]))
        until = _seconds(at)
        steps = self._market.observations(symbol, after=until - HALT_SECONDS_MAX - 60, until=until)
        traded = (steps.is_regular & ~steps.is_halted).nonzero()[0]
        if not len(traded):
            return None
        return TradeLook(as_of=_time(steps.at[traded[-1]]), price=_price(steps.last[traded[-1]]))

    def minute_bar(self, symbol: str, *, at: datetime.datetime) -> TradeLook | None:
        """Return the close of the last complete minute of the session that opened last."""
        session = calendar.latest_open(at)
        try:
            bars = self._market.minute_bars(symbol, ordinal=sources.to_ordinal(session.date), until=_seconds(at))
        except UnknownSymbol as error:
            raise SymbolNotQuoted(str(error)) from error
        complete = (bars.volume > 0) & (bars.at + 60 <= _seconds(at))
        if not complete.any():
            return None
        last = complete.nonzero()[0][-1]
        return TradeLook(as_of=_time(bars.at[last]) + MINUTE, price=_price(bars.close[last]))

    def daily_bar(self, symbol: str, *, at: datetime.datetime) -> TradeLook | None:
        """Return the official close of the symbol's last completed session."""
        try:
            bars = self._market.daily(symbol, until=_seconds(at))
        except UnknownSymbol as error:
            raise SymbolNotQuoted(str(error)) from error
        for ordinal, close in zip(bars.ordinal[:-3:-1], bars.close[:-3:-1], strict=True):
            session = calendar.session(sources.to_date(ordinal))
            if session is not None and session.close <= at:
                return TradeLook(as_of=session.close, price=_price(close))
        return None

    def day(self, symbol: str, *, at: datetime.datetime) -> DayFigures:
        """Return the shares of the complete minutes of the session that opened last, and the close before."""
        session = calendar.latest_open(at)
        minutes = max(0, (min(at, session.close) - session.open) // MINUTE)
        try:
            volumes = self._market.minute_volumes(symbol, ordinal=sources.to_ordinal(session.date))
            before = self._market.previous_close(symbol, at=_seconds(session.open))
        except UnknownSymbol as error:
            raise SymbolNotQuoted(str(error)) from error
        return DayFigures(volume=int(volumes[:minutes].sum()), previous_close=_price(before))

    def events(self, symbol: str, *, after: datetime.date, until: datetime.date) -> tuple[FeedEvent, ...]:
        """Return the splits and dividends with after < ex-date <= until, oldest first."""
        try:
            found = self._market.events(symbol, until_ordinal=sources.to_ordinal(until))
        except UnknownSymbol as error:
            raise SymbolNotQuoted(str(error)) from error
        first = bisect_right(found, sources.to_ordinal(after), key=lambda event: event.ex_ordinal)
        return tuple(
            FeedEvent(
                ex_date=sources.to_date(event.ex_ordinal),
                split=Fraction(event.ratio_to, event.ratio_from),
                dividend=money.money_value(event.cash_units),
            )
            for event in found[first:]
        )

    def _observation(self, symbol: str, at: datetime.datetime) -> Observations | None:
        """Return the newest step; quote and trade are asked in turn, so it is kept for this feed's life."""
        key = symbol, _seconds(at)
        if key not in self._seen:
            try:
                self._seen[key] = self._market.observation_at(symbol, at=key[1])
            except UnknownSymbol as error:
                raise SymbolNotQuoted(str(error)) from error
        return self._seen[key]


def _seconds(at: datetime.datetime) -> int:
    return int(at.timestamp())


def _time(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def _price(units: int) -> Decimal | None:
    """Return a price, or None for the 0 that means missing."""
    return money.money_value(int(units)) if units else None
