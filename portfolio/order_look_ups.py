"""
Settle orders whose outcome is open: not sent yet, unknown, or a cancel without an answer.

Driven by the sweep from rows and deadlines alone, so a lost message or a killed process only costs time.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from brokers import registry
from brokers.batch_rows import update_rows
from brokers.enums import OrderStatus
from brokers.errors import BrokerError
from brokers.real_time import database_now
from portfolio import journal
from portfolio.journal import Fact
from portfolio.models import Order
from portfolio.order_reports import (
    ABSENCES,
    LOOK_UP_SECONDS,
    STATUS_FIELDS,
    status_fact,
    take_absence,
    take_unknown,
)
from portfolio.order_sync import account_key, sync
from portfolio.order_wire import (
    DEADLINE_SECONDS,
    WORKING,
    cancel_wished,
    is_as_read,
    is_wanted,
    locked_order,
    send_again,
    write_answers,
)

ROWS_A_PASS = 500
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
        (rows.filter(status__in=WORKING, cancel_wanted_at__isnull=False)[:ROWS_A_PASS], keep_wish),
        (found_late(real_now)[:ROWS_A_PASS], cancel_late_find),
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
    broker = registry.adapter(account_key(order.portfolio), now=now)
    try:
        report = broker.order(client_order_id=order.client_order_id)
    except BrokerError as error:
        postpone(order, str(error), real_now=real_now)
        return
    if report is not None:
        write_answers({order.pk: report}, now=now)
        cancel_wished([order.pk], now=now)
        sync([order.portfolio], now=now)
    elif not broker.capabilities.dedupes_client_id:
        without_proof(order, now=now, real_now=real_now)
    elif is_wanted(order, real_now=real_now):
        send_again(order, now=now)
    else:
        text = "The venue does not know it, and it is not wanted any more; nothing was traded."
        give_up(order, code="ABSENT_AT_VENUE", text=text, now=now)


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
    broker = registry.adapter(account_key(order.portfolio), now=now)
    report = broker.order(client_order_id=order.client_order_id)
    if report is not None and not report.status.is_final:
        report = broker.cancel(report.venue_order_id)
    if report is not None:
        write_answers({order.pk: report}, now=now)
        sync([order.portfolio], now=now)
    Order.objects.filter(pk=order.pk, status=OrderStatus.PENDING_CANCEL).update(
        deadline=real_now + timedelta(seconds=DEADLINE_SECONDS)
    )


def keep_wish(order: Order, *, now: datetime, real_now: datetime) -> None:
    """A cancel asked for while nobody knew whether the order had arrived: now it works, so cancel it."""
    cancel_wished([order.pk], now=now)


def found_late(real_now: datetime) -> QuerySet[Order]:
    """Orders that were given up as absent and work at the venue all the same."""
    given_up = Order.objects.select_related("portfolio").filter(status=OrderStatus.REJECTED, reason_code__in=ABSENCES)
    return given_up.filter(next_look_up_at__lte=real_now).exclude(venue_order_id="").order_by("pk")


def cancel_late_find(order: Order, *, now: datetime, real_now: datetime) -> None:
    """Cancel at the venue what the desk had given up; what it filled meanwhile is booked."""
    report = registry.adapter(account_key(order.portfolio), now=now).cancel(order.venue_order_id)
    write_answers({order.pk: report}, now=now)
    sync([order.portfolio], now=now)


def save(order: Order, fact: Fact) -> None:
    update_rows([order], STATUS_FIELDS)
    journal.record([fact])
