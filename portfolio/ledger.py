"""Append balanced bookings to the ledger. Only the fills door calls this."""

from collections.abc import Sequence

from brokers.batch_rows import insert_units
from portfolio.bookings import Booking
from portfolio.models import LedgerPosting, LedgerTransaction

TRANSACTION_COLUMNS = ("user_id", "portfolio_id", "kind", "key", "occurred_at", "fill_id", "text")
POSTING_COLUMNS = ("user_id", "transaction_id", "account", "instrument_id", "amount", "quantity")


def post(bookings: Sequence[Booking]) -> None:
    """Append bookings inside the caller's transaction; a key used before raises IntegrityError."""
    keys = insert_units(
        LedgerTransaction,
        TRANSACTION_COLUMNS,
        [
            (
                booking.portfolio.user_id,
                booking.portfolio.pk,
                booking.kind,
                booking.key,
                booking.occurred_at,
                None if booking.fill is None else booking.fill.pk,
                booking.text,
            )
            for booking in bookings
        ],
    )
    insert_units(
        LedgerPosting,
        POSTING_COLUMNS,
        [
            (booking.portfolio.user_id, key, line.account, line.instrument_id, line.amount, line.quantity)
            for booking, key in zip(bookings, keys, strict=True)
            for line in booking.postings
        ],
    )
