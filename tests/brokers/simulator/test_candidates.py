"""The sweep over whole columns: it finds every order that may act, and is fast."""

import random
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from brokers.enums import OrderType, Side, TimeInForce
from brokers.simulator import candidates
from brokers.simulator.candidates import Wait
from brokers.simulator.fills import FillDecision, fill_against_quote
from brokers.simulator.matching import Observation
from brokers.simulator.presets import Trigger
from brokers.simulator.trailing import stop_price
from tests.brokers.simulator.scenes import SHARES, order, price, settings, shares

UNITS = 1_000_000


@dataclass
class Columns:
    last: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    is_regular: np.ndarray
    is_halted: np.ndarray


def columns(*, last, bid=None, ask=None, closed=(), halted=()):
    """Prices in dollars; by default the quote is one cent around the last."""
    last = np.array([round(each * UNITS) for each in last], dtype=np.int64)
    length = np.arange(len(last))
    return Columns(
        last=last,
        bid=last - 10_000 if bid is None else np.array([round(each * UNITS) for each in bid]),
        ask=last + 10_000 if ask is None else np.array([round(each * UNITS) for each in ask]),
        is_regular=~np.isin(length, closed),
        is_halted=np.isin(length, halted),
    )


def first(terms, market, *, start=0, trigger=Trigger.LAST, touches=False):
    sweep = candidates.first_steps(
        candidates.order_columns([terms]), np.array([start]), market, trigger=trigger, touches=touches
    )
    return int(sweep.step[0]), int(sweep.watermark[0])


MARKET = columns(last=[10.00, 10.02, 9.97, 9.95, 10.05], halted=[3])


@pytest.mark.parametrize(
    ("terms", "step"),
    [
        (order("BUY"), 0),
        (order("BUY", "LIMIT", limit="10.01"), 0),
        (order("BUY", "LIMIT", limit="10.00"), 2),  # ask 9.98
        (order("BUY", "LIMIT", limit="9.97"), 5),  # last exactly at the limit; 9.95 was halted
        (order("SELL", "LIMIT", limit="10.02"), 4),
        (order("SELL", "LIMIT", limit="10.04"), 4),  # bid exactly
        (order("SELL", "LIMIT", limit="10.05"), 5),
        (order("BUY", "STOP", stop="10.02"), 1),  # exactly
        (order("BUY", "STOP", stop="10.03"), 4),
        (order("SELL", "STOP", stop="9.97"), 2),
        (order("SELL", "STOP", stop="9.96"), 5),
        (order("SELL", "STOP", stop="9.00", is_triggered=True), 0),
        (order("BUY", "STOP_LIMIT", stop="10.02", limit="9.99"), 1),
        (order("BUY", "STOP_LIMIT", stop="10.02", limit="9.99", is_triggered=True), 2),
        (order("BUY", "LIMIT", limit="9.00", time_in_force=TimeInForce.IOC), 0),
    ],
)
def test_the_first_step_at_which_an_order_may_act(terms, step):
    assert first(terms, MARKET)[0] == step


def test_a_touch_counts_only_where_touches_fill():
    touched = order("BUY", "LIMIT", limit="9.97")
    assert first(touched, MARKET, touches=True)[0] == 2


def test_nothing_before_its_start_counts():
    assert first(order("BUY", "LIMIT", limit="10.01"), MARKET, start=1)[0] == 2
    assert first(order("BUY"), MARKET, start=3)[0] == 4
    assert first(order("BUY"), MARKET, start=5)[0] == 5
    assert first(order("BUY"), MARKET, start=9)[0] == 5


def test_closed_hours_count_for_extended_orders_alone():
    market = columns(last=[9.00, 10.00], closed=[0])
    assert first(order("BUY", "LIMIT", limit="9.50"), market)[0] == 2
    assert first(order("BUY", "LIMIT", limit="9.50", extended_hours=True), market)[0] == 0


def test_a_missing_side_is_no_price():
    market = columns(last=[10.00, 10.00], bid=[0, 9.99], ask=[10.01, 0])
    assert first(order("SELL"), market)[0] == 1
    assert first(order("BUY"), market, start=1)[0] == 2
    assert first(order("BUY", "LIMIT", limit="10.00"), market)[0] == 2


def test_a_trailing_stop_brings_its_watermark_along():
    market = columns(last=[10.00, 10.40, 10.20, 9.90, 11.00])
    terms = order("SELL", "TRAILING_STOP", trail_amount="0.50")
    assert first(terms, market) == (3, price("10.40"))
    assert first(terms, market, start=4) == (5, price("11.00"))
    earlier = replace(terms, watermark_units=price("12.00"))
    assert first(earlier, market) == (0, price("12.00"))
    rising = order("BUY", "TRAILING_STOP", trail_percent="10")
    assert first(rising, market) == (4, price("9.90"))  # 9.90 + 0.99 = 10.89


def test_wild_prints_wake_nothing():
    market = columns(last=[10.00, 15.00, 10.00], bid=[9.99] * 3, ask=[10.01] * 3)
    assert first(order("BUY", "STOP", stop="11.00"), market)[0] == 3
    assert first(order("SELL", "TRAILING_STOP", trail_amount="1.00"), market) == (3, price("10.00"))


