"""A market for tests that says exactly what it is told: quotes, prints, volumes, closes and events by symbol."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from brokers.market_data.replay.events import MarketEvent, to_ordinal
from brokers.market_data.replay.quotes import Observations

OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)  # 09:30 in New York, a Friday
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


def units(price: str) -> int:
    """Return a price in units: "150.02" is 150,020,000."""
    whole, _, part = price.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0"))


@dataclass
class ScriptedMarket:
    """Answers as the market protocol asks; `quote` writes one observation, `volumes` are per minute."""

    label: str = "SCRIPTED"
    identity: str = "scripted=1"
    rows: dict[str, list[tuple]] = field(default_factory=dict)
    volume: int | None = 1_000_000
    statistics: tuple[float, float] = (0.016, 4_000_000.0)
    closes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    listed: list[MarketEvent] = field(default_factory=list)
    asked: int = 0

    def quote(
        self,
        at: datetime,
        bid: str,
        ask: str,
        *,
        symbol: str = "AAPL",
        last: str | None = None,
        size: int = 1_000_000,
        is_regular: bool = True,
        is_halted: bool = False,
    ) -> "ScriptedMarket":
        low, high = units(bid), units(ask)
        seen = units(last) if last else (low + high) // 2 // 10_000 * 10_000
        row = (int(at.timestamp()), seen, low, high, size, size, is_regular, is_halted)
        self.rows.setdefault(symbol, []).append(row)
        self.rows[symbol].sort()
        return self

    def every_step(self, start: datetime, end: datetime, bid: str, ask: str, *, symbol: str = "AAPL") -> None:
        """Write the same quote at every five-second step from start to end, both included."""
        while start <= end:
            self.quote(start, bid, ask, symbol=symbol)
            start += timedelta(seconds=5)

    def split(self, day: date, ratio_from: int, ratio_to: int, *, symbol: str = "AAPL") -> None:
        self._event("SPLIT", day, day, ratio_from, ratio_to, 0, symbol)

    def dividend(self, day: date, pays_on: date, cash: str, *, symbol: str = "AAPL") -> None:
        self._event("DIVIDEND", day, pays_on, 1, 1, units(cash), symbol)

    def close_at(self, at: datetime, price: str, *, symbol: str = "AAPL") -> None:
        self.closes.setdefault(symbol, []).append((int(at.timestamp()), units(price)))

    def _event(self, kind, day, pays_on, ratio_from, ratio_to, cash, symbol) -> None:
        ex, pay = to_ordinal(day), to_ordinal(pays_on)
        self.listed.append(MarketEvent(kind, symbol, ex, ex, pay, ratio_from, ratio_to, cash, f"{kind}:{symbol}:{day}"))

    # ------------------------------------------------------------------ the protocol

    def observations(self, symbol: str, *, after: int, until: int) -> Observations:
        self.asked += 1
        return _columns([row for row in self._rows(symbol) if after < row[0] <= until])

    def observation_at(self, symbol: str, *, at: int) -> Observations | None:
        earlier = [row for row in self._rows(symbol) if row[0] <= at]
        return _columns(earlier[-1:]) if earlier else None

    def volume_of_last_minute(self, symbol: str, *, at: int) -> int | None:
        return self.volume

    def daily_statistics(self, symbol: str, *, before_ordinal: int) -> tuple[float, float]:
        return self.statistics

    def previous_close(self, symbol: str, *, at: int) -> int:
        earlier = [price for when, price in sorted(self.closes.get(symbol, [])) if when <= at]
        return earlier[-1] if earlier else 0

    def events(self, symbol: str, *, until_ordinal: int) -> tuple[MarketEvent, ...]:
        return tuple(e for e in self.listed if e.symbol == symbol and e.ex_ordinal <= until_ordinal)

    def _rows(self, symbol: str) -> list[tuple]:
        if symbol not in self.rows:
            raise LookupError(f"The scripted market does not know {symbol}.")
        return self.rows[symbol]


def _columns(rows: list[tuple]) -> Observations:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    kinds = [np.int64] * 6 + [bool] * 2
    return Observations(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))
