"""The venue's market over what the desk last received: one observation whenever a price was stored."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import stdev

import numpy as np

from brokers import money
from brokers.enums import CorporateActionKind, CorporateActionState, Timeframe
from brokers.market_data import calendar
from brokers.market_data.listings import tradable_shares
from brokers.market_data.replay.events import MarketEvent, to_date, to_ordinal
from brokers.market_data.replay.quotes import Observations, no_observations
from brokers.models import Bar, CorporateAction, Instrument, LatestPrice

QUOTE_FRESH = timedelta(seconds=120)
STATISTICS_SESSIONS = 20
_COUNTED = (CorporateActionKind.SPLIT, CorporateActionKind.DIVIDEND)


class StoredPrices:
    """
    A market of stored prices for a desk on real time.

    An observation is the latest stored price, at the moment it was stored: what a source called older
    reached the desk only then. Quotes older than two minutes at that moment are no observation. What is
    missed between two visits stays missed; the prices kept are the newest alone.
    """

    label = "STORED PRICES"
    identity = "stored prices"
    forgets = True

    def __init__(self) -> None:
        self._rows: dict[str, LatestPrice | None] = {}
        self._instruments: dict[str, Instrument | None] = {}

    def observations(self, symbol: str, *, after: int, until: int) -> Observations:
        """Return the latest price when it was stored with after < time <= until."""
        found = self._observation(symbol)
        if found is None or not after < int(found.at[0]) <= until:
            return no_observations()
        return found

    def observation_at(self, symbol: str, *, at: int) -> Observations | None:
        """Return the latest price if it was stored by then and its quote is still fresh."""
        found = self._observation(symbol)
        is_in_force = found is not None and at - QUOTE_FRESH.seconds <= int(found.at[0]) <= at
        return found if is_in_force else None

    def volume_of_last_minute(self, symbol: str, *, at: int) -> int | None:
        """Return the volume of the stored minute bar before the current minute; None without one."""
        minute = datetime.fromtimestamp(at // 60 * 60, tz=UTC) - timedelta(minutes=1)
        bars = Bar.objects.filter(instrument=self._instrument(symbol), timeframe=Timeframe.MINUTE, at=minute)
        return bars.values_list("volume", flat=True).first()

    def daily_statistics(self, symbol: str, *, before_ordinal: int) -> tuple[float, float]:
        """Return deviation of daily log returns and mean volume of the last 20 stored sessions; 0: unknown."""
        bars = (
            Bar.objects.filter(
                instrument=self._instrument(symbol),
                timeframe=Timeframe.DAY,
                session_date__lt=to_date(before_ordinal),
            )
            .order_by("-session_date")
            .values_list("session_date", "close", "volume")[: STATISTICS_SESSIONS + 1]
        )
        return _statistics(list(bars), self.events(symbol, until_ordinal=before_ordinal))

    def previous_close(self, symbol: str, *, at: int) -> int:
        """Return the close of the newest stored session that had ended by then; 0: none."""
        now = datetime.fromtimestamp(at, tz=UTC)
        session = calendar.latest_open(now)
        last = session.date if session.close <= now else calendar.previous_session(session.date).date
        close = (
            Bar.objects.filter(instrument=self._instrument(symbol), timeframe=Timeframe.DAY, session_date__lte=last)
            .order_by("-session_date")
            .values_list("close", flat=True)
            .first()
        )
        return 0 if close is None else money.money_units(close)

    def events(self, symbol: str, *, until_ordinal: int) -> tuple[MarketEvent, ...]:
        """Return stored splits and dividends with an ex-date up to a date, oldest first."""
        actions = (
            CorporateAction.objects.filter(
                instrument=self._instrument(symbol), kind__in=_COUNTED, ex_date__lte=to_date(until_ordinal)
            )
            .exclude(state=CorporateActionState.WITHDRAWN)
            .order_by("ex_date", "pk")
        )
        return tuple(_event(action, symbol) for action in actions)

    # ------------------------------------------------------------------ rows

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            self._instruments[symbol] = tradable_shares([symbol]).get(symbol)
        found = self._instruments[symbol]
        if found is None:
            raise LookupError(f"There is no share {symbol}.")
        return found

    def _observation(self, symbol: str) -> Observations | None:
        if symbol not in self._rows:
            self._rows[symbol] = LatestPrice.objects.filter(instrument=self._instrument(symbol)).first()
        row = self._rows[symbol]
        return None if row is None else _observed(row)


def _observed(row: LatestPrice) -> Observations | None:
    """Return a stored price as one observation; a stale quote has no sides, a quarantined price is none."""
    if row.quarantined_at is not None and row.quarantined_at >= row.updated_at:
        return None
    at = int(row.updated_at.timestamp() // 1)
    has_quote = row.quote_as_of is not None and row.updated_at - row.quote_as_of <= QUOTE_FRESH
    bid, ask = (_units(row.bid), _units(row.ask)) if has_quote else (0, 0)
    sizes = (row.bid_size, row.ask_size) if has_quote else (0, 0)
    return Observations(
        *(np.array([value], np.int64) for value in (at, _units(row.last), bid, ask, *sizes)),
        np.array([_is_regular(row.updated_at)], bool),
        np.array([False], bool),
    )


def _is_regular(at: datetime) -> bool:
    return calendar.session_at(at) is not None


def _units(price) -> int:
    return 0 if price is None else money.money_units(price)


def _statistics(bars: Sequence[tuple[date, object, int]], events: Sequence[MarketEvent]) -> tuple[float, float]:
    """Work out deviation and mean volume from (date, close, volume), newest first; closes undo splits."""
    if len(bars) < 3:
        return 0.0, 0.0
    splits = {to_date(e.ex_ordinal): e.ratio_to / e.ratio_from for e in events if e.kind == "SPLIT"}
    returns = [
        float(np.log(float(newer[1]) * splits.get(newer[0], 1.0) / float(older[1]))) for newer, older in pairwise(bars)
    ]
    volumes = [volume for _, _, volume in bars[:STATISTICS_SESSIONS]]
    return stdev(returns), sum(volumes) / len(volumes)


def _event(action: CorporateAction, symbol: str) -> MarketEvent:
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
