"""
A slow matcher for shares that follows the rules of the design one sentence at a time.

It shares no code with the simulator but the draw generator and the words for types and models. Prices and
quantities are exact fractions of dollars and shares, every step is looked at, nothing is skipped.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from brokers.enums import OrderType, Side, TimeInForce
from brokers.market_data.replay import draws
from brokers.simulator.presets import LiquidityModel, SlippageModel

PENNY = Fraction(1, 100)
HUNDREDTH_OF_A_PENNY = Fraction(1, 10_000)


@dataclass
class Quote:
    last: Fraction
    bid: Fraction
    ask: Fraction
    bid_size: int
    ask_size: int
    regular: bool
    halted: bool
    opening: bool
    closing: bool
    volume: int  # of the last complete minute


@dataclass
class Bar:
    o: Fraction
    h: Fraction
    l: Fraction  # noqa: E741
    c: Fraction
    volume: int
    first: bool
    last: bool


@dataclass
class Order:
    key: int
    side: Side
    type: OrderType
    tif: TimeInForce
    quantity: Fraction
    limit: Fraction | None = None
    stop: Fraction | None = None
    trail: Fraction | None = None
    percent: Fraction | None = None
    watermark: Fraction | None = None
    triggered: bool = False
    resting: bool = False
    done: bool = False
    filled: Fraction = Fraction(0)
    attempts: int = 0
    used: dict[int, Fraction] = field(default_factory=dict)
    fills: list[tuple[int, Fraction, Fraction]] = field(default_factory=list)

    @property
    def buys(self) -> bool:
        return self.side is Side.BUY


@dataclass
class Rules:
    slippage: SlippageModel
    bps: Fraction
    spread_fraction: Fraction
    liquidity: LiquidityModel
    participation: Fraction
    touch: bool
    spread_bps: Fraction = Fraction(2)


def increment(price: Fraction) -> Fraction:
    return PENNY if price >= 1 else HUNDREDTH_OF_A_PENNY


def up(price: Fraction) -> Fraction:
    return ceil(price / increment(price)) * increment(price)


def down(price: Fraction) -> Fraction:
    return floor(price / increment(price)) * increment(price)


def against_the_trader(order: Order, price: Fraction) -> Fraction:
    return up(price) if order.buys else max(down(price), HUNDREDTH_OF_A_PENNY)


def uniform(order: Order, attempt: int, stream: int) -> Fraction:
    drawn = draws.draw_one(order.key, attempt * 8 + stream)
    return (Fraction(drawn >> 11) + Fraction(1, 2)) / 2**53


# ---------------------------------------------------------------------- quotes


def follow_quotes(order: Order, quotes: list[Quote], rules: Rules, *, start: int) -> None:
    for step in range(start, len(quotes)):
        if order.done:
            return
        one_quote(order, quotes[step], rules, step)


def one_quote(order: Order, q: Quote, rules: Rules, step: int) -> None:
    # Regular hours only.
    if not q.regular:
        return
    if order.tif in (TimeInForce.OPG, TimeInForce.CLS):
        auction(order, q, rules, step)
        return
    price = None if q.halted else price_at_quote(order, q, rules, step)
    if price is not None:
        fill(order, price, rules, step, q.volume, q.ask_size if order.buys else q.bid_size, step // 12)
    # An order that came during a halt has not rested in the market yet.
    order.resting = order.resting or not q.halted
    if order.tif in (TimeInForce.IOC, TimeInForce.FOK):
        order.done = True


def price_at_quote(order: Order, q: Quote, rules: Rules, step: int):
    """Return what makes the price of a quantity, or None where the order does not trade."""
    far = q.ask if order.buys else q.bid
    if order.type is OrderType.MARKET:
        return market(order, q, rules)
    if order.type is OrderType.LIMIT:
        return limit(order, q, rules, step)
    if order.triggered:
        if order.type is OrderType.STOP_LIMIT:
            return limit(order, q, rules, step)
        return market(order, q, rules)
    # Trigger price: the last, unless outside the quote by more than one spread.
    trigger = q.last
    if q.bid and q.ask:
        spread = q.ask - q.bid
        if trigger > q.ask + spread or trigger < q.bid - spread:
            return None
    if order.type is OrderType.TRAILING_STOP:
        # The watermark is updated before the check and never moves back.
        if order.watermark is None:
            order.watermark = trigger
        elif order.buys:
            order.watermark = min(order.watermark, trigger)
        else:
            order.watermark = max(order.watermark, trigger)
        stop = trailing(order)
    else:
        stop = order.stop
    # Met exactly counts.
    order.triggered = trigger >= stop if order.buys else trigger <= stop
    if not order.triggered:
        return None
    if order.type is OrderType.STOP_LIMIT:
        # At the triggering quote min(limit, up(ask + slip)).
        if not far or (far > order.limit if order.buys else far < order.limit):
            return None
        return at_far_side(order, q, rules, bounded=True)
    return market(order, q, rules)


def trailing(order: Order) -> Fraction:
    trail = order.trail if order.trail is not None else order.watermark * order.percent / 100
    return up(order.watermark + trail) if order.buys else down(order.watermark - trail)


def market(order: Order, q: Quote, rules: Rules):
    # No quote on the needed side: it waits.
    return at_far_side(order, q, rules) if (q.ask if order.buys else q.bid) else None


def limit(order: Order, q: Quote, rules: Rules, step: int):
    far = q.ask if order.buys else q.bid
    marketable = bool(far) and (far <= order.limit if order.buys else far >= order.limit)
    if not order.resting:
        return at_far_side(order, q, rules, bounded=True) if marketable else None
    through = q.last < order.limit if order.buys else q.last > order.limit
    if marketable or through:
        return lambda quantity: order.limit
    if rules.touch and q.last == order.limit and uniform(order, step, 3) < Fraction(1, 4):
        return lambda quantity: order.limit
    return None


def at_far_side(order: Order, q: Quote, rules: Rules, *, bounded: bool = False):
    far = q.ask if order.buys else q.bid
    spread = q.ask - q.bid if q.ask and q.bid else far
    return made_worse(order, rules, far, far, spread, q.volume, bounded)


def made_worse(order, rules, price, ref, spread, volume, bounded):
    def at(quantity: Fraction) -> Fraction:
        slip = slippage(rules, ref, spread, quantity, volume)
        worse = against_the_trader(order, price + slip if order.buys else price - slip)
        if not bounded:
            return worse
        return min(order.limit, worse) if order.buys else max(order.limit, worse)

    return at


def slippage(rules: Rules, ref: Fraction, spread: Fraction, quantity: Fraction, volume: int) -> Fraction:
    if rules.slippage is SlippageModel.FIXED_BPS:
        return ref * rules.bps / 10_000
    if rules.slippage is SlippageModel.SPREAD_FRACTION:
        return rules.spread_fraction * spread
    if rules.slippage is SlippageModel.VOLUME_SHARE:
        share = min(quantity / volume, Fraction(25, 1000)) if volume else Fraction(25, 1000)
        return share**2 * Fraction(1, 10) * ref
    return Fraction(0)


def auction(order: Order, q: Quote, rules: Rules, step: int) -> None:
    if not (q.opening if order.tif is TimeInForce.OPG else q.closing):
        return
    order.done = True
    if q.halted or not print_within_limit(order, q.last):
        return
    spread = q.ask - q.bid if q.ask and q.bid else (q.ask if order.buys else q.bid)
    price = made_worse(order, rules, q.last, q.last, spread, q.volume, order.limit is not None)
    fill(order, price, rules, step, q.volume, q.ask_size if order.buys else q.bid_size, step // 12)


def print_within_limit(order: Order, price: Fraction) -> bool:
    if order.limit is None:
        return True
    return price <= order.limit if order.buys else price >= order.limit


# ---------------------------------------------------------------------- how much


def fill(order: Order, price, rules: Rules, step: int, volume: int, size: int | None, minute: int) -> None:
    remaining = order.quantity - order.filled
    if rules.liquidity is LiquidityModel.UNLIMITED:
        quantity = remaining
    elif rules.liquidity is LiquidityModel.RANDOM_PARTIAL:
        quantity = remaining
        if uniform(order, order.attempts, 0) < Fraction(1, 10):
            quantity = min(remaining, max(1, floor(uniform(order, order.attempts, 1) * remaining)))
    else:
        allowed = floor(max(size or 0, rules.participation * volume))
        allowed = max(allowed, 1 if volume else 0)
        quantity = max(0, min(remaining, allowed - order.used.get(minute, 0)))
    if order.tif is TimeInForce.FOK and quantity < remaining:
        return
    if quantity == 0:
        return
    order.attempts += 1
    order.used[minute] = order.used.get(minute, 0) + quantity
    order.filled += quantity
    order.done = order.done or order.filled == order.quantity
    order.fills.append((step, Fraction(quantity), price(Fraction(quantity))))


# ---------------------------------------------------------------------- bars


def follow_bars(order: Order, bars: list[Bar], rules: Rules) -> None:
    for index, bar in enumerate(bars):
        if order.done:
            return
        if order.tif in (TimeInForce.OPG, TimeInForce.CLS):
            if not (bar.first if order.tif is TimeInForce.OPG else bar.last):
                continue
            order.done = True
            print_ = bar.o if order.tif is TimeInForce.OPG else bar.c
            if not print_within_limit(order, print_):
                continue
            spread = 2 * half(bar.o, rules)
            price = made_worse(order, rules, print_, print_, spread, bar.volume, order.limit is not None)
        else:
            price = price_in_bar(order, bar, rules)
        if price is not None:
            fill(order, price, rules, index, bar.volume, None, index)
        if order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            order.done = True


def half(price: Fraction, rules: Rules) -> Fraction:
    return ceil(max(increment(price), rules.spread_bps * price / 10_000) / 2 / increment(price)) * increment(price)


def price_in_bar(order: Order, b: Bar, rules: Rules):
    buys = order.buys

    h = half(b.o, rules)

    def far(price):
        return price + h if buys else price - h

    def at(price, bounded=False):
        return made_worse(order, rules, far(price), price, 2 * h, b.volume, bounded)

    def beyond(price, stop):
        return price >= stop if buys else price <= stop

    def good(price):
        return price <= order.limit if buys else price >= order.limit

    if order.type is OrderType.LIMIT or (order.type is OrderType.STOP_LIMIT and order.triggered):
        if good(far(b.o)):
            return at(b.o, bounded=True)
        if order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            return None
        # At least one increment through the limit.
        through = up(b.l + increment(b.l)) <= order.limit if buys else b.h >= order.limit + increment(order.limit)
        return (lambda quantity: order.limit) if through else None
    if order.type is OrderType.MARKET or order.triggered:
        return at(b.o)
    worst = b.h if buys else b.l
    if order.type is OrderType.STOP:
        if not beyond(worst, order.stop):
            return None
        order.triggered = True
        return at(b.o) if beyond(b.o, order.stop) else at(order.stop)
    if order.type is OrderType.STOP_LIMIT:
        if not beyond(worst, order.stop):
            return None
        order.triggered = True
        if beyond(b.o, order.stop) and good(far(b.o)):
            return at(b.o, bounded=True)
        if good(b.c):
            return at(max(order.stop, b.c) if buys else min(order.stop, b.c), bounded=True)
        return None
    if order.watermark is None:
        order.watermark = b.o
    stop = trailing(order)
    if beyond(worst, stop):
        order.triggered = True
        return at(b.o) if beyond(b.o, stop) else at(stop)
    order.watermark = min(order.watermark, b.l) if buys else max(order.watermark, b.h)
    stop = trailing(order)
    if beyond(b.c, stop):
        order.triggered = True
        return at(stop)
    return None
