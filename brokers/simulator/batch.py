"""Many accounts of the venue through time together: rows in, market once, rows out, one transaction."""

import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import OperationalError, transaction

from brokers.database_locks import is_lock_failure
from brokers.market_data import calendar
from brokers.simulator import book_rows, book_writing
from brokers.simulator.book import AccountBook
from brokers.simulator.market import Market, Remembered
from brokers.simulator.passage import Passage

ACCOUNTS_PER_BATCH = 200
SESSIONS_PER_CALL = 5

logger = logging.getLogger(__name__)


def advance(account_ids: Iterable[uuid.UUID], *, now: datetime, market: Market) -> dict[uuid.UUID, datetime]:
    """
    Carry accounts to `now` and return how far each got; at most five sessions, so call again when behind.

    Each 200 accounts are one transaction. One that fails is taken out, left as it was, and carries its
    error on its row; one that another process holds is left to it. Neither is in the answer, nor are
    archived accounts.
    """
    reached: dict[uuid.UUID, datetime] = {}
    wanted, market = sorted(set(account_ids)), Remembered(market)
    for start in range(0, len(wanted), ACCOUNTS_PER_BATCH):
        reached |= _advance_batch(wanted[start : start + ACCOUNTS_PER_BATCH], now=now, market=market)
    return reached


def _advance_batch(account_ids: Sequence[uuid.UUID], *, now: datetime, market: Market) -> dict[uuid.UUID, datetime]:
    try:
        with transaction.atomic():
            books = book_rows.lock_accounts(account_ids, skip_locked=True)
            carried = carry(books, now=now, market=market)
            book_writing.write(carried)
        return {book.account_id: book.matched_until for book in carried}
    except Exception as error:  # whatever it is, it is one account's: find out whose
        if len(account_ids) > 1:
            logger.warning("A batch of %s accounts is tried again one by one: %s", len(account_ids), error)
            return _one_by_one(account_ids, now=now, market=market)
        _leave(account_ids[0], error)
        return {}


def _leave(account_id: uuid.UUID, error: Exception) -> None:
    """Leave an account as it was, with its error on its row; a lock that was not given is no error of its."""
    if is_lock_failure(error):
        logger.warning("Simulated account %s is left to the process that holds it: %s", account_id, error)
        return
    logger.error("Could not carry on simulated account %s", account_id, exc_info=error)
    try:
        book_writing.mark_failed(account_id, f"The account could not be carried on: {error}")
    except OperationalError as locked:
        if not is_lock_failure(locked):
            raise
        logger.warning("The error of simulated account %s could not be written: %s", account_id, locked)


def _one_by_one(account_ids: Sequence[uuid.UUID], *, now: datetime, market: Market) -> dict[uuid.UUID, datetime]:
    reached: dict[uuid.UUID, datetime] = {}
    for account_id in account_ids:
        reached |= _advance_batch([account_id], now=now, market=market)
    return reached


def carry(books: Sequence[AccountBook], *, now: datetime, market: Market) -> list[AccountBook]:
    """
    Let everything happen to these locked accounts up to `now`, in memory; return those that succeeded.

    The error of one that failed is written to its row.
    """
    for book in books:
        book.target = reach(book.matched_until, now)
    moving = [book for book in books if book.target > book.matched_until]
    if not moving:
        return list(books)
    failed = Passage(moving, now=now, market=market).run()
    return [book for book in books if book.pk not in failed]


def reach(matched_until: datetime, now: datetime) -> datetime:
    """Return how far one call may carry an account: to now, or to the end of the fifth session from here."""
    if now <= matched_until:
        return matched_until
    day = calendar.new_york_date(matched_until)
    ends = [each.extended_end for each in calendar.sessions(day, calendar.new_york_date(now))]
    ahead = [end for end in ends if end > matched_until]
    return min(now, ahead[SESSIONS_PER_CALL - 1]) if len(ahead) > SESSIONS_PER_CALL else now
