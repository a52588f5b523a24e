"""
THE ONLY DOOR: what a venue reports enters lots, trades, positions and the ledger here, and once.

Fills and activities of one portfolio are booked in the venue's order. A report whose id is in the book
already changes nothing, so any pass may be repeated.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from brokers.batch_rows import keys_of_pairs
from brokers.enums import FINAL_STATUSES, OrderType, Side
from brokers.messages import ActivityReport, FillReport, VenueReports
from brokers.models import Instrument
from brokers.money import money_units, money_value, notional_cents, quantity_units
from portfolio import ledger
from portfolio.accounting.lots import close_fifo
from portfolio.accounting.postings import fill_postings
from portfolio.activities import book_activity
from portfolio.batch_book import BatchBook, OpenTrade
from portfolio.booking_facts import closed_fact, fill_fact, opened_fact
from portfolio.bookings import Booking
from portfolio.enums import CloseReason, Direction, LedgerKind, OrderRole, Origin, TradeStatus
from portfolio.journal import Fact
from portfolio.models import Fill, LedgerTransaction, Order, OrderLeg, Portfolio, Trade
from portfolio.trade_results import add_to_leg, close_trade

OrderKey = tuple[int, str]
CLOSE_REASONS = {
    Origin.MANUAL: CloseReason.MANUAL,
    Origin.API: CloseReason.API,
    Origin.REBALANCE: CloseReason.REBALANCE,
    Origin.STRATEGY: CloseReason.SIGNAL,
    Origin.GUARD: CloseReason.GUARD,
    Origin.EXTERNAL: CloseReason.EXTERNAL,
}


class NotBookable(ValueError):
    """A report contradicts the book; nothing of its batch may stand. The message says what and where."""


@dataclass(slots=True)
class Booked:
    """A pass through the door under way; `facts` are recorded by the caller, last in the transaction."""

    book: BatchBook | None = None
    fills: list[Fill] = field(default_factory=list)
    opened: list[tuple[Trade, Fill, Fact]] = field(default_factory=list)
    closed: list[Trade] = field(default_factory=list)
    causes: dict[int, Fact] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    bookings: list[Booking] = field(default_factory=list)
    ordered: dict[int, Instrument] = field(default_factory=dict)


def book(
    portfolios: Mapping[int, Portfolio], reports: Mapping[int, VenueReports], orders: Mapping[OrderKey, Order]
) -> Booked:
    """
    Work the fills and activities of these reports, keyed by portfolio id, into the book in memory.

    The caller holds the portfolios' row locks, gives the orders named in the reports (their filled quantity,
    average price and trade change here), sets their new status, then calls `settle` in the same transaction.
    Raises NotBookable.
    """
    new = unseen(reports)
    touched = {key for key, items in new.items() if items}
    ended = {order.portfolio_id for order in orders.values() if order.trade_id and not order.is_final}
    booked = Booked()
    if not touched and not ended:
        return booked
    symbols = {item.symbol for items in new.values() for item in items if item.symbol}
    booked.ordered = instruments_ordered(orders.values()) if touched else {}
    booked.book = BatchBook.load([portfolios[key] for key in sorted(touched | ended)], symbols)
    for key in sorted(touched):
        for item in new[key]:
            if isinstance(item, FillReport):
                book_fill(booked, portfolios[key], item, orders)
            else:
                booking, fact = book_activity(booked.book, portfolios[key], item)
                booked.bookings.append(booking)
                booked.facts.append(fact)
    return booked


def instruments_ordered(orders: Iterable[Order]) -> dict[int, Instrument]:
    """What each order was placed in, by order id: a ticker may have changed hands since."""
    legs = OrderLeg.objects.filter(order__in=[order.pk for order in orders]).select_related("instrument")
    shared: dict[int, Instrument] = {}
    return {leg.order_id: shared.setdefault(leg.instrument_id, leg.instrument) for leg in legs}


def settle(booked: Booked, orders: Mapping[OrderKey, Order], *, now: datetime) -> None:
    """Close the trades that are flat, then write everything and post the ledger."""
    if booked.book is None:
        return
    close_flat_trades(booked, orders, now=now)
    booked.book.write()
    for order in orders.values():
        if (trade := order._state.fields_cache.get("trade")) is not None:
            order.trade_id = trade.pk  # a new trade got its key only now
    ledger.post(booked.bookings)
    booked.fills = booked.book.new_fills
    booked.facts += [opened_fact(trade, fill, cause=fact) for trade, fill, fact in booked.opened]
    booked.facts += [closed_fact(trade, cause=booked.causes.get(id(trade))) for trade in booked.closed]


def unseen(reports: Mapping[int, VenueReports]) -> dict[int, list[FillReport | ActivityReport]]:
    """Leave out what the book already holds, and put the rest of each account in the venue's order."""
    portfolio_ids = [key for key, report in reports.items() if report.fills or report.activities]
    known_fills = keys_of_pairs(
        Fill,
        ("portfolio", "venue_fill_id"),
        [(key, f.venue_fill_id) for key in portfolio_ids for f in reports[key].fills],
    )
    known_keys = keys_of_pairs(
        LedgerTransaction,
        ("portfolio", "key"),
        [(key, activity_key(item)) for key in portfolio_ids for item in reports[key].activities],
    )
    result: dict[int, list[FillReport | ActivityReport]] = {}
    for key in portfolio_ids:
        fills = [fill for fill in reports[key].fills if (key, fill.venue_fill_id) not in known_fills]
        rest = [item for item in reports[key].activities if (key, activity_key(item)) not in known_keys]
        result[key] = sorted([*fills, *rest], key=lambda item: item.sequence)
    return result


