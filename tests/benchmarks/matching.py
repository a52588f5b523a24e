"""Matching in memory: the sweep of resting orders and exact fills, against plain loops and other engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import numpy as np

from brokers.enums import InstrumentKind, OrderType, Side
from brokers.instruments import increment_rule
from brokers.money import MONEY, QUANTITY, money_value, quantity_value
from brokers.simulator.candidates import OrderColumns, Wait, acting, price_table, watch_rows
from brokers.simulator.fills import FillContext, FillDecision, TradedInstrument, fill_against_quote
from brokers.simulator.presets import PRESETS, Trigger
from brokers.simulator.terms import Observation, OrderTerms

from . import peers
from .desks import SEED
from .measure import Outcome, Way, interleave

SYMBOLS = 500
SIZES = {"small": (100_000, 2_000), "full": (100_000, 10_000)}  # resting orders, fills
SWEEP_TARGET_MS, PEER_TARGET, FILLS_TARGET, LOOP_TARGET = 1.0, 50, 250_000, 5
SWEEPS = 20  # one sweep is too short to time
CENT = Decimal("0.01")


def run(size: str) -> Outcome:
    resting, fills = SIZES[size]
    outcome = Outcome(name="matching")
    sweep(outcome, resting)
    exact_fills(outcome, fills)
    return outcome


# The sweep ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One look at every symbol."""

    last: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    is_regular: np.ndarray
    is_halted: np.ndarray


def sweep(outcome: Outcome, count: int) -> None:
    """Limits and stops far from the market, a few within reach; who may act at these prices?"""
    columns, instrument = resting_orders(count)
    market = price_vector()
    rows = watch_rows(columns, instrument, instruments=SYMBOLS)
    listed = list(
        zip(
            *(getattr(columns, name).tolist() for name in ("side", "wait", "limit", "stop")),
            instrument.tolist(),
            strict=True,
        )
    )
    prices = [each.tolist() for each in (market.last, market.bid, market.ask)]
    ways = [
        Way(
            name=f"ours: sweep of {count:,} orders, {SWEEPS} times",
            size=count * SWEEPS,
            run=lambda _: [
                acting(rows, price_table(market, trigger=Trigger.LAST, touches=False)) for _ in range(SWEEPS)
            ],
        ),
        Way(name="the same in a Python loop, once", size=count, run=lambda _: sweep_in_python(listed, *prices)),
    ]
    ours, plain = interleave(ways).values()
    outcome.timings += [ours, plain]
    outcome.must_equal(
        [each.tolist() for each in ours.answers[0]],
        [plain.answers[0]] * SWEEPS,
        f"{len(plain.answers[0]):,} of {count:,} resting orders may act",
    )
    milliseconds = ours.seconds / SWEEPS * 1_000
    outcome.at_most(f"milliseconds for a sweep of {count:,} resting orders", milliseconds, SWEEP_TARGET_MS)


def resting_orders(count: int) -> tuple[OrderColumns, np.ndarray]:
    draw = np.random.default_rng(SEED)
    side = draw.choice([-1, 1], count)
    wait = draw.choice([Wait.LIMIT, Wait.STOP], count).astype(np.int64)
    instrument = draw.integers(0, SYMBOLS, count)
    middle = price_vector().last[instrument]
    # A buy waits below the market for its limit and above it for its stop; one in fifty is within reach.
    away = draw.integers(-2, 98, count) * middle // 1_000
    price = np.where((wait == Wait.LIMIT) == (side > 0), middle - away, middle + away)
    none = np.zeros(count, dtype=np.int64)
    return (
        OrderColumns(
            side=side,
            wait=wait,
            limit=np.where(wait == Wait.LIMIT, price, 0),
            stop=np.where(wait == Wait.STOP, price, 0),
            trail_amount=none,
            trail_percent=none,
            watermark=none,
            extended_hours=none.astype(bool),
        ),
        instrument,
    )


def price_vector() -> Vector:
    middle = np.random.default_rng(SEED + 1).integers(10, 900, SYMBOLS) * MONEY
    half = MONEY // 100
    return Vector(
        last=middle,
        bid=middle - half,
        ask=middle + half,
        is_regular=np.ones(SYMBOLS, bool),
        is_halted=np.zeros(SYMBOLS, bool),
    )


def sweep_in_python(orders: Sequence[tuple], last: list[int], bid: list[int], ask: list[int]) -> list[int]:
    """The rules as sentences: a limit trades against the far side or behind a print through it; a stop wakes."""
    found = []
    for number, (side, wait, limit, stop, symbol) in enumerate(orders):
        if wait == Wait.LIMIT:
            is_buy_hit = side > 0 and (ask[symbol] <= limit or last[symbol] < limit)
            hit = is_buy_hit or (side < 0 and (bid[symbol] >= limit or last[symbol] > limit))
        else:
            hit = last[symbol] >= stop if side > 0 else last[symbol] <= stop
        if hit:
            found.append(number)
    return found


