"""Dates and times of the exchange's sessions, for tests."""

import datetime

from brokers.market_data.replay.daily import SessionTable
from brokers.market_data.replay.events import to_ordinal


def ordinal(text: str) -> int:
    """Return the days since 1970-01-01 of a date like 2026-11-27."""
    return to_ordinal(datetime.date.fromisoformat(text))


def index_of(sessions: SessionTable, text: str) -> int:
    """Return where a date stands among the sessions."""
    index = int(sessions.ordinal.searchsorted(ordinal(text)))
    assert sessions.ordinal[index] == ordinal(text), f"{text} is no session"
    return index


def open_at(sessions: SessionTable, text: str) -> int:
    """Return a session's open in epoch seconds."""
    return int(sessions.open_at[index_of(sessions, text)])


def close_at(sessions: SessionTable, text: str) -> int:
    """Return a session's close in epoch seconds."""
    return int(sessions.close_at[index_of(sessions, text)])
