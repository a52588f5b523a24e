"""
Which orders may do something: a sweep of whole columns, before the exact rules look at the few that may.

Every rule of matching becomes one comparison, `series <= threshold`, of 64-bit integers: prices that must
rise or lie above are negated. The sweep never misses an order that would act; it may name one that will not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from brokers.enums import OrderType, Side, TimeInForce
from brokers.simulator.presets import Trigger
from brokers.simulator.terms import OrderTerms
from brokers.simulator.trailing import PERCENT

NEVER = np.iinfo(np.int64).max
_PERCENT_STEP = 1_000  # watermarks are divided by it first, so that the product stays within 64 bits


class Wait(IntEnum):
    """What an order is waiting for now: a triggered stop is NOW, a triggered stop limit is LIMIT."""

    NOW = 0
    LIMIT = 1
    STOP = 2
    TRAILING = 3
    LOOK = 4  # its one evaluation, whatever the market: ioc, fok, opg, cls


class Series(IntEnum):
    """One column of the market per question; a step answers yes where it is at or below the threshold."""

    LIMIT_BUY = 0
    LIMIT_SELL = 1
    RISE = 2
    FALL = 3
    NEW_LOW = 4
    NEW_HIGH = 5
    BUY_NOW = 6
    SELL_NOW = 7
    LOOK = 8


_SERIES_OF = np.array(  # by Wait, then buy and sell
    [
        [Series.BUY_NOW, Series.SELL_NOW],
        [Series.LIMIT_BUY, Series.LIMIT_SELL],
        [Series.RISE, Series.FALL],
        [Series.RISE, Series.FALL],
        [Series.LOOK, Series.LOOK],
    ]
)


class MarketColumns(Protocol):
    """Prices in units (0: missing) and flags, one entry a step or an instrument. Replay's columns fit."""

    last: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    is_regular: np.ndarray
    is_halted: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderColumns:
    """
    Working orders, one entry each: `side` is +1 or -1, prices units, 0 where a field does not apply.

    `stop` of a trailing stop is where it stands at `watermark`; both are 0 before its first price.
    """

    side: np.ndarray
    wait: np.ndarray
    limit: np.ndarray
    stop: np.ndarray
    trail_amount: np.ndarray
    trail_percent: np.ndarray
    watermark: np.ndarray
    extended_hours: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """
    For each order the first step at which it may act (the number of steps: none).

    `watermark` is what a trailing stop has seen before that step, 0 when nothing.
    """

    step: np.ndarray
    watermark: np.ndarray


def order_columns(orders: Sequence[OrderTerms]) -> OrderColumns:
    """Return orders as columns. Trailing stops get no `stop`: `first_steps` follows their watermark."""
    rows = [
        (
            order.side.sign,
            wait_of(order),
            order.limit_units or 0,
            order.stop_units or 0,
            order.trail_amount_units or 0,
            order.trail_percent_units or 0,
            order.watermark_units or 0,
            order.extended_hours,
        )
        for order in orders
    ]
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), 8).T
    return OrderColumns(
        side=columns[0],
        wait=columns[1],
        limit=columns[2],
        stop=columns[3],
        trail_amount=columns[4],
        trail_percent=columns[5],
        watermark=columns[6],
        extended_hours=columns[7].astype(bool),
    )


def wait_of(order: OrderTerms) -> Wait:
    """Return what an order is waiting for now."""
    if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS):
        return Wait.LOOK
    if order.order_type is OrderType.LIMIT:
        return Wait.LIMIT
    if order.is_triggered:
        return Wait.LIMIT if order.order_type is OrderType.STOP_LIMIT else Wait.NOW
    if order.order_type is OrderType.TRAILING_STOP:
        return Wait.TRAILING
    return Wait.NOW if order.order_type is OrderType.MARKET else Wait.STOP


# ---------------------------------------------------------------------- many steps of one instrument


