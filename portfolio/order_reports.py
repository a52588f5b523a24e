"""Write what a venue said onto order rows: which status follows, and the fact that records it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from brokers.enums import OrderStatus
from brokers.errors import BrokerUnavailable, OrderRejected
from brokers.messages import OrderReport
from brokers.real_time import database_now
from portfolio import order_states
from portfolio.journal import Fact
from portfolio.models import Order

STATUS_FIELDS = (
    "status", "venue_status", "venue_order_id", "reason_code", "reason_text", "warnings", "waiting_for",
    "quantity", "limit_price", "stop_price", "trail_amount", "filled_quantity", "average_fill_price", "trade",
    "final_at", "judged_price", "venue_updated_at", "sent_at", "deadline", "look_ups", "next_look_up_at",
)  # fmt: skip
# With these the desk gave an order up as never arrived; should it show up all the same, it is canceled.
ABSENCES = ("ABSENT_AT_VENUE", "NEVER_SENT")
LOOK_UP_SECONDS = (0, 2, 5, 10, 20, 40, 80)


def take_report(order: Order, report: OrderReport) -> tuple[bool, Fact | None]:
    """
    Copy a venue's report onto an order in memory; say whether it changed, and the fact if its status did.

    A report older than the one already taken, and a status that may not follow, change nothing. A wish to
    cancel stands until the order is over: a report from before the venue heard of it does not undo it.
    """
    if order.venue_updated_at is not None and report.updated_at < order.venue_updated_at:
        return False, None
    if order.status == OrderStatus.REJECTED and order.reason_code in ABSENCES:
        return take_late_find(order, report)
    before = snapshot(order)
    is_canceling = order.status == OrderStatus.PENDING_CANCEL and not report.status.is_final
    may_follow = order_states.may_follow(OrderStatus(order.status), report.status)
    moved = report.status != order.status and may_follow and not is_canceling
    known = moved or is_canceling or report.status == order.status
    if known:
        order.venue_order_id = report.venue_order_id
        order.venue_status = report.raw_status[:40]
        order.waiting_for = "" if report.status.is_final else report.waiting_for[:200]
        order.venue_updated_at = report.updated_at
        if not is_canceling:
            order.deadline = order.next_look_up_at = None
        if report.quantity is not None and report.quantity >= order.filled_quantity:
            order.quantity = report.quantity
        order.limit_price = report.limit_price or order.limit_price
        order.stop_price = report.stop_price or order.stop_price
        order.warnings = list(dict.fromkeys([*order.warnings, *report.warnings]))
    if moved:
        order.status = report.status
        order.reason_code, order.reason_text = report.reason_code[:40], report.reason[:1000]
        order.final_at = report.updated_at if report.status.is_final else None
    fact = status_fact(order, at=report.updated_at, actor="venue") if moved else None
    return snapshot(order) != before, fact


def take_late_find(order: Order, report: OrderReport) -> tuple[bool, Fact | None]:
    """
    An order given up as absent shows up: it stays REJECTED, and while it works there the sweep cancels it.

    `next_look_up_at` says that there is something to cancel. `order.found_late` is recorded once.
    """
    before, is_first = snapshot(order), not order.venue_order_id
    order.venue_order_id, order.venue_status = report.venue_order_id, report.raw_status[:40]
    order.venue_updated_at = report.updated_at
    if report.status.is_final:
        order.next_look_up_at = None
    elif order.next_look_up_at is None:
        order.next_look_up_at = database_now()
    fact = order_fact("order.found_late", order, at=report.updated_at, actor="venue") if is_first else None
    return snapshot(order) != before, fact


def snapshot(order: Order) -> tuple[object, ...]:
    return tuple(getattr(order, name) for name in STATUS_FIELDS if name not in ("trade", "warnings"))


def take_refusal(order: Order, error: OrderRejected, *, now: datetime) -> Fact:
    """The venue refused: final, with its text unchanged."""
    order.status, order.final_at = OrderStatus.REJECTED, now
    order.reason_code, order.reason_text = error.code[:40], str(error)[:1000]
    order.deadline = order.next_look_up_at = None
    return status_fact(order, at=now, actor="venue")


def take_unavailable(order: Order, error: BrokerUnavailable, *, real_now: datetime, deadline: datetime) -> None:
    """Nothing was sent: the order stays SUBMITTED and may be sent again with the same id."""
    order.sent_at, order.deadline = None, deadline
    order.waiting_for = str(error)[:200]


def take_unknown(order: Order, error: Exception, *, now: datetime, look_up_at: datetime) -> Fact:
    """Something may have been sent: look it up, never resend blindly."""
    order.status, order.next_look_up_at, order.deadline = OrderStatus.UNKNOWN, look_up_at, None
    order.reason_text = f"The venue has not answered ({error}). The desk is looking the order up."[:1000]
    return status_fact(order, at=now, actor="desk")


def take_absence(order: Order, *, code: str, text: str, now: datetime) -> Fact:
    """Proven absent at the venue and not wanted any more: rejected."""
    order.status, order.final_at = OrderStatus.REJECTED, now
    order.reason_code, order.reason_text = code, text
    order.deadline = order.next_look_up_at = None
    return status_fact(order, at=now, actor="desk")


def status_fact(order: Order, *, at: datetime, actor: str) -> Fact:
    """`order.<status>` with what changed; the start of the order is its cause."""
    data: dict[str, object] = {
        "filled": order.filled_quantity or Decimal(0),
        "venue_order": order.venue_order_id,
    }
    if order.reason_code:
        data |= {"reason": order.reason_code, "text": order.reason_text}
    return order_fact(f"order.{order.status.lower()}", order, at=at, actor=actor, data=data)


def order_fact(name: str, order: Order, *, at: datetime, actor: str, data: Mapping[str, object] | None = None) -> Fact:
    """A fact about an order, caused by its start."""
    return Fact(
        name=name,
        subject=f"order:{order.pk}",
        user_id=order.user_id,
        portfolio_id=order.portfolio_id,
        at=at,
        actor=actor,
        cause=order.journal_sequence,
        data=data or {},
    )
