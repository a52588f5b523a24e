"""
The obvious way to book a fill: one transaction, one row at a time, `save()` and Decimal, nothing shared.

It keeps the same books as the door: order, fill, trade, leg, lots, position, cash, ledger and journal. It
checks less: no cursors, no late fills, no activities, no short sales; and it marks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import transaction

from brokers.enums import OrderStatus, Side
from brokers.messages import FillReport, OrderReport
from brokers.models import Instrument
from brokers.money import money_units, quantity_units
from portfolio import journal
from portfolio.bookings import digest_of
from portfolio.enums import CloseReason, Direction, LedgerAccount, LedgerKind, TradeStatus
from portfolio.models import (
    Fill,
    JournalEntry,
    JournalHead,
    LedgerPosting,
    LedgerTransaction,
    Lot,
    Order,
    Portfolio,
    Position,
    Trade,
    TradeLeg,
)

CENT = Decimal("0.01")
UNIT = Decimal("0.000001")


@dataclass(slots=True)
class Moved:
    """What a fill did to the lots: cost that left and entered, money paid, and what the sale earned."""

    notional: Decimal
    released: Decimal = Decimal(0)
    opened: Decimal = Decimal(0)

    @property
    def realized(self) -> Decimal:
        return -(self.notional - self.opened) - self.released


def book_fills(portfolio_id: int, reports: Sequence[FillReport], orders: Sequence[OrderReport]) -> None:
    ended = {report.client_order_id: report for report in orders}
    for report in reports:
        book_fill(portfolio_id, report, ended[report.client_order_id])


def book_fill(portfolio_id: int, report: FillReport, order_report: OrderReport) -> None:
    """Book one fill and the end of its order in a transaction of its own; a known fill changes nothing."""
    with transaction.atomic():
        portfolio = Portfolio.objects.select_for_update().get(pk=portfolio_id)
        if Fill.objects.filter(portfolio=portfolio, venue_fill_id=report.venue_fill_id).exists():
            return
        order = Order.objects.get(portfolio=portfolio, client_order_id=report.client_order_id)
        instrument = Instrument.objects.get(symbol=report.symbol, is_active=True)
        trade, is_new = trade_for(order, instrument, report)
        fill = write_fill(order, instrument, trade, report)
        leg, _ = TradeLeg.objects.get_or_create(user_id=portfolio.user_id, trade=trade, instrument=instrument)
        moved = move_lots(fill, leg)
        move_leg(leg, fill)
        move_position(fill, moved)
        portfolio.cash -= moved.notional + fill.commission + fill.fees
        portfolio.version += 1
        portfolio.save()
        digest = post(fill, moved)
        end_order(order, fill, order_report)
        entry = note_fill(fill, order, digest)
        if is_new:
            note_opened(trade, fill, cause=entry.sequence)
        move_trade(trade, leg, fill, moved, cause=entry.sequence)


def trade_for(order: Order, instrument: Instrument, report: FillReport) -> tuple[Trade, bool]:
    held = Trade.objects.filter(portfolio=order.portfolio, symbol=instrument.symbol, origin=order.origin).exclude(
        status=TradeStatus.CLOSED
    )
    return held.get_or_create(
        defaults={
            "user_id": order.user_id,
            "portfolio": order.portfolio,
            "symbol": instrument.symbol,
            "origin": order.origin,
            "direction": Direction.LONG if report.side == Side.BUY else Direction.SHORT,
            "opened_at": report.executed_at,
            "entry_context": {"observation": report.evidence.get("observation", {})},
        }
    )


def write_fill(order: Order, instrument: Instrument, trade: Trade, report: FillReport) -> Fill:
    return Fill.objects.create(
        user_id=order.user_id,
        portfolio=order.portfolio,
        order=order,
        instrument=instrument,
        trade=trade,
        side=report.side,
        quantity=report.quantity,
        price=report.price,
        commission=report.commission,
        fees=report.fees,
        venue_fill_id=report.venue_fill_id,
        expected_price=order.expected_price,
        slippage=(report.price - order.expected_price) * report.side.sign,
        evidence=dict(report.evidence),
        executed_at=report.executed_at,
    )


def move_lots(fill: Fill, leg: TradeLeg) -> Moved:
    """Open a lot for a buy; close the oldest lots for a sale."""
    notional = (fill.price * fill.quantity).quantize(CENT, ROUND_HALF_UP)
    if fill.side == Side.BUY:
        Lot.objects.create(
            user_id=fill.user_id,
            trade_leg=leg,
            portfolio=fill.portfolio,
            instrument=fill.instrument,
            opening_fill=fill,
            quantity=fill.quantity,
            remaining=fill.quantity,
            cost=notional,
            price=(notional / fill.quantity).quantize(UNIT, ROUND_HALF_UP),
            opened_at=fill.executed_at,
        )
        return Moved(notional, opened=notional)
    left, released = fill.quantity, Decimal(0)
    for lot in Lot.objects.filter(trade_leg=leg).exclude(remaining=0).order_by("opened_at", "pk"):
        taken = min(left, lot.remaining)
        cost = lot.cost if taken == lot.remaining else (lot.cost * taken / lot.remaining).quantize(UNIT, ROUND_HALF_UP)
        lot.remaining, lot.cost = lot.remaining - taken, lot.cost - cost
        lot.save()
        left, released = left - taken, released + cost
        if not left:
            break
    return Moved(-notional, released=released)


def move_leg(leg: TradeLeg, fill: Fill) -> None:
    if fill.side == Side.BUY:
        leg.average_entry = averaged(leg.average_entry, leg.entered_quantity, fill)
        leg.entered_quantity += fill.quantity
        leg.open_quantity += fill.quantity
    else:
        leg.average_exit = averaged(leg.average_exit, leg.exited_quantity, fill)
        leg.exited_quantity += fill.quantity
        leg.open_quantity -= fill.quantity
    leg.save()


def averaged(average: Decimal | None, quantity: Decimal, fill: Fill) -> Decimal:
    total = (average or Decimal(0)) * quantity + fill.price * fill.quantity
    return (total / (quantity + fill.quantity)).quantize(UNIT, ROUND_HALF_UP)


def move_position(fill: Fill, moved: Moved) -> None:
    position, _ = Position.objects.get_or_create(
        portfolio=fill.portfolio,
        instrument=fill.instrument,
        defaults={"user_id": fill.user_id, "mark_reason": "Not marked yet."},
    )
    position.quantity += fill.quantity * Side(fill.side).sign
    position.cost += moved.opened - moved.released
    position.average_cost = (
        (position.cost / position.quantity).quantize(UNIT, ROUND_HALF_UP) if position.quantity else Decimal(0)
    )
    position.realized_pnl += moved.realized
    if position.quantity:
        position.mark_reason, position.market_value, position.unrealized_pnl = "Not marked yet.", None, None
    else:
        position.mark_reason, position.market_value, position.unrealized_pnl = "", Decimal(0), Decimal(0)
    position.version += 1
    position.save()


def post(fill: Fill, moved: Moved) -> str:
    """Write the balanced transaction of a fill and return its digest."""
    booked = LedgerTransaction.objects.create(
        user_id=fill.user_id,
        portfolio=fill.portfolio,
        kind=LedgerKind.FILL,
        key=f"fill:{fill.venue_fill_id}",
        occurred_at=fill.executed_at,
        fill=fill,
    )
    lines = [
        (LedgerAccount.CASH, None, -moved.notional - fill.commission - fill.fees, None),
        (
            LedgerAccount.SECURITIES,
            fill.instrument_id,
            moved.opened - moved.released,
            fill.quantity * Side(fill.side).sign,
        ),
        (LedgerAccount.REALIZED_PNL, None, -moved.realized, None),
        (LedgerAccount.COMMISSION, None, fill.commission, None),
        (LedgerAccount.FEES, None, fill.fees, None),
    ]
    written = [line for line in lines if line[2] or line[3]]
    for account, instrument_id, amount, quantity in written:
        LedgerPosting.objects.create(
            user_id=fill.user_id,
            transaction=booked,
            account=account,
            instrument_id=instrument_id,
            amount=amount,
            quantity=quantity,
        )
    return digest_of(
        portfolio_id=fill.portfolio_id,
        kind=LedgerKind.FILL,
        key=booked.key,
        occurred_at=fill.executed_at,
        lines=[
            (account.value, instrument_id, money_units(amount), None if q is None else quantity_units(q))
            for account, instrument_id, amount, q in written
        ],
    )


def end_order(order: Order, fill: Fill, report: OrderReport) -> None:
    paid = (order.average_fill_price or Decimal(0)) * order.filled_quantity + fill.price * fill.quantity
    order.filled_quantity += fill.quantity
    order.average_fill_price = (paid / order.filled_quantity).quantize(UNIT)
    order.trade = fill.trade
    if order.filled_quantity == order.quantity:
        order.status, order.final_at = OrderStatus.FILLED, report.updated_at
        order.venue_status, order.waiting_for = report.raw_status, ""
    order.venue_updated_at = report.updated_at
    order.version += 1
    order.save()


def move_trade(trade: Trade, leg: TradeLeg, fill: Fill, moved: Moved, *, cause: int) -> None:
    trade.realized_pnl += moved.realized
    trade.commission += fill.commission
    trade.fees += fill.fees
    is_flat = not leg.open_quantity
    if is_flat:
        trade.status, trade.closed_at = TradeStatus.CLOSED, fill.executed_at
        trade.close_reason = CloseReason.API
        trade.outcome = outcome(trade, leg, fill)
    trade.version += 1
    trade.save()
    if is_flat:
        data = {
            "symbol": trade.symbol,
            "reason": trade.close_reason,
            "realized_pnl": trade.realized_pnl,
            "commission": trade.commission,
            "fees": trade.fees,
        }
        note(trade, "trade.closed", f"trade:{trade.pk}", data, fill=fill, actor="desk", cause=cause)


def outcome(trade: Trade, leg: TradeLeg, fill: Fill) -> dict[str, Any]:
    net = trade.realized_pnl - trade.commission - trade.fees
    invested = (leg.average_entry or Decimal(0)) * leg.entered_quantity
    return {
        "legs": [
            {
                "instrument": leg.instrument_id,
                "entered": format(leg.entered_quantity.normalize(), "f"),
                "average_entry": str(leg.average_entry),
                "average_exit": str(leg.average_exit),
            }
        ],
        "net_pnl": str(net),
        "net_pnl_percent": str((net / invested * 100).quantize(Decimal("0.0001"))),
        "held_seconds": int((fill.executed_at - trade.opened_at).total_seconds()),
    }


def note_fill(fill: Fill, order: Order, booking: str) -> JournalEntry:
    content = journal.digest(
        portfolio=fill.portfolio_id,
        venue_fill_id=fill.venue_fill_id,
        instrument=fill.instrument_id,
        side=str(fill.side),
        quantity=fill.quantity.normalize(),
        price=fill.price.normalize(),
        commission=fill.commission.normalize(),
        fees=fill.fees.normalize(),
        executed_at=fill.executed_at,
    )
    data = {
        "fill": fill.venue_fill_id,
        "symbol": fill.instrument.symbol,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "commission": fill.commission,
        "fees": fill.fees,
        "digest": content,
        "booking": booking,
    }
    cause = order.journal_sequence
    return note(fill, "order.filled", f"order:{order.pk}", data, fill=fill, actor="venue", cause=cause)


def note_opened(trade: Trade, fill: Fill, *, cause: int) -> None:
    data = {"symbol": trade.symbol, "direction": trade.direction, "origin": trade.origin}
    note(trade, "trade.opened", f"trade:{trade.pk}", data, fill=fill, actor="desk", cause=cause)


def note(
    row: Fill | Trade, name: str, subject: str, data: dict[str, Any], *, fill: Fill, actor: str, cause: int | None
) -> JournalEntry:
    """Append one entry to the user's chain: lock the head, hash, write both."""
    JournalHead.objects.get_or_create(user_id=row.user_id)
    head = JournalHead.objects.select_for_update().get(user_id=row.user_id)
    entry = JournalEntry(
        user_id=row.user_id,
        portfolio_id=row.portfolio_id,
        sequence=head.sequence + 1,
        name=name,
        subject=subject,
        data=journal.plain(data),
        actor=actor,
        cause=cause,
        at=fill.executed_at,
        previous_hash=head.hash,
    )
    entry.hash = journal.entry_hash(entry, head.hash)
    entry.save()
    head.sequence, head.hash = entry.sequence, entry.hash
    head.save()
    return entry