def activity_key(item: ActivityReport) -> str:
    return f"{item.kind.lower()}:{item.event_id}"


def book_fill(booked: Booked, portfolio: Portfolio, report: FillReport, orders: Mapping[OrderKey, Order]) -> None:
    """Turn one fill into lots, a trade, a position, a booking and its facts."""
    assert booked.book is not None
    order = orders.get((portfolio.pk, report.client_order_id))
    instrument = booked.ordered.get(order.pk) if order is not None else None
    instrument = instrument or booked.book.instrument(portfolio.pk, report.symbol)
    if instrument is None:
        raise NotBookable(f"Fill {report.venue_fill_id} names {report.symbol}, which is not a known instrument.")
    trade, is_first = trade_of(booked.book, portfolio, instrument, report, order)
    fill = fill_row(portfolio, instrument, trade.row, report, order)
    booked.book.new_fills.append(fill)
    realized = book_quantities(booked, trade, fill, order)
    trade.row.realized_pnl += money_value(realized)
    trade.row.commission += fill.commission
    trade.row.fees += fill.fees
    trade.is_changed = True
    if order is not None:
        note_on_order(order, fill, trade.row)
    fact = fill_fact(fill, report, order, booking=booked.bookings[-1].digest)
    booked.facts.append(fact)
    booked.causes[id(trade.row)] = fact
    if is_first:
        booked.opened.append((trade.row, fill, fact))


