"""
Resting exits that a close takes away, put back when the trade stays open after all.

The mark `released` in an order's plan is committed before the order is canceled, so that whoever finds a trade
without its exit, here or after a crash, knows what to place again. The mark goes once the new order has
reached the venue; a refused one is tried again, later each time, and the trade is told to stand bare meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from brokers.enums import FINAL_STATUSES, OrderStatus, OrderType, Side, TimeInForce
from brokers.real_time import database_now
from portfolio import journal, orders
from portfolio.enums import LedgerKind, OrderRole, Origin, TradeStatus, TradingState
from portfolio.journal import Fact
from portfolio.models import LedgerTransaction, Order, Portfolio, Trade, TradeLeg
from portfolio.order_intents import OrderIntent

REFUSED = (OrderStatus.DENIED, OrderStatus.REJECTED)
TRIES_MAX = 12
FIRST_PAUSE_SECONDS = 30
RELEASED = "released"
TOLD = "told_bare"


def release(working: Sequence[Order], *, key: str) -> None:
    """Mark the resting exits among these orders as taken away by the close of this key."""
    resting = [row for row in working if row.role != OrderRole.ENTRY and "close_reason" not in row.plan]
    if not resting:
        return
    with transaction.atomic():
        orders.locked({row.portfolio_id for row in resting})
        for row in Order.objects.filter(pk__in=[row.pk for row in resting]).exclude(status__in=FINAL_STATUSES):
            Order.objects.filter(pk=row.pk).update(plan={**row.plan, RELEASED: key})


def released(trade_ids: Iterable[int]) -> list[Order]:
    """The exits taken away from these trades and not yet put back, oldest first."""
    rows = Order.objects.select_related("portfolio", "trade").filter(trade__in=list(trade_ids))
    return list(rows.filter(plan__has_key=RELEASED).order_by("pk"))


def stripped(portfolios: Collection[Portfolio]) -> list[Trade]:
    """The open trades of these portfolios from which a close took an exit that nobody has put back yet."""
    ids = [row.pk for row in portfolios if row.archived_at is None]
    trades = Trade.objects.filter(portfolio__in=ids, status=TradeStatus.OPEN).select_related("portfolio")
    return list(trades.filter(orders__plan__has_key=RELEASED).distinct().order_by("pk"))


def put_back(trades: Iterable[Trade], *, now: datetime) -> None:
    """Put back what closes took away that are over and left the trade open; each trade alone."""
    for trade in trades:
        try:
            keep_what_still_works(trade, now=now)
            restore(trade, now=now)
        except Exception as error:
            tell_bare(trade, f"{type(error).__name__}: {error}", now=now)


def restore(trade: Trade, *, now: datetime) -> None:
    """
    Place the canceled exits of an open trade again, for what it still holds at most.

    Waits while another close is at it. `exit.restored` or `trade.bare`, with the reason, is journaled.
    """
    trade = Trade.objects.select_related("portfolio").get(pk=trade.pk)
    for order in released([trade.pk]) if trade.status == TradeStatus.OPEN else ():
        if order.is_final:
            restore_one(trade, order, now=now)


def restore_one(trade: Trade, order: Order, *, now: datetime) -> None:
    """Place one exit again, unless it ended by itself, something took its place, or it is being tried already."""
    leg = trade.legs.select_related("instrument").get()
    tries = list(restorations(order))
    if tries and tries[-1].status not in REFUSED:
        if tries[-1].venue_order_id:
            settle(order, tries[-1], now=now)
        return  # on its way, or nobody knows yet: the look-up decides
    if order.status not in (OrderStatus.CANCELED, OrderStatus.REJECTED):
        settle(order, None, why=f"It had ended by itself: {order.status.lower()}.", now=now)
        return
    live = Order.objects.filter(trade=trade, role=OrderRole.EXIT).exclude(status__in=FINAL_STATUSES).first()
    if live is not None:
        if "close_reason" not in live.plan:
            settle(order, None, why=f"Order {live.pk} took its place.", now=now)
        return
    if was_split(order, leg):
        settle(order, None, name="trade.bare", why="A split changed its prices; place it anew.", now=now)
    elif len(tries) >= TRIES_MAX:
        settle(order, tries[-1], now=now)
    elif trade.portfolio.trading_state == TradingState.HALTED:
        tell_bare(trade, f"{trade.portfolio.name} is halted; it is placed again once that is over.", now=now)
    elif is_time(tries):
        try_again(trade, order, leg, number=len(tries) + 1, now=now)


def restorations(order: Order) -> QuerySet[Order]:
    """The orders that were to take this one's place, oldest first."""
    keys = {"portfolio_id": order.portfolio_id, "intent_key__startswith": f"restore:{order.pk}:"}
    return Order.objects.filter(**keys).order_by("pk")


