"""Daily bars of the synthetic market, and of imported bars, with their dividends and splits."""

import datetime
import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import draws
from .events import MarketEvent, listed_events, to_ordinal
from .universe import CASH_RATE, FACTOR_DEVIATIONS, FACTORS, UniverseRow

EPOCH = datetime.date(2006, 1, 3)
UNITS = 1_000_000
CENT = 10_000
DIVIDEND_STEP = 100
SESSIONS_PER_YEAR = 252
FUND_FEE = 0.0095
RETURN_MIN, RETURN_MAX = -0.35, 0.50
SPLIT_ABOVE, SPLIT_BELOW = 800 * UNITS, 5 * UNITS
SPLIT_FORWARD, SPLIT_REVERSE = (1, 4), (8, 1)
STATISTICS_SESSIONS = 20
# Regimes in the order CALM, NORMAL, STRESS.
CALM, NORMAL, STRESS = range(3)
REGIME_VOLATILITY = np.array([0.7, 1.0, 2.2])
REGIME_DRIFT = np.array([0.0007, 0.0004, -0.0012])
REGIME_STAY = (0.90, 0.85, 0.70)
NORMAL_TO_CALM = 0.7


class SessionTable(NamedTuple):
    """All sessions, ascending: ordinal = days since 1970-01-01 of the date, times in epoch seconds UTC."""

    ordinal: np.ndarray
    open_at: np.ndarray
    close_at: np.ndarray


@dataclass(frozen=True, slots=True)
class DailyBars:
    """
    Raw bars of sessions, ascending, int64. Prices and dividend are units (1e-6 dollars), volume whole shares.

    `dividend` is the cash per share with its ex-date that day; `split_from` and
    `split_to` are 1 and 1 on a day without a split. The arrays are read-only.
    """

    ordinal: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    dividend: np.ndarray
    split_from: np.ndarray
    split_to: np.ndarray


