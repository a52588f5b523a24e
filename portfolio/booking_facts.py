"""What the journal says of a fill and of the trades it opens and closes."""

from brokers.messages import FillReport
from portfolio.bookings import fill_digest
from portfolio.journal import Fact
from portfolio.models import Fill, Order, Trade


def fill_fact(fill: Fill, report: FillReport, order: Order | None, *, booking: str) -> Fact:
    return Fact(
        name="order.filled_late" if order is not None and order.is_final else "order.filled",
        subject=f"order:{order.pk}" if order is not None else f"venue:{report.venue_order_id}",
        user_id=fill.user_id,
        portfolio_id=fill.portfolio_id,
        at=fill.executed_at,
        actor="venue",
        cause=order.journal_sequence if order is not None else None,
        data={
            "fill": fill.venue_fill_id,
            "symbol": fill.instrument.symbol,
            "side": fill.side,
            "quantity": fill.quantity,
            "price": fill.price,
            "commission": fill.commission,
            "fees": fill.fees,
            "digest": fill_digest(fill),
            "booking": booking,
        },
    )


def opened_fact(trade: Trade, fill: Fill, *, cause: Fact) -> Fact:
    return Fact(
        name="trade.opened",
        subject=f"trade:{trade.pk}",
        user_id=trade.user_id,
        portfolio_id=trade.portfolio_id,
        at=fill.executed_at,
        actor="desk",
        cause=cause,
        data={"symbol": trade.symbol, "direction": trade.direction, "origin": trade.origin},
    )


def closed_fact(trade: Trade, *, cause: Fact | None) -> Fact:
    return Fact(
        name="trade.closed",
        subject=f"trade:{trade.pk}",
        user_id=trade.user_id,
        portfolio_id=trade.portfolio_id,
        at=trade.closed_at,
        actor="desk",
        cause=cause,
        data={
            "symbol": trade.symbol,
            "reason": trade.close_reason,
            "realized_pnl": trade.realized_pnl,
            "commission": trade.commission,
            "fees": trade.fees,
        },
    )
