import exchange_calendars
import numpy as np
import pytest

from brokers.market_data.replay.daily import SessionTable
from brokers.market_data.replay.market import ReplayMarket


@pytest.fixture(scope="session")
def sessions() -> SessionTable:
    """All sessions of the New York exchange from 1998 to the end of 2026."""
    schedule = exchange_calendars.get_calendar("XNYS", start="1998-01-01", end="2026-12-31").schedule
    return SessionTable(
        ordinal=schedule.index.values.astype("datetime64[D]").astype(np.int64),
        open_at=seconds(schedule["open"]),
        close_at=seconds(schedule["close"]),
    )


def seconds(column) -> np.ndarray:
    """Return a column of aware UTC times as epoch seconds."""
    return column.dt.tz_convert(None).to_numpy().astype("datetime64[s]").astype(np.int64)


@pytest.fixture(scope="session")
def market(sessions: SessionTable) -> ReplayMarket:
    """The default synthetic market. Shared: it keeps nothing but what it computed."""
    return ReplayMarket(seed=42, sessions=sessions, calendar_version="test")
