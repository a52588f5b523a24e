"""What a trade has done so far and what came of it: averages of its legs, and the outcome at close."""

from datetime import datetime
from decimal import Decimal

from brokers.money import divide_half_away, money_units, money_value, quantity_units, quantity_value
from portfolio.batch_book import OpenTrade
from portfolio.enums import CloseReason, TradeStatus
from portfolio.models import TradeLeg


def add_to_leg(trade: OpenTrade, instrument_id: int, *, opened: int, closed: int, price: int) -> None:
    """Add signed opened and closed units at one price to the leg's quantities and average prices."""
    leg = trade.legs[instrument_id]
    leg.open_quantity = quantity_value(trade.held(instrument_id))
    if opened:
        leg.average_entry = averaged(leg.average_entry, leg.entered_quantity, price, abs(opened))
        leg.entered_quantity += quantity_value(abs(opened))
    if closed:
        leg.average_exit = averaged(leg.average_exit, leg.exited_quantity, price, abs(closed))
        leg.exited_quantity += quantity_value(abs(closed))


def averaged(average: Decimal | None, quantity: Decimal, price: int, added: int) -> Decimal:
    """The quantity-weighted mean price, rounded half away from zero to the unit."""
    before = quantity_units(quantity)
    total = money_units(average or 0) * before + price * added
    return money_value(divide_half_away(total, before + added))


def close_trade(trade: OpenTrade, *, at: datetime, reason: CloseReason) -> None:
    """Mark a flat trade CLOSED and keep its outcome."""
    row = trade.row
    row.status, row.closed_at, row.close_reason = TradeStatus.CLOSED, at, reason
    row.outcome = outcome(trade, at=at)
    trade.is_changed = True


def outcome(trade: OpenTrade, *, at: datetime) -> dict[str, object]:
    """Prices, P&L after costs, percent of what was put in, and the holding time in seconds."""
    row = trade.row
    net = row.realized_pnl - row.commission - row.fees
    invested = sum((entry_value(leg) for leg in trade.legs.values()), Decimal(0))
    return {
        "legs": [
            {
                "instrument": leg.instrument_id,
                "entered": format(leg.entered_quantity.normalize(), "f"),
                "average_entry": None if leg.average_entry is None else str(leg.average_entry),
                "average_exit": None if leg.average_exit is None else str(leg.average_exit),
            }
            for leg in trade.legs.values()
        ],
        "net_pnl": str(net),
        "net_pnl_percent": str((net / invested * 100).quantize(Decimal("0.0001"))) if invested else None,
        "held_seconds": int((at - row.opened_at).total_seconds()),
    }


def entry_value(leg: TradeLeg) -> Decimal:
    return (leg.average_entry or Decimal(0)) * leg.entered_quantity * leg.instrument.multiplier
