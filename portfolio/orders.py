"""
Submit, preview, cancel and sync orders.

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
from brokers.enums import FINAL_STATUSES, OrderStatus
from brokers.errors import (
    BrokerError,
    BrokerUnavailable,
    OrderRejected,
    OutcomeUnknown,
    Refusal,
)
from brokers.market_data import prices
from brokers.messages import OrderReport
from brokers.models import Instrument
from brokers.real_time import database_now
from portfolio import journal, standing
from portfolio.journal import Fact
from portfolio.models import Order, Portfolio
from portfolio.order_intents import OrderIntent, new_order
from portfolio.order_planning import Planned, judged_price, merged_notes, plan, prices_by_symbol
from portfolio.order_reports import (
    STATUS_FIELDS,
    status_fact,
    take_absence,
    take_refusal,
    take_report,
    take_unavailable,
    take_unknown,
)
from portfolio.order_sync import Synced, account_key, held_back, locked, sync

__all__ = [
    "Estimate",
    "IntentChanged",
    "OrderIntent",
    "Synced",
    "account_key",
    "cancel",
    "locked",
    "preview",
    "submit",
    "sync",
]

DEADLINE_SECONDS = 30


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

    Repeating the call with the same intents returns the existing orders. One that limits refuse comes back
    DENIED with all its codes, one that the venue refuses REJECTED with its text, one whose answer is missing
    UNKNOWN, which sync settles. None stops the others. Raises IntentChanged before anything is written.
    """
    written, existing = write_rows(intents, now=now)
    send([item for item in written if item.order.status == OrderStatus.SUBMITTED], now=now)
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
    symbols = {intent.symbol for intent in intents}
    return {row.symbol: row for row in Instrument.objects.filter(symbol__in=symbols, is_active=True)}


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


def send(items: Sequence[Planned], *, now: datetime) -> None:
    """Hand committed orders to their venues, account by account, and write each answer."""
    by_portfolio: dict[int, list[Planned]] = defaultdict(list)
    for item in items:
        by_portfolio[item.order.portfolio_id].append(item)
    for group in by_portfolio.values():
        messages = [new_order(item.order, item.leg, item.intent.symbol) for item in group if item.leg is not None]
        answers = ask_venue(group[0].order.portfolio, messages, now=now)
        write_answers({item.order.pk: answer for item, answer in zip(group, answers, strict=True)}, now=now)
        for item in group:
            item.order.refresh_from_db()


def ask_venue(portfolio: Portfolio, messages: list, *, now: datetime) -> list[OrderReport | Exception]:
    try:
        return registry.adapter(account_key(portfolio), now=now).submit_many(messages)
    except BrokerError as error:
        return [error] * len(messages)


def write_answers(answers: Mapping[int, OrderReport | Exception], *, now: datetime) -> None:
    """Write the venue's answers by order id, each once; an order that sync settled meanwhile stays as it is."""
    real_now = database_now()
    with transaction.atomic():
        portfolio_ids = Order.objects.filter(pk__in=answers).values_list("portfolio_id", flat=True)
        locked(set(portfolio_ids))
        rows = list(Order.objects.filter(pk__in=answers).order_by("pk"))
        facts, changed = [], []
        for order in rows:
            did_change, fact = take_answer(order, answers[order.pk], now=now, real_now=real_now)
            changed += [order] if did_change else []
            facts += [fact] if fact is not None else []
        update_rows(changed, STATUS_FIELDS)
        journal.record(facts)


def take_answer(
    order: Order, answer: OrderReport | Exception, *, now: datetime, real_now: datetime
) -> tuple[bool, Fact | None]:
    """Translate one answer to a submit into the order's next state."""
    if isinstance(answer, OrderReport):
        return take_report(order, held_back(answer, order))
    if order.status not in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
        return False, None
    if isinstance(answer, OrderRejected):
        return True, take_refusal(order, answer, now=now)
    if isinstance(answer, BrokerUnavailable):
        take_unavailable(order, answer, real_now=real_now, deadline=real_now + timedelta(seconds=DEADLINE_SECONDS))
        return True, None
    if order.status == OrderStatus.UNKNOWN:
        return False, None
    error = answer if isinstance(answer, OutcomeUnknown) else OutcomeUnknown(type(answer).__name__)
    return True, take_unknown(order, error, now=now, look_up_at=real_now)


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


# Cancel ------------------------------------------------------------------------------------------------


def cancel(orders: Sequence[Order], *, actor: str, now: datetime) -> list[Order]:
    """
    Ask the venues to cancel, and return the orders as they then stand.

    A final order stays as it is. One that was never sent is REJECTED here; one whose outcome is unknown is
    left to the look-up. "Already closed" at the venue is not an error: the report says how it ended.
    """
    claimed = claim_cancel([order.pk for order in orders], actor=actor, now=now)
    answers: dict[int, OrderReport | Exception] = {}
    for order in claimed:
        try:
            answers[order.pk] = registry.adapter(account_key(order.portfolio), now=now).cancel(order.venue_order_id)
        except BrokerError:
            continue  # stays PENDING_CANCEL; the sweep reads it and cancels again
    if answers:
        write_answers(answers, now=now)
        sync({order.portfolio for order in claimed}, now=now)
    fresh = Order.objects.select_related("portfolio").in_bulk([order.pk for order in orders])
    return [fresh[order.pk] for order in orders]


def claim_cancel(order_ids: Sequence[int], *, actor: str, now: datetime) -> list[Order]:
    """Commit the wish to cancel before the venue is asked."""
    with transaction.atomic():
        ids = Order.objects.filter(pk__in=order_ids).values_list("portfolio_id", flat=True)
        locked(set(ids))
        rows = list(Order.objects.filter(pk__in=order_ids).exclude(status__in=FINAL_STATUSES).order_by("pk"))
        ready = [row for row in rows if row.venue_order_id and row.status in CANCELABLE]
        for row in ready:
            row.status = OrderStatus.PENDING_CANCEL
            row.deadline = database_now() + timedelta(seconds=DEADLINE_SECONDS)
        facts = [status_fact(row, at=now, actor=actor) for row in ready]
        unsent = [row for row in rows if row.status == OrderStatus.SUBMITTED and row.sent_at is None]
        facts += [take_absence(row, code="NEVER_SENT", text=CANCELED_UNSENT, now=now) for row in unsent]
        update_rows(ready, ["status", "deadline"])
        update_rows(unsent, STATUS_FIELDS)
        journal.record(facts)
    return list(Order.objects.select_related("portfolio").filter(pk__in=[row.pk for row in ready]).order_by("pk"))


CANCELED_UNSENT = "It was canceled before it could be sent; nothing reached the venue."
CANCELABLE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL)