@pytest.mark.parametrize("trigger", list(Trigger))
@pytest.mark.parametrize("seed", range(3))
def test_one_price_vector_names_every_order_that_fills_or_changes(trigger, seed):
    chance = random.Random(seed)
    looks = [random_look(chance) for _ in range(40)]
    market = Columns(
        last=np.array([look.last_units for look in looks]),
        bid=np.array([look.bid_units for look in looks]),
        ask=np.array([look.ask_units for look in looks]),
        is_regular=np.array([look.is_regular for look in looks]),
        is_halted=np.array([look.is_halted for look in looks]),
    )
    orders = [random_order(chance) for _ in range(1_500)]
    where = np.array([chance.randrange(len(looks)) for _ in orders])
    rows = candidates.watch_rows(with_trailing_stops(orders), where, instruments=len(looks))
    table = candidates.price_table(market, trigger=trigger, touches=False)
    named = set(candidates.acting(rows, table).tolist())
    context = shares(settings=settings(share_trigger=trigger))
    acted = set()
    for index, (terms, at) in enumerate(zip(orders, where, strict=True)):
        answer = fill_against_quote(terms, looks[at], context=context)
        changed = (answer.watermark_units, answer.is_triggered) != (
            terms.watermark_units,
            terms.is_triggered,
        )
        if isinstance(answer, FillDecision) or changed:
            acted.add(index)
    assert acted
    assert acted <= named
    # What is named beyond that has touched a stop's or limit's price and waits for a quote: rare.
    assert len(named - acted) < len(orders) // 20


def with_trailing_stops(orders):
    sheet = candidates.order_columns(orders)
    known = (sheet.wait == Wait.TRAILING) & (sheet.watermark > 0)
    for index in np.flatnonzero(known):
        sheet.stop[index] = stop_price(orders[index], increments=SHARES)
    return sheet


def random_look(chance):
    middle = chance.randrange(900, 1_100) * 10_000
    return Observation(
        at=1_777_000_000,
        last_units=middle + chance.choice([-1, 0, 0, 1, 60]) * 10_000,
        bid_units=0 if chance.random() < 0.05 else middle - 10_000,
        ask_units=0 if chance.random() < 0.05 else middle + 10_000,
        is_regular=chance.random() < 0.8,
        is_halted=chance.random() < 0.1,
    )


def random_order(chance):
    kind = chance.choice(["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"])
    cents = f"{chance.randrange(900, 1_100) / 100:.2f}"
    near = f"{chance.randrange(900, 1_100) / 100:.2f}"
    fields = {"is_resting": True}
    if kind == "TRAILING_STOP":
        fields["trail_percent" if chance.random() < 0.5 else "trail_amount"] = "0.50"
        fields |= {"watermark": cents} if chance.random() < 0.9 else {}
    if kind in ("LIMIT", "STOP_LIMIT"):
        fields["limit"] = cents
    if kind in ("STOP", "STOP_LIMIT"):
        fields["stop"] = near
    if kind == "LIMIT" and chance.random() < 0.3:
        fields["extended_hours"] = True
    return order(chance.choice(["BUY", "SELL"]), kind, 1, **fields)


def test_what_orders_wait_for():
    assert candidates.wait_of(order("BUY", "STOP_LIMIT", stop="1", limit="1")) is Wait.STOP
    assert candidates.wait_of(order("BUY", "STOP", stop="1", is_triggered=True)) is Wait.NOW
    assert candidates.wait_of(order("BUY", time_in_force=TimeInForce.OPG)) is Wait.LOOK
    trailing = order("SELL", "TRAILING_STOP", trail_amount="1")
    assert (trailing.order_type, trailing.side) == (OrderType.TRAILING_STOP, Side.SELL)
    assert candidates.wait_of(trailing) is Wait.TRAILING


@pytest.mark.benchmark
def test_a_sweep_of_100_000_resting_orders_costs_no_more_than_ten_plain_comparisons():
    """The target is a millisecond; on a loaded machine only the ratio to plain numpy is steady."""
    generator = np.random.default_rng(7)
    count, instruments = 100_000, 500
    last = generator.integers(1_000, 20_000, instruments) * 10_000
    market = Columns(last, last - 10_000, last + 10_000, np.ones(instruments, bool), np.zeros(instruments, bool))
    where = generator.integers(0, instruments, count)
    side, wait = generator.choice([1, -1], count), generator.choice([1, 2, 3], count, p=[0.6, 0.3, 0.1])
    near, none = last[where], np.zeros(count, dtype=np.int64)
    sheet = candidates.OrderColumns(
        side=side,
        wait=wait,
        limit=near - side * near // 50,
        stop=near + side * near // 50,
        trail_amount=none + UNITS,
        trail_percent=none,
        watermark=near,
        extended_hours=none.astype(bool),
    )
    rows = candidates.watch_rows(sheet, where, instruments=instruments)

    def sweep():
        table = candidates.price_table(market, trigger=Trigger.LAST, touches=False)
        candidates.acting(rows, table)

    def plain():
        for _ in range(10):
            np.flatnonzero(last[where] <= near)

    assert best_of(sweep) < best_of(plain)


def best_of(task, *, times=15):
    def once():
        begun = time.perf_counter()
        task()
        return time.perf_counter() - begun

    return min(once() for _ in range(times))
