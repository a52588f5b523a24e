"""Close trades, and carry on with those whose close did not come through."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F

from brokers.enums import FINAL_STATUSES, OrderStatus, OrderType, Side
from brokers.real_time import database_now
from portfolio import journal, orders
from portfolio.enums import CloseReason, Origin, TradeStatus
from portfolio.journal import Fact
from portfolio.models import JournalEntry, Order, Portfolio, Trade, TradeLeg
from portfolio.order_intents import OrderIntent

CLAIM_SECONDS = 30
ORIGINS = {CloseReason.GUARD: Origin.GUARD, CloseReason.API: Origin.API}


class TradeChanged(RuntimeError):
    """Somebody else acted on the trade first; nothing was sent. The message is for a person."""


def close(
    trade: Trade,
    *,
    reason: CloseReason,
    actor: str,
    now: datetime,
    quantity: Decimal | None = None,
    key: str = "",
    version: int | None = None,
) -> list[Order]:
    """
    Sell (or buy back) what a trade holds at the market, all of it or `quantity`, and return the exit orders.

    Claims the trade by its version, cancels its working orders first, sizes the exit from what then remains.
    An exit that is refused gives the trade back as OPEN. Raises TradeChanged. The same `key` sends once.
    """
    claim = trade.version if version is None else version
    intent_key = key or f"close:{trade.pk}:{claim}"
    done = list(Order.objects.filter(portfolio_id=trade.portfolio_id, intent_key=intent_key))
    if done:
        return done
    leg = only_leg(trade)
    is_whole = quantity is None or quantity >= abs(leg.open_quantity)
    claim_close(trade, claim, is_whole=is_whole, now=now)
    release_working_orders(trade, actor=actor, now=now)
    leg.refresh_from_db()
    held = abs(leg.open_quantity)
    if held == 0:
        reopen([trade.pk], why="Nothing was left to close.", now=now)
        raise TradeChanged("Meanwhile the trade was closed by another order. Nothing was sent.")
    sent = orders.submit(
        [
            OrderIntent(
                portfolio=trade.portfolio,
                origin=ORIGINS.get(reason, Origin.MANUAL),
                intent_key=intent_key,
                symbol=leg.instrument.symbol,
                side=Side.SELL if leg.open_quantity > 0 else Side.BUY,
                order_type=OrderType.MARKET,
                quantity=held if is_whole or quantity is None else min(quantity, held),
                trade=Trade.objects.get(pk=trade.pk),
                plan={"close_reason": reason.value},
                actor=actor,
            )
        ],
        now=now,
    )
    if all(order.status in (OrderStatus.DENIED, OrderStatus.REJECTED) for order in sent):
        reopen([trade.pk], why="; ".join(order.reason_text for order in sent), now=now)
    return sent


def only_leg(trade: Trade) -> TradeLeg:
    legs = list(trade.legs.select_related("instrument"))
    if len(legs) != 1:
        raise TradeChanged("A trade of several legs is closed as a whole; this desk cannot do that yet for it.")
    return legs[0]


def claim_close(trade: Trade, version: int, *, is_whole: bool, now: datetime) -> None:
    """Take the version by compare-and-set, so that one of two wins; the whole trade becomes CLOSING by it."""
    rows = Trade.objects.filter(pk=trade.pk, status=TradeStatus.OPEN, version=version)
    status = TradeStatus.CLOSING if is_whole else TradeStatus.OPEN
    with transaction.atomic():
        orders.locked([trade.portfolio_id])
        claimed = rows.update(status=status, version=F("version") + 1)
        if claimed and is_whole:
            journal.record([fact("trade.closing", trade, now=now, data={"version": version + 1})])
    if not claimed:
        raise TradeChanged(what_happened(Trade.objects.get(pk=trade.pk)))


def what_happened(trade: Trade) -> str:
    """One sentence for the person who came second."""
    if trade.status == TradeStatus.CLOSED:
        net = trade.realized_pnl - trade.commission - trade.fees
        return (
            f"The trade was closed meanwhile ({trade.close_reason.replace('_', ' ').lower()}, "
            f"net {net:+,.2f}). Nothing was sent."
        )
    if trade.status == TradeStatus.CLOSING:
        return "This trade is already being closed. Nothing was sent."
    return "The trade changed while this was open: part of it was filled or closed. Look again, then decide."


def release_working_orders(trade: Trade, *, actor: str, now: datetime) -> None:
    """Cancel what works for this trade; exits resting at the venue hold the quantity."""
    working = list(Order.objects.filter(trade=trade).exclude(status__in=FINAL_STATUSES))
    if not working:
        return
    after = orders.cancel(working, actor=actor, now=now)
    stuck = [order for order in after if not order.is_final]
    if stuck:
        reopen([trade.pk], why="A working order could not be canceled yet.", now=now)
        raise TradeChanged(
            f"Order {stuck[0].pk} of this trade is not canceled yet ({stuck[0].status.lower()}). "
            "No exit was sent; try again in a moment."
        )


def carry_on(portfolios: Collection[Portfolio], *, now: datetime) -> list[Trade]:
    """
    Give trades back as OPEN whose exit ended without closing them; return them, for alerts.

    A trade is CLOSING only while an exit of it lives; after that it is closed, or this finds it. One that was
    claimed a moment ago is left to whoever is just about to send its exit.
    """
    closing = Trade.objects.filter(portfolio__in=[portfolio.pk for portfolio in portfolios], status=TradeStatus.CLOSING)
    live = Order.objects.filter(trade__in=closing).exclude(status__in=FINAL_STATUSES)
    # A stop that rests since before the close is live too, yet it does not carry the close out.
    exits = live.filter(plan__has_key="close_reason")
    idle = list(closing.exclude(pk__in=exits.values("trade_id")).order_by("pk"))
    young = just_claimed(idle)
    stranded = [trade.pk for trade in idle if trade.pk not in young]
    return reopen(stranded, why="The exit ended without closing it.", now=now)


def just_claimed(closing: Sequence[Trade]) -> set[int]:
    """Which of these trades became CLOSING within the last CLAIM_SECONDS of real time."""
    if not closing:
        return set()
    entries = JournalEntry.objects.filter(
        portfolio__in={trade.portfolio_id for trade in closing},
        name="trade.closing",
        subject__in=[f"trade:{trade.pk}" for trade in closing],
        created_at__gt=database_now() - timedelta(seconds=CLAIM_SECONDS),
    )
    return {int(subject.removeprefix("trade:")) for subject in entries.values_list("subject", flat=True)}


def reopen(trade_ids: Sequence[int], *, why: str, now: datetime) -> list[Trade]:
    """CLOSING back to OPEN, with the reason in the journal."""
    reopened = []
    for trade_id in trade_ids:
        with transaction.atomic():
            orders.locked(Trade.objects.filter(pk=trade_id).values_list("portfolio_id", flat=True))
            rows = Trade.objects.filter(pk=trade_id, status=TradeStatus.CLOSING)
            if rows.update(status=TradeStatus.OPEN, version=F("version") + 1):
                trade = Trade.objects.get(pk=trade_id)
                journal.record([fact("trade.close_failed", trade, now=now, data={"why": why[:300]})])
                reopened.append(trade)
    return reopened


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