def was_split(order: Order, leg: TradeLeg) -> bool:
    """A split since the exit was taken away put all its figures on another basis."""
    return LedgerTransaction.objects.filter(
        portfolio_id=order.portfolio_id,
        kind=LedgerKind.SPLIT,
        postings__instrument_id=leg.instrument_id,
        occurred_at__gt=order.final_at or order.submitted_at,
    ).exists()


def is_time(tries: Sequence[Order]) -> bool:
    """After a refusal later each time: 30 s, 1 min, 2 min … an hour."""
    if not tries:
        return True
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (len(tries) - 1), 3600)
    return database_now() - tries[-1].created_at >= timedelta(seconds=pause)


def try_again(trade: Trade, order: Order, leg: TradeLeg, *, number: int, now: datetime) -> None:
    quantity = min((order.quantity or abs(leg.open_quantity)) - order.filled_quantity, abs(leg.open_quantity))
    if order.time_in_force != TimeInForce.DAY or order.order_type == OrderType.TRAILING_STOP:
        quantity = Decimal(int(quantity))  # parts of a share are good for the day only
    if quantity <= 0:
        settle(order, None, name="trade.bare", why="Less than a whole share is left to protect.", now=now)
        return
    side = Side.SELL if leg.open_quantity > 0 else Side.BUY
    key = f"restore:{order.pk}:{number}"
    wish = same_exit(order, trade, key=key, symbol=leg.instrument.symbol, side=side, quantity=quantity)
    (again,) = orders.submit([wish], now=now)
    if again.status in REFUSED:
        tell_bare(trade, again.reason_text, now=now)
    elif again.venue_order_id:
        settle(order, again, now=now)


def same_exit(order: Order, trade: Trade, *, key: str, symbol: str, side: Side, quantity: Any) -> OrderIntent:
    return OrderIntent(
        portfolio=trade.portfolio,
        origin=Origin(order.origin),
        intent_key=key,
        symbol=symbol,
        side=side,
        order_type=OrderType(order.order_type),
        time_in_force=TimeInForce(order.time_in_force),
        quantity=quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        expires_on=order.expires_on,
        extended_hours=order.extended_hours,
        trade=trade,
        plan=without_marks(order),
    )


def settle(order: Order, again: Order | None, *, name: str = "exit.not_restored", why: str = "", now: datetime) -> None:
    """Take the mark off and journal what came of it, both or neither, once."""
    data: dict[str, object] = {"order": order.pk, "why": why}
    if again is not None and again.status in REFUSED:
        name, data = "trade.bare", {"order": order.pk, "why": again.reason_text[:300]}
    elif again is not None:
        name, data = "exit.restored", {"order": order.pk, "by": again.pk, "quantity": again.quantity}
    with transaction.atomic():
        orders.locked([order.portfolio_id])
        row = Order.objects.select_related("trade").get(pk=order.pk)
        if RELEASED in row.plan:
            Order.objects.filter(pk=row.pk).update(plan=without_marks(row))
            journal.record([fact(name, row.trade, now=now, data=data)])


def keep_what_still_works(trade: Trade, *, now: datetime) -> None:
    """A close that died before it canceled anything took nothing away."""
    for order in released([trade.pk]):
        is_going = order.status == OrderStatus.PENDING_CANCEL or order.cancel_wanted_at is not None
        if not order.is_final and not is_going:
            settle(order, None, why="It was never canceled.", now=now)


def tell_bare(trade: Trade, why: str, *, now: datetime) -> None:
    """Journal once that a trade stands without its exit; the next pass tries again."""
    with transaction.atomic():
        orders.locked([trade.portfolio_id])
        for order in released([trade.pk]):
            if TOLD not in order.plan:
                Order.objects.filter(pk=order.pk).update(plan={**order.plan, TOLD: True})
                journal.record([fact("trade.bare", trade, now=now, data={"order": order.pk, "why": why[:300]})])


def without_marks(order: Order) -> dict[str, Any]:
    return {name: value for name, value in order.plan.items() if name not in (RELEASED, TOLD)}


def fact(name: str, trade: Trade, *, now: datetime, data: dict[str, object]) -> Fact:
    return Fact(
        name=name,
        subject=f"trade:{trade.pk}",
        user_id=trade.user_id,
        portfolio_id=trade.portfolio_id,
        at=now,
        actor="desk",
        data={"symbol": trade.symbol, **data},
    )
