"""What the venue asks of a market, and how stored prices answer it."""

from functools import cache
from typing import Protocol

from brokers.market_data.replay.events import MarketEvent
from brokers.market_data.replay.quotes import Observations


class Market(Protocol):
    """
    Prices by symbol. Times are epoch seconds UTC, dates days since 1970-01-01, prices units, shares whole.

    The replay market is one as it is; `StoredPrices` is one over what the desk last received. No answer
    may depend on who asks or how often, and none may contain what lies after the asked time.
    """

    label: str
    identity: str

    def observations(self, symbol: str, *, after: int, until: int) -> Observations:
        """Return every observation with after < time <= until, oldest first."""
        ...

    def observation_at(self, symbol: str, *, at: int) -> Observations | None:
        """Return the observation in force at a time, one row, or None."""
        ...

    def volume_of_last_minute(self, symbol: str, *, at: int) -> int | None:
        """Return the shares of the last complete minute; None where unknown."""
        ...

    def daily_statistics(self, symbol: str, *, before_ordinal: int) -> tuple[float, float]:
        """Return deviation of 20 daily log returns and mean volume of the sessions before a date; 0: unknown."""
        ...

    def previous_close(self, symbol: str, *, at: int) -> int:
        """Return the last official close by a time; 0: none."""
        ...

    def events(self, symbol: str, *, until_ordinal: int) -> tuple[MarketEvent, ...]:
        """Return splits and dividends with ex-dates up to a date, oldest first."""
        ...


def forgets(market: Market) -> bool:
    """Return whether a market knows only its newest prices; such a one says so in its `forgets`."""
    return getattr(market, "forgets", False)


class Remembered:
    """
    A market that is asked every question once: for one catch-up of many accounts, then thrown away.

    Accounts ask the same things of the same seconds; what they are told never changes meanwhile.
    """

    def __init__(self, market: Market) -> None:
        self.label = market.label
        self.identity = market.identity
        self.forgets = forgets(market)
        self.observations = cache(market.observations)
        self.observation_at = cache(market.observation_at)
        self.volume_of_last_minute = cache(market.volume_of_last_minute)
        self.daily_statistics = cache(market.daily_statistics)
        self.previous_close = cache(market.previous_close)
        self.events = cache(market.events)
