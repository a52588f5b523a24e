"""The tape finds exactly the observations at which the matching rules would act, one by one."""

import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from brokers.enums import (
    InstrumentKind,
    OrderType,
    PositionEffect,
    Side,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.instruments import increment_rule
from brokers.market_data.replay.quotes import Observations
from brokers.simulator.book import WorkingOrder
from brokers.simulator.matching import against_quote
from brokers.simulator.presets import Trigger
from brokers.simulator.tape import Tape, next_index, trailing_stops, watermarks
from brokers.simulator.terms import OrderTerms
from brokers.simulator.trailing import stop_price

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
RULE = increment_rule(kind=InstrumentKind.EQUITY, symbol="AAPL", override=None, penny_programme=False)
CENT = 10_000


def an_order(order_type, side, **fields):
    nothing = dict.fromkeys(
        ("notional_units", "trail_percent_units", "limit_units", "stop_units", "trail_amount_units", "watermark_units",
         "expires_at", "triggered_at")
    )  # fmt: skip
    values = {
        **nothing, "pk": 1, "account_pk": 1, "venue_order_id": uuid.uuid4(), "client_order_id": "x",
        "instrument_id": 1, "side": side, "effect": PositionEffect.OPEN, "order_type": order_type,
        "time_in_force": TimeInForce.DAY, "extended_hours": False, "accepted_at": NOW, "active_from": NOW,
        "settings_version": 1, "quantity_units": 10**9, "filled_units": 0, "state": SimulatedOrderState.WORKING,
        "updated_at": NOW, "reserve_units": 0, "attempts": 0, "waiting_for": "", "reason_code": "",
        "reason_text": "", **fields,
    }  # fmt: skip
    return WorkingOrder(**values)


def a_tape(dice, steps):
    """A random walk in cents with missing sides, halts, odd prints and hours outside the session."""
    last = 10_000 + np.cumsum([dice.choice((-2, -1, 0, 1, 2)) for _ in range(steps)])
    half = np.array([dice.choice((0, 1, 1, 3)) for _ in range(steps)])
    odd = np.array([dice.choice((0,) * 9 + (25,)) for _ in range(steps)])
    present = np.array([[dice.random() > 0.05 for _ in range(steps)] for _ in range(2)])
    halted = np.array([dice.random() < 0.05 for _ in range(steps)])
    bid, ask = (last - half) * CENT * present[0] * ~halted, (last + half) * CENT * present[1] * ~halted
    size = np.full(steps, 100, np.int64)
    regular = np.array([dice.random() > 0.05 for _ in range(steps)])
    seen = Observations(np.arange(steps) * 5, (last + odd) * CENT, bid, ask, size, size, regular, halted)
    return Tape(observations=seen, opens_at=-1, closes_at=-1, source="", market_identity="")


def first_by_the_rules(order, tape, start, trigger):
    """Ask the exact rules at every observation, carrying the watermark along."""
    terms = order.terms(is_resting=True)
    for index in range(start, len(tape)):
        verdict = against_quote(terms, tape.observation(index), increments=RULE, trigger=trigger)
        if verdict.trades or (verdict.is_triggered and not terms.is_triggered):
            return index
        terms = replace(terms, watermark_units=verdict.watermark_units)
    return None


def near(dice):
    return (10_000 + dice.randrange(-12, 13)) * CENT


ORDERS = {
    "market": lambda dice, side: an_order(OrderType.MARKET, side),
    "limit": lambda dice, side: an_order(OrderType.LIMIT, side, limit_units=near(dice)),
    "extended limit": lambda dice, side: an_order(OrderType.LIMIT, side, limit_units=near(dice), extended_hours=True),
    "stop": lambda dice, side: an_order(OrderType.STOP, side, stop_units=near(dice)),
    "triggered stop": lambda dice, side: an_order(OrderType.STOP, side, stop_units=near(dice), triggered_at=NOW),
    "stop limit": lambda dice, side: an_order(
        OrderType.STOP_LIMIT, side, stop_units=near(dice), limit_units=near(dice)
    ),
    "triggered stop limit": lambda dice, side: an_order(
        OrderType.STOP_LIMIT, side, stop_units=near(dice), limit_units=near(dice), triggered_at=NOW
    ),
    "trail by amount": lambda dice, side: an_order(OrderType.TRAILING_STOP, side, trail_amount_units=7 * CENT),
    "trail by percent": lambda dice, side: an_order(
        OrderType.TRAILING_STOP, side, trail_percent_units=100_000, watermark_units=near(dice)
    ),
}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("trigger", list(Trigger))
def test_the_next_observation_found_is_the_one_the_rules_would_act_at(kind, trigger):
    dice = random.Random(f"{kind} {trigger}")
    found = 0
    for _ in range(30):
        tape, side = a_tape(dice, 40), dice.choice(list(Side))
        order, start = ORDERS[kind](dice, side), dice.randrange(10)
        expected = first_by_the_rules(order, tape, start, trigger)
        assert next_index(order, tape, start=start, trigger=trigger, on_touch=False, increments=RULE) == expected
        found += expected is not None
    assert found > 5


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("trail", [{"trail_amount_units": 333}, {"trail_percent_units": 3_333_333}])
@pytest.mark.parametrize("price", [999_900, 1_000_000, 149_980_000, 700_000_010_000])
def test_trailing_stops_on_the_tape_are_those_of_the_rules(side, trail, price):
    order = an_order(OrderType.TRAILING_STOP, side, **trail)
    marks = watermarks(order, np.array([0, price], np.int64))
    assert marks[0] == 0
    terms = OrderTerms(side=side, order_type=OrderType.TRAILING_STOP, watermark_units=price, **trail)
    assert trailing_stops(order, marks, increments=RULE)[1] == stop_price(terms, increments=RULE)
