"""Append balanced bookings to the ledger. Only the fills door calls this."""

from collections.abc import Sequence

from brokers.batch_rows import insert_rows
from brokers.money import money_value, quantity_value
from portfolio.bookings import Booking
from portfolio.models import LedgerPosting, LedgerTransaction


def post(bookings: Sequence[Booking]) -> None:
    """Append bookings inside the caller's transaction; a key used before raises IntegrityError."""
    transactions = [
        LedgerTransaction(
            user_id=booking.portfolio.user_id,
            portfolio=booking.portfolio,
            kind=booking.kind,
            key=booking.key,
            occurred_at=booking.occurred_at,
            fill=booking.fill,
            text=booking.text,
        )
        for booking in bookings
    ]
    insert_rows(transactions)
    insert_rows(
        [
            LedgerPosting(
                user_id=booking.portfolio.user_id,
                transaction=row,
                account=line.account,
                instrument_id=line.instrument_id,
                amount=money_value(line.amount),
                quantity=None if line.quantity is None else quantity_value(line.quantity),
            )
            for booking, row in zip(bookings, transactions, strict=True)
            for line in booking.postings
        ]
    )
