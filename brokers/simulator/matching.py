"""Would this order trade against this look at the market, and at what price? Quotes here, bars in `bars`."""

from __future__ import annotations

from dataclasses import replace

from brokers.enums import OrderType, Side, TimeInForce
from brokers.instruments import IncrementRule
from brokers.money import divide_half_away
from brokers.simulator import chance
from brokers.simulator.bars import against_bar, first_exit
from brokers.simulator.presets import Trigger
from brokers.simulator.pricing import (
    EnvelopeViolation,
    at_print,
    beyond_limit,
    check_envelope,
    final_price,
    reached,
    spoken,
    within_limit,
)
from brokers.simulator.terms import MarketBar, Observation, OrderTerms, Rule, Verdict, waits
from brokers.simulator.trailing import moved_watermark, stop_price

__all__ = [
    "EnvelopeViolation",
    "MarketBar",
    "Observation",
    "OrderTerms",
    "Rule",
    "Verdict",
    "against_bar",
    "against_quote",
    "check_envelope",
    "final_price",
    "first_exit",
    "spoken",
    "trigger_price",
]

TOUCH_PROBABILITY_SHIFT = 2  # one print in four: 2^-2
_TRIGGER_NAMES = {Trigger.LAST: "last", Trigger.MARK: "mark", Trigger.QUOTE: "quote"}


def against_quote(
    terms: OrderTerms,
    observation: Observation,
    *,
    increments: IncrementRule,
    trigger: Trigger,
    touch_key: int | None = None,
) -> Verdict:
    """
    Decide whether an order trades against one quote and print.

    `touch_key` is the order's draw key where limit orders may fill on a mere touch (one print in four),
    None where they may not.
    """
    if not observation.is_regular and not terms.extended_hours:
        return waits(terms, "the market is closed", was_looked_at=False)
    if not observation.is_regular and terms.order_type is not OrderType.LIMIT:
        return waits(terms, "only limit orders trade outside regular hours", was_looked_at=False)
    if terms.time_in_force in (TimeInForce.OPG, TimeInForce.CLS):
        return _against_auction(terms, observation)
    if observation.is_halted:
        return waits(terms, "trading is halted")
    match terms.order_type:
        case OrderType.MARKET:
            return _at_far_side(terms, observation, Rule.MARKET)
        case OrderType.LIMIT:
            return _limit(terms, observation, touch_key)
    stopped = _after_trigger(terms, observation, increments=increments, trigger=trigger)
    if isinstance(stopped, Verdict):
        return stopped
    if terms.order_type is not OrderType.STOP_LIMIT:
        rule = Rule.STOP if terms.order_type is OrderType.STOP else Rule.TRAILING_STOP
        return _at_far_side(stopped, observation, rule)
    if terms.is_triggered:
        return _limit(stopped, observation, touch_key)
    return _marketable(stopped, observation, Rule.STOP_LIMIT)


def _after_trigger(
    terms: OrderTerms, observation: Observation, *, increments: IncrementRule, trigger: Trigger
) -> OrderTerms | Verdict:
    """Return the terms of a triggered stop, or the verdict that it still waits."""
    if terms.is_triggered:
        return terms
    price = trigger_price(terms.side, observation, trigger=trigger)
    if price is None:
        return waits(terms, "there is no usable trigger price")
    if terms.order_type is OrderType.TRAILING_STOP:
        terms = replace(terms, watermark_units=moved_watermark(terms.side, terms.watermark_units, price))
    stop = stop_price(terms, increments=increments)
    if not reached(terms.side, price, stop):
        sign = "<" if terms.side is Side.BUY else ">"
        return waits(terms, f"{_TRIGGER_NAMES[trigger]} {spoken(price)} {sign} stop {spoken(stop)}")
    return replace(terms, is_triggered=True)


