"""The daily series of imported bars: exactly what was stored."""

import numpy as np

from .daily import (
    CENT,
    DIVIDEND_STEP,
    STATISTICS_SESSIONS,
    DailyBars,
    DailySeries,
    ImportedBars,
    SessionTable,
    frozen,
    references,
)
from .events import to_date


def imported_series(*, imported: ImportedBars, sessions: SessionTable) -> DailySeries:
    """
    Take stored bars as they are; the regime is NORMAL and the deviation that of the 20 days before.

    Raises ValueError when there is no bar, or one on a day that is no session.
    """
    _check_days(imported, sessions)
    dividend, split_from, split_to = _event_columns(imported)
    # Copies, because they are made read-only.
    ordinal, *prices, volume = (
        np.array(getattr(imported, name), dtype=np.int64)
        for name in ("ordinal", "open", "high", "low", "close", "volume")
    )
    bars = DailyBars(ordinal, *prices, volume, dividend, split_from, split_to)
    # Nothing is known before the first bar; its own open would be a look ahead.
    reference = references(first=0.0, close=bars.close, split=(split_from, split_to))
    return DailySeries(
        bars=frozen(bars),
        reference=reference,
        carried=reference,
        volatility=np.ones(len(ordinal)),
        deviation=_trailing_deviation((bars.close[1:] + dividend[1:]) / reference[1:] - 1),
        grid=_finest_grid(prices),
        events=tuple(sorted(imported.events, key=lambda event: (event.ex_ordinal, event.kind != "SPLIT"))),
    )


def _check_days(imported: ImportedBars, sessions: SessionTable) -> None:
    if len(imported.ordinal) == 0:
        raise ValueError(f"{imported.name} has no imported bar to replay.")
    strays = imported.ordinal[~np.isin(imported.ordinal, sessions.ordinal)]
    if len(strays):
        date = to_date(int(strays[0]))
        raise ValueError(f"{imported.name} has an imported bar on {date}, which is no session of the exchange.")


def _event_columns(imported: ImportedBars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put events on the first stored day at or after their ex-date; several of one day add up or multiply."""
    count = len(imported.ordinal)
    dividend = np.zeros(count, np.int64)
    split_from, split_to = np.ones(count, np.int64), np.ones(count, np.int64)
    for event in imported.events:
        day = int(np.searchsorted(imported.ordinal, event.ex_ordinal))
        if day < count:
            dividend[day] += event.cash_units
            split_from[day] *= event.ratio_from
            split_to[day] *= event.ratio_to
    return dividend, split_from, split_to


def _trailing_deviation(change: np.ndarray) -> np.ndarray:
    """
    Return each day's deviation of the 20 returns before it, 1 % until there are 20.

    `change` holds the returns from the second day on.
    """
    deviation = np.full(len(change) + 1, 0.01)
    if len(change) > STATISTICS_SESSIONS:
        windows = np.lib.stride_tricks.sliding_window_view(change[:-1], STATISTICS_SESSIONS)
        deviation[STATISTICS_SESSIONS + 1 :] = windows.std(axis=1)
    return deviation


def _finest_grid(prices: list[np.ndarray]) -> np.ndarray:
    """Return each day's price step in units: a cent, 0.0001, or 0.000001 where a stored price needs it."""
    grid = np.full(len(prices[0]), 1, np.int64)
    for step in (DIVIDEND_STEP, CENT):
        grid[np.logical_and.reduce([price % step == 0 for price in prices])] = step
    return grid
