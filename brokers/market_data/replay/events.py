"""Splits and dividends of the replay market, with their dates."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

SESSIONS_TO_PAYMENT = 7
SETTLEMENT_T_PLUS_1 = datetime.date(2024, 5, 28)
SETTLEMENT_T_PLUS_2 = datetime.date(2017, 9, 5)
_UNIX_EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class MarketEvent:
    """
    A split of `ratio_from` old for `ratio_to` new shares, or a cash dividend per share in units.

    Dates are ordinals (days since 1970-01-01). An event is announced at the close
    of the session before `ex_ordinal` and effective before that session's open.
    """

    kind: Literal["SPLIT", "DIVIDEND"]
    symbol: str
    ex_ordinal: int
    record_ordinal: int
    pay_ordinal: int
    ratio_from: int
    ratio_to: int
    cash_units: int
    event_id: str


def listed_events(
    *, symbol: str, ordinal: np.ndarray, dividend: np.ndarray, split: tuple[np.ndarray, np.ndarray]
) -> Iterator[MarketEvent]:
    """List splits and dividends in order of their ex-dates, a split before a dividend of the same day."""
    for day in np.flatnonzero((split[0] != split[1]) | (dividend > 0)):
        ex = int(ordinal[day])
        name = f"{symbol}:{to_date(ex).isoformat()}"
        if split[0][day] != split[1][day]:
            ratio = int(split[0][day]), int(split[1][day])
            yield MarketEvent("SPLIT", symbol, ex, ex, ex, *ratio, 0, f"SPLIT:{name}")
        if dividend[day] > 0:
            record = _session_after(ordinal, int(day), _sessions_to_record(ex))
            paid = _session_after(ordinal, int(day), SESSIONS_TO_PAYMENT)
            cash = int(dividend[day])
            yield MarketEvent("DIVIDEND", symbol, ex, record, paid, 1, 1, cash, f"DIVIDEND:{name}")


def _sessions_to_record(ex_ordinal: int) -> int:
    """Count sessions from ex-date to record date: none with T+1 settlement, one with T+2, two with T+3."""
    ex = to_date(ex_ordinal)
    return int(ex < SETTLEMENT_T_PLUS_1) + int(ex < SETTLEMENT_T_PLUS_2)


def _session_after(ordinals: np.ndarray, day: int, count: int) -> int:
    """Return the session `count` after `day`; weekdays stand for sessions past the calendar's end."""
    if day + count < len(ordinals):
        return int(ordinals[day + count])
    missing = day + count - (len(ordinals) - 1)
    last = ordinals[-1].astype("datetime64[D]")
    return int(np.busday_offset(last, missing, roll="backward").astype(np.int64))


def to_ordinal(date: datetime.date) -> int:
    """Return the days since 1970-01-01."""
    return (date - _UNIX_EPOCH).days


def to_date(ordinal: int) -> datetime.date:
    """Return the date of an ordinal."""
    return _UNIX_EPOCH + datetime.timedelta(days=ordinal)
