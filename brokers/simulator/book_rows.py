"""The venue's rows into books: a constant number of statements for any number of accounts, plain integers."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import OuterRef, Q, Subquery

from brokers import instruments
from brokers.enums import (
    FINAL_SIMULATED_STATES,
    AccountKind,
    AccountStatus,
    ActivityKind,
    InstrumentKind,
    OrderType,
    PositionEffect,
    Side,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.market_data import calendar
from brokers.models import (
    FeeRate,
    Instrument,
    SimulatedAccount,
    SimulatedActivity,
    SimulatedFill,
    SimulatedOrder,
    SimulatedPosition,
)
from brokers.simulator import sweep
from brokers.simulator.book import (
    AccountBook,
    Holding,
    Promise,
    Traded,
    WorkingOrder,
)
from brokers.simulator.commission import FEE_RATES, FeeRow
from brokers.simulator.evidence import charges_after
from brokers.simulator.presets import CommissionModel, SimulationSettings

_ACCOUNT_COLUMNS = (
    "pk", "account_id", "kind", "status", "may_short", "seed", "version", "settings_version",
    "matched_until", "cash_units",
)  # fmt: skip
_ORDER_COLUMNS = (
    "pk", "account_id", "venue_order_id", "client_order_id", "instrument_id", "side", "effect", "order_type",
    "time_in_force", "notional_units", "trail_percent_units", "extended_hours", "accepted_at", "active_from",
    "settings_version", "quantity_units", "filled_units", "limit_units", "stop_units", "trail_amount_units",
    "watermark_units", "state", "expires_at", "triggered_at", "updated_at", "reserve_units", "attempts",
    "waiting_for", "reason_code", "reason_text",
)  # fmt: skip


def lock_accounts(
    account_ids: Iterable[uuid.UUID], *, skip_locked: bool, with_archived: bool = False
) -> list[AccountBook]:
    """
    Lock accounts in the order of their rows and return their empty books.

    With `skip_locked` those that another process holds are left out; otherwise it is waited for.
    """
    unwanted = [] if with_archived else [AccountStatus.ARCHIVED]
    rows = (
        SimulatedAccount.objects.select_for_update(
            no_key=True, skip_locked=skip_locked and connection.features.has_select_for_update_skip_locked
        )
        .filter(account_id__in=list(account_ids))
        .exclude(status__in=unwanted)
        .order_by("pk")
        .values_list(*_ACCOUNT_COLUMNS)
    )
    return [_account_book(row) for row in rows]


def _account_book(row: tuple) -> AccountBook:
    values = dict(zip(_ACCOUNT_COLUMNS, row, strict=True))
    values["kind"] = AccountKind(values["kind"])
    values["status"] = AccountStatus(values["status"])
    return AccountBook(**values)


def read_sweep(books: Sequence[AccountBook]) -> list[tuple]:
    """Return what the sweep must know of every working order of these accounts: `sweep.COLUMNS`."""
    rows = SimulatedOrder.objects.filter(account__in=[book.pk for book in books])
    return list(rows.exclude(state__in=FINAL_SIMULATED_STATES).order_by("pk").values_list(*sweep.COLUMNS))


def read_orders(books: Sequence[AccountBook]) -> None:
    """Fill in the working orders of these accounts."""
    by_pk = {book.pk: book for book in books}
    rows = (
        SimulatedOrder.objects.filter(account__in=by_pk)
        .exclude(state__in=FINAL_SIMULATED_STATES)
        .order_by("pk")
        .values_list(*_ORDER_COLUMNS)
    )
    for row in rows:
        order = working_order(row)
        by_pk[order.account_pk].orders[order.pk] = order


def from_row(row: SimulatedOrder) -> WorkingOrder:
    """Return an order that was just written as the book holds it."""
    return working_order(tuple(getattr(row, column) for column in _ORDER_COLUMNS))


def working_order(row: tuple) -> WorkingOrder:
    values = dict(zip(_ORDER_COLUMNS, row, strict=True))
    values["account_pk"] = values.pop("account_id")
    values["side"] = Side(values["side"])
    values["effect"] = PositionEffect(values["effect"])
    values["order_type"] = OrderType(values["order_type"])
    values["time_in_force"] = TimeInForce(values["time_in_force"])
    values["state"] = SimulatedOrderState(values["state"])
    return WorkingOrder(**values)


def read_holdings(books: Sequence[AccountBook]) -> None:
    """Fill in the positions of these accounts."""
    by_pk = {book.pk: book for book in books}
    columns = ("account_id", "instrument_id", "quantity_units", "average_price_units")
    for account, instrument, quantity, average in SimulatedPosition.objects.filter(account__in=by_pk).values_list(
        *columns
    ):
        if quantity:
            by_pk[account].holdings[instrument] = Holding(quantity, average)


def read_promises(books: Sequence[AccountBook]) -> None:
    """Fill in declared dividends and cash in lieu of these accounts that are not yet paid."""
    by_pk = {book.pk: book for book in books}
    earliest = min(book.matched_until for book in books)
    due = Q(kind=ActivityKind.DIVIDEND_DECLARED, pays_on__gte=calendar.new_york_date(earliest)) | Q(
        kind=ActivityKind.SPLIT, fraction_units__isnull=False, pays_on__gte=calendar.new_york_date(earliest)
    )
    columns = (
        "account_id",
        "kind",
        "event_id",
        "instrument_id",
        "promised_units",
        "fraction_units",
        "pays_on",
    )
    rows = SimulatedActivity.objects.filter(due, account__in=by_pk).order_by("pk").values_list(*columns)
    for account, kind, event_id, instrument, promised, fraction, pays_on in rows:
        book = by_pk[account]
        promise = promise_of(ActivityKind(kind), event_id, instrument, promised, fraction, pays_on)
        if book.matched_until < promise.due:
            book.promises.append(promise)


def promise_of(
    kind: ActivityKind, event_id: str, instrument_id: int, promised: int | None, fraction: int | None, pays_on
) -> Promise:
    """Return what an activity promises: a dividend at the pay date's open, cash in lieu at the day's close."""
    session = calendar.session(pays_on) or calendar.next_session(pays_on)
    event = event_id.removeprefix(f"{kind}:")
    if kind is ActivityKind.SPLIT:
        return Promise(ActivityKind.CASH_IN_LIEU, event, instrument_id, fraction or 0, session.close)
    return Promise(ActivityKind.DIVIDEND, event, instrument_id, promised or 0, session.open)


def read_settings(books: Sequence[AccountBook]) -> None:
    """Fill in the settings each working order was accepted with: one row an account and version."""
    wanted = {order.pk: (book, order.settings_version) for book in books for order in book.orders.values()}
    one_each = {(book.pk, version): pk for pk, (book, version) in wanted.items()}
    rows = SimulatedOrder.objects.filter(pk__in=one_each.values()).values_list("pk", "settings")
    for pk, value in rows:
        book, version = wanted[pk]
        book.settings[version] = settings_of(value)


def settings_of(value: Mapping[str, Any]) -> SimulationSettings:
    """Return stored settings; equal ones are made once."""
    return _settings(json.dumps(value, sort_keys=True))


@lru_cache(maxsize=1_000)
def _settings(text: str) -> SimulationSettings:
    return SimulationSettings.from_json(json.loads(text))


def read_last_fills(books: Sequence[AccountBook]) -> None:
    """Fill in how often each partly filled order has traded, and what it was charged in its last session."""
    orders = {order.pk: (book, order) for book in books for order in book.orders.values() if order.filled_units}
    newest = SimulatedFill.objects.filter(order=OuterRef("order")).order_by("-sequence").values("sequence")[:1]
    rows = SimulatedFill.objects.filter(order__in=orders, sequence=Subquery(newest)).values_list(
        "order_id", "sequence", "executed_at", "evidence"
    )
    for pk, sequence, executed_at, evidence in rows:
        book, order = orders[pk]
        order.fill_count = sequence
        book.charges[pk] = (calendar.new_york_date(executed_at), charges_after(evidence))


def read_used(books: Sequence[AccountBook]) -> None:
    """Fill in what these accounts traded in the hour they stand in: liquidity is shared by their orders."""
    by_pk = {book.pk: book for book in books}
    earliest = min(book.matched_until for book in books) - timedelta(hours=1)
    columns = ("account_id", "instrument_id", "executed_at", "quantity_units")
    rows = SimulatedFill.objects.filter(account__in=by_pk, executed_at__gte=earliest).order_by("pk")
    for account, instrument, executed_at, quantity in rows.values_list(*columns):
        by_pk[account].used.append((instrument, int(executed_at.timestamp() // 1), quantity))


def read_month_units(books: Sequence[AccountBook]) -> None:
    """Fill in what accounts that pay by monthly tiers traded since their month began."""
    by_pk = {book.pk: book for book in books if any(_is_tiered(each) for each in book.settings.values())}
    if not by_pk:
        return
    earliest = min(book.matched_until for book in by_pk.values())
    first = calendar.new_york_date(earliest).replace(day=1)
    since = (calendar.session(first) or calendar.next_session(first)).pre_open_start
    rows = SimulatedFill.objects.filter(account__in=by_pk, executed_at__gte=since)
    for account, executed_at, quantity in rows.values_list("account_id", "executed_at", "quantity_units"):
        day, months = calendar.new_york_date(executed_at), by_pk[account].month_units
        months[day.year, day.month] = months.get((day.year, day.month), 0) + quantity


def _is_tiered(settings: SimulationSettings) -> bool:
    return settings.share_commission.model is CommissionModel.TIERED_MONTHLY


def read_instruments(instrument_ids: Iterable[int]) -> dict[int, Traded]:
    """Return what matching must know of these instruments."""
    columns = ("pk", "symbol", "kind", "price_increment", "is_fractionable")
    rows = Instrument.objects.filter(pk__in=list(instrument_ids)).values_list(*columns)
    return {row[0]: _traded(*row) for row in rows}


@lru_cache(maxsize=10_000)
def _traded(pk: int, symbol: str, kind: str, increment, is_fractionable: bool) -> Traded:
    return Traded(
        instrument_id=pk,
        symbol=symbol,
        kind=InstrumentKind(kind),
        is_fractionable=is_fractionable,
        increments=instruments.increment_rule(
            kind=InstrumentKind(kind), symbol=symbol, override=increment, penny_programme=False
        ),
    )


def traded(instrument: Instrument) -> Traded:
    """Return what matching must know of one instrument."""
    return _traded(
        instrument.pk,
        instrument.symbol,
        instrument.kind,
        instrument.price_increment,
        instrument.is_fractionable,
    )


def read_details(books: Sequence[AccountBook]) -> None:
    """
    Read what only accounts need to which something happens: settings, earlier fills, volume used.

    Once an account and batch: afterwards the book knows more than the rows.
    """
    books = [book for book in books if not book.is_detailed]
    if not books:
        return
    for book in books:
        book.is_detailed = True
    read_settings(books)
    read_last_fills(books)
    read_used(books)
    read_month_units(books)


def fee_rates() -> tuple[FeeRow, ...]:
    """Return the dated fees that staff keep, or the published ones while the table is empty."""
    rows = FeeRate.objects.values_list("name", "valid_from", "rate", "cap", "source")
    stored = tuple(
        FeeRow(name=name, valid_from=valid_from, rate=rate, cap=cap, source=source)
        for name, valid_from, rate, cap, source in rows
    )
    return stored or FEE_RATES
