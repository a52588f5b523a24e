"""The price gate: decide whether a received price may be believed, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TypeGuard

from brokers.enums import InstrumentKind


class GateOutcome(StrEnum):
    """What may be done with a received price."""

    ACCEPTED = "ACCEPTED"
    MISSING = "MISSING"  # as if nothing had come: the next source is asked
    QUARANTINED = "QUARANTINED"  # no mark, and no guard acts, until it is confirmed
    REFUSED = "REFUSED"  # neither used nor kept


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedQuote:
    """Both sides as a source sent them; its price is the midpoint, not rounded."""

    source: str
    as_of: datetime
    bid: Decimal | None
    ask: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedTrade:
    """One price as a source sent it: a last trade or the close of a bar."""

    source: str
    as_of: datetime
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A sound price from a source: the last accepted one, or one in quarantine."""

    source: str
    as_of: datetime
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveEvent:
    """
    A split or dividend that took effect today.

    `split_ratio` is to/from (2-for-1: 2; no split: 1), `dividend` the cash per share on the basis after the
    split (none: 0). `is_applied` says whether our own books have been adjusted.
    """

    effective_at: datetime
    is_applied: bool
    split_ratio: Fraction = Fraction(1)
    dividend: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Fractions, dollars and times of the gate; a limit met exactly still passes."""

    spread: Decimal = Decimal("0.05")
    option_spread: Decimal = Decimal("0.50")
    option_spread_amount: Decimal = Decimal("0.10")
    jump: Decimal = Decimal("0.20")
    confirmation: Decimal = Decimal("0.05")
    second_reading_after: timedelta = timedelta(seconds=30)
    future: timedelta = timedelta(seconds=2)


DEFAULT_LIMITS = GateLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """What is known about an instrument when a price of it arrives."""

    symbol: str
    kind: InstrumentKind
    now: datetime
    accepted: Reading | None = None
    quarantined: Reading | None = None
    event: EffectiveEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """
    The verdict on one price.

    `price` is the value to use, None unless ACCEPTED. `quarantined` is what to keep for the instrument from
    now on, None to clear it. `code` and `reason` are empty only for an ordinary price.
    """

    outcome: GateOutcome
    price: Decimal | None
    quarantined: Reading | None
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Flaw:
    code: str
    reason: str


def judge(
    received: ReceivedQuote | ReceivedTrade, *, context: GateContext, limits: GateLimits = DEFAULT_LIMITS
) -> GateResult:
    """
    Decide whether a received price is accepted, missing, quarantined or refused.

    A jump is measured from the last accepted price, on today's basis; without one there is nothing to jump
    from and a sound price is accepted. Options may jump. Every verdict but an ordinary acceptance has a
    code and a sentence.
    """
    early = _find_future_time(received, context, limits)
    if early is not None:
        return _not_used(GateOutcome.REFUSED, early, context)
    price = _sound_price(received, context, limits)
    if isinstance(price, _Flaw):
        return _not_used(GateOutcome.MISSING, price, context)
    unbooked = _find_unbooked_event(context)
    if unbooked is not None:
        return _not_used(GateOutcome.REFUSED, unbooked, context)
    return _judge_jump(Reading(source=received.source, as_of=received.as_of, price=price), context, limits)


def adjusted_previous(price: Decimal, *, as_of: datetime, event: EffectiveEvent | None) -> Decimal:
    """
    Return a price from before an event on the basis after it: divided by the split ratio, less the dividend.

    A price from `effective_at` on is returned as it is.
    """
    if event is None or as_of >= event.effective_at:
        return price
    ratio = event.split_ratio
    return price * ratio.denominator / ratio.numerator - event.dividend


def _find_future_time(
    received: ReceivedQuote | ReceivedTrade, context: GateContext, limits: GateLimits
) -> _Flaw | None:
    ahead = received.as_of - context.now
    if ahead <= limits.future:
        return None
    return _Flaw(
        "time_in_future",
        f"The price of {context.symbol} from {received.source} is dated {ahead.total_seconds():.1f} s ahead "
        f"of the desk's clock, more than {limits.future.total_seconds():.0f} s.",
    )


def _find_unbooked_event(context: GateContext) -> _Flaw | None:
    event = context.event
    if event is None or event.is_applied:
        return None
    return _Flaw(
        "adjustment_missing",
        f"A split or dividend of {context.symbol} took effect at {event.effective_at:%Y-%m-%d %H:%M} UTC and "
        "is not booked here yet, so today's price does not fit our positions and orders.",
    )


def _sound_price(received: ReceivedQuote | ReceivedTrade, context: GateContext, limits: GateLimits) -> Decimal | _Flaw:
    """Return the price a quote or trade stands for, or why it stands for none."""
    if isinstance(received, ReceivedQuote):
        return _midpoint(received, context, limits)
    if _is_positive(received.price):
        return received.price
    return _Flaw("no_price", f"{received.source} has no price of {context.symbol}.")


def _midpoint(quote: ReceivedQuote, context: GateContext, limits: GateLimits) -> Decimal | _Flaw:
    bid, ask, name = quote.bid, quote.ask, f"The quote of {context.symbol} from {quote.source}"
    if not _is_positive(bid):
        return _Flaw("no_bid", f"{name} has no bid.")
    if not _is_positive(ask):
        return _Flaw("no_ask", f"{name} has no ask.")
    if ask < bid:
        return _Flaw("crossed", f"{name} is crossed: its bid of {bid} is above its ask of {ask}.")
    middle = (bid + ask) / 2
    is_option = context.kind is InstrumentKind.OPTION
    limit = limits.option_spread if is_option else limits.spread
    is_narrow = is_option and ask - bid <= limits.option_spread_amount
    if ask - bid <= limit * middle or is_narrow:
        return middle
    share = _percent((ask - bid) / middle)
    return _Flaw(
        "too_wide",
        f"{name} is too wide: {bid} to {ask} is {share} of the middle, more than {_percent(limit)}.",
    )


def _judge_jump(reading: Reading, context: GateContext, limits: GateLimits) -> GateResult:
    last = context.accepted
    if last is None or context.kind is InstrumentKind.OPTION:
        return _accepted(reading)
    previous = adjusted_previous(last.price, as_of=last.as_of, event=context.event)
    if _is_within(reading.price, previous, limits.jump):
        return _accepted(reading)
    first = context.quarantined
    if first is None or not _repeats(reading, first, context, limits):
        return _quarantined(reading, reading, previous, context, limits)
    if reading.source != first.source:
        return _confirmed("second_source", reading, first, context)
    if reading.as_of - first.as_of >= limits.second_reading_after:
        return _confirmed("second_reading", reading, first, context)
    return _quarantined(first, reading, previous, context, limits)


def _repeats(reading: Reading, first: Reading, context: GateContext, limits: GateLimits) -> bool:
    first_price = adjusted_previous(first.price, as_of=first.as_of, event=context.event)
    return _is_within(reading.price, first_price, limits.confirmation)


def _is_positive(price: Decimal | None) -> TypeGuard[Decimal]:
    return price is not None and price.is_finite() and price > 0


def _is_within(price: Decimal, reference: Decimal, fraction: Decimal) -> bool:
    return abs(price - reference) <= fraction * reference


def _accepted(reading: Reading) -> GateResult:
    return GateResult(outcome=GateOutcome.ACCEPTED, price=reading.price, quarantined=None)


def _confirmed(code: str, reading: Reading, first: Reading, context: GateContext) -> GateResult:
    reason = (
        f"The jump of {context.symbol} to {first.price} ({first.source}, {first.as_of:%H:%M:%S} UTC) is "
        f"confirmed by {reading.price} ({reading.source}, {reading.as_of:%H:%M:%S} UTC)."
    )
    return GateResult(outcome=GateOutcome.ACCEPTED, price=reading.price, quarantined=None, code=code, reason=reason)


def _quarantined(
    kept: Reading, reading: Reading, previous: Decimal, context: GateContext, limits: GateLimits
) -> GateResult:
    wait = limits.second_reading_after.total_seconds()
    reason = (
        f"{context.symbol} moved from {previous} to {reading.price}, more than {_percent(limits.jump)} at "
        f"once. A second source, or a second reading {wait:.0f} s after the first, must confirm it within "
        f"{_percent(limits.confirmation)}."
    )
    return GateResult(outcome=GateOutcome.QUARANTINED, price=None, quarantined=kept, code="jump", reason=reason)


def _not_used(outcome: GateOutcome, flaw: _Flaw, context: GateContext) -> GateResult:
    """Return a verdict that says nothing about the price in quarantine, which therefore stays."""
    return GateResult(outcome=outcome, price=None, quarantined=context.quarantined, code=flaw.code, reason=flaw.reason)


def _percent(fraction: Decimal) -> str:
    return f"{fraction * 100:.1f} %"
