"""Close trades, and carry on with those whose close did not come through."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F

from brokers.enums import FINAL_STATUSES, OrderStatus, OrderType, Side
from brokers.errors import BrokerError
from brokers.real_time import database_now
from portfolio import exits, journal, orders
from portfolio.enums import CloseReason, Origin, TradeStatus
from portfolio.exits import fact
from portfolio.models import JournalEntry, Order, Portfolio, Trade, TradeLeg
from portfolio.order_intents import OrderIntent

CLAIM_SECONDS = 30
ORIGINS = {CloseReason.GUARD: Origin.GUARD, CloseReason.API: Origin.API}


class TradeChanged(RuntimeError):
    """Somebody else acted on the trade first; nothing was sent. The message is for a person."""


class CloseRefused(TradeChanged):
    """The exit would be refused, so nothing was canceled and nothing sent; `sentences` say every reason."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = list(sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One wish to close a trade: all of it (`quantity` None) or a part; the same `key` is the same wish."""

    trade: Trade
    key: str
    quantity: Decimal | None
    reason: CloseReason
    actor: str

    @property
    def is_whole(self) -> bool:
        return self.quantity is None


# Close -------------------------------------------------------------------------------------------------


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

    Judges the exit first, claims the trade by its version, cancels its working orders, sizes the exit from what
    then remains. Whatever stays open gets the resting exits back that were canceled on the way. The same `key`
    sends once, and carries on where an earlier call with it was interrupted.

    Raises CloseRefused and TradeChanged; neither has sent anything.
    """
    version = trade.version if version is None else version
    key = key or f"close:{trade.pk}:{version}"
    if done := sent_before(trade, key):
        return done
    held = abs(only_leg(trade).open_quantity)
    wanted = None if quantity is None or quantity >= held else quantity
    wish = Wish(trade=trade, key=key, quantity=wanted, reason=reason, actor=actor)
    if not is_claimed_by(wish):
        judge(wish, version, now=now)
        claim_close(wish, version, now=now)
    release_working_orders(wish, now=now)
    sent = send_exit(wish, now=now)
    if all(order.status in (OrderStatus.DENIED, OrderStatus.REJECTED) for order in sent):
        give_back(trade, why="; ".join(order.reason_text for order in sent), now=now)
    elif not wish.is_whole and exits.released([trade.pk]):
        orders.sync([trade.portfolio], now=now)
        exits.restore(trade, now=now)
    return sent


def sent_before(trade: Trade, key: str) -> list[Order]:
    """The orders that this key already sent. Raises TradeChanged when they close another trade."""
    done = list(Order.objects.filter(portfolio_id=trade.portfolio_id, intent_key=key).order_by("pk"))
    foreign = next((order for order in done if order.trade_id != trade.pk), None)
    if foreign is not None:
        raise TradeChanged(
            f"This form was already used for another trade (order {foreign.pk}). Nothing was sent; open it again."
        )
    return done


def judge(wish: Wish, version: int, *, now: datetime) -> None:
    """Refuse what cannot be closed now, before anything is canceled for it."""
    fresh = Trade.objects.get(pk=wish.trade.pk)
    leg = only_leg(fresh)
    if fresh.status != TradeStatus.OPEN or fresh.version != version or not leg.open_quantity:
        raise TradeChanged(what_happened(fresh))
    if not leg.instrument.is_active:
        raise CloseRefused([f"{fresh.symbol} is not traded at this desk now, so no exit can be sent for it."])
    try:
        refusals = orders.exit_refusals(exit_intent(wish, leg), now=now)
    except BrokerError as error:
        raise CloseRefused([f"The venue cannot take the exit now: {error} Nothing was sent."]) from error
    if refusals:
        raise CloseRefused([refusal.message for refusal in refusals])


def exit_intent(wish: Wish, leg: TradeLeg) -> OrderIntent:
    """The exit at the market, of what the trade holds at most."""
    held = abs(leg.open_quantity)
    return OrderIntent(
        portfolio=wish.trade.portfolio,
        origin=ORIGINS.get(wish.reason, Origin.MANUAL),
        intent_key=wish.key,
        symbol=leg.instrument.symbol,
        side=Side.SELL if leg.open_quantity > 0 else Side.BUY,
        order_type=OrderType.MARKET,
        quantity=held if wish.quantity is None else min(wish.quantity, held),
        trade=leg.trade,
        plan={"close_reason": wish.reason.value},
        actor=wish.actor,
    )


def send_exit(wish: Wish, *, now: datetime) -> list[Order]:
    """Send the exit of a claimed trade whose working orders are gone."""
    leg = only_leg(Trade.objects.get(pk=wish.trade.pk))
    try:
        if leg.open_quantity:
            return orders.submit([exit_intent(wish, leg)], now=now)
    except orders.IntentChanged:
        # The same press arrived twice, and the other one has sold already.
        if done := sent_before(wish.trade, wish.key):
            return done
        raise
    if done := sent_before(wish.trade, wish.key):
        return done
    reopen([wish.trade.pk], why="Nothing was left to close.", now=now)
    raise TradeChanged("Meanwhile the trade was closed by another order. Nothing was sent.")


def give_back(trade: Trade, *, why: str, now: datetime) -> None:
    """The trade stays open: OPEN again, with the exits that were canceled for the close."""
    reopen([trade.pk], why=why, now=now)
    exits.restore(trade, now=now)


def only_leg(trade: Trade) -> TradeLeg:
    legs = list(trade.legs.select_related("instrument"))
    if len(legs) != 1:
        raise TradeChanged("A trade of several legs is closed as a whole; this desk cannot do that yet for it.")
    return legs[0]


def claim_close(wish: Wish, version: int, *, now: datetime) -> None:
    """Take the version by compare-and-set, so that one of two wins; the whole trade becomes CLOSING by it."""
    trade = wish.trade
    rows = Trade.objects.filter(pk=trade.pk, status=TradeStatus.OPEN, version=version)
    status = TradeStatus.CLOSING if wish.is_whole else TradeStatus.OPEN
    with transaction.atomic():
        orders.locked([trade.portfolio_id])
        claimed = rows.update(status=status, version=F("version") + 1)
        if claimed:
            data = {"version": version + 1, "key": wish.key, "quantity": wish.quantity}
            journal.record([fact("trade.closing", trade, now=now, data=data)])
    if not claimed and not is_claimed_by(wish):
        raise TradeChanged(what_happened(Trade.objects.get(pk=trade.pk)))


def is_claimed_by(wish: Wish) -> bool:
    """True while the trade is claimed by this very wish, whose earlier call was interrupted or still runs."""
    trade = Trade.objects.get(pk=wish.trade.pk)
    claims = JournalEntry.objects.filter(
        portfolio=trade.portfolio_id, name="trade.closing", subject=f"trade:{trade.pk}"
    )
    last = claims.order_by("-id").first()
    if last is None or last.data.get("key") != wish.key:
        return False
    is_part = last.data.get("quantity") is not None
    untouched = trade.status == TradeStatus.OPEN and trade.version == last.data["version"]
    return untouched if is_part else trade.status == TradeStatus.CLOSING


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


def release_working_orders(wish: Wish, *, now: datetime) -> None:
    """Cancel what works for this trade; exits resting at the venue hold the quantity."""
    trade = wish.trade
    rows = Order.objects.filter(trade=trade).exclude(intent_key=wish.key)
    working = list(rows.exclude(status__in=FINAL_STATUSES))
    if not working:
        return
    exits.release(working, key=wish.key)
    after = orders.cancel(working, actor=wish.actor, now=now)
    stuck = [order for order in after if not order.is_final]
    if stuck:
        give_back(trade, why="A working order could not be canceled yet.", now=now)
        raise TradeChanged(
            f"Order {stuck[0].pk} of this trade is not canceled yet ({stuck[0].status.lower()}). "
            "No exit was sent; try again in a moment."
        )


# Carry on ----------------------------------------------------------------------------------------------


def carry_on(portfolios: Collection[Portfolio], *, now: datetime) -> list[Trade]:
    """
    Give trades back as OPEN whose exit ended without closing them; return them, for alerts.

    A trade is CLOSING only while an exit of it lives; after that it is closed, or this finds it. One that was
    claimed a moment ago is left to whoever is just about to send its exit. Trades that stay open get back the
    resting exits that a close took from them.
    """
    closing = Trade.objects.filter(portfolio__in=[portfolio.pk for portfolio in portfolios], status=TradeStatus.CLOSING)
    live = Order.objects.filter(trade__in=closing).exclude(status__in=FINAL_STATUSES)
    # A stop that rests since before the close is live too, yet it does not carry the close out.
    selling = live.filter(plan__has_key="close_reason")
    idle = list(closing.exclude(pk__in=selling.values("trade_id")).order_by("pk"))
    young = just_claimed(idle)
    stranded = [trade.pk for trade in idle if trade.pk not in young]
    reopened = reopen(stranded, why="The exit ended without closing it.", now=now)
    bare = exits.stripped(portfolios)
    young = just_claimed(bare)
    exits.put_back([trade for trade in bare if trade.pk not in young], now=now)
    return reopened


def just_claimed(trades: Sequence[Trade]) -> set[int]:
    """Which of these trades were claimed within the last CLAIM_SECONDS of real time and wait for their exit."""
    if not trades:
        return set()
    entries = JournalEntry.objects.filter(
        portfolio__in={trade.portfolio_id for trade in trades},
        name="trade.closing",
        subject__in=[f"trade:{trade.pk}" for trade in trades],
        created_at__gt=database_now() - timedelta(seconds=CLAIM_SECONDS),
    )
    keys = {int(entry.subject.removeprefix("trade:")): entry.data.get("key") for entry in entries.order_by("id")}
    sent = Order.objects.filter(trade__in=list(keys), intent_key__in=list(keys.values()))
    return keys.keys() - set(sent.values_list("trade_id", flat=True))


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
