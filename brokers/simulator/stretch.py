"""A piece of market time that accounts are carried through together, and what is the same for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from brokers.market_data import calendar
from brokers.market_data.calendar import Session
from brokers.market_data.replay.quotes import Observations
from brokers.simulator.book import Traded
from brokers.simulator.commission import FeeRow
from brokers.simulator.market import Market
from brokers.simulator.tape import Tape

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = EPOCH.toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """
    A piece of time, `start` excluded and `end` included, with at most one session in it.

    The tapes hold the observations of every instrument that an order works in.
    """

    start: datetime
    end: datetime
    session: Session | None
    tapes: dict[int, Tape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is the same for every account of a batch; `unknown` are instruments the market has no prices of."""

    market: Market
    instruments: dict[int, Traded]
    rates: Sequence[FeeRow]
    unknown: set[int] = field(default_factory=set)


def stretches(start: datetime, end: datetime) -> list[Stretch]:
    """Cut time into pieces of at most one session each; the last ends at `end`."""
    found: list[Stretch] = []
    days = calendar.sessions(calendar.new_york_date(start), calendar.new_york_date(end))
    for session in days:
        if session.extended_end <= start:
            continue
        until = min(session.extended_end, end)
        if start < until:
            found.append(Stretch(start=start, end=until, session=session))
            start = until
    if start < end:
        found.append(Stretch(start=start, end=end, session=None))
    return found


def stretch_at(now: datetime) -> Stretch:
    """Return the single instant `now`, with the session it lies in, extended hours included."""
    session = calendar.session(calendar.new_york_date(now))
    if session is not None and not session.pre_open_start <= now <= session.extended_end:
        session = None
    return Stretch(start=now, end=now, session=session)


def tape_of(observations: Observations, session: Session, market: Market) -> Tape:
    """Wrap observations of one session."""
    return Tape(
        observations=observations,
        opens_at=epoch(session.open),
        closes_at=epoch(session.close),
        source=market.label,
        market_identity=market.identity,
    )


def epoch(at: datetime) -> int:
    """Return whole seconds since 1970 in UTC, a started second not counted."""
    return (at - EPOCH) // timedelta(seconds=1)


def ordinal(at: datetime) -> int:
    """Return the New York date of an instant as days since 1970-01-01."""
    return calendar.new_york_date(at).toordinal() - EPOCH_ORDINAL