def book_quantities(booked: Booked, trade: OpenTrade, fill: Fill, order: Order | None) -> int:
    """Close and open lots for a fill, move the position, add the booking; return the realized units."""
    book, instrument, portfolio = booked.book, fill.instrument, fill.portfolio
    assert book is not None
    signed = quantity_units(fill.quantity) * Side(fill.side).sign
    price, multiplier = money_units(fill.price), instrument.multiplier
    held = trade.held(instrument.pk)
    closing = 0 if held * signed >= 0 else (signed if abs(signed) <= abs(held) else -held)
    if order is not None and order.role != OrderRole.ENTRY and closing != signed:
        raise NotBookable(f"Fill {fill.venue_fill_id} closes more of {instrument.symbol} than its trade holds.")
    total = signed_notional(price, signed, multiplier)
    opened_cost = total - signed_notional(price, closing, multiplier) if closing != signed else 0
    book.leg(trade, instrument)
    released = release_lots(trade, instrument.pk, closing)
    if closing != signed:
        book.add_lot(trade, fill, quantity=signed - closing, cost=opened_cost, multiplier=multiplier)
    add_to_leg(trade, instrument.pk, opened=signed - closing, closed=closing, price=price)
    realized = -(total - opened_cost) - released
    book.move_position(portfolio, instrument, quantity=signed, cost=opened_cost - released, realized=realized)
    commission, fees = money_units(fill.commission), money_units(fill.fees)
    portfolio.cash += money_value(-total - commission - fees)
    booked.bookings.append(
        Booking(
            portfolio=portfolio,
            kind=LedgerKind.FILL,
            key=f"fill:{fill.venue_fill_id}",
            occurred_at=fill.executed_at,
            fill=fill,
            postings=fill_postings(
                instrument_id=instrument.pk,
                signed_quantity=signed,
                signed_notional=total,
                released_cost=released,
                opened_cost=opened_cost,
                commission=commission,
                fees=fees,
            ),
        )
    )
    return realized


def signed_notional(price: int, signed_quantity: int, multiplier: int) -> int:
    """Money paid (+) or received (-) for a signed quantity, rounded half away from zero to the cent."""
    value = notional_cents(price, abs(signed_quantity), multiplier=multiplier)
    return value if signed_quantity >= 0 else -value


def release_lots(trade: OpenTrade, instrument_id: int, closing: int) -> int:
    """Close `closing` (signed like the fill) first in first out; return the signed cost released."""
    if not closing:
        return 0
    lots = trade.lots[instrument_id]
    releases = close_fifo([lot.units for lot in lots], -closing)
    for release in releases:
        lots[release.index].is_changed = True
    return sum(release.cost for release in releases)


def trade_of(
    book: BatchBook, portfolio: Portfolio, instrument: Instrument, report: FillReport, order: Order | None
) -> tuple[OpenTrade, bool]:
    """Find the trade a fill belongs to, or begin one; the second value says that it is new."""
    if order is not None and order.pk in book.by_order:
        return book.by_order[order.pk], False
    if order is not None and order.trade_id:
        return book.trade(order.trade_id, portfolio.pk) or reopened(book, order), False
    origin = order.origin if order is not None else Origin.EXTERNAL
    trade = book.pooled_trade(portfolio.pk, instrument.symbol, origin)
    is_new = trade is None
    if trade is None:
        trade = new_trade(portfolio, instrument, report, order, origin)
        book.trades[portfolio.pk].append(trade)
    if order is not None:
        book.by_order[order.pk] = trade
    return trade, is_new


def reopened(book: BatchBook, order: Order) -> OpenTrade:
    """A late fill of a closed trade opens it again: evidence is never refused."""
    row = Trade.objects.get(pk=order.trade_id)
    row.status, row.closed_at, row.close_reason, row.outcome = TradeStatus.OPEN, None, "", {}
    trade = OpenTrade(row, legs={leg.instrument_id: leg for leg in row.legs.all()}, is_changed=True)
    book.trades[row.portfolio_id].append(trade)
    book.by_order[order.pk] = trade
    return trade


def new_trade(
    portfolio: Portfolio, instrument: Instrument, report: FillReport, order: Order | None, origin: str
) -> OpenTrade:
    plan = order.plan if order is not None else {}
    row = Trade(
        user_id=portfolio.user_id,
        portfolio=portfolio,
        origin=origin,
        symbol=instrument.symbol,
        direction=Direction.LONG if report.side == Side.BUY else Direction.SHORT,
        opened_at=report.executed_at,
        entry_context={**plan.get("context", {}), "observation": report.evidence.get("observation", {})},
        tags=plan.get("tags", []),
        notes=plan.get("note", ""),
    )
    return OpenTrade(row, is_new=True)


