"""Bring in what the venues report: fills through the door, statuses, cursors; set-wise, in batches."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from brokers import polling
from brokers.batch_rows import keys_of_pairs, update_rows
from brokers.enums import Environment, OrderStatus, Venue
from brokers.market_data import prices
from brokers.messages import AccountKey, OrderReport, VenueReports
from portfolio import fills, journal, positions
from portfolio.journal import Fact
from portfolio.models import Order, Portfolio, Trade
from portfolio.order_reports import STATUS_FIELDS, take_report

BATCH_PORTFOLIOS = 200
OVERLAP = timedelta(minutes=10)
CATCHING_UP = "Catching up with the market"
# Each fill is a fact of its own; these statuses follow from them.
TOLD_BY_FILLS = (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)


@dataclass(slots=True)
class Synced:
    """What one pass over some portfolios brought in; errors by portfolio id, in words."""

    fills: int = 0
    orders_changed: int = 0
    closed: list[Trade] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Synced") -> None:
        self.fills += other.fills
        self.orders_changed += other.orders_changed
        self.closed += other.closed
        self.errors |= other.errors


def sync(portfolios: Collection[Portfolio], *, now: datetime) -> Synced:
    """
    Bring in what the venues report, portfolio by portfolio complete or not at all.

    Works in batches of 200 portfolios; a batch that fails is tried again one by one, and the portfolio at
    fault keeps its error in `sync_error` while the others go on.
    """
    result = Synced()
    for batch in batches(portfolios):
        result.add(sync_batch(batch, now=now))
    return result


def batches(portfolios: Collection[Portfolio]) -> list[list[Portfolio]]:
    """Two hundred at a time; one that failed last time goes alone, so that it costs nobody else anything."""
    ordered = sorted(portfolios, key=lambda portfolio: portfolio.pk)
    troubled = [row for row in ordered if row.sync_error and not row.sync_error.startswith(CATCHING_UP)]
    sound = [row for row in ordered if row not in troubled]
    sizes = range(0, len(sound), BATCH_PORTFOLIOS)
    return [sound[start : start + BATCH_PORTFOLIOS] for start in sizes] + [[row] for row in troubled]


def sync_batch(batch: Sequence[Portfolio], *, now: datetime) -> Synced:
    try:
        return book_batch(collect(batch, now=now), now=now)
    except Exception as error:
        if len(batch) > 1:
            result = Synced()
            for portfolio in batch:
                result.add(sync_batch([portfolio], now=now))
            return result
        text = f"{type(error).__name__}: {error}"[:400]
        Portfolio.objects.filter(pk=batch[0].pk).update(sync_error=text)
        return Synced(errors={batch[0].pk: text})


def collect(portfolios: Sequence[Portfolio], *, now: datetime) -> dict[int, VenueReports]:
    requests = [
        polling.PollRequest(key=account_key(portfolio), since=portfolio.synced_until - OVERLAP)
        for portfolio in portfolios
    ]
    answers = polling.poll(requests, now=now)
    return {portfolio.pk: answer for portfolio, answer in zip(portfolios, answers, strict=True)}


def book_batch(reports: Mapping[int, VenueReports], *, now: datetime) -> Synced:
    """Book one batch in one transaction: fills through the door, statuses, cash, cursors, journal."""
    good = {key: report for key, report in reports.items() if not report.error}
    result = Synced(errors={key: report.error for key, report in reports.items() if report.error})
    with transaction.atomic():
        portfolios = locked(reports)
        cash_before = {key: money_of(row) for key, row in portfolios.items()}
        orders = orders_in(good)
        adjusted = take_terms(good, orders)
        booked = fills.book(portfolios, good, orders)
        facts, changed = take_reports(good, orders)
        fills.settle(booked, orders, now=now)
        filled = [fill.order for fill in booked.fills if fill.order is not None]
        touched = {id(order): order for order in (*adjusted, *changed, *filled)}
        update_rows(list(touched.values()), STATUS_FIELDS)
        update_rows(
            [row for key, row in portfolios.items() if money_of(row) != cash_before[key]],
            ["cash", "receivable", "equity_peak"],
        )
        move_cursors(reports, now=now)
        journal.record(booked.facts + facts)
    result.fills, result.orders_changed, result.closed = len(booked.fills), len(touched), booked.closed
    mark_filled(booked, portfolios, now=now)
    return result


def money_of(portfolio: Portfolio) -> tuple[Decimal, Decimal, Decimal]:
    return portfolio.cash, portfolio.receivable, portfolio.equity_peak


def orders_in(reports: Mapping[int, VenueReports]) -> dict[tuple[int, str], Order]:
    """Load the orders that reports or fills name, by (portfolio id, client order id)."""
    named = {(key, item.client_order_id) for key, report in reports.items() for item in (*report.orders, *report.fills)}
    keys = keys_of_pairs(Order, ("portfolio", "client_order_id"), sorted(named))
    rows = Order.objects.filter(pk__in=list(keys.values())).order_by("pk") if keys else ()
    return {(row.portfolio_id, row.client_order_id): row for row in rows}


def take_terms(reports: Mapping[int, VenueReports], orders: Mapping[tuple[int, str], Order]) -> list[Order]:
    """
    Copy quantity and prices now in force onto the orders, before their fills are booked; return those changed.

    A split that happened since the last look changed them, and the fills after it are counted in the new ones.
    """
    changed = []
    for key, report in reports.items():
        for item in report.orders:
            order = orders.get((key, item.client_order_id))
            if order is None or order.is_final or is_older(item, order):
                continue
            before = terms(order)
            left = None if order.quantity is None else order.quantity - order.filled_quantity
            if item.quantity is not None and item.quantity >= order.filled_quantity:
                order.quantity = item.quantity
            order.limit_price = item.limit_price or order.limit_price
            order.stop_price = item.stop_price or order.stop_price
            order.trail_amount = item.trail_amount or order.trail_amount
            rescale_judged_price(order, left)
            changed += [order] if terms(order) != before else []
    return changed


def is_older(report: OrderReport, order: Order) -> bool:
    return order.venue_updated_at is not None and report.updated_at < order.venue_updated_at


def rescale_judged_price(order: Order, left: Decimal | None) -> None:
    """Put the price that limits judged on the basis of the new quantity; `left` is what was unfilled before."""
    now_left = None if order.quantity is None else order.quantity - order.filled_quantity
    if order.judged_price and left and now_left and left != now_left:
        order.judged_price = (order.judged_price * left / now_left).quantize(Decimal("0.000001"))


def terms(order: Order) -> tuple[Decimal | None, ...]:
    return order.quantity, order.limit_price, order.stop_price, order.trail_amount


def take_reports(
    reports: Mapping[int, VenueReports], orders: Mapping[tuple[int, str], Order]
) -> tuple[list[Fact], list[Order]]:
    """Set the new statuses in memory, after the fills; an order the desk does not know is not ours to touch."""
    facts, changed = [], []
    for key, report in reports.items():
        for item in report.orders:
            order = orders.get((key, item.client_order_id))
            if order is None:
                continue
            did_change, fact = take_report(order, held_back(item, order))
            changed += [order] if did_change else []
            facts += [fact] if fact is not None and order.status not in TOLD_BY_FILLS else []
    return facts, changed


def move_cursors(reports: Mapping[int, VenueReports], *, now: datetime) -> None:
    """Remember how far each account's reports were complete; never backwards."""
    by_time: dict[datetime, list[int]] = defaultdict(list)
    for key, report in reports.items():
        if report.error:
            Portfolio.objects.filter(pk=key).update(sync_error=report.error[:400])
        else:
            by_time[report.caught_up_until].append(key)
    for until, keys in by_time.items():
        rows = Portfolio.objects.filter(pk__in=keys)
        rows.filter(synced_until__lt=until).update(synced_until=until)
        behind = "" if until >= now else f"{CATCHING_UP}: booked until {until:%Y-%m-%d %H:%M} UTC."
        rows.exclude(sync_error=behind).update(sync_error=behind)