# Exact fills -------------------------------------------------------------------------------------------


def exact_fills(outcome: Outcome, count: int) -> None:
    """Market and marketable limit orders, each with its own quote; no friction, so that all can agree."""
    orders = [wish(number) for number in range(count)]
    quotes = [quote(number) for number in range(count)]
    context = frictionless()
    numbers = [as_numbers(order, seen) for order, seen in zip(orders, quotes, strict=True)]
    decimals = [as_decimals(row) for row in numbers]
    ways = [
        Way(
            name="ours: exact fills with evidence",
            size=count,
            run=lambda _: [
                fill_against_quote(order, seen, context=context) for order, seen in zip(orders, quotes, strict=True)
            ],
        ),
        Way(name="bare loop over integers", size=count, run=lambda _: fill_integers(numbers)),
        Way(name="bare loop over Decimal", size=count, run=lambda _: fill_decimals(decimals)),
        *peers.ways(count),
    ]
    timings = list(interleave(ways).values())
    outcome.timings += timings
    ours, integers, plain = timings[:3]
    result = [shown(decision) for decision in ours.answers[0]]
    outcome.must_equal(result, plain.answers[0], f"{count:,} fills, ours and Decimal: quantity, price, money")
    outcome.must_equal(
        result,
        [(quantity_value(q), money_value(p), money_value(m)) for q, p, m in integers.answers[0]],
        f"{count:,} fills, ours and integers: quantity, price, money",
    )
    outcome.at_least("exact fills a second", ours.size / ours.seconds, FILLS_TARGET)
    outcome.at_most("times the bare loop over integers", ours.seconds / integers.seconds, LOOP_TARGET)
    for timing in timings[3:]:
        peers.check(outcome, timing)
        outcome.ratio_at_least(f"fills a second, against {timing.name}", timing, ours, PEER_TARGET)
    outcome.notes += [
        "Ours checks the envelope, liquidity, cash, costs and writes the evidence of each fill; the loops do not.",
        *peers.missing(),
    ]


def wish(number: int) -> OrderTerms:
    draw = Random(SEED + number)
    side = draw.choice((Side.BUY, Side.SELL))
    is_limit = draw.random() < 0.5
    limit = quote(number).last_units + side.sign * draw.randint(2, 50) * MONEY // 100
    return OrderTerms(
        side=side,
        order_type=OrderType.LIMIT if is_limit else OrderType.MARKET,
        quantity_units=draw.randint(1, 500) * QUANTITY,
        limit_units=limit if is_limit else None,
    )


def quote(number: int) -> Observation:
    middle = Random(SEED - number).randint(10_00, 900_00) * MONEY // 100
    half = MONEY // 100
    return Observation(
        at=1_794_000_000 + number,
        last_units=middle,
        bid_units=middle - half,
        ask_units=middle + half,
        bid_size=1_000,
        ask_size=1_000,
        source="benchmark",
    )


def frictionless() -> FillContext:
    rule = increment_rule(kind=InstrumentKind.EQUITY, symbol="SHARE", override=None, penny_programme=False)
    return FillContext(
        settings=PRESETS["FRICTIONLESS"],
        instrument=TradedInstrument(kind=InstrumentKind.EQUITY, increments=rule),
        order_key=SEED,
        trade_date=date(2026, 11, 13),
        volume=1_000_000,
        cash_units=10**9 * MONEY,
    )


def as_numbers(order: OrderTerms, seen: Observation) -> tuple[int, int, int, int, int | None]:
    return order.side.sign, order.quantity_units or 0, seen.bid_units, seen.ask_units, order.limit_units


def as_decimals(row: tuple[int, int, int, int, int | None]) -> tuple:
    side, quantity, bid, ask, limit = row
    limit_price = None if limit is None else money_value(limit)
    return side, quantity_value(quantity), money_value(bid), money_value(ask), limit_price


def fill_integers(rows: Sequence[tuple]) -> list[tuple[int, int, int]]:
    found, cent, scale = [], MONEY // 100, QUANTITY * MONEY // 100
    for side, quantity, bid, ask, limit in rows:
        price = ask if side > 0 else bid
        if limit is None or (price <= limit if side > 0 else price >= limit):
            found.append((quantity, price, (2 * price * quantity + scale) // (2 * scale) * cent))
    return found


def fill_decimals(rows: Sequence[tuple]) -> list[tuple[Decimal, Decimal, Decimal]]:
    found = []
    for side, quantity, bid, ask, limit in rows:
        price = ask if side > 0 else bid
        if limit is None or (price <= limit if side > 0 else price >= limit):
            found.append((quantity, price, (price * quantity).quantize(CENT, ROUND_HALF_UP)))
    return found


def shown(decision: object) -> tuple[Decimal, Decimal, Decimal] | None:
    if not isinstance(decision, FillDecision):
        return None
    return (
        quantity_value(decision.quantity_units),
        money_value(decision.price_units),
        money_value(decision.notional_units),
    )