@dataclass(frozen=True, slots=True)
class ImportedBars:
    """Stored bars of one symbol, ascending by ordinal; prices in units, and its known events."""

    name: str
    ordinal: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    events: tuple[MarketEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySeries:
    """
    All days of one symbol, those to come included; never shown to a caller as it is.

    `reference` is the rounded close before each day and `carried` the unrounded
    one, both in units on that day's split basis; 0 before a first imported bar.
    `volatility` is the regime's multiple, `deviation` the symbol's whole daily
    deviation before that multiple, `grid` the step of that day's prices in units.
    """

    bars: DailyBars
    reference: np.ndarray
    carried: np.ndarray
    volatility: np.ndarray
    deviation: np.ndarray
    grid: np.ndarray
    events: tuple[MarketEvent, ...]


@dataclass(frozen=True, slots=True)
class Drivers:
    """What moves all symbols: the sessions from the epoch on, their regimes and the five factors."""

    seed: int
    ordinal: np.ndarray
    month_start: np.ndarray
    volatility: np.ndarray
    drift: np.ndarray
    factors: tuple[np.ndarray, ...]


# ------------------------------------------------------------------ what moves all symbols


def drivers(*, seed: int, sessions: SessionTable) -> Drivers:
    """Draw regimes and factors for every session from the epoch to the calendar's end."""
    ordinal = sessions.ordinal[sessions.ordinal >= to_ordinal(EPOCH)].astype(np.int64)
    months = ordinal.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    regime = _regimes(seed=seed, count=int(months[-1] - months[0]) + 1)[months - months[0]]
    volatility = REGIME_VOLATILITY[regime]
    return Drivers(
        seed=seed,
        ordinal=ordinal,
        month_start=np.flatnonzero(np.diff(months, prepend=months[0] - 1)),
        volatility=volatility,
        drift=REGIME_DRIFT[regime],
        factors=tuple(
            draws.bell(draws.key(seed, "f", name), ordinal) * deviation * volatility
            for name, deviation in zip(FACTORS, FACTOR_DEVIATIONS, strict=True)
        ),
    )


def _regimes(*, seed: int, count: int) -> np.ndarray:
    """Walk the Markov chain over `count` months; the first month is NORMAL."""
    chance = draws.uniform(draws.key(seed, "regime"), np.arange(count))
    regimes = [NORMAL]
    for month in range(1, count):
        regimes.append(_next_regime(regimes[-1], float(chance[month])))
    return np.array(regimes)


def _next_regime(regime: int, chance: float) -> int:
    stay = REGIME_STAY[regime]
    if chance < stay:
        return regime
    if regime != NORMAL:
        return NORMAL
    return CALM if (chance - stay) / (1 - stay) < NORMAL_TO_CALM else STRESS


# ------------------------------------------------------------------ drawn symbols


def drawn_series(*, row: UniverseRow, drivers: Drivers) -> DailySeries:
    """Compute all days of a symbol that has draws of its own."""
    change, jump = _returns(row=row, drivers=drivers)
    paid = _dividend_fractions(row=row, drivers=drivers)
    unsplit = np.cumprod(np.concatenate(([row.start_price * UNITS], 1 + change - paid)))
    split_from, split_to, basis = _splits(row=row, close=unsplit[1:], drivers=drivers)
    deviation = whole_deviation(row)
    noise = deviation * drivers.volatility
    gap = 0.2 * (change - jump) + 0.4 * noise * _own_draws(row, drivers, "gap") + jump
    before = unsplit[:-1]
    opened = before * (1 + np.clip(gap, RETURN_MIN, RETURN_MAX) - paid)
    exact = (opened, *_extremes(row=row, drivers=drivers, opened=opened, closed=unsplit[1:], noise=noise))
    prices = tuple(to_grid(price * basis) for price in (*exact, unsplit[1:]))
    return _assemble(
        row=row, drivers=drivers, prices=prices, carried=before * basis, paid=paid,
        split=(split_from, split_to), change=change, deviation=deviation,
    )  # fmt: skip


def whole_deviation(row: UniverseRow) -> float:
    """Return the symbol's daily deviation before the regime: its own and its factors' part."""
    parts = [beta * deviation for beta, deviation in zip(row.betas, FACTOR_DEVIATIONS, strict=True)]
    return float(np.sqrt(row.sigma * row.sigma + sum(part * part for part in parts)))


def _own_draws(row: UniverseRow, drivers: Drivers, stream: str) -> np.ndarray:
    return draws.bell(draws.key(drivers.seed, stream, row.symbol), drivers.ordinal)


def _own_uniform(row: UniverseRow, drivers: Drivers, stream: str) -> np.ndarray:
    return draws.uniform(draws.key(drivers.seed, stream, row.symbol), drivers.ordinal)


def _returns(*, row: UniverseRow, drivers: Drivers) -> tuple[np.ndarray, np.ndarray]:
    """Return each day's total return and the part of it that is a jump (the own term on 1 % of days)."""
    change = drivers.drift * row.betas.market + row.annual_carry / SESSIONS_PER_YEAR
    for beta, factor in zip(row.betas, drivers.factors, strict=True):
        change = change + beta * factor
    is_jump = _own_uniform(row, drivers, "jump") < 0.01
    own = row.sigma * drivers.volatility * _own_draws(row, drivers, "own") * np.where(is_jump, 4.0, 1.0)
    return np.clip(change + own, RETURN_MIN, RETURN_MAX), np.where(is_jump, own, 0.0)


def _extremes(
    *, row: UniverseRow, drivers: Drivers, opened: np.ndarray, closed: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Draw the day's high and low given its ends.

    The maximum of a Brownian bridge by the reflection principle:
    P(M > m) = exp(-2 m (m - x) / s²).
    """
    x = closed / opened - 1
    spread = 2 * (0.8 * noise) * (0.8 * noise)
    above = np.sqrt(x * x - spread * np.log(_own_uniform(row, drivers, "high")))
    below = np.sqrt(x * x - spread * np.log(_own_uniform(row, drivers, "low")))
    return opened * (1 + (x + above) / 2), opened * (1 + (x - below) / 2)


def _dividend_fractions(*, row: UniverseRow, drivers: Drivers) -> np.ndarray:
    """Return what each day pays as a fraction of the close before it."""
    if row.dividend_month == 0:
        return _accrued_fractions(row=row, drivers=drivers)
    paid = np.zeros(len(drivers.ordinal))
    paid[_quarterly_ex_days(row.dividend_month, drivers)] = row.annual_yield / 4
    return paid


def _quarterly_ex_days(dividend_month: int, drivers: Drivers) -> np.ndarray:
    """Find the third Wednesday, or the next session, of every third month."""
    months = drivers.ordinal[drivers.month_start].astype("datetime64[D]").astype("datetime64[M]")
    paying = months[(months.astype(np.int64) % 12 + 1 - dividend_month) % 3 == 0]
    wednesdays = np.busday_offset(paying.astype("datetime64[D]"), 2, roll="forward", weekmask="Wed")
    days = np.searchsorted(drivers.ordinal, wednesdays.astype(np.int64))
    return days[days < len(drivers.ordinal)]


def _accrued_fractions(*, row: UniverseRow, drivers: Drivers) -> np.ndarray:
    """Pay out on each month's first session what accrued since the last time."""
    growth = np.cumprod(np.full(32, 1 + row.annual_carry / SESSIONS_PER_YEAR))
    paid = np.zeros(len(drivers.ordinal))
    sessions_since = np.diff(drivers.month_start)
    paid[drivers.month_start[1:]] = 1 - 1 / growth[sessions_since - 1]
    return paid


def _splits(*, row: UniverseRow, close: np.ndarray, drivers: Drivers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Split where the rule says so: looked at at each month's last close, effective two sessions later.

    Returns old shares, new shares, and the product of old/new up to each day, by
    which a series without splits is multiplied. The ratios are powers of two, so
    that product is exact.
    """
    split_from, split_to = np.ones(len(close), np.int64), np.ones(len(close), np.int64)
    basis, factor = np.ones(len(close)), 1.0
    for start in drivers.month_start[1:]:
        ratio = _split_ratio(row, int(to_grid(close[start - 1] * factor)))
        if ratio is None or start + 1 >= len(close):
            continue
        factor *= ratio[0] / ratio[1]
        split_from[start + 1], split_to[start + 1] = ratio
        basis[start + 1 :] = factor
    return split_from, split_to, basis


def _split_ratio(row: UniverseRow, close_units: int) -> tuple[int, int] | None:
    if close_units < SPLIT_BELOW:
        return SPLIT_REVERSE
    if close_units > SPLIT_ABOVE and row.splits_forward:
        return SPLIT_FORWARD
    return None


# ------------------------------------------------------------------ leveraged and inverse funds


def leveraged_series(*, row: UniverseRow, base: DailySeries, drivers: Drivers) -> DailySeries:
    """Derive all days of a leveraged or inverse fund from its base's rounded prices."""
    growth = functools.partial(fund_growth, row=row, dividend=base.bars.dividend, reference=base.reference)
    unsplit = np.cumprod(np.concatenate(([row.start_price * UNITS], growth(base_units=base.bars.close))))
    split_from, split_to, basis = _splits(row=row, close=unsplit[1:], drivers=drivers)
    carried = unsplit[:-1] * basis
    upper, lower = (base.bars.high, base.bars.low)[:: 1 if row.leverage > 0 else -1]
    prices = tuple(
        to_grid(carried * growth(base_units=units)) for units in (base.bars.open, upper, lower, base.bars.close)
    )
    return _assemble(
        row=row, drivers=drivers, prices=prices, carried=carried, paid=np.zeros(len(carried)),
        split=(split_from, split_to), change=growth(base_units=base.bars.close) - 1,
        deviation=abs(row.leverage) * base.deviation[0],
    )  # fmt: skip


def fund_growth(*, row: UniverseRow, base_units: np.ndarray, dividend: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """
    Return a fund's price as a multiple of its close before, never below 0.01.

    `reference` is the base's close before on today's split basis. The daily cost
    is fee and financing; for inverse funds it is negative: they earn interest.
    """
    cost = (FUND_FEE + (row.leverage - 1) * CASH_RATE) / SESSIONS_PER_YEAR
    return np.maximum(0.01, 1 + row.leverage * ((base_units + dividend) / reference - 1) - cost)


# ------------------------------------------------------------------ common to drawn and derived


def _assemble(
    *,
    row: UniverseRow,
    drivers: Drivers,
    prices: tuple[np.ndarray, ...],
    carried: np.ndarray,
    paid: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
    change: np.ndarray,
    deviation: float,
) -> DailySeries:
    opened, high, low, closed = prices
    reference = references(first=row.start_price * UNITS, close=closed, split=split)
    bars = DailyBars(
        ordinal=drivers.ordinal,
        open=opened,
        high=np.maximum(high, np.maximum(opened, closed)),
        low=np.minimum(np.maximum(low, CENT), np.minimum(opened, closed)),
        close=closed,
        volume=_volumes(row=row, drivers=drivers, change=change, deviation=deviation),
        dividend=to_grid(paid * reference, grid=DIVIDEND_STEP),
        split_from=split[0],
        split_to=split[1],
    )
    return DailySeries(
        bars=frozen(bars),
        reference=reference,
        carried=carried,
        volatility=drivers.volatility,
        deviation=np.full(len(closed), deviation),
        grid=np.full(len(closed), CENT, np.int64),
        events=tuple(listed_events(symbol=row.symbol, ordinal=bars.ordinal, dividend=bars.dividend, split=split)),
    )


def references(*, first: float, close: np.ndarray, split: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the close before each day on that day's split basis, in units; `first` on the first day."""
    before = np.concatenate(([first], close[:-1]))
    return before * split[0] / split[1]


def _volumes(*, row: UniverseRow, drivers: Drivers, change: np.ndarray, deviation: float) -> np.ndarray:
    surprise = np.abs(change) / (2 * deviation) if deviation > 0 else 0.0
    share = 0.6 + 0.8 * _own_uniform(row, drivers, "volume")
    return np.floor(row.base_volume * share * (1 + surprise) * drivers.volatility + 0.5).astype(np.int64)


# ------------------------------------------------------------------ numbers


def to_grid(units: np.ndarray, *, grid: int | np.ndarray = CENT) -> np.ndarray:
    """Round prices in units half up to a grid."""
    return np.floor(units / grid + 0.5).astype(np.int64) * grid


def frozen(bars: DailyBars) -> DailyBars:
    """Make the arrays read-only, so that no caller can change what another one sees."""
    for name in DailyBars.__slots__:
        getattr(bars, name).setflags(write=False)
    return bars


def statistics(*, bars: DailyBars, before: int) -> tuple[float, float]:
    """
    Return deviation of 20 daily log returns and mean volume of the same 20 days, up to row `before`.

    Closes are adjusted for splits and dividends, volumes stated on the last day's
    split basis. Fewer days give the statistics of what is there; below two
    returns the deviation is 0.0, below one the volume too.
    """
    rows = slice(max(1, before - STATISTICS_SESSIONS), max(1, before))
    ratio = bars.split_to[rows] / bars.split_from[rows]
    if len(ratio) == 0:
        return 0.0, 0.0
    last = bars.close[rows.start - 1 : rows.stop - 1] / ratio
    change = np.log((bars.close[rows] + bars.dividend[rows]) / last)
    later = np.cumprod(ratio[::-1])[::-1] / ratio
    # Twelve places: the last digits of a logarithm differ between machines.
    deviation = round(float(change.std(ddof=1)), 12) if len(change) > 1 else 0.0
    return deviation, float((bars.volume[rows] * later).mean())
