"""
Many accounts on their way through the same time, session by session.

Orders are read twice: first a few columns of all of them, enough for the sweep; then whole rows, of those
accounts alone to which something happens.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from brokers.market_data import calendar
from brokers.simulator import book_rows, book_writing, catch_up, sweep
from brokers.simulator.book import AccountBook
from brokers.simulator.market import Market
from brokers.simulator.stretch import Batch, Stretch, epoch, stretches, tape_of
from brokers.simulator.tape import Tape

# An idle account's row may lag this far behind what its reports say: whoever polls asks again for as much.
IDLE_LAG_MAX = timedelta(minutes=5)

logger = logging.getLogger(__name__)


class Passage:
    """Locked accounts, their resting orders as columns, and books for those that need them."""

    def __init__(self, books: Sequence[AccountBook], *, now: datetime, market: Market) -> None:
        self.books = {book.pk: book for book in books}
        self.failed: set[int] = set()
        self.resting = sweep.resting(book_rows.read_sweep(books))
        book_rows.read_holdings(books)
        crossing = {book.pk: book for book in books if _crosses_session(book)}
        if crossing:
            book_rows.read_promises(list(crossing.values()))
        with_orders = set(self.resting.account.tolist())
        for book in books:
            lag = book.target - book.matched_until
            book.is_worth_moving = book.pk in with_orders or book.pk in crossing or lag >= IDLE_LAG_MAX
            if book.pk not in with_orders and not book.holdings and not book.promises:
                book.matched_until = book.target = now
        self.batch = Batch(market=market, instruments=self._instruments(), rates=())

    def run(self) -> set[int]:
        """Carry every account to its target and return the rows of those that failed."""
        waiting = [book for book in self.books.values() if book.matched_until < book.target]
        if waiting:
            start = min(book.matched_until for book in waiting)
            for stretch in stretches(start, max(book.target for book in waiting)):
                self._pass_through(stretch)
        return self.failed

    def _pass_through(self, stretch: Stretch) -> None:
        here = [
            book
            for book in self.books.values()
            if book.matched_until < stretch.end and book.target > stretch.start and book.pk not in self.failed
        ]
        self._hang_tapes(stretch, here)
        self._open(self._concerned(stretch, here))
        for book in here:
            if book.is_open:
                self._carry(book, stretch)
            if book.pk not in self.failed:
                book.matched_until = min(stretch.end, book.target)

    # ------------------------------------------------------------------ whom it concerns

    def _concerned(self, stretch: Stretch, here: Sequence[AccountBook]) -> list[AccountBook]:
        """Return the accounts that are not open yet and to which something may happen in a stretch."""
        orders = self.resting
        pks = sweep.accounts_due(orders, until=stretch.end) | sweep.accounts_touched(orders, stretch.tapes)
        pks |= set(orders.account[np.isin(orders.instrument, list(self.batch.unknown))].tolist())
        pks |= self._with_events(stretch, here)
        return [book for book in here if book.pk in pks and not book.is_open]

    def _with_events(self, stretch: Stretch, here: Sequence[AccountBook]) -> set[int]:
        """Return the accounts with a payment due, or a split or dividend of what they hold or ordered."""
        due = {book.pk for book in here if any(stretch.start < promise.due <= stretch.end for promise in book.promises)}
        session = stretch.session
        if session is None or not stretch.start < session.pre_open_start <= stretch.end:
            return due
        affected = {
            pk
            for pk, traded in self.batch.instruments.items()
            if catch_up.events_on(session.date, traded.symbol, self.batch.market)
        }
        ordering = {
            account
            for account, instrument in zip(self.resting.account.tolist(), self.resting.instrument.tolist(), strict=True)
            if instrument in affected
        }
        return due | ordering | {book.pk for book in here if affected & book.holdings.keys()}

    def _open(self, books: Sequence[AccountBook]) -> None:
        """Read whole orders, and what came before, of accounts to which something happens."""
        if not books:
            return
        if not self.batch.rates:
            self.batch = Batch(
                market=self.batch.market,
                instruments=self.batch.instruments,
                rates=book_rows.fee_rates(),
                unknown=self.batch.unknown,
            )
        book_rows.read_orders(books)
        book_rows.read_details(books)
        for book in books:
            book.is_open = True
        self.resting = self.resting.without({book.pk for book in books})

    def _carry(self, book: AccountBook, stretch: Stretch) -> None:
        """Take one account through a stretch; what goes wrong stays with that account."""
        try:
            catch_up.carry(book, stretch, self.batch)
        except Exception as error:
            logger.exception("Could not carry simulated account %s", book.account_id)
            self.failed.add(book.pk)
            book_writing.mark_failed(book.account_id, f"Stopped at {book.matched_until}: {error}")

    # ------------------------------------------------------------------ the market

    def _hang_tapes(self, stretch: Stretch, here: Sequence[AccountBook]) -> None:
        """Compute the observations of every instrument that is ordered, once for all accounts."""
        if stretch.session is None or not here:
            return
        after = max(stretch.start, min(book.matched_until for book in here))
        until = min(stretch.end, max(book.target for book in here))
        ordered, extended = self.resting.instruments(), self.resting.extended_instruments()
        for book in here:
            for order in book.working():
                ordered.add(order.instrument_id)
                if order.extended_hours:
                    extended.add(order.instrument_id)
        for instrument in sorted(ordered):
            tape = self._tape(instrument, stretch, after, until, is_extended=instrument in extended)
            if tape is not None:
                stretch.tapes[instrument] = tape

    def _tape(
        self, instrument: int, stretch: Stretch, after: datetime, until: datetime, *, is_extended: bool
    ) -> Tape | None:
        """Return an instrument's observations in a session; only the regular ones unless more are wanted."""
        session = stretch.session
        if not is_extended:
            after, until = max(after, session.open - timedelta(seconds=1)), min(until, session.close)
        if until <= after:
            return None
        try:
            found = self.batch.market.observations(
                self.batch.instruments[instrument].symbol,
                after=epoch(after),
                until=epoch(until),
            )
        except LookupError:
            self.batch.unknown.add(instrument)
            return None
        return tape_of(found, session, self.batch.market)

    def _instruments(self) -> dict[int, book_rows.Traded]:
        wanted = self.resting.instruments()
        for book in self.books.values():
            wanted |= book.holdings.keys()
            wanted |= {promise.instrument_id for promise in book.promises}
        return book_rows.read_instruments(wanted) if wanted else {}


def _crosses_session(book: AccountBook) -> bool:
    """Say whether a session opens or closes on the way: then dividends and cash in lieu may be due."""
    days = calendar.sessions(calendar.new_york_date(book.matched_until), calendar.new_york_date(book.target))
    return any(book.matched_until < moment <= book.target for each in days for moment in (each.open, each.close))