def mark_filled(booked: fills.Booked, portfolios: Mapping[int, Portfolio], *, now: datetime) -> None:
    """Give fresh holdings a mark from the stored prices at once, without waiting for the tick."""
    touched = {fill.portfolio_id for fill in booked.fills}
    if not touched:
        return
    symbols = sorted({fill.instrument.symbol for fill in booked.fills})
    positions.mark([portfolios[key] for key in sorted(touched)], prices.stored(symbols, now=now), now=now)


def locked(portfolio_ids: Iterable[int]) -> dict[int, Portfolio]:
    """Lock portfolio rows in id order, the first lock of every transaction that changes a book."""
    rows = Portfolio.objects.select_for_update(no_key=True).filter(pk__in=list(portfolio_ids)).order_by("pk")
    return {row.pk: row for row in rows}


def account_key(portfolio: Portfolio) -> AccountKey:
    return AccountKey(Venue(portfolio.venue), Environment(portfolio.environment), portfolio.account_id)


def held_back(report: OrderReport, order: Order) -> OrderReport:
    """A report ahead of our fills counts as ACCEPTED until the door has booked them."""
    if report.filled_quantity <= order.filled_quantity or report.status is OrderStatus.REJECTED:
        return report
    return replace(report, status=OrderStatus.ACCEPTED)
