"""Many accounts of the venue through time together: rows in, market once, rows out, one transaction."""

import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction

from brokers.market_data import calendar
from brokers.market_data.calendar import Session
from brokers.simulator import book_rows, catch_up
from brokers.simulator.book import AccountBook
from brokers.simulator.catch_up import Batch, Stretch
from brokers.simulator.market import Market
from brokers.simulator.tape import Tape

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
    wanted = sorted(set(account_ids))
    for start in range(0, len(wanted), ACCOUNTS_PER_BATCH):
        reached |= _advance_batch(wanted[start : start + ACCOUNTS_PER_BATCH], now=now, market=market)
    return reached


def _advance_batch(
    account_ids: Sequence[uuid.UUID], *, now: datetime, market: Market
) -> dict[uuid.UUID, datetime]:
    try:
        with transaction.atomic():
            books = book_rows.lock_accounts(account_ids, skip_locked=True)
            carried = carry(books, now=now, market=market)
            book_rows.write(carried)
        return {book.account_id: book.matched_until for book in carried}
    except (DatabaseError, book_rows.AccountChanged) as error:
        if len(account_ids) > 1:
            logger.warning("A batch of %s accounts is tried again one by one: %s", len(account_ids), error)
            return _one_by_one(account_ids, now=now, market=market)
        logger.exception("Could not write simulated account %s", account_ids[0])
        book_rows.mark_failed(account_ids[0], f"The account could not be written: {error}")
        return {}


def _one_by_one(
    account_ids: Sequence[uuid.UUID], *, now: datetime, market: Market
) -> dict[uuid.UUID, datetime]:
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
    book_rows.read_orders(moving)
    book_rows.read_holdings(moving)
    crossing = [book for book in moving if _crosses_session(book)]
    if crossing:
        book_rows.read_promises(crossing)
    for book in moving:
        book.is_worth_moving = bool(book.orders) or book in crossing
    failed = _Passage(moving, market).run()
    return [book for book in books if book.pk not in failed]


def reach(matched_until: datetime, now: datetime) -> datetime:
    """Return how far one call may carry an account: to now, or to the end of the fifth session from here."""
    if now <= matched_until:
        return matched_until
    day = calendar.new_york_date(matched_until)
    ends = [each.extended_end for each in calendar.sessions(day, calendar.new_york_date(now))]
    ahead = [end for end in ends if end > matched_until]
    return min(now, ahead[SESSIONS_PER_CALL - 1]) if len(ahead) > SESSIONS_PER_CALL else now


def _crosses_session(book: AccountBook) -> bool:
    """Say whether a session opens or closes on the way: then dividends and cash in lieu may be due."""
    days = calendar.sessions(calendar.new_york_date(book.matched_until), calendar.new_york_date(book.target))
    return any(
        book.matched_until < moment <= book.target for each in days for moment in (each.open, each.close)
    )


class _Passage:
    """Accounts on their way through the stretches of time between them and now."""

    def __init__(self, books: Sequence[AccountBook], market: Market) -> None:
        self.books = list(books)
        self.failed: set[int] = set()
        self.detailed: set[int] = set()
        wanted = {order.instrument_id for book in books for order in book.orders.values()}
        wanted |= {instrument for book in books for instrument in book.holdings}
        wanted |= {promise.instrument_id for book in books for promise in book.promises}
        instruments = book_rows.read_instruments(wanted) if wanted else {}
        self.batch = Batch(market=market, instruments=instruments, rates=())

    def run(self) -> set[int]:
        """Return the rows of the accounts that failed."""
        for stretch in self._stretches():
            here = [
                book
                for book in self.books
                if book.matched_until < stretch.end
                and book.target > stretch.start
                and book.pk not in self.failed
            ]
            self._hang_tapes(stretch, here)
            self._carry_all(stretch, here)
        return self.failed

    def _stretches(self) -> list[Stretch]:
        start = min(book.matched_until for book in self.books)
        end = max(book.target for book in self.books)
        return stretches(start, end)

    def _hang_tapes(self, stretch: Stretch, here: Sequence[AccountBook]) -> None:
        """Compute the observations of every instrument that is ordered, once for all accounts."""
        since: dict[int, datetime] = {}
        extended: set[int] = set()
        for book in here:
            for order in book.working():
                known = since.get(order.instrument_id, book.matched_until)
                since[order.instrument_id] = min(known, book.matched_until)
                if order.extended_hours:
                    extended.add(order.instrument_id)
        until = min(stretch.end, max((book.target for book in here), default=stretch.end))
        for instrument, after in since.items():
            tape = self._tape(
                instrument, stretch, max(after, stretch.start), until, is_extended=instrument in extended
            )
            if tape is not None:
                stretch.tapes[instrument] = tape

    def _tape(
        self, instrument: int, stretch: Stretch, after: datetime, until: datetime, *, is_extended: bool
    ) -> Tape | None:
        session = stretch.session
        if session is None:
            return None
        if not is_extended:
            after, until = max(after, session.open - timedelta(seconds=1)), min(until, session.close)
        if until <= after:
            return None
        symbol = self.batch.instruments[instrument].symbol
        found = self.batch.market.observations(
            symbol, after=int(after.timestamp() // 1), until=int(until.timestamp() // 1)
        )
        return catch_up.tape_of(found, session, self.batch.market)

    def _carry_all(self, stretch: Stretch, here: Sequence[AccountBook]) -> None:
        busy = [book for book in here if self._try(book, catch_up.needs_care, stretch)]
        self._read_details([book for book in busy if book.pk not in self.detailed])
        for book in busy:
            self._try(book, catch_up.carry, stretch)
        for book in here:
            if book.pk not in self.failed:
                book.matched_until = min(stretch.end, book.target)

    def _try(self, book: AccountBook, step, stretch: Stretch) -> bool:
        """Take one step with one account; what goes wrong stays with that account."""
        try:
            return bool(step(book, stretch, self.batch))
        except Exception as error:
            logger.exception("Could not carry simulated account %s", book.account_id)
            self.failed.add(book.pk)
            book_rows.mark_failed(book.account_id, f"Stopped at {book.matched_until}: {error}")
            return False

    def _read_details(self, books: Sequence[AccountBook]) -> None:
        if not books:
            return
        if not self.batch.rates:
            self.batch = Batch(
                market=self.batch.market, instruments=self.batch.instruments, rates=book_rows.fee_rates()
            )
        book_rows.read_details(books)
        self.detailed |= {book.pk for book in books}


def stretches(start: datetime, end: datetime) -> list[Stretch]:
    """Cut time into pieces of at most one session each; the last ends at `end`."""
    found: list[Stretch] = []
    days = calendar.sessions(calendar.new_york_date(start), calendar.new_york_date(end))
    for session in days:
        if session.extended_end <= start:
            continue
        until = min(session.extended_end, end)
        if start < until:
            found.append(Stretch(start=start, end=until, session=session))
            start = until
    if start < end:
        found.append(Stretch(start=start, end=end, session=None))
    return found


def session_around(now: datetime) -> Session | None:
    """Return the session of today, extended hours included, in which this instant lies."""
    session = calendar.session(calendar.new_york_date(now))
    if session is None or not session.pre_open_start <= now <= session.extended_end:
        return None
    return session
