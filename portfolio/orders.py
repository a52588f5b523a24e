"""
Submit and preview orders; cancel and sync are verbs of this module too.

Row before wire: an order is committed before anything is sent, and no broker is called inside a transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from brokers import registry
from brokers.batch_rows import insert_rows, update_rows
from brokers.enums import OrderStatus
from brokers.errors import Refusal
from brokers.market_data import prices
from brokers.market_data.listings import tradable
from brokers.models import Instrument
from brokers.real_time import database_now
from portfolio import journal, standing
from portfolio.journal import Fact
from portfolio.models import Order
from portfolio.order_intents import OrderIntent, new_order
from portfolio.order_planning import Planned, judged_price, merged_notes, plan, prices_by_symbol
from portfolio.order_sync import Synced, account_key, locked, sync
from portfolio.order_wire import DEADLINE_SECONDS, cancel, claim_cancel, send, send_again, write_answers

__all__ = [
    "Estimate",
    "IntentChanged",
    "OrderIntent",
    "Synced",
    "account_key",
    "cancel",
    "claim_cancel",
    "exit_refusals",
    "locked",
    "preview",
    "submit",
    "sync",
    "write_answers",
]

# What an exit meets only until the working orders of its trade are canceled, which a close does first.
GONE_WITH_THE_WORKING = frozenset({"EXIT_WORKING", "QUANTITY_HELD", "WASH_TRADE"})


class IntentChanged(ValueError):
    """The same key was used for another order; nothing was sent. The message says so to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What would happen to an order sent now; all refusals of the desk, or else those of the venue."""

    denials: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    price: Decimal | None
    notional: Decimal | None
    commission: Decimal | None
    fees: Decimal | None
    buying_power: Decimal | None
    buying_power_after: Decimal | None


# Submit ------------------------------------------------------------------------------------------------


def submit(intents: Sequence[OrderIntent], *, now: datetime) -> list[Order]:
    """
    Send orders to their portfolios' venues and return each as far as it got.

    Repeating the call with the same intents returns the existing orders; those that could not be sent yet are
    sent now. One that limits refuse comes back DENIED with all its codes, one that the venue refuses REJECTED
    with its text, one whose answer is missing UNKNOWN, which sync settles. None stops the others. Raises
    IntentChanged before anything is written.
    """
    written, existing = write_rows(intents, now=now)
    send([item for item in written if item.order.status == OrderStatus.SUBMITTED], now=now)
    for order in existing:
        if order.status == OrderStatus.SUBMITTED and order.sent_at is None:
            send_again(order, now=now)
            order.refresh_from_db()
    return [item.order for item in written] + existing


def write_rows(intents: Sequence[OrderIntent], *, now: datetime) -> tuple[list[Planned], list[Order]]:
    """Judge the intents and commit their rows; those already known are returned instead."""
    found = market_prices(intents, now=now)
    instruments = instruments_of(intents)
    with transaction.atomic():
        portfolios = locked({intent.portfolio.pk for intent in intents})
        existing = existing_orders(intents)
        fresh = [i for i in intents if (i.portfolio.pk, i.intent_key) not in existing]
        standings = standing.of(list(portfolios.values()), now=now) if fresh else {}
        plans = [item for intent in fresh for item in plan_one(intent, instruments, standings, found, now=now)]
        real_now = database_now()
        for item in plans:
            if not item.refusals:
                item.order.sent_at = real_now
                item.order.deadline = real_now + timedelta(seconds=DEADLINE_SECONDS)
        insert_rows([item.order for item in plans])
        insert_rows([item.leg for item in plans if item.leg is not None])
        record_starts(plans)
    return plans, [order for group in existing.values() for order in group]


def plan_one(
    intent: OrderIntent,
    instruments: Mapping[str, Instrument],
    standings: Mapping[int, standing.Standing],
    found: Mapping[str, object],
    *,
    now: datetime,
) -> list[Planned]:
    price, problem = prices_by_symbol(found, intent.symbol)
    return plan(
        intent,
        instrument=instruments.get(intent.symbol),
        standing=standings[intent.portfolio.pk],
        price=price,
        price_problem=problem,
        now=now,
    )


def market_prices(intents: Iterable[OrderIntent], *, now: datetime) -> Mapping[str, object]:
    return prices.latest(sorted({intent.symbol for intent in intents}), now=now)


def instruments_of(intents: Iterable[OrderIntent]) -> dict[str, Instrument]:
    return tradable({intent.symbol for intent in intents})


def existing_orders(intents: Iterable[OrderIntent]) -> dict[tuple[int, str], list[Order]]:
    """Orders that these intents already made; raises IntentChanged when one was made with other content."""
    by_key = {(intent.portfolio.pk, intent.intent_key): intent for intent in intents}
    rows = Order.objects.filter(
        portfolio_id__in={key for key, _ in by_key}, intent_key__in={key for _, key in by_key}
    ).order_by("pk")
    result: dict[tuple[int, str], list[Order]] = defaultdict(list)
    for order in rows:
        intent = by_key.get((order.portfolio_id, order.intent_key))
        if intent is None or intent.origin != order.origin:
            continue
        if order.request_hash != intent.request_hash:
            raise IntentChanged(
                f"This form was already sent as order {order.pk} with other content. Nothing was sent; "
                "open a new ticket."
            )
        result[order.portfolio_id, order.intent_key].append(order)
    return result


def record_starts(plans: Sequence[Planned]) -> None:
    """Journal `order.submitted` or `order.denied` and remember its number as the cause of what follows."""
    facts = [start_fact(item) for item in plans]
    journal.record(facts)
    for item, fact in zip(plans, facts, strict=True):
        item.order.journal_sequence = fact.sequence
    update_rows([item.order for item in plans], ["journal_sequence"], guard=None)


def start_fact(item: Planned) -> Fact:
    order, intent = item.order, item.intent
    return Fact(
        name="order.denied" if item.refusals else "order.submitted",
        subject=f"order:{order.pk}",
        user_id=order.user_id,
        portfolio_id=order.portfolio_id,
        at=order.submitted_at,
        actor=intent.actor,
        data={
            "symbol": intent.symbol,
            "side": intent.side,
            "type": order.order_type,
            "quantity": order.quantity,
            "notional": order.notional,
            "limit": order.limit_price,
            "stop": order.stop_price,
            "time_in_force": order.time_in_force,
            "origin": order.origin,
            "client_order_id": order.client_order_id,
            "denials": [refusal.code for refusal in item.refusals],
        },
    )


# Preview -----------------------------------------------------------------------------------------------


def preview(intent: OrderIntent, *, now: datetime) -> Estimate:
    """Say what an order would meet, with the same checks as sending it; nothing is written."""
    found = market_prices([intent], now=now)
    standings = standing.of([intent.portfolio], now=now)
    plans = plan_one(intent, instruments_of([intent]), standings, found, now=now)
    price, _ = prices_by_symbol(found, intent.symbol)
    denials = tuple(dict.fromkeys(refusal for item in plans for refusal in item.refusals))
    sendable = [item for item in plans if item.leg is not None]
    if denials or not sendable:
        return Estimate(
            denials=denials,
            warnings=merged_notes(plans),
            price=None if price is None else price.value,
            notional=None,
            commission=None,
            fees=None,
            buying_power=None,
            buying_power_after=None,
        )
    return venue_estimate(intent, sendable, price, now=now)


def exit_refusals(intent: OrderIntent, *, now: datetime) -> tuple[Refusal, ...]:
    """
    Why the exit of a trade would be refused even after the trade's working orders are gone; nothing is written.

    First the desk's reasons, and only without any the venue's. Raises BrokerError when the venue cannot say.
    """
    found = market_prices([intent], now=now)
    standings = standing.of([intent.portfolio], now=now)
    plans = plan_one(intent, instruments_of([intent]), standings, found, now=now)
    refusals = lasting(refusal for item in plans for refusal in item.refusals)
    if refusals:
        return refusals
    broker = registry.adapter(account_key(intent.portfolio), now=now)
    views = [broker.preview(new_order(p.order, p.leg, intent.symbol)) for p in plans if p.leg is not None]
    return lasting(refusal for view in views for refusal in view.refusals)


def lasting(refusals: Iterable[Refusal]) -> tuple[Refusal, ...]:
    return tuple(dict.fromkeys(refusal for refusal in refusals if refusal.code not in GONE_WITH_THE_WORKING))


def venue_estimate(
    intent: OrderIntent, plans: Sequence[Planned], price: prices.Price | None, *, now: datetime
) -> Estimate:
    """
    Add up the venue's previews of every order that the wish would become.

    The price is the one the order would meet now, not the higher one that the venue holds cash for.
    """
    at = judged_price(intent, price)
    broker = registry.adapter(account_key(intent.portfolio), now=now)
    views = [broker.preview(new_order(p.order, p.leg, intent.symbol)) for p in plans if p.leg is not None]
    return Estimate(
        denials=tuple(dict.fromkeys(refusal for view in views for refusal in view.refusals)),
        warnings=tuple(dict.fromkeys([*merged_notes(plans), *(note for v in views for note in v.warnings)])),
        price=at,
        notional=notional_at(intent, plans, at),
        commission=total(view.commission for view in views),
        fees=total(view.fees for view in views),
        buying_power=views[0].buying_power,
        buying_power_after=views[-1].buying_power_after,
    )


def notional_at(intent: OrderIntent, plans: Sequence[Planned], price: Decimal | None) -> Decimal | None:
    """What the orders are worth at a price, in money to the cent."""
    if intent.notional is not None or price is None:
        return intent.notional
    worth = [p.order.quantity * price * p.leg.instrument.multiplier for p in plans if p.leg and p.order.quantity]
    return sum(worth, Decimal(0)).quantize(Decimal("0.01"))


def total(values: Iterable[Decimal | None]) -> Decimal | None:
    known = list(values)
    return None if any(value is None for value in known) else sum((v for v in known if v is not None), Decimal(0))
