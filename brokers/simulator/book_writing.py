"""What changed in books back into rows: updates by `executemany`, inserts by `bulk_create`, never row by row."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from brokers.models import SimulatedAccount, SimulatedActivity, SimulatedFill, SimulatedPosition
from brokers.simulator import accounts
from brokers.simulator.book import AccountBook, BookedFill, WorkingOrder

WRITE_BATCH = 500


class AccountChanged(Exception):
    """Another process wrote this account meanwhile; nothing of the batch was kept. Try again."""


def write(books: Sequence[AccountBook]) -> None:
    """
    Write everything that changed in these books; the caller holds the transaction.

    Raises AccountChanged when an account's version moved, IntegrityError when a row may not be.
    """
    changed = [book for book in books if book.is_changed]
    _write_orders([order for book in changed for order in book.orders.values() if order.is_changed])
    _write_fills(changed)
    _write_holdings(changed)
    _write_activities(changed)
    _write_accounts(changed)
    _write_times([book for book in books if not book.is_changed and book.is_worth_moving])


_WRITTEN_COLUMNS = (
    "quantity_units", "filled_units", "limit_units", "stop_units", "trail_amount_units", "watermark_units",
    "state", "expires_at", "triggered_at", "updated_at", "reserve_units", "attempts", "waiting_for",
    "reason_code", "reason_text",
)  # fmt: skip
_TIME_COLUMNS = frozenset({"expires_at", "triggered_at", "updated_at"})


def _write_orders(orders: Sequence[WorkingOrder]) -> None:
    if not orders:
        return
    assignments = ", ".join(f"{column} = %s" for column in _WRITTEN_COLUMNS)
    sql = f"UPDATE brokers_simulatedorder SET {assignments} WHERE id = %s"
    with connection.cursor() as cursor:
        cursor.executemany(sql, [_order_values(order) for order in orders])


def _order_values(order: WorkingOrder) -> list:
    values = [
        _time(getattr(order, column)) if column in _TIME_COLUMNS else getattr(order, column)
        for column in _WRITTEN_COLUMNS
    ]
    values[_WRITTEN_COLUMNS.index("state")] = order.state.value
    return [*values, order.pk]


def _time(value: datetime | None) -> object:
    return None if value is None else connection.ops.adapt_datetimefield_value(value)


def _write_fills(books: Sequence[AccountBook]) -> None:
    rows = [_fill_row(book, fill) for book in books for fill in book.fills]
    SimulatedFill.objects.bulk_create(rows, batch_size=WRITE_BATCH)


def _fill_row(book: AccountBook, fill: BookedFill) -> SimulatedFill:
    return SimulatedFill(
        account_id=book.pk,
        order_id=fill.order_pk,
        execution_id=fill.execution_id,
        sequence=fill.sequence,
        instrument_id=fill.instrument_id,
        side=fill.side,
        quantity_units=fill.quantity_units,
        price_units=fill.price_units,
        commission_units=fill.commission_units,
        fees_units=fill.fees_units,
        executed_at=fill.executed_at,
        evidence=fill.evidence,
    )


def _write_holdings(books: Sequence[AccountBook]) -> None:
    rows = [
        SimulatedPosition(
            account_id=book.pk,
            instrument_id=instrument_id,
            quantity_units=holding.quantity_units,
            average_price_units=holding.average_price_units,
        )
        for book in books
        for instrument_id, holding in sorted(book.holdings.items())
        if holding.is_changed
    ]
    SimulatedPosition.objects.bulk_create(
        rows,
        batch_size=WRITE_BATCH,
        update_conflicts=True,
        unique_fields=["account", "instrument"],
        update_fields=["quantity_units", "average_price_units"],
    )


def _write_activities(books: Sequence[AccountBook]) -> None:
    rows = [
        SimulatedActivity(
            account_id=book.pk,
            activity_id=accounts.activity_id(book.account_id, activity.event_id),
            **{name: getattr(activity, name) for name in activity.__slots__},
        )
        for book in books
        for activity in book.activities
    ]
    SimulatedActivity.objects.bulk_create(rows, batch_size=WRITE_BATCH)


def _write_accounts(books: Sequence[AccountBook]) -> None:
    """Write cash and time, each only where the version is still the one that was read."""
    if not books:
        return
    sql = (
        "UPDATE brokers_simulatedaccount SET cash_units = %s, matched_until = %s, error = '', "
        "version = version + 1 WHERE id = %s AND version = %s"
    )
    rows = [[book.cash_units, _time(book.matched_until), book.pk, book.version] for book in books]
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)
        if cursor.rowcount != len(rows):
            raise AccountChanged(f"{len(rows) - cursor.rowcount} of {len(rows)} accounts changed meanwhile.")


def _write_times(books: Sequence[AccountBook]) -> None:
    """Move the accounts to which nothing happened, in one statement for each time they reached."""
    by_time: dict[datetime, list[int]] = {}
    for book in books:
        by_time.setdefault(book.matched_until, []).append(book.pk)
    for reached, pks in by_time.items():
        SimulatedAccount.objects.filter(pk__in=pks).update(matched_until=reached, error="")


def mark_failed(account_id: uuid.UUID, message: str) -> None:
    """Leave an account's error on its own row; nothing else of it was written."""
    SimulatedAccount.objects.filter(account_id=account_id).update(error=message)
