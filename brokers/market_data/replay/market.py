"""
The replay market: a price is a function of identity, symbol and time, and nothing is stored.

Every question names its present (`at`, `until`), and no answer contains anything
that had not printed or been announced by then.
"""

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from . import daily
from .daily import DailyBars, DailySeries, ImportedBars, SessionTable
from .events import MarketEvent
from .imported import imported_series
from .intraday import MinuteBars
from .quotes import Observations, joined, no_observations
from .sessions import Hours, SymbolSession, hours
from .universe import IMPORTED_HALF_SPREAD_BPS, UNIVERSE, UNIVERSE_VERSION, UniverseRow

__all__ = [
    "MODEL_VERSION",
    "DailyBars",
    "ImportedBars",
    "MarketEvent",
    "MinuteBars",
    "Observations",
    "ReplayMarket",
    "SessionTable",
    "UnknownSymbol",
]

MODEL_VERSION = 1
CACHED_SESSIONS_MAX = 256


class UnknownSymbol(LookupError):
    """The replay market has no such symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"The replay market does not know the symbol {symbol}.")
        self.symbol = symbol


class ReplayMarket:
    """
    Prices, quotes, bars and events of an invented market, or of imported bars replayed.

    Times are epoch seconds UTC, dates ordinals (days since 1970-01-01), prices
    integers of 0.000001 dollars, volumes whole shares. Two markets with the same
    identity give the same answers in any order of questions. Safe to share
    between threads. An unknown symbol raises `UnknownSymbol`.
    """

    def __init__(
        self,
        *,
        seed: int,
        sessions: SessionTable,
        calendar_version: str,
        universe: tuple[UniverseRow, ...] = UNIVERSE,
        imported: Mapping[str, ImportedBars] | None = None,
        data_version: str = "",
    ) -> None:
        """
        Prepare a market; nothing is computed until it is asked.

        With `imported` only its symbols exist, and `data_version` must change
        whenever their bars do.
        """
        self._seed = seed
        self._sessions = sessions
        self._rows = {row.symbol: row for row in universe} if imported is None else {}
        self._imported = imported
        self.symbols = tuple(self._rows) if imported is None else tuple(sorted(imported))
        self.label = "SYNTHETIC" if imported is None else "REPLAY OF IMPORTED BARS"
        self.identity = f"seed={seed} universe={UNIVERSE_VERSION} model={MODEL_VERSION} calendar={calendar_version}"
        if imported is not None or data_version:
            self.identity += f" data={data_version or 'imported'}"
        self._hours = [
            hours(ordinal=int(ordinal), open_at=int(open_at), close_at=int(close_at))
            for ordinal, open_at, close_at in zip(*sessions, strict=True)
        ]
        self._ordinals = [day.ordinal for day in self._hours]
        self._pre_opens = [day.pre_open_at for day in self._hours]
        self._ends = [day.end_at for day in self._hours]
        self._closes = [day.close_at for day in self._hours]
        self._drivers: daily.Drivers | None = None
        self._series: dict[str, DailySeries] = {}
        self._cache: OrderedDict[tuple[str, int], SymbolSession] = OrderedDict()
        self._lock = threading.RLock()

    # ------------------------------------------------------------------ now

    def observations(self, symbol: str, *, after: int, until: int) -> Observations:
        """
        Return every five-second step with after < at <= until.

        The regular session from the opening print to the closing print, and quotes
        outside it from 04:00 New York to 20:00 (half days 17:00). Empty where no
        session is, or no bar of this symbol in that session.
        """
        self._series_of(symbol)
        parts: list[Observations] = []
        for index in range(bisect_right(self._ends, after), bisect_right(self._pre_opens, until)):
            session = self._session(symbol, self._hours[index])
            if session is not None:
                parts += session.observations(after=after, until=until)
        return joined(parts) if parts else no_observations()

    def observation_at(self, symbol: str, *, at: int) -> Observations | None:
        """Return the newest single observation at or before `at`, from an earlier session if need be."""
        series = self._series_of(symbol)
        index = bisect_right(self._pre_opens, at) - 1
        if index < 0:
            return None
        row = int(np.searchsorted(series.bars.ordinal, self._ordinals[index], side="right")) - 1
        if row < 0:
            return None
        day = self._hours_of(int(series.bars.ordinal[row]))
        session = None if day is None else self._session(symbol, day)
        return None if session is None else session.observation_at(at)

    def previous_close(self, symbol: str, *, at: int) -> int:
        """Return the official close, raw, of the symbol's last session completed by `at`; 0 = none yet."""
        completed = self._completed(symbol, at)
        return int(self._series_of(symbol).bars.close[completed - 1]) if completed else 0

    def half_spread_bps(self, symbol: str) -> float:
        """Return half the usual spread in basis points of the price; 0 = a market one increment wide."""
        self._series_of(symbol)
        return IMPORTED_HALF_SPREAD_BPS if self._imported is not None else self._rows[symbol].half_spread_bps

    # ------------------------------------------------------------------ volume

    def minute_volumes(self, symbol: str, *, ordinal: int) -> np.ndarray:
        """
        Return the shares traded in each minute of a session; empty without one.

        The opening auction (2 % of the day) counts in the first minute, the closing
        auction in the last, so that the minutes add up to the day's volume.
        """
        day = self._hours_of(ordinal)
        session = None if day is None else self._session(symbol, day)
        if session is None:
            return np.empty(0, np.int64)
        opening, shares, closing = session.minute_shares
        shares = shares.copy()
        shares[0] += opening
        shares[-1] += closing
        return shares

    def volume_of_last_minute(self, symbol: str, *, at: int) -> int:
        """
        Return the shares of the last complete minute of the session at `at`.

        In the first minute it is the opening auction, at the close the last minute
        with the closing auction. Outside regular hours 0.
        """
        session = self._session_trading_at(symbol, at)
        if session is None:
            return 0
        minute = (at - session.hours.open_at) // 60
        if minute == 0:
            return session.minute_shares[0]
        return int(self.minute_volumes(symbol, ordinal=session.hours.ordinal)[minute - 1])

    # ------------------------------------------------------------------ bars

    def minute_bars(self, symbol: str, *, ordinal: int, until: int) -> MinuteBars:
        """Return a session's minute bars made of the prints up to `until`; the last may be unfinished."""
        day = self._hours_of(ordinal)
        session = None if day is None else self._session(symbol, day)
        if session is None:
            nothing = np.empty(0, np.int64)
            return MinuteBars(nothing, nothing, nothing, nothing, nothing, nothing)
        return session.minute_bars(until=until)

    def daily(self, symbol: str, *, until: int) -> DailyBars:
        """Return the raw bars of sessions closed by `until`, and in a session its bar so far."""
        bars = self._series_of(symbol).bars
        completed = self._completed(symbol, until)
        columns = [getattr(bars, name)[:completed] for name in DailyBars.__slots__]
        session = self._session_trading_at(symbol, until)
        if session is None or until == session.hours.close_at:
            return DailyBars(*columns)
        today = _bar_so_far(session, until)
        return daily.frozen(
            DailyBars(*(np.append(column, value) for column, value in zip(columns, today, strict=True)))
        )

    def daily_statistics(self, symbol: str, *, before_ordinal: int) -> tuple[float, float]:
        """
        Return deviation of 20 daily log returns and mean volume of the same 20 sessions.

        Sessions before `before_ordinal` alone count. The deviation is a fraction a
        day, of closes adjusted for splits and dividends.
        """
        bars = self._series_of(symbol).bars
        return daily.statistics(bars=bars, before=int(np.searchsorted(bars.ordinal, before_ordinal)))

    def events(self, symbol: str, *, until_ordinal: int) -> tuple[MarketEvent, ...]:
        """
        Return splits and dividends with an ex-date up to `until_ordinal`, ascending.

        An event is public from the close of the session before its ex-date on; a
        caller who asks earlier looks ahead.
        """
        events = self._series_of(symbol).events
        return events[: bisect_right(events, until_ordinal, key=lambda event: event.ex_ordinal)]

    # ------------------------------------------------------------------ series and sessions

    def _series_of(self, symbol: str) -> DailySeries:
        found = self._series.get(symbol)
        if found is not None:
            return found
        with self._lock:
            self._series[symbol] = series = self._compute_series(symbol)
        return series

    def _compute_series(self, symbol: str) -> DailySeries:
        if self._imported is not None:
            if symbol not in self._imported:
                raise UnknownSymbol(symbol)
            return imported_series(imported=self._imported[symbol], sessions=self._sessions)
        row = self._rows.get(symbol)
        if row is None:
            raise UnknownSymbol(symbol)
        if self._drivers is None:
            self._drivers = daily.drivers(seed=self._seed, sessions=self._sessions)
        if row.base:
            base = self._series_of(row.base)
            return daily.leveraged_series(row=row, base=base, drivers=self._drivers)
        return daily.drawn_series(row=row, drivers=self._drivers)

    def _completed(self, symbol: str, at: int) -> int:
        """Count the symbol's bars whose session closed at or before `at`."""
        index = bisect_right(self._closes, at)
        if index == 0:
            return 0
        ordinals = self._series_of(symbol).bars.ordinal
        return int(np.searchsorted(ordinals, self._ordinals[index - 1], side="right"))

    def _session_trading_at(self, symbol: str, at: int) -> SymbolSession | None:
        """Return the session whose regular hours contain `at`, both ends included."""
        index = bisect_right(self._pre_opens, at) - 1
        if index < 0 or not self._hours[index].open_at <= at <= self._hours[index].close_at:
            return None
        return self._session(symbol, self._hours[index])

    def _hours_of(self, ordinal: int) -> Hours | None:
        index = bisect_left(self._ordinals, ordinal)
        found = index < len(self._ordinals) and self._ordinals[index] == ordinal
        return self._hours[index] if found else None

    def _session(self, symbol: str, day: Hours) -> SymbolSession | None:
        """Return the symbol's session from the cache, or build it; None if the symbol has no bar that day."""
        key = (symbol, day.ordinal)
        with self._lock:
            session = self._cache.get(key)
            if session is not None:
                self._cache.move_to_end(key)
                return session
            session = self._build_session(symbol, day)
            if session is not None:
                self._cache[key] = session
                while len(self._cache) > CACHED_SESSIONS_MAX:
                    self._cache.popitem(last=False)
        return session

    def _build_session(self, symbol: str, day: Hours) -> SymbolSession | None:
        series = self._series_of(symbol)
        row = int(np.searchsorted(series.bars.ordinal, day.ordinal))
        if row == len(series.bars.ordinal) or series.bars.ordinal[row] != day.ordinal:
            return None
        listed = self._rows.get(symbol)
        return SymbolSession(
            seed=self._seed,
            symbol=symbol,
            hours=day,
            series=series,
            row=row,
            half_spread_bps=self.half_spread_bps(symbol),
            base_volume=int(series.bars.volume[row]) if listed is None else listed.base_volume,
            fund=listed,
            base=self._session(listed.base, day) if listed is not None and listed.base else None,
        )


def _bar_so_far(session: SymbolSession, until: int) -> tuple[int, ...]:
    """Build a day's bar from what printed by `until`, in the order of the columns of DailyBars."""
    minutes = session.minute_bars(until=until)
    bars, row = session.series.bars, session.row
    return (
        session.hours.ordinal,
        int(minutes.open[0]),
        int(minutes.high.max()),
        int(minutes.low.min()),
        int(minutes.close[-1]),
        int(minutes.volume.sum()),
        int(bars.dividend[row]),
        int(bars.split_from[row]),
        int(bars.split_to[row]),
    )
