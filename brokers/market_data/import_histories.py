"""
Find in a ticker's closes where another company begins, and which splits and dividends lie between them. Pure.

Closes are price units, adjusted closes any fixed scale, days ordinals since 1970-01-01.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from brokers import money
from brokers.enums import CorporateActionKind

GAP_SESSIONS_MAX = 30
PRICE_RATIO_MAX = 3
# A step this close to 1 is the rounding of adjusted closes: at most 0.000002.
NOTHING = 500_000
# A split's step lies within 0.0001, relatively, of p/q with p and q up to 20.
SPLIT_CLOSENESS = 10_000
SPLIT_TERM_MAX = 20
STEP_DIGITS = 6
CASH_STEP = 100

_RATIOS = sorted({Fraction(p, q) for p in range(1, SPLIT_TERM_MAX + 1) for q in range(1, SPLIT_TERM_MAX + 1) if p != q})


class Point(NamedTuple):
    """
    One session of a ticker: from the file, or stored already under `owner`.

    `adjusted` is 0 where the file gives none, `split` new shares for an old one as a source announced it.
    """

    ordinal: int
    close: int
    adjusted: int = 0
    split: Fraction = Fraction(1)
    owner: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedEvent:
    """A split, dividend or unexplained step; `step` is the adjustment it was derived from."""

    ordinal: int
    kind: CorporateActionKind
    ratio_from: int = 1
    ratio_to: int = 1
    cash_units: int = 0
    step: str = ""

    @property
    def split(self) -> Fraction:
        return Fraction(self.ratio_to, self.ratio_from)


@dataclass(slots=True)
class Listing:
    """The sessions of one company under one ticker, and what happened to it in between."""

    first: int
    last: int
    owner: int | None = None
    events: list[DerivedEvent] = field(default_factory=list)


def listings(points: Iterable[Point], *, session_numbers: Mapping[int, int], derive: bool) -> list[Listing]:
    """
    Cut a ticker's sessions, ascending, into companies, oldest first.

    Another one begins after a gap of more than 30 sessions, or where the raw close is more than three times
    the one before, or less than a third, and no split explains it. With `derive`, events are read from the
    adjusted closes.
    """
    found: list[Listing] = []
    previous: Point | None = None
    adjusted: Point | None = None  # the last point with an adjusted close that a step may be measured from
    for point in points:
        event = _event_between(adjusted, point) if derive else None
        split = event.split if event else point.split
        if previous is None or _is_another(previous, point, split, session_numbers):
            found.append(Listing(point.ordinal, point.ordinal))
            event = None
        current = found[-1]
        current.last = point.ordinal
        current.owner = point.owner or current.owner
        if event is not None:
            current.events.append(event)
        previous = point
        # A row that is only stored has no adjusted close: a step across it could book its event twice.
        adjusted = point if point.adjusted else (adjusted if point.owner is None else None)
    return found


def listing_at(found: Sequence[Listing], ordinal: int) -> int:
    """Return the number of the company a session belongs to."""
    return max(0, bisect_right(found, ordinal, key=lambda listing: listing.first) - 1)


def classify(before: Point, after: Point) -> DerivedEvent | None:
    """
    Return what changed between two consecutive closes, judged by the step of the adjustment.

    step = (adjusted / close before) / (adjusted / close after). At most 0.000002 from 1 it is nothing; below
    0.9 or above 1.1 and within 0.0001 of p/q it is a split of q for p; from 0.9 to 1 a cash dividend of
    (1 - step) x the raw close before, to four decimals; anything else stays unclassified.
    """
    numerator = before.adjusted * after.close
    denominator = before.close * after.adjusted
    if abs(numerator - denominator) * NOTHING <= denominator:
        return None
    step = _step_text(numerator, denominator)
    if 10 * numerator < 9 * denominator or 10 * numerator > 11 * denominator:
        ratio = _near_ratio(numerator, denominator)
        if ratio is not None:
            return DerivedEvent(
                ordinal=after.ordinal,
                kind=CorporateActionKind.SPLIT,
                ratio_from=ratio.numerator,
                ratio_to=ratio.denominator,
                step=step,
            )
    elif numerator < denominator:
        cash = _cash(before.close * (denominator - numerator), denominator)
        return DerivedEvent(ordinal=after.ordinal, kind=CorporateActionKind.DIVIDEND, cash_units=cash, step=step)
    return DerivedEvent(ordinal=after.ordinal, kind=CorporateActionKind.UNCLASSIFIED, step=step)


def merged(file_points: Sequence[Point], stored: Mapping[int, Point]) -> Iterator[Point]:
    """
    Yield the sessions of file and database in order, one point each.

    Of a session given twice in the file the first counts; of one that is stored too, the file's prices and
    the stored owner.
    """
    seen: dict[int, Point] = {}
    for point in file_points:
        seen.setdefault(point.ordinal, point)
    for ordinal in sorted(seen.keys() | stored.keys()):
        point, kept = seen.get(ordinal), stored.get(ordinal)
        if point is None:
            yield kept
        else:
            yield point if kept is None else point._replace(owner=kept.owner)


def _event_between(before: Point | None, after: Point) -> DerivedEvent | None:
    return classify(before, after) if before is not None and after.adjusted else None


def _is_another(before: Point, after: Point, split: Fraction, session_numbers: Mapping[int, int]) -> bool:
    missing = session_numbers[after.ordinal] - session_numbers[before.ordinal] - 1
    if missing > GAP_SESSIONS_MAX:
        return True
    price, earlier = after.close * split.numerator, before.close * split.denominator
    return price > PRICE_RATIO_MAX * earlier or price * PRICE_RATIO_MAX < earlier


def _cash(numerator: int, denominator: int) -> int:
    """Return a dividend in units, to 0.0001: beyond that adjusted closes are noise. Finer if that is 0."""
    coarse = money.divide_half_away(numerator, denominator * CASH_STEP) * CASH_STEP
    return coarse or max(1, money.divide_half_away(numerator, denominator))


def _near_ratio(numerator: int, denominator: int) -> Fraction | None:
    for ratio in _RATIOS:
        expected = ratio.numerator * denominator
        if abs(numerator * ratio.denominator - expected) * SPLIT_CLOSENESS <= expected:
            return ratio
    return None


def _step_text(numerator: int, denominator: int) -> str:
    return str((Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1).scaleb(-STEP_DIGITS)))
