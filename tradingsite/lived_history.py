"""
The demo's past: a person trades for some sessions in the replay market, through the same verbs as everybody.

Nothing is invented here: orders go to the simulated venue at past moments of the desk's clock, fills come
back through the door, and every tick that would have run leaves its marks and snapshots.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.enums import OrderType, Side, TimeInForce
from brokers.market_data import calendar, prices
from brokers.market_data.calendar import Session
from brokers.market_data.prices import Price
from monitoring import tick
from portfolio import orders, portfolios
from portfolio.enums import Origin
from portfolio.models import Portfolio, User

SESSIONS = 15
CASH = Decimal(100_000)
NAME = "Demo desk"
ACTOR = "demo"
STEPS = (timedelta(0), timedelta(hours=1), timedelta(hours=3), timedelta(hours=6))


@dataclass(frozen=True, slots=True)
class Act:
    """What the person does on one session: money to put in or, negative, the share of a holding to sell."""

    session: int
    symbol: str
    side: Side
    dollars: int = 0
    share: Decimal = Decimal(1)
    order_type: OrderType = OrderType.MARKET
    offset_percent: Decimal = Decimal(0)
    time_in_force: TimeInForce = TimeInForce.DAY
    note: str = ""


# Distances are in percent of the price at the time.
ACTS = (
    Act(0, "SPY", Side.BUY, 12_000, note="Core holding."),
    Act(0, "TLT", Side.BUY, 8_000, note="Ballast."),
    Act(
        1,
        "NVDA",
        Side.BUY,
        9_000,
        order_type=OrderType.LIMIT,
        offset_percent=Decimal("-0.4"),
        note="Wait for a dip.",
    ),
    Act(3, "XOM", Side.BUY, 7_500),
    Act(4, "GLD", Side.BUY, 6_000),
    Act(6, "XOM", Side.SELL, note="Changed my mind."),
    Act(7, "MSFT", Side.BUY, 10_000, order_type=OrderType.LIMIT, offset_percent=Decimal("0.1")),
    Act(9, "TLT", Side.SELL, share=Decimal("1")),
    Act(10, "AMD", Side.BUY, 5_000, order_type=OrderType.STOP, offset_percent=Decimal("0.3"), note="Breakout."),
    Act(12, "GLD", Side.SELL),
    Act(13, "QQQ", Side.BUY, 9_000),
    Act(
        13,
        "SPY",
        Side.SELL,
        order_type=OrderType.STOP,
        offset_percent=Decimal(-6),
        time_in_force=TimeInForce.GTC,
        note="Protect the core.",
    ),
)


def live(user: User, *, until: datetime, say: Callable[[str], None]) -> Portfolio:
    """Trade from 15 sessions before `until` up to it, and return the portfolio as it then stands."""
    sessions = last_sessions(until)
    portfolio = portfolios.open(
        user=user, name=NAME, cash=CASH, actor=ACTOR, now=sessions[0].open - timedelta(minutes=10)
    )
    for number, session in enumerate(sessions):
        say(f"  {session.date:%a %b %d}: session {number + 1} of {len(sessions)}")
        for moment in moments(session, until=until):
            tick.run([Portfolio.objects.get(pk=portfolio.pk)], now=moment)
            if moment == session.open + STEPS[1]:
                act(portfolio, number, now=moment)
    portfolio.refresh_from_db()
    tick.run([portfolio], now=until)
    return portfolio


def last_sessions(until: datetime) -> list[Session]:
    """The sessions that have opened by `until`, today's included, the last 15 of them."""
    found = [calendar.latest_open(until)]
    while len(found) < SESSIONS:
        found.insert(0, calendar.previous_session(found[0].date))
    return found


def moments(session: Session, *, until: datetime) -> Iterator[datetime]:
    """Before the open, some times of the day, and after the close, as far as `until` allows."""
    times = [session.open - timedelta(minutes=4), *(session.open + step for step in STEPS)]
    times = [at for at in times if at < session.close] + [session.close + timedelta(minutes=6)]
    return (at for at in times if at < until)


def act(portfolio: Portfolio, number: int, *, now: datetime) -> None:
    """Place the session's orders; what the market makes of them is the market's business."""
    for index, item in enumerate(ACTS):
        if item.session == number and (intent := intent_of(portfolio, index, item, now=now)) is not None:
            orders.submit([intent], now=now)
            orders.sync([portfolio], now=now)


def intent_of(portfolio: Portfolio, index: int, item: Act, *, now: datetime) -> orders.OrderIntent | None:
    price = prices.latest([item.symbol], now)[item.symbol]
    if not isinstance(price, Price):
        return None
    level = (price.value * (1 + item.offset_percent / 100)).quantize(Decimal("0.01"))
    quantity = (
        Decimal(int(item.dollars / price.value))
        if item.side is Side.BUY
        else int(held(portfolio, item.symbol) * item.share) * Decimal(1)
    )
    if quantity <= 0:
        return None
    return orders.OrderIntent(
        portfolio=portfolio,
        origin=Origin.MANUAL,
        intent_key=f"demo:{portfolio.pk}:{index}",
        symbol=item.symbol,
        side=item.side,
        order_type=item.order_type,
        time_in_force=item.time_in_force,
        quantity=quantity,
        limit_price=level if item.order_type is OrderType.LIMIT else None,
        stop_price=level if item.order_type is OrderType.STOP else None,
        plan={"note": item.note},
        actor=ACTOR,
    )


def held(portfolio: Portfolio, symbol: str) -> Decimal:
    row = portfolio.positions.filter(instrument__symbol=symbol).first()
    return row.quantity if row is not None else Decimal(0)
