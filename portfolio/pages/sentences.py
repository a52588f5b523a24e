"""Orders in words, for toasts, headings and dialogs."""

from collections.abc import Sequence
from decimal import Decimal

from brokers.enums import OrderStatus, OrderType, PriceSource, Side
from portfolio.models import Order
from portfolio.pages import figures
from portfolio.pages.forms import TIMES_IN_FORCE
from portfolio.queries import OrderRow


def wish(
    *,
    side: str,
    symbol: str,
    order_type: str,
    quantity: Decimal | None,
    notional: Decimal | None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    trail_amount: Decimal | None = None,
    trail_percent: Decimal | None = None,
) -> str:
    """Say what an order wants: “Buy 40 NVDA at 136.45 or better”."""
    amount = figures.quantity(quantity) if quantity is not None else f"{figures.money(notional)} of"
    better = "or better" if limit_price is not None else ""
    conditions = {
        OrderType.MARKET: "at market",
        OrderType.LIMIT: f"at {figures.price(limit_price)} {better}",
        OrderType.STOP: f"at market once it trades at {figures.price(stop_price)}",
        OrderType.STOP_LIMIT: (
            f"at {figures.price(limit_price)} {better} once it trades at {figures.price(stop_price)}"
        ),
        OrderType.TRAILING_STOP: f"trailing by {_trail(trail_amount, trail_percent)}",
    }
    return f"{Side(side).value.capitalize()} {amount} {symbol} {conditions[OrderType(order_type)]}"


def order_wish(row: OrderRow) -> str:
    if not row.side:
        return f"Order {row.id}"
    return wish(
        side=row.side,
        symbol=row.symbol,
        order_type=row.order_type,
        quantity=row.quantity,
        notional=row.notional,
        limit_price=row.limit_price,
        stop_price=row.stop_price,
        trail_amount=row.trail_amount,
        trail_percent=row.trail_percent,
    )


def outcome(orders: Sequence[Order], *, what: str) -> str:
    """Say how far an act got; `what` is its wish. Several orders are counted instead."""
    if len(orders) != 1:
        filled = sum(order.status == OrderStatus.FILLED for order in orders)
        return f"{what}: {len(orders)} orders, one a trade, {filled} filled so far."
    order = orders[0]
    if order.status == OrderStatus.FILLED and order.average_fill_price is not None:
        return f"Filled at {figures.price(order.average_fill_price)}: {what}."
    if order.status == OrderStatus.PARTIALLY_FILLED:
        return f"{figures.quantity(order.filled_quantity)} filled so far: {what}."
    if order.cancel_wanted_at is not None and not order.is_final:
        return (
            "The cancel is remembered: the venue has not said yet whether it has the order. It is not sent again, "
            f"and canceled as soon as it shows up: {what}."
        )
    if order.status in (OrderStatus.UNKNOWN, OrderStatus.NEEDS_REVIEW):
        return f"Sent, but the venue has not answered. The desk is looking it up; do not send it again: {what}."
    return f"{STATES.get(OrderStatus(order.status), 'Sent')}: {what}."


STATES = {
    OrderStatus.SUBMITTED: "Sent",
    OrderStatus.ACCEPTED: "Working",
    OrderStatus.PENDING_CANCEL: "Being canceled",
    OrderStatus.CANCELED: "Canceled",
    OrderStatus.EXPIRED: "Expired",
    OrderStatus.DENIED: "Refused",
    OrderStatus.REJECTED: "Refused by the venue",
}


PRICE_BASES = {
    PriceSource.QUOTE: "mid",
    PriceSource.TRADE: "last",
    PriceSource.MINUTE_BAR: "bar",
    PriceSource.DAILY_BAR: "close",
}


def price_basis(source: str) -> str:
    """Name what a price is: the middle of a quote, the last trade, a bar."""
    return PRICE_BASES.get(source, source)


def time_in_force(value: str) -> str:
    return dict(TIMES_IN_FORCE).get(value, value)


def refusals(orders: Sequence[Order]) -> list[str]:
    """Return every sentence with which the desk or the venue refused one of these orders."""
    found: list[str] = []
    for order in orders:
        if order.status not in (OrderStatus.DENIED, OrderStatus.REJECTED):
            continue
        sentences = [str(denial["message"]) for denial in order.denials] or [order.reason_text]
        found += [sentence for sentence in sentences if sentence not in found]
    return found


def _trail(amount: Decimal | None, percent: Decimal | None) -> str:
    return figures.money(amount) if amount is not None else f"{figures.money(percent)} %"
