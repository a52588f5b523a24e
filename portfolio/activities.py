"""Book what a venue reports besides fills: flows, dividends, splits, cash in lieu; for the fills door alone."""

from collections.abc import Callable

from brokers.enums import ActivityKind
from brokers.messages import ActivityReport
from brokers.models import Instrument
from brokers.money import divide_half_away, money_units, money_value, quantity_units, quantity_value
from portfolio.accounting.lots import close_fifo, split_lots
from portfolio.accounting.postings import (
    Posting,
    cash_in_lieu_postings,
    dividend_declared_postings,
    dividend_paid_postings,
    flow_postings,
    split_postings,
)
from portfolio.accounting.valuation import scaled_peak
from portfolio.batch_book import BatchBook, OpenTrade
from portfolio.bookings import Booking
from portfolio.enums import LedgerKind
from portfolio.journal import Fact
from portfolio.models import Portfolio

EVENT_NAMES = {
    ActivityKind.DEPOSIT: "portfolio.deposited",
    ActivityKind.WITHDRAWAL: "portfolio.withdrew",
    ActivityKind.DIVIDEND_DECLARED: "dividend.declared",
    ActivityKind.DIVIDEND: "dividend.paid",
    ActivityKind.SPLIT: "position.split",
    ActivityKind.CASH_IN_LIEU: "position.cash_in_lieu",
}


def book_activity(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> tuple[Booking, Fact]:
    """Change lots, cash and receivable for one activity and return its booking and its fact."""
    postings = HANDLERS[report.kind](book, portfolio, report)
    ratio = f"{report.ratio_to}:{report.ratio_from}"
    booking = Booking(
        portfolio=portfolio,
        kind=LedgerKind(report.kind.value),
        key=f"{report.kind.lower()}:{report.event_id}",
        occurred_at=report.occurred_at,
        postings=postings,
        text=ratio if report.kind is ActivityKind.SPLIT else report.text[:200],
    )
    fact = Fact(
        name=EVENT_NAMES[report.kind],
        subject=report.symbol or f"portfolio:{portfolio.pk}",
        user_id=portfolio.user_id,
        portfolio_id=portfolio.pk,
        at=report.occurred_at,
        actor="venue",
        data={
            "event": report.event_id,
            "amount": report.amount,
            "promised": report.promised,
            "ratio": ratio,
            "booking": booking.digest,
        },
    )
    return booking, fact


def book_flow(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> list[Posting]:
    amount = money_units(report.amount)
    peak = scaled_peak(peak=money_units(portfolio.equity_peak), equity=equity_units(book, portfolio), flow=amount)
    portfolio.equity_peak = money_value(peak)
    portfolio.cash += report.amount
    return flow_postings(amount)


def equity_units(book: BatchBook, portfolio: Portfolio) -> int:
    """Equity by the last marks; a position without one counts at cost, since a flow cannot wait."""
    held = (row for (key, _), row in book.positions.items() if key == portfolio.pk and row.quantity)
    worth = sum(money_units(row.cost if row.market_value is None else row.market_value) for row in held)
    return money_units(portfolio.cash) + money_units(portfolio.receivable) + worth


def book_declared(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> list[Posting]:
    promised = report.promised or report.amount
    portfolio.receivable += promised
    return dividend_declared_postings(money_units(promised))


def book_dividend(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> list[Posting]:
    portfolio.cash += report.amount
    portfolio.receivable -= report.amount
    return dividend_paid_postings(money_units(report.amount))


def book_split(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> list[Posting]:
    """Multiply all open lots of the instrument; total cost stays."""
    instrument = named(book, portfolio, report)
    position = book.position(portfolio, instrument)
    old, cost = quantity_units(position.quantity), money_units(position.cost)
    trades = holders(book, portfolio, instrument)
    lots = [lot for trade in trades for lot in trade.lots[instrument.pk]]
    split_lots([lot.units for lot in lots], ratio_from=report.ratio_from, ratio_to=report.ratio_to)
    for lot in lots:
        lot.is_changed = True
    for trade in trades:
        scale_leg(trade, instrument.pk, ratio_from=report.ratio_from, ratio_to=report.ratio_to)
    new = sum(lot.units.remaining for lot in lots)
    book.split_position(
        portfolio, instrument, quantity=new - old, ratio_from=report.ratio_from, ratio_to=report.ratio_to
    )
    return split_postings(instrument_id=instrument.pk, cost=cost, old_quantity=old, new_quantity=new)


def scale_leg(trade: OpenTrade, instrument_id: int, *, ratio_from: int, ratio_to: int) -> None:
    """Put a leg's history on the new basis: quantities times the ratio, average prices divided by it."""
    leg = trade.legs[instrument_id]
    trade.is_changed = True
    leg.open_quantity = quantity_value(trade.held(instrument_id))
    leg.entered_quantity = quantity_value(quantity_units(leg.entered_quantity) * ratio_to // ratio_from)
    leg.exited_quantity = quantity_value(quantity_units(leg.exited_quantity) * ratio_to // ratio_from)
    for name in ("average_entry", "average_exit"):
        price = getattr(leg, name)
        if price is not None:
            setattr(leg, name, money_value(divide_half_away(money_units(price) * ratio_from, ratio_to)))


def book_cash_in_lieu(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> list[Posting]:
    """Take the fraction, signed like the holding, from the newest lots and pay it out."""
    instrument = named(book, portfolio, report)
    fraction, amount = quantity_units(report.quantity or 0), money_units(report.amount)
    trades = holders(book, portfolio, instrument)
    # Trades and their lots stand in the order of their booking, which breaks ties the same way in a replay.
    oldest_first = [(lot, trade) for trade in trades for lot in trade.lots[instrument.pk]]
    newest_first = sorted(oldest_first, key=lambda pair: pair[0].opened_at)[::-1]
    releases = close_fifo([lot.units for lot, _ in newest_first], fraction)
    for release in releases:
        lot, trade = newest_first[release.index]
        lot.is_changed = trade.is_changed = True
        trade.legs[instrument.pk].open_quantity = quantity_value(trade.held(instrument.pk))
    cost = sum(release.cost for release in releases)
    newest_first[releases[0].index][1].row.realized_pnl += money_value(amount - cost)
    book.move_position(portfolio, instrument, quantity=-fraction, cost=-cost, realized=amount - cost)
    portfolio.cash += report.amount
    return cash_in_lieu_postings(instrument_id=instrument.pk, amount=amount, released_cost=cost, quantity=fraction)


def named(book: BatchBook, portfolio: Portfolio, report: ActivityReport) -> Instrument:
    """The instrument an activity is about. Raises LookupError when nothing ever had its name."""
    instrument = book.instrument(portfolio.pk, report.symbol)
    if instrument is None:
        raise LookupError(f"{report.kind} {report.event_id} names {report.symbol}, which is not a known instrument.")
    return instrument


def holders(book: BatchBook, portfolio: Portfolio, instrument: Instrument) -> list[OpenTrade]:
    return [trade for trade in book.trades[portfolio.pk] if trade.held(instrument.pk)]


HANDLERS: dict[ActivityKind, Callable[[BatchBook, Portfolio, ActivityReport], list[Posting]]] = {
    ActivityKind.DEPOSIT: book_flow,
    ActivityKind.WITHDRAWAL: book_flow,
    ActivityKind.DIVIDEND_DECLARED: book_declared,
    ActivityKind.DIVIDEND: book_dividend,
    ActivityKind.SPLIT: book_split,
    ActivityKind.CASH_IN_LIEU: book_cash_in_lieu,
}
