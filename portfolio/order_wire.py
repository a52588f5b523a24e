"""
Speak with the venues about orders that are committed: send, cancel, and write each answer.

Row before wire: nothing here makes an order, and no broker is called inside a transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction

from brokers import registry
from brokers.batch_rows import update_rows
from brokers.database_locks import is_lock_failure
from brokers.enums import FINAL_STATUSES, OrderStatus
from brokers.errors import BrokerError, BrokerUnavailable, OrderRejected, OutcomeUnknown
from brokers.messages import NewOrder, OrderReport
from brokers.real_time import database_now
from portfolio import journal
from portfolio.enums import OrderRole, TradingState
from portfolio.journal import Fact
from portfolio.models import Order, OrderLeg, Portfolio
from portfolio.order_intents import new_order
from portfolio.order_planning import Planned
from portfolio.order_reports import (
    STATUS_FIELDS,
    order_fact,
    status_fact,
    take_absence,
    take_refusal,
    take_report,
    take_unavailable,
    take_unknown,
)
from portfolio.order_sync import account_key, held_back, locked, sync

DEADLINE_SECONDS = 30
WANTED_FOR = timedelta(minutes=5)
CANCELED_UNSENT = "It was canceled before it could be sent; nothing reached the venue."
WORKING = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
CANCELABLE = (*WORKING, OrderStatus.PENDING_CANCEL)
UNSETTLED = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.NEEDS_REVIEW)


# Send --------------------------------------------------------------------------------------------------


def send(items: Sequence[Planned], *, now: datetime) -> None:
    """
    Hand committed orders to their venues, portfolio by portfolio, and write each answer.

    An answer that the database does not take stops no other portfolio: its orders stay SUBMITTED, which the
    sweep looks up, and the error is raised once all are sent.
    """
    by_portfolio: dict[int, list[Planned]] = defaultdict(list)
    for item in items:
        by_portfolio[item.order.portfolio_id].append(item)
    failed: DatabaseError | None = None
    for group in by_portfolio.values():
        try:
            send_group(group, now=now)
        except DatabaseError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def send_group(group: Sequence[Planned], *, now: datetime) -> None:
    messages = [new_order(item.order, item.leg, item.intent.symbol) for item in group if item.leg is not None]
    answers = ask_venue(group[0].order.portfolio, messages, now=now)
    write_answers({item.order.pk: answer for item, answer in zip(group, answers, strict=True)}, now=now)
    cancel_wished([item.order.pk for item in group], now=now)
    for item in group:
        item.order.refresh_from_db()


def ask_venue(portfolio: Portfolio, messages: Sequence[NewOrder], *, now: datetime) -> list[OrderReport | Exception]:
    """Submit orders of one portfolio; whatever goes wrong comes back as each order's answer."""
    try:
        return registry.adapter(account_key(portfolio), now=now).submit_many(messages)
    except BrokerError as error:
        return [error] * len(messages)
    except Exception as error:
        return [as_answer(error)] * len(messages)


def as_answer(error: Exception) -> BrokerError:
    """A lock that could not be had undid everything at the venue; after any other failure nobody knows."""
    if is_lock_failure(error):
        return BrokerUnavailable("The venue was busy with this account; nothing was sent, the desk tries again.")
    return OutcomeUnknown(f"{type(error).__name__}: {error}")


def send_again(order: Order, *, now: datetime) -> None:
    """Send with the same client order id and attempt, while it is wanted; the venue knows a repeat."""
    leg = OrderLeg.objects.select_related("instrument").get(order=order)
    with transaction.atomic():
        row = locked_order(order)
        if not is_as_read(row, order) or not is_wanted(row, real_now=database_now()):
            return
        row.sent_at = database_now()
        row.deadline = row.sent_at + timedelta(seconds=DEADLINE_SECONDS)
        row.next_look_up_at = row.deadline if row.status == OrderStatus.UNKNOWN else None
        update_rows([row], ["sent_at", "deadline", "next_look_up_at"])
    answers = ask_venue(row.portfolio, [new_order(row, leg, leg.instrument.symbol)], now=now)
    write_answers({order.pk: answers[0]}, now=now)
    cancel_wished([order.pk], now=now)
    sync([row.portfolio], now=now)