def trigger_price(side: Side, observation: Observation, *, trigger: Trigger) -> int | None:
    """
    Return the price that may wake a stop, in units; None if there is none to trust.

    A last price outside the quote by more than one spread is none: it is a late or a wrong print.
    """
    bid, ask, last = observation.bid_units, observation.ask_units, observation.last_units
    if trigger is Trigger.QUOTE:
        return (ask if side is Side.BUY else bid) or None
    if trigger is Trigger.MARK:
        return divide_half_away(bid + ask, 2) if bid and ask else None
    if bid and ask and not bid - (ask - bid) <= last <= ask + (ask - bid):
        return None
    return last or None


def _limit(terms: OrderTerms, observation: Observation, touch_key: int | None) -> Verdict:
    if not terms.is_resting:
        return _marketable(terms, observation, Rule.LIMIT_MARKETABLE)
    far, limit, last = _far_side(terms.side, observation), terms.limit_units, observation.last_units
    if within_limit(terms.side, far, limit) or (last and _traded_through(terms.side, last, limit)):
        return _at_its_own_price(terms, observation, Rule.LIMIT_RESTING)
    if touch_key is None or last != limit:
        return waits(terms, beyond_limit(terms.side, far, limit, name=_far_name(terms.side)))
    drawn = chance.value(touch_key, attempt=observation.step, stream=chance.Stream.TOUCH)
    if drawn >> (64 - TOUCH_PROBABILITY_SHIFT):
        return waits(terms, f"last {spoken(last)} only touched limit {spoken(limit)}")
    return replace(_at_its_own_price(terms, observation, Rule.LIMIT_TOUCHED), touch_draw=drawn)


def _at_its_own_price(terms: OrderTerms, observation: Observation, rule: Rule) -> Verdict:
    return _priced(terms, observation, rule, base=terms.limit_units, limit=terms.limit_units, at_limit=True)


def _marketable(terms: OrderTerms, observation: Observation, rule: Rule) -> Verdict:
    far = _far_side(terms.side, observation)
    if not within_limit(terms.side, far, terms.limit_units):
        return waits(terms, beyond_limit(terms.side, far, terms.limit_units, name=_far_name(terms.side)))
    return _priced(terms, observation, rule, base=far, limit=terms.limit_units)


def _at_far_side(terms: OrderTerms, observation: Observation, rule: Rule) -> Verdict:
    far = _far_side(terms.side, observation)
    if not far:
        return waits(terms, f"there is no {_far_name(terms.side)}")
    return _priced(terms, observation, rule, base=far)


def _against_auction(terms: OrderTerms, observation: Observation) -> Verdict:
    """Match against the opening or closing print itself: no spread, but slippage, and the limit holds."""
    is_opening = terms.time_in_force is TimeInForce.OPG
    if not (observation.is_opening_print if is_opening else observation.is_closing_print):
        return waits(terms, f"the {'opening' if is_opening else 'closing'} print", was_looked_at=False)
    if observation.is_halted:
        return waits(terms, "trading is halted")
    return at_print(
        terms,
        observation.last_units,
        rule=Rule.OPENING_PRINT if is_opening else Rule.CLOSING_PRINT,
        spread_units=_spread(terms.side, observation),
    )


def _priced(
    terms: OrderTerms,
    observation: Observation,
    rule: Rule,
    *,
    base: int,
    limit: int | None = None,
    at_limit: bool = False,
) -> Verdict:
    far = _far_side(terms.side, observation)
    return Verdict(
        rule=rule,
        reference_units=far,
        base_units=base,
        spread_units=_spread(terms.side, observation),
        limit_units=limit,
        at_limit=at_limit,
        lowest_units=observation.bid_units,
        highest_units=observation.ask_units or far,
        watermark_units=terms.watermark_units,
        is_triggered=terms.is_triggered,
    )


def _traded_through(side: Side, last: int, limit: int) -> bool:
    return last < limit if side is Side.BUY else last > limit


def _far_side(side: Side, observation: Observation) -> int:
    return observation.ask_units if side is Side.BUY else observation.bid_units


def _far_name(side: Side) -> str:
    return "ask" if side is Side.BUY else "bid"


def _spread(side: Side, observation: Observation) -> int:
    """Return ask - bid. A missing other side counts as a spread as wide as the price itself."""
    if observation.bid_units and observation.ask_units:
        return observation.ask_units - observation.bid_units
    return _far_side(side, observation)
