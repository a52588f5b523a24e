"""
Resting exits that a close takes away, put back when the trade stays open after all.

The mark `released` in an order's plan is committed before the order is canceled, so that whoever finds a trade
without its exit, here or after a crash, knows what to place again. Each order is put back once at most.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from brokers.enums import FINAL_STATUSES, OrderStatus, OrderType, Side, TimeInForce
from portfolio import journal, orders
from portfolio.enums import OrderRole, Origin, TradeStatus
from portfolio.journal import Fact
from portfolio.models import Order, Portfolio, Trade
from portfolio.order_intents import OrderIntent

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
    trades = Trade.objects.filter(portfolio__in=[row.pk for row in portfolios], status=TradeStatus.OPEN)
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
    trade = Trade.objects.get(pk=trade.pk)
    for order in released([trade.pk]) if trade.status == TradeStatus.OPEN else ():
        if order.is_final:
            restore_one(trade, order, now=now)


def restore_one(trade: Trade, order: Order, *, now: datetime) -> None:
    leg = trade.legs.select_related("instrument").get()
    key, held = f"restore:{order.pk}", abs(leg.open_quantity)
    again = Order.objects.filter(portfolio_id=trade.portfolio_id, intent_key=key).first()
    if again is not None:
        settle(order, again, now=now)
        return
    quantity = min((order.quantity or held) - order.filled_quantity, held)
    if order.status not in (OrderStatus.CANCELED, OrderStatus.REJECTED):
        settle(order, None, why=f"It had ended by itself: {order.status.lower()}.", now=now)
        return
    live = Order.objects.filter(trade=trade, role=OrderRole.EXIT).exclude(status__in=FINAL_STATUSES).first()
    if live is not None and "close_reason" not in live.plan:
        settle(order, None, why=f"Order {live.pk} took its place.", now=now)
    elif live is None and quantity > 0:
        side = Side.SELL if leg.open_quantity > 0 else Side.BUY
        wish = same_exit(order, trade, key=key, symbol=leg.instrument.symbol, side=side, quantity=quantity)
        settle(order, orders.submit([wish], now=now)[0], now=now)


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


def settle(order: Order, again: Order | None, *, why: str = "", now: datetime) -> None:
    """Take the mark off and journal what came of it, both or neither, once."""
    if again is None:
        name, data = "exit.not_restored", {"order": order.pk, "why": why}
    elif again.status in (OrderStatus.DENIED, OrderStatus.REJECTED):
        name, data = "trade.bare", {"order": order.pk, "why": again.reason_text[:300]}
    else:
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