def is_wanted(order: Order, *, real_now: datetime) -> bool:
    """Still meant by whoever placed it: recent, not canceled, and its portfolio takes such orders."""
    portfolio = order.portfolio
    if order.cancel_wanted_at is not None:
        return False
    if portfolio.archived_at is not None or real_now - order.created_at > WANTED_FOR:
        return False
    if portfolio.trading_state == TradingState.ACTIVE:
        return True
    return portfolio.trading_state == TradingState.REDUCING and order.role != OrderRole.ENTRY


def locked_order(order: Order) -> Order:
    """Lock the portfolio, then read the order afresh."""
    locked([order.portfolio_id])
    return Order.objects.select_related("portfolio").get(pk=order.pk)


def is_as_read(row: Order, order: Order) -> bool:
    """
    True while nobody settled or sent the order since it was read as `order`.

    Another sweep may be sending it just now: what was seen before that proves nothing, and one sending is enough.
    """
    return row.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN) and row.sent_at == order.sent_at


# Answers -----------------------------------------------------------------------------------------------


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
    """Translate one answer to a submit or a cancel into the order's next state."""
    if isinstance(answer, OrderReport):
        return take_report(order, left_to_sync(held_back(answer, order), order))
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


def left_to_sync(report: OrderReport, order: Order) -> OrderReport:
    """
    The end of an order that has a trade counts as ACCEPTED until sync books it.

    The trade may be flat and end with its last order, and only sync, which has the whole book, closes trades.
    A wish to cancel stays PENDING_CANCEL meanwhile.
    """
    if order.trade_id is None or not report.status.is_final or report.status is OrderStatus.REJECTED:
        return report
    return report if order.is_final else replace(report, status=OrderStatus.ACCEPTED)


# Cancel ------------------------------------------------------------------------------------------------


def cancel(orders: Sequence[Order], *, actor: str, now: datetime) -> list[Order]:
    """
    Ask the venues to cancel, and return the orders as they then stand.

    A final order stays as it is. One that was never sent is REJECTED here. Of one whose outcome is open the
    wish is kept: it is not sent again, and canceled once the venue shows it. "Already closed" at the venue is
    not an error: the report says how it ended.
    """
    claimed = claim_cancel([order.pk for order in orders], actor=actor, now=now)
    answers: dict[int, OrderReport | Exception] = {}
    for order in claimed:
        try:
            answers[order.pk] = registry.adapter(account_key(order.portfolio), now=now).cancel(order.venue_order_id)
        except Exception as error:  # stays PENDING_CANCEL; the sweep reads it and cancels again
            note_open_cancel(order, error)
    if answers:
        write_answers(answers, now=now)
        sync({order.portfolio for order in claimed if order.pk in answers}, now=now)
    fresh = Order.objects.select_related("portfolio").in_bulk([order.pk for order in orders])
    return [fresh[order.pk] for order in orders]


def note_open_cancel(order: Order, error: Exception) -> None:
    Order.objects.filter(pk=order.pk, status=OrderStatus.PENDING_CANCEL).update(
        waiting_for=f"The venue has not taken the cancel: {error}"[:200]
    )


def claim_cancel(order_ids: Iterable[int], *, actor: str, now: datetime) -> list[Order]:
    """Commit the wish to cancel before the venue is asked; return the orders that it can be asked about."""
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
        facts += remember_wishes([row for row in rows if row not in unsent], actor=actor, now=now)
        update_rows(ready, ["status", "deadline"])
        update_rows(unsent, STATUS_FIELDS)
        journal.record(facts)
    return list(Order.objects.select_related("portfolio").filter(pk__in=[row.pk for row in ready]).order_by("pk"))


def remember_wishes(rows: Sequence[Order], *, actor: str, now: datetime) -> list[Fact]:
    """Keep the wish to cancel orders whose outcome is open; once said is enough."""
    wished = [row for row in rows if row.status in UNSETTLED and row.cancel_wanted_at is None]
    for row in wished:
        row.cancel_wanted_at = now
    update_rows(wished, ["cancel_wanted_at"])
    return [order_fact("order.cancel_requested", row, at=now, actor=actor) for row in wished]


def cancel_wished(order_ids: Iterable[int], *, now: datetime) -> None:
    """Cancel those of these orders that turned out to work although a cancel was asked for."""
    wished = Order.objects.filter(pk__in=order_ids, cancel_wanted_at__isnull=False, status__in=WORKING)
    if rows := list(wished):
        cancel(rows, actor="desk", now=now)