def first_steps(
    orders: OrderColumns, starts: np.ndarray, market: MarketColumns, *, trigger: Trigger, touches: bool
) -> FirstSteps:
    """
    Return for each order of one instrument the first step >= its start at which it may act.

    `touches`: limit orders may fill on a mere touch. One pass per distinct start and question, whatever
    the number of orders.
    """
    steps = len(market.last)
    tables = [series_table(market, trigger=trigger, touches=touches, extended=extended) for extended in (False, True)]
    first = np.full(len(starts), steps, dtype=np.int64)
    series = _SERIES_OF[orders.wait, (orders.side < 0).astype(np.int64)]
    threshold = _thresholds(orders)
    is_trailing = orders.wait == Wait.TRAILING
    groups = np.stack([orders.extended_hours.astype(np.int64), series, np.minimum(starts, steps)])
    plain = np.flatnonzero(~is_trailing)
    if len(plain):
        found, member = np.unique(groups[:, plain], axis=1, return_inverse=True)
        member = member.reshape(-1)
        for index, (extended, question, start) in enumerate(found.T):
            of_group = plain[member == index]
            column = tables[extended][question, start:]
            first[of_group] = start + _first_at_or_below(column, threshold[of_group])
    watermark = orders.watermark.copy()
    for index in np.flatnonzero(is_trailing):
        first[index], watermark[index] = _first_trailing(orders, index, int(starts[index]), tables[0])
    return FirstSteps(step=first, watermark=watermark)


