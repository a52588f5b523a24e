"""
Settle orders whose outcome is open: not sent yet, unknown, or a cancel without an answer.

Driven by the sweep from rows and deadlines alone, so a lost message or a killed process only costs time.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction

from brokers import registry
from brokers.batch_rows import update_rows
from brokers.enums import OrderStatus
from brokers.errors import BrokerError
from brokers.real_time import database_now
from portfolio import journal, orders
from portfolio.enums import OrderRole, TradingState
from portfolio.journal import Fact
from portfolio.models import Order, OrderLeg
from portfolio.order_intents import new_order
from portfolio.order_reports import (
    LOOK_UP_SECONDS,
    STATUS_FIELDS,
    status_fact,
    take_absence,
    take_unknown,
)

ROWS_A_PASS = 500
WANTED_FOR = timedelta(minutes=5)
PROOF_LOOK_UPS = 3
PROOF_AFTER = timedelta(seconds=120)


def settle_overdue(*, now: datetime) -> list[str]:
    """Take every overdue order one step further; return the errors, each isolated from the others."""
    real_now = database_now()
    rows = Order.objects.select_related("portfolio").order_by("pk")
    steps: tuple[tuple[Iterable[Order], Callable[..., None]], ...] = (
        (rows.filter(status=OrderStatus.SUBMITTED, deadline__lt=real_now)[:ROWS_A_PASS], settle_submitted),
        (rows.filter(status=OrderStatus.UNKNOWN, next_look_up_at__lte=real_now)[:ROWS_A_PASS], look_up),
        (rows.filter(status=OrderStatus.PENDING_CANCEL, deadline__lt=real_now)[:ROWS_A_PASS], chase_cancel),
    )
    errors = []
    for found, step in steps:
        for order in found:
            try:
                step(order, now=now, real_now=real_now)
            except Exception as error:
                errors.append(f"order {order.pk}: {type(error).__name__}: {error}")
    return errors


def settle_submitted(order: Order, *, now: datetime, real_now: datetime) -> None:
    """Past its deadline: certainly not sent is sent again or given up; perhaps sent becomes UNKNOWN."""
    if order.sent_at is None:
        if is_wanted(order, real_now=real_now):
            send_again(order, now=now)
        else:
            give_up(
                order,
                code="NEVER_SENT",
                text="It could not be sent in time; nothing reached the venue.",
                now=now,
            )
        return
    with transaction.atomic():
        row = locked_order(order)
        if row.status != OrderStatus.SUBMITTED or not is_as_read(row, order):
            return
        fact = take_unknown(row, TimeoutError("no answer in time"), now=now, look_up_at=real_now)
        save(row, fact)
    look_up(row, now=now, real_now=real_now)


def look_up(order: Order, *, now: datetime, real_now: datetime) -> None:
    """Ask the venue by client order id; absence is proof only where the venue refuses a repeated id."""
    broker = registry.adapter(orders.account_key(order.portfolio), now=now)
    try:
        report = broker.order(client_order_id=order.client_order_id)
    except BrokerError as error:
        postpone(order, str(error), real_now=real_now)
        return
    if report is not None:
        orders.write_answers({order.pk: report}, now=now)
        orders.sync([order.portfolio], now=now)
    elif not broker.capabilities.dedupes_client_id:
        without_proof(order, now=now, real_now=real_now)
    elif is_wanted(order, real_now=real_now):
        send_again(order, now=now)
    else:
        text = "The venue does not know it, and it is not wanted any more; nothing was traded."
        give_up(order, code="ABSENT_AT_VENUE", text=text, now=now)


def is_wanted(order: Order, *, real_now: datetime) -> bool:
    """Still meant by whoever placed it: recent, and its portfolio takes such orders."""
    portfolio = order.portfolio
    if portfolio.archived_at is not None or real_now - order.created_at > WANTED_FOR:
        return False
    if portfolio.trading_state == TradingState.ACTIVE:
        return True
    return portfolio.trading_state == TradingState.REDUCING and order.role != OrderRole.ENTRY


def send_again(order: Order, *, now: datetime) -> None:
    """Send with the same client order id and attempt; the venue knows a repeat."""
    leg = OrderLeg.objects.select_related("instrument").get(order=order)
    with transaction.atomic():
        row = locked_order(order)
        if not is_as_read(row, order):
            return
        row.sent_at = database_now()
        row.deadline = row.sent_at + timedelta(seconds=orders.DEADLINE_SECONDS)
        row.next_look_up_at = row.deadline if row.status == OrderStatus.UNKNOWN else None
        update_rows([row], ["sent_at", "deadline", "next_look_up_at"])
    answers = orders.ask_venue(order.portfolio, [new_order(row, leg, leg.instrument.symbol)], now=now)
    orders.write_answers({order.pk: answers[0]}, now=now)
    orders.sync([order.portfolio], now=now)


def give_up(order: Order, *, code: str, text: str, now: datetime) -> None:
    with transaction.atomic():
        row = locked_order(order)
        if is_as_read(row, order):
            save(row, take_absence(row, code=code, text=text, now=now))


def without_proof(order: Order, *, now: datetime, real_now: datetime) -> None:
    """Where a repeated id is not refused, silence proves nothing: after three looks a person decides."""
    if order.look_ups + 1 < PROOF_LOOK_UPS or real_now - order.created_at < PROOF_AFTER:
        postpone(order, "not found yet", real_now=real_now)
        return
    with transaction.atomic():
        row = locked_order(order)
        if row.status == OrderStatus.UNKNOWN:
            row.status, row.next_look_up_at = OrderStatus.NEEDS_REVIEW, None
            row.reason_text = "The venue does not show it, which proves nothing there. Please look and decide."
            save(row, status_fact(row, at=now, actor="desk"))


def postpone(order: Order, why: str, *, real_now: datetime) -> None:
    """Plan the next look: after 0, 2, 5, 10, 20, 40, 80 s, then each minute."""
    looks = order.look_ups + 1
    wait = LOOK_UP_SECONDS[looks] if looks < len(LOOK_UP_SECONDS) else 60
    Order.objects.filter(pk=order.pk, status=OrderStatus.UNKNOWN).update(
        look_ups=looks,
        next_look_up_at=real_now + timedelta(seconds=wait),
        waiting_for=f"Look-up {looks}: {why}"[:200],
    )


def chase_cancel(order: Order, *, now: datetime, real_now: datetime) -> None:
    """A cancel without an answer: read the order, and cancel again when it still works."""
    broker = registry.adapter(orders.account_key(order.portfolio), now=now)
    report = broker.order(client_order_id=order.client_order_id)
    if report is not None and not report.status.is_final:
        report = broker.cancel(report.venue_order_id)
    if report is not None:
        orders.write_answers({order.pk: report}, now=now)
        orders.sync([order.portfolio], now=now)
    Order.objects.filter(pk=order.pk, status=OrderStatus.PENDING_CANCEL).update(
        deadline=real_now + timedelta(seconds=orders.DEADLINE_SECONDS)
    )


def locked_order(order: Order) -> Order:
    """Lock the portfolio, then read the order afresh."""
    orders.locked([order.portfolio_id])
    return Order.objects.select_related("portfolio").get(pk=order.pk)


def is_as_read(row: Order, order: Order) -> bool:
    """
    True while nobody settled or sent the order since it was read as `order`.

    Another sweep may be sending it just now: what was seen before that proves nothing, and one sending is enough.
    """
    return row.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN) and row.sent_at == order.sent_at


def save(order: Order, fact: Fact) -> None:
    update_rows([order], STATUS_FIELDS)
    journal.record([fact])