def fill_row(
    portfolio: Portfolio, instrument: Instrument, trade: Trade, report: FillReport, order: Order | None
) -> Fill:
    expected = expected_price(report, order)
    sign = report.side.sign
    return Fill(
        user_id=portfolio.user_id,
        portfolio=portfolio,
        order=order,
        instrument=instrument,
        trade=trade,
        side=report.side,
        quantity=report.quantity,
        price=report.price,
        commission=report.commission,
        fees=report.fees,
        venue_fill_id=report.venue_fill_id,
        expected_price=expected,
        slippage=None if expected is None else (report.price - expected) * sign,
        evidence=dict(report.evidence),
        executed_at=report.executed_at,
    )


def expected_price(report: FillReport, order: Order | None) -> Decimal | None:
    """What slippage is measured from: the stop now in force, the price when the order was placed, or the venue's."""
    if order is None:
        return report.expected_price
    if order.order_type in (OrderType.STOP, OrderType.STOP_LIMIT):
        return order.stop_price
    return report.expected_price if order.expected_price is None else order.expected_price


def note_on_order(order: Order, fill: Fill, trade: Trade) -> None:
    """Add a fill to its order: quantity, average price, trade. Raises NotBookable past its quantity."""
    before, filled = order.filled_quantity, order.filled_quantity + fill.quantity
    if order.quantity is not None and filled > order.quantity:
        raise NotBookable(f"Order {order.client_order_id} would be filled {filled} of {order.quantity}.")
    paid = (order.average_fill_price or Decimal(0)) * before + fill.price * fill.quantity
    order.average_fill_price = (paid / filled).quantize(Decimal("0.000001"))
    order.filled_quantity = filled
    order.trade = trade


def close_flat_trades(booked: Booked, orders: Mapping[OrderKey, Order], *, now: datetime) -> None:
    """Close trades that hold nothing more and have no live order; a live sibling keeps them open."""
    book = booked.book
    assert book is not None
    flat = [trade for group in book.trades.values() for trade in group if trade.has_ended]
    busy = live_siblings([trade.row.pk for trade in flat if trade.row.pk], orders) | live_keys_in_hand(orders)
    busy_new = live_in_hand(orders)
    last_fills = {id(fill.trade): fill for fill in book.new_fills} if flat else {}
    for trade in flat:
        if trade.row.pk in busy or id(trade.row) in busy_new or trade.row.status == TradeStatus.CLOSED:
            continue
        fill = last_fills.get(id(trade.row))
        close_trade(trade, at=now if fill is None else fill.executed_at, reason=close_reason(trade.row, fill))
        booked.closed.append(trade.row)


def live_siblings(trade_ids: Iterable[int], orders: Mapping[OrderKey, Order]) -> set[int]:
    """Trades with a live order in the database that is not in hand."""
    in_hand = {order.pk for order in orders.values()}
    rows = Order.objects.filter(trade_id__in=list(trade_ids)).exclude(status__in=FINAL_STATUSES)
    return {trade_id for pk, trade_id in rows.values_list("pk", "trade_id") if pk not in in_hand}


def live_in_hand(orders: Mapping[OrderKey, Order]) -> set[int]:
    """Identities of trades with an order in hand that may still fill; a new trade has no key yet."""
    return {
        id(trade)
        for order in orders.values()
        if not order.is_final and (trade := order._state.fields_cache.get("trade")) is not None
    }


def live_keys_in_hand(orders: Mapping[OrderKey, Order]) -> set[int]:
    return {order.trade_id for order in orders.values() if order.trade_id and not order.is_final}


def close_reason(trade: Trade, fill: Fill | None) -> CloseReason:
    order = fill.order if fill is not None else None
    if order is None:
        return CloseReason.EXTERNAL if fill is not None else CLOSE_REASONS[Origin(trade.origin)]
    if order.role in (OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT):
        return CloseReason(order.role)
    return CloseReason(order.plan.get("close_reason") or CLOSE_REASONS[Origin(order.origin)])