def _first_at_or_below(column: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return for each threshold the first index whose value does not exceed it, or the length."""
    falling = np.minimum.accumulate(column)
    # Bitwise complement reverses the order of integers without the overflow of a negated minimum.
    return np.searchsorted(~falling, ~thresholds, side="left")


def _first_trailing(orders: OrderColumns, index: int, start: int, table: np.ndarray) -> tuple[int, int]:
    """Follow one trailing stop's watermark; return its first step and the watermark before it."""
    steps, is_buy = table.shape[1], orders.side[index] > 0
    if start >= steps:
        return steps, int(orders.watermark[index])
    # In both directions the extreme so far is a running minimum: highs are negated in the table.
    extreme = np.minimum.accumulate(table[Series.NEW_LOW if is_buy else Series.NEW_HIGH, start:])
    earlier = int(orders.watermark[index])
    if earlier:
        extreme = np.minimum(extreme, earlier if is_buy else -earlier)
    known = extreme != NEVER
    watermark = np.where(known, extreme if is_buy else -extreme, 0)
    trail = int(orders.trail_amount[index])
    if not trail:
        percent = int(orders.trail_percent[index])
        trail = watermark // _PERCENT_STEP * percent // (PERCENT // _PERCENT_STEP)
    # Rounding moves a stop away from the price, so the exact stop is never reached before this one.
    threshold = -(watermark + trail) if is_buy else watermark - trail
    reaching = table[Series.RISE if is_buy else Series.FALL, start:] <= threshold
    hits = np.flatnonzero(reaching & known)
    if not len(hits):
        return steps, int(watermark[-1])
    hit = int(hits[0])
    return start + hit, int(watermark[hit - 1]) if hit else earlier


# ---------------------------------------------------------------------- one price of many instruments


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRows:
    """What a price vector is compared with: `slot` finds the price, `order` the order that asked."""

    slot: np.ndarray
    threshold: np.ndarray
    order: np.ndarray


def watch_rows(orders: OrderColumns, instrument: np.ndarray, *, instruments: int) -> WatchRows:
    """
    Prepare resting orders for many sweeps; `instrument` is each order's index into the price vectors.

    A trailing stop takes two rows: a new extreme, and its stop.
    """
    series = _SERIES_OF[orders.wait, (orders.side < 0).astype(np.int64)]
    threshold = _thresholds(orders)
    trailing = np.flatnonzero(orders.wait == Wait.TRAILING)
    unseen = trailing[orders.watermark[trailing] == 0]
    threshold[unseen] = -NEVER
    extreme = np.where(orders.side > 0, Series.NEW_LOW, Series.NEW_HIGH)[trailing]
    beyond = np.where(orders.watermark[trailing] == 0, NEVER - 1, (orders.side * orders.watermark)[trailing] - 1)
    everyone = np.arange(len(orders.side))
    order = np.concatenate([everyone, trailing])
    question = np.concatenate([series, extreme]) + len(Series) * orders.extended_hours[order]
    return WatchRows(
        slot=question * instruments + instrument[order],
        threshold=np.concatenate([threshold, beyond]),
        order=order,
    )


def price_table(market: MarketColumns, *, trigger: Trigger, touches: bool) -> np.ndarray:
    """Return one look at many instruments in the layout that `acting` compares: flat, one slot each."""
    return np.concatenate(
        [
            series_table(market, trigger=trigger, touches=touches, extended=extended).reshape(-1)
            for extended in (False, True)
        ]
    )


def acting(rows: WatchRows, table: np.ndarray) -> np.ndarray:
    """Return the orders, ascending, that may act at these prices: one comparison a row."""
    hits = np.flatnonzero(table[rows.slot] <= rows.threshold)
    return np.unique(rows.order[hits])


# ---------------------------------------------------------------------- the questions


def series_table(market: MarketColumns, *, trigger: Trigger, touches: bool, extended: bool) -> np.ndarray:
    """Return all series of one market, one row each; where nothing can happen they are NEVER."""
    is_open = np.ones(len(market.last), bool) if extended else market.is_regular
    trades = is_open & ~market.is_halted
    has_ask, has_bid, has_print = (
        trades & (market.ask > 0),
        trades & (market.bid > 0),
        trades & (market.last > 0),
    )
    through = 0 if touches else 1
    table = np.full((len(Series), len(market.last)), NEVER, dtype=np.int64)
    table[Series.LIMIT_BUY] = np.minimum(
        np.where(has_ask, market.ask, NEVER), np.where(has_print, market.last + through, NEVER)
    )
    table[Series.LIMIT_SELL] = np.minimum(
        np.where(has_bid, -market.bid, NEVER), np.where(has_print, through - market.last, NEVER)
    )
    for_buys = _triggers(market, trades, Side.BUY, trigger)
    for_sells = _triggers(market, trades, Side.SELL, trigger)
    table[Series.RISE] = np.where(for_buys > 0, -for_buys, NEVER)
    table[Series.NEW_LOW] = np.where(for_buys > 0, for_buys, NEVER)
    table[Series.FALL] = np.where(for_sells > 0, for_sells, NEVER)
    table[Series.NEW_HIGH] = np.where(for_sells > 0, -for_sells, NEVER)
    table[Series.BUY_NOW] = np.where(has_ask, 0, NEVER)
    table[Series.SELL_NOW] = np.where(has_bid, 0, NEVER)
    table[Series.LOOK] = np.where(is_open, 0, NEVER)
    return table


def _triggers(market: MarketColumns, trades: np.ndarray, side: Side, trigger: Trigger) -> np.ndarray:
    """Return the trigger prices of stops by the rule of `trigger_price`; 0 where there is none to trust."""
    bid, ask, last = market.bid, market.ask, market.last
    both = (bid > 0) & (ask > 0)
    if trigger is Trigger.QUOTE:
        return np.where(trades, ask if side is Side.BUY else bid, 0)
    if trigger is Trigger.MARK:
        return np.where(trades & both, (bid + ask + 1) // 2, 0)
    spread = ask - bid
    is_trusted = ~both | ((last >= bid - spread) & (last <= ask + spread))
    return np.where(trades & is_trusted, last, 0)


def _thresholds(orders: OrderColumns) -> np.ndarray:
    """Return what an order's series must not exceed: a limit as it is, a stop negated, for sells reversed."""
    is_limit = orders.wait == Wait.LIMIT
    is_stop = (orders.wait == Wait.STOP) | (orders.wait == Wait.TRAILING)
    return orders.side * np.where(is_limit, orders.limit, np.where(is_stop, -orders.stop, 0))
