"""Ten thousand random orders, sweep and exact rules against the slow reference: equal fills."""

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from brokers.enums import OrderType, Side, TimeInForce
from brokers.market_data.replay.quotes import Observations
from brokers.money import MONEY, QUANTITY
from brokers.simulator import candidates
from brokers.simulator.evidence import recompute
from brokers.simulator.fills import FillDecision, fill_against_bar, fill_against_quote
from brokers.simulator.matching import MarketBar, Observation, OrderTerms
from brokers.simulator.presets import LiquidityModel, SlippageModel, SlippagePlan, Trigger
from tests.brokers.simulator import reference
from tests.brokers.simulator.scenes import settings, shares

MARKETS = 50
ORDERS_PER_MARKET = 200
STEPS = 72
BARS = 24
TIFS = {
    OrderType.MARKET: [TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS],
    OrderType.LIMIT: [TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS],
    OrderType.STOP: [TimeInForce.DAY, TimeInForce.GTC],
    OrderType.STOP_LIMIT: [TimeInForce.DAY, TimeInForce.GTC],
    OrderType.TRAILING_STOP: [TimeInForce.DAY, TimeInForce.GTC],
}
TYPES = [
    OrderType.MARKET,
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.TRAILING_STOP,
]


@pytest.mark.parametrize("market", range(MARKETS))
def test_two_hundred_random_orders_fill_as_the_reference_says(market):
    chance = random.Random(market)
    rules, account = random_rules(chance)
    columns, looks, volumes = random_quotes(chance)
    orders = [random_order(chance, looks[0].last_units) for _ in range(ORDERS_PER_MARKET)]
    starts = [chance.randrange(STEPS // 2) for _ in orders]
    keys = [chance.getrandbits(64) for _ in orders]
    ours = follow(orders, starts, keys, columns, looks, volumes, account)
    said = [reference_quote(look, volume) for look, volume in zip(looks, volumes, strict=True)]
    for terms, start, key, fills in zip(orders, starts, keys, ours, strict=True):
        slow = reference_order(terms, key)
        reference.follow_quotes(slow, said, rules, start=start)
        assert fills == as_units(slow.fills), (terms, start)


@pytest.mark.parametrize("market", range(20))
def test_two_hundred_random_orders_fill_in_bars_as_the_reference_says(market):
    chance = random.Random(1_000 + market)
    rules, account = random_rules(chance)
    bars = random_bars(chance)
    said = [
        reference.Bar(
            dollars(bar.open_units),
            dollars(bar.high_units),
            dollars(bar.low_units),
            dollars(bar.close_units),
            bar.volume,
            bar.is_first,
            bar.is_last,
        )
        for bar in bars
    ]
    for _ in range(ORDERS_PER_MARKET):
        terms, key = random_order(chance, bars[0].open_units), chance.getrandbits(64)
        slow = reference_order(terms, key)
        reference.follow_bars(slow, said, rules)
        assert follow_in_bars(terms, key, bars, account) == as_units(slow.fills), terms


# ---------------------------------------------------------------------- the simulator's side


def follow(orders, starts, keys, columns, looks, volumes, account):
    """Run orders through the sweep and the exact rules, as the venue does: candidates only."""
    terms, fills, next_steps = list(orders), [[] for _ in orders], list(starts)
    used = [{} for _ in orders]
    working = list(range(len(orders)))
    while working:
        sweep = candidates.first_steps(
            candidates.order_columns([terms[i] for i in working]),
            np.array([next_steps[i] for i in working]),
            columns,
            trigger=Trigger.LAST,
            touches=account.fill_on_touch,
        )
        still = []
        for i, step, watermark in zip(working, sweep.step, sweep.watermark, strict=True):
            if step == STEPS:
                continue
            order = replace(
                terms[i],
                watermark_units=int(watermark) or None,
                is_resting=terms[i].is_resting or any((columns.is_regular & ~columns.is_halted)[starts[i] : step]),
            )
            context = shares(
                settings=account,
                order_key=keys[i],
                volume=volumes[step],
                used_units=used[i].get(step // 12, 0),
            )
            answer = fill_against_quote(order, looks[step], context=context)
            if isinstance(answer, FillDecision):
                fills[i].append((int(step), answer.quantity_units, answer.price_units))
                used[i][step // 12] = used[i].get(step // 12, 0) + answer.quantity_units
                assert recompute(answer.evidence) == (answer.price_units, 0, 0)
            terms[i] = after(order, answer)
            next_steps[i] = int(step) + 1
            if not (answer.ends_order or getattr(answer, "completes_order", False)):
                still.append(i)
        working = still
    return fills


def follow_in_bars(terms, key, bars, account):
    fills = []
    for index, bar in enumerate(bars):
        answer = fill_against_bar(terms, bar, context=shares(settings=account, order_key=key))
        if isinstance(answer, FillDecision):
            fills.append((index, answer.quantity_units, answer.price_units))
            assert recompute(answer.evidence) == (answer.price_units, 0, 0)
        terms = after(terms, answer)
        if answer.ends_order or getattr(answer, "completes_order", False):
            break
    return fills


def after(terms, answer):
    return replace(
        terms,
        filled_units=terms.filled_units + getattr(answer, "quantity_units", 0),
        watermark_units=answer.watermark_units,
        is_triggered=answer.is_triggered,
        attempts=answer.attempts,
    )


# ---------------------------------------------------------------------- the same in the reference's words


def dollars(units):
    return None if units is None else Fraction(units, MONEY)


def as_units(fills):
    return [(step, int(quantity * QUANTITY), int(price * MONEY)) for step, quantity, price in fills]


def reference_order(terms, key):
    return reference.Order(
        key=key,
        side=terms.side,
        type=terms.order_type,
        tif=terms.time_in_force,
        quantity=Fraction(terms.quantity_units, QUANTITY),
        limit=dollars(terms.limit_units),
        stop=dollars(terms.stop_units),
        trail=dollars(terms.trail_amount_units),
        percent=dollars(terms.trail_percent_units),
    )


def reference_quote(look, volume):
    return reference.Quote(
        last=dollars(look.last_units),
        bid=dollars(look.bid_units),
        ask=dollars(look.ask_units),
        bid_size=look.bid_size,
        ask_size=look.ask_size,
        regular=look.is_regular,
        halted=look.is_halted,
        opening=look.is_opening_print,
        closing=look.is_closing_print,
        volume=volume,
    )


# ---------------------------------------------------------------------- chance


def random_rules(chance):
    model = chance.choice(
        [
            SlippageModel.NONE,
            SlippageModel.FIXED_BPS,
            SlippageModel.SPREAD_FRACTION,
            SlippageModel.VOLUME_SHARE,
        ]
    )
    liquidity = chance.choice([LiquidityModel.SIZE] * 3 + [LiquidityModel.RANDOM_PARTIAL, LiquidityModel.UNLIMITED])
    touch = chance.random() < 0.5
    rules = reference.Rules(
        slippage=model,
        bps=Fraction(5),
        spread_fraction=Fraction(1, 4),
        liquidity=liquidity,
        participation=Fraction(1, 10),
        touch=touch,
    )
    account = settings(slippage=SlippagePlan(model=model), liquidity=liquidity, fill_on_touch=touch)
    return rules, account


def random_quotes(chance):
    """A walk with halts, closed steps, missing sides and wild prints; half of the walks cross 1.00."""
    tick, middle = (10_000, 10_000) if chance.random() < 0.5 else (100, 10_000)
    middle = middle * tick // 10_000 * 100 if tick == 100 else chance.randrange(2_000, 20_000)
    looks, volumes, volume = [], [], 0
    first, last = 3, STEPS - 4
    for step in range(STEPS):
        middle = max(50, middle + chance.choice([-9, -3, -1, 0, 0, 1, 3, 9]))
        bid, ask = middle - chance.randrange(1, 4), middle + chance.randrange(1, 4)
        print_ = chance.choice([bid, middle, ask, bid - 2, ask + 2]) + (
            chance.choice([-40, 40]) if chance.random() < 0.03 else 0
        )
        is_halted = chance.random() < 0.04
        if step % 12 == 0:
            volume = chance.choice([0, 7, 400, 5_000])
        side = chance.random()
        looks.append(
            Observation(
                at=1_777_000_000 + 5 * step,
                last_units=max(1, print_) * tick,
                bid_units=0 if is_halted or side < 0.03 else bid * tick,
                ask_units=0 if is_halted or side > 0.97 else ask * tick,
                bid_size=100 * chance.randrange(0, 4),
                ask_size=100 * chance.randrange(0, 4),
                is_regular=first <= step <= last,
                is_halted=is_halted,
                is_opening_print=step == first,
                is_closing_print=step == last,
                step=step,
            )
        )
        volumes.append(volume)
    return as_columns(looks), looks, volumes


def as_columns(looks):
    def column(name, kind=np.int64):
        return np.array([getattr(look, name) for look in looks], dtype=kind)

    return Observations(
        column("at"),
        column("last_units"),
        column("bid_units"),
        column("ask_units"),
        column("bid_size"),
        column("ask_size"),
        column("is_regular", bool),
        column("is_halted", bool),
    )


def random_bars(chance):
    price, bars = chance.randrange(2_000, 40_000), []
    for index in range(BARS):
        o = price + chance.choice([0, 0, 1, -1, 30, -30])
        walk = [o + chance.randrange(-25, 26) for _ in range(3)]
        bars.append(
            MarketBar(
                at=1_777_000_000 + 60 * index,
                open_units=o * 10_000,
                high_units=max(o, *walk) * 10_000,
                low_units=min(o, *walk) * 10_000,
                close_units=walk[-1] * 10_000,
                volume=chance.choice([0, 50, 2_000, 40_000]),
                is_first=index == 0,
                is_last=index == BARS - 1,
            )
        )
        price = walk[-1]
    return bars


def random_order(chance, near_units):
    """An order somewhere around a price, on its increment."""
    step = 10_000 if near_units >= 2_000_000 else 100

    def around():
        return max(step, near_units // step * step + chance.randrange(-30, 31) * step)

    kind = chance.choice(TYPES)
    fields = {}
    if kind is OrderType.TRAILING_STOP:
        if chance.random() < 0.5:
            fields["trail_amount_units"] = chance.randrange(1, 20) * step
        else:
            fields["trail_percent_units"] = chance.randrange(100_000, 1_000_000)
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        fields["stop_units"] = around()
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        fields["limit_units"] = around()
    return OrderTerms(
        side=chance.choice([Side.BUY, Side.SELL]),
        order_type=kind,
        time_in_force=chance.choice(TIFS[kind]),
        quantity_units=chance.choice([1, 30, 100, 350, 2_000]) * QUANTITY,
        **fields,
    )
