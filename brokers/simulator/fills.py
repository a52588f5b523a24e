"""One order against one look at the market: it fills, for how much, at what price and cost, or it waits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from brokers.enums import InstrumentKind, Side, TimeInForce
from brokers.money import CENT, QUANTITY
from brokers.simulator import chance
from brokers.simulator.commission import SessionCharges, commission_plan
from brokers.simulator.evidence import FillFacts, evidence
from brokers.simulator.liquidity import Allowance, Availability, allowance
from brokers.simulator.matching import (
    MarketBar,
    Observation,
    OrderTerms,
    Verdict,
    against_bar,
    against_quote,
    check_envelope,
)
from brokers.simulator.presets import Trigger
from brokers.simulator.slices import (
    FillContext,
    PricedSlice,
    TradedInstrument,
    affordable,
    slice_within_cash,
    slippage_plan,
)

__all__ = [
    "AUCTION_MISSED",
    "AUCTION_REMAINDER",
    "CASH_AT_FILL",
    "FOK_NOT_FILLED",
    "IOC_REMAINDER",
    "FillContext",
    "FillDecision",
    "NoFill",
    "TradedInstrument",
    "fill_against_bar",
    "fill_against_quote",
]

CASH_AT_FILL = "CASH_AT_FILL"
IOC_REMAINDER = "IOC_REMAINDER"
FOK_NOT_FILLED = "FOK_NOT_FILLED"
AUCTION_REMAINDER = "AUCTION_REMAINDER"
AUCTION_MISSED = "AUCTION_MISSED"

_AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_ONE_LOOK = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFill:
    """
    The order did not trade: why, and what it has become.

    `ends_order` names the reason code when the order is over (one evaluation was all it had, or the cash
    is gone); empty while it works on.
    """

    waiting_for: str
    watermark_units: int | None
    is_triggered: bool
    attempts: int
    ends_order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDecision:
    """
    One fill. Money leaves or enters as `notional_units` (cents) less commission and fees.

    `completes_order`: nothing is left of it. Otherwise `ends_order` names the reason code when the rest
    must be canceled, and is empty while the rest works on.
    """

    quantity_units: int
    price_units: int
    notional_units: int
    commission_units: int
    fees_units: int
    reference_units: int
    charges: SessionCharges
    evidence: dict[str, Any]
    watermark_units: int | None
    is_triggered: bool
    attempts: int
    completes_order: bool
    ends_order: str = ""


def fill_against_quote(terms: OrderTerms, observation: Observation, *, context: FillContext) -> FillDecision | NoFill:
    """Decide one order against one quote and print. Raises `EnvelopeViolation` rather than fill wrongly."""
    settings = context.settings
    verdict = against_quote(
        terms,
        observation,
        increments=context.instrument.increments,
        trigger=_trigger(context),
        touch_key=context.order_key if settings.fill_on_touch else None,
    )
    if not verdict.trades:
        return _waiting(terms, verdict)
    size = observation.ask_size if terms.side is Side.BUY else observation.bid_size
    offered = Availability(
        kind=context.instrument.kind,
        volume=context.volume,
        size=size,
        used_units=context.used_units,
        hour_left=None if observation.is_regular else context.hour_left,
    )
    return _decide(terms, observation, verdict, offered, context)


def fill_against_bar(terms: OrderTerms, bar: MarketBar, *, context: FillContext) -> FillDecision | NoFill:
    """
    Decide one order against one bar that starts at or after the order became active.

    The bar's own volume counts, `context.volume` does not. Raises `EnvelopeViolation`.
    """
    verdict = against_bar(
        terms,
        bar,
        increments=context.instrument.increments,
        spread_bps=context.settings.spread_bps,
    )
    if not verdict.trades:
        return _waiting(terms, verdict)
    context = replace(context, volume=bar.volume)
    offered = Availability(kind=context.instrument.kind, volume=bar.volume, used_units=context.used_units)
    return _decide(terms, bar, verdict, offered, context)


# ---------------------------------------------------------------------- one decision, step by step


def _decide(
    terms: OrderTerms,
    look: Observation | MarketBar,
    verdict: Verdict,
    offered: Availability,
    context: FillContext,
) -> FillDecision | NoFill:
    """Fill an order that may trade: how much is there, what does it cost, is there cash, is it possible."""
    auction_draw = _auction_draw(terms, context)
    if auction_draw is not None and not chance.happens(auction_draw, context.settings.auction_fill_probability):
        return _ended(terms, verdict, AUCTION_MISSED, "the auction did not serve this order")
    wanted = _wanted(terms, verdict, context)
    allowed = allowance(
        context.settings, offered, wanted_units=wanted, order_key=context.order_key, attempt=terms.attempts
    )
    refused = _too_little(terms, verdict, allowed, wanted)
    if refused is not None:
        return refused
    slice_ = slice_within_cash(terms, verdict, allowed.quantity_units, context)
    if slice_ is None or (terms.time_in_force is TimeInForce.FOK and slice_.quantity_units < wanted):
        return _ended(terms, verdict, CASH_AT_FILL, "there is not enough cash for it at this price")
    if slice_.notional_units == 0 and not _completes(terms, slice_, allowed):
        return _worthless(terms, verdict, slice_)
    check_envelope(
        verdict,
        side=terms.side,
        price_units=slice_.price_units,
        slippage_units=slice_.slippage_units,
        increments=context.instrument.increments,
    )
    return _filled(terms, look, verdict, slice_, allowed, auction_draw, context)


def _wanted(terms: OrderTerms, verdict: Verdict, context: FillContext) -> int:
    """Return what is left of the order; of a notional, what it buys at the price before slippage."""
    if terms.remaining_units is not None:
        return terms.remaining_units
    return affordable(terms.notional_units, verdict.base_units, context)


def _too_little(terms: OrderTerms, verdict: Verdict, allowed: Allowance, wanted: int) -> NoFill | None:
    if terms.time_in_force is TimeInForce.FOK and allowed.quantity_units < wanted:
        text = f"only {_whole(allowed.quantity_units)} of {_whole(wanted)} could trade at once"
        return _ended(terms, verdict, FOK_NOT_FILLED, text)
    if allowed.quantity_units > 0:
        return None
    text = "nothing traded"
    if allowed.allowed_units:
        text = (
            "this minute's share of the volume is used up: "
            f"{_whole(allowed.used_units)} of {_whole(allowed.allowed_units)}"
        )
    return _waiting(terms, replace(verdict, rule=None, waiting_for=text))


def _worthless(terms: OrderTerms, verdict: Verdict, slice_: PricedSlice) -> NoFill:
    """Trade no part whose price rounds to 0.00: the order waits for more, or for the cash it lacks it ends."""
    if slice_.is_cut_by_cash:
        return _ended(terms, verdict, CASH_AT_FILL, "there is not enough cash for it at this price")
    text = f"only {_whole(slice_.quantity_units)} could trade now, worth less than half a cent"
    return _waiting(terms, replace(verdict, rule=None, waiting_for=text))


# ---------------------------------------------------------------------- answers


def _filled(
    terms: OrderTerms,
    look: Observation | MarketBar,
    verdict: Verdict,
    slice_: PricedSlice,
    allowed: Allowance,
    auction_draw: int | None,
    context: FillContext,
) -> FillDecision:
    facts = FillFacts(
        verdict=verdict,
        look=look,
        settings=context.settings,
        settings_version=context.settings_version,
        slippage_plan=slippage_plan(context),
        slice=slice_.measured,
        slippage_units=slice_.slippage_units,
        allowance=allowed,
        draws=_draws(terms, look, verdict, allowed, auction_draw),
        increments=context.instrument.increments,
        unrounded_units=slice_.unrounded_units,
        traded=slice_.traded,
        commission_plan=commission_plan(context.settings, context.instrument.kind),
        before=context.charges,
        costs=slice_.costs,
    )
    completes = _completes(terms, slice_, allowed)
    return FillDecision(
        quantity_units=slice_.quantity_units,
        price_units=slice_.price_units,
        notional_units=slice_.notional_units,
        commission_units=slice_.costs.commission_units,
        fees_units=slice_.costs.fees_units,
        reference_units=verdict.reference_units,
        charges=slice_.costs.charges,
        evidence=evidence(facts),
        watermark_units=verdict.watermark_units,
        is_triggered=verdict.is_triggered,
        attempts=terms.attempts + 1,
        completes_order=completes,
        ends_order="" if completes else _why_the_rest_ends(terms, slice_),
    )


def _completes(terms: OrderTerms, slice_: PricedSlice, allowed: Allowance) -> bool:
    if terms.remaining_units is not None:
        return slice_.quantity_units == terms.remaining_units
    if slice_.is_cut_by_cash:
        return False
    # A notional ends when all it wanted was there, or when less than a cent of it is left.
    spent = slice_.price_units * slice_.quantity_units * slice_.traded.multiplier // QUANTITY
    is_whole = slice_.measured.quantity_units == allowed.wanted_units
    return is_whole or terms.notional_units - spent < CENT


def _why_the_rest_ends(terms: OrderTerms, slice_: PricedSlice) -> str:
    if slice_.is_cut_by_cash:
        return CASH_AT_FILL
    if terms.time_in_force in _ONE_LOOK:
        return IOC_REMAINDER
    return AUCTION_REMAINDER if terms.time_in_force in _AUCTIONS else ""


def _waiting(terms: OrderTerms, verdict: Verdict) -> NoFill:
    ends = ""
    if verdict.was_looked_at and terms.time_in_force in _ONE_LOOK:
        ends = FOK_NOT_FILLED if terms.time_in_force is TimeInForce.FOK else IOC_REMAINDER
    elif verdict.was_looked_at and terms.time_in_force in _AUCTIONS:
        ends = AUCTION_MISSED
    return _ended(terms, verdict, ends, verdict.waiting_for)


def _ended(terms: OrderTerms, verdict: Verdict, reason_code: str, text: str) -> NoFill:
    return NoFill(
        waiting_for=text,
        watermark_units=verdict.watermark_units,
        is_triggered=verdict.is_triggered,
        attempts=terms.attempts,
        ends_order=reason_code,
    )


def _draws(
    terms: OrderTerms,
    look: Observation | MarketBar,
    verdict: Verdict,
    allowed: Allowance,
    auction_draw: int | None,
) -> list[tuple[chance.Stream, int, int]]:
    drawn = [(stream, terms.attempts, value) for stream, value in allowed.draws]
    if verdict.touch_draw is not None:
        drawn.append((chance.Stream.TOUCH, look.step, verdict.touch_draw))
    if auction_draw is not None:
        drawn.append((chance.Stream.AUCTION, terms.attempts, auction_draw))
    return drawn


def _auction_draw(terms: OrderTerms, context: FillContext) -> int | None:
    if terms.time_in_force not in _AUCTIONS or context.settings.auction_fill_probability >= 1:
        return None
    return chance.value(context.order_key, attempt=terms.attempts, stream=chance.Stream.AUCTION)


def _trigger(context: FillContext) -> Trigger:
    is_option = context.instrument.kind is InstrumentKind.OPTION
    return context.settings.option_trigger if is_option else context.settings.share_trigger


def _whole(quantity_units: int) -> str:
    """Write a quantity without needless zeros: 2340, 0.5."""
    whole, part = divmod(quantity_units, QUANTITY)
    return f"{whole}.{part:09d}".rstrip("0") if part else str(whole)
