"""
Carry one account through a stretch of market time: one ordered list of everything that happens. Pure.

At equal times: corporate action, open (payments), activation, match, order expiry, close (cash in lieu).
Several orders at one observation: exits before entries, then by acceptance, then by id. The result
depends on the market and the book alone, never on how the time was cut into pieces.
"""

import heapq
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Any

from brokers.enums import ActivityKind, SimulatedOrderState, TimeInForce
from brokers.market_data import calendar
from brokers.market_data.replay.events import MarketEvent, to_date
from brokers.simulator import corporate
from brokers.simulator.book import AccountBook, Promise, Traded, WorkingOrder
from brokers.simulator.evaluation import AUCTIONS, Evaluation, end_state
from brokers.simulator.market import Market
from brokers.simulator.stretch import EPOCH, EPOCH_ORDINAL, Batch, Stretch, epoch, tape_of
from brokers.simulator.tape import next_index
from brokers.simulator.terms import Observation

_ONE_LOOK = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Rank(IntEnum):
    """What comes first at equal times."""

    CORPORATE_ACTION = 0
    PAYMENT_AT_OPEN = 1
    ACTIVATION = 2
    MATCH = 3
    EXPIRY = 4
    PAYMENT_AT_CLOSE = 5


def corporate_events(book: AccountBook, stretch: Stretch, batch: Batch) -> list[tuple[Traded, MarketEvent]]:
    """Return the splits and dividends that take effect in a stretch for what an account holds or orders."""
    session = stretch.session
    if session is None or not book.matched_until < session.pre_open_start <= min(stretch.end, book.target):
        return []
    concerned = {instrument for instrument, held in book.holdings.items() if held.quantity_units}
    concerned |= {order.instrument_id for order in book.working()}
    return [
        (batch.instruments[instrument], event)
        for instrument in sorted(concerned)
        for event in events_on(session.date, batch.instruments[instrument].symbol, batch.market)
    ]


def events_on(day: date, symbol: str, market: Market) -> list[MarketEvent]:
    """Return the splits and dividends of a symbol with this ex-date; none of one the market does not know."""
    ordinal = day.toordinal() - EPOCH_ORDINAL
    try:
        events = market.events(symbol, until_ordinal=ordinal)
    except LookupError:
        return []
    return [event for event in events if event.ex_ordinal == ordinal]


def carry(book: AccountBook, stretch: Stretch, batch: Batch) -> None:
    """Let everything happen to one account that happens in a stretch; `matched_until` is left to the caller."""
    _Carrier(book, stretch, batch).run()


class _Carrier:
    """One account in one stretch: an agenda, worked off in order."""

    def __init__(self, book: AccountBook, stretch: Stretch, batch: Batch) -> None:
        self.book = book
        self.stretch = stretch
        self.batch = batch
        self.evaluation = Evaluation(book, stretch, batch)
        self.until = min(stretch.end, book.target)
        self.agenda: list[tuple] = []
        self.counter = 0
        # A corporate action changes prices: what was found on the tape before it no longer counts.
        self.editions: dict[int, int] = {}

    def run(self) -> None:
        self._plan()
        while self.agenda:
            entry = heapq.heappop(self.agenda)
            at, rank, subject, index = entry[0], entry[1], entry[6], entry[7]
            if rank == Rank.CORPORATE_ACTION:
                self._corporate_action(*subject)
            elif rank in (Rank.PAYMENT_AT_OPEN, Rank.PAYMENT_AT_CLOSE):
                self._payment(subject)
            elif rank == Rank.ACTIVATION:
                self._activate(subject, at)
            elif rank == Rank.MATCH:
                self._match(subject, at, index, edition=entry[8])
            else:
                self._expire(subject)
        for order in self.book.working():
            self.evaluation.follow(order, until=self.until)

    # ------------------------------------------------------------------ the agenda

    def _plan(self) -> None:
        session = self.stretch.session
        for traded_and_event in corporate_events(self.book, self.stretch, self.batch):
            self._push(session.pre_open_start, Rank.CORPORATE_ACTION, traded_and_event)
        for promise in self.book.promises:
            self._plan_promise(promise)
        for order in self.book.working():
            self._plan_order(order)

    def _plan_promise(self, promise: Promise) -> None:
        if self.book.matched_until < promise.due <= self.until:
            at_open = promise.kind is ActivityKind.DIVIDEND
            self._push(promise.due, Rank.PAYMENT_AT_OPEN if at_open else Rank.PAYMENT_AT_CLOSE, promise)

    def _plan_order(self, order: WorkingOrder) -> None:
        if order.state is SimulatedOrderState.ACCEPTED:
            if order.active_from <= self.until:
                self._push(order.active_from, Rank.ACTIVATION, order)
        else:
            self._plan_match(order, after=epoch(self.book.matched_until))
        if order.expires_at is not None and order.expires_at <= self.until:
            self._push(order.expires_at, Rank.EXPIRY, order)

    def _plan_match(self, order: WorkingOrder, *, after: int) -> None:
        """Put the next observation at which an order must be looked at on the agenda."""
        tape = self.stretch.tapes.get(order.instrument_id)
        if tape is None or order.time_in_force in AUCTIONS:
            self._say_if_unknown(order)
            return
        settings = self.evaluation.settings(order)
        index = next_index(
            order,
            tape,
            start=tape.start_after(after),
            trigger=settings.share_trigger,
            on_touch=settings.fill_on_touch,
            increments=self.batch.instruments[order.instrument_id].increments,
        )
        if index is not None and tape.at(index) <= epoch(self.until):
            self._push(EPOCH + timedelta(seconds=tape.at(index)), Rank.MATCH, order, index=index)

    def _say_if_unknown(self, order: WorkingOrder) -> None:
        """Write on an order that the market of this desk has no prices for it, once."""
        symbol = self.batch.instruments[order.instrument_id].symbol
        text = f"the market has no prices of {symbol}"
        if order.instrument_id in self.batch.unknown and order.waiting_for != text:
            order.waiting_for = text
            order.is_changed = True

    def _push(self, at: datetime, rank: Rank, subject: Any, *, index: int | None = None) -> None:
        self.counter += 1
        is_entry, accepted, pk, edition = 0, EPOCH, 0, 0
        if isinstance(subject, WorkingOrder):
            is_entry, accepted, pk = int(not subject.is_exit), subject.accepted_at, subject.pk
            edition = self.editions.get(pk, 0)
        heapq.heappush(self.agenda, (at, rank, is_entry, accepted, pk, self.counter, subject, index, edition))

    # ------------------------------------------------------------------ what happens

    def _corporate_action(self, traded: Traded, event: MarketEvent) -> None:
        session = self.stretch.session
        at = session.pre_open_start
        if event.kind == "SPLIT":
            corporate.apply_split(self.book, event, traded, at=at, session_date=session.date, closes=session.close)
        else:
            pays_on = to_date(event.pay_ordinal)
            due = (calendar.session(pays_on) or calendar.next_session(pays_on)).open
            corporate.declare_dividend(self.book, event, traded, at=at, pays_on=pays_on, due=due)
        for promise in self.book.promises:
            if (promise.event_id, promise.instrument_id) == (event.event_id, traded.instrument_id):
                self._plan_promise(promise)
        for order in self.book.working():
            if order.instrument_id == traded.instrument_id and order.state is not SimulatedOrderState.ACCEPTED:
                self.editions[order.pk] = self.editions.get(order.pk, 0) + 1
                self._plan_match(order, after=epoch(at) - 1)

    def _payment(self, promise: Promise) -> None:
        close = 0
        if promise.kind is ActivityKind.CASH_IN_LIEU:
            symbol = self.batch.instruments[promise.instrument_id].symbol
            close = self.batch.market.previous_close(symbol, at=epoch(promise.due))
        corporate.keep_promise(self.book, promise, close_units=close)

    def _activate(self, order: WorkingOrder, at: datetime) -> None:
        if order.state is SimulatedOrderState.ACCEPTED:
            order.change(SimulatedOrderState.WORKING, at=at)
            self._push(at, Rank.MATCH, order)

    def _expire(self, order: WorkingOrder) -> None:
        if order.state.is_final or order.expires_at is None:
            return
        if order.state is SimulatedOrderState.PENDING_CANCEL:
            self.evaluation.end(order, SimulatedOrderState.CANCELED, at=order.expires_at)
            return
        text = f"The order was good until {order.expires_at:%Y-%m-%d %H:%M} UTC."
        self.evaluation.end(order, SimulatedOrderState.EXPIRED, at=order.expires_at, code="TIME_IN_FORCE", text=text)

    def _match(self, order: WorkingOrder, at: datetime, index: int | None, *, edition: int) -> None:
        if order.state.is_final or edition != self.editions.get(order.pk, 0):
            return
        look = self._look(order, at, index)
        if index is not None:
            self.evaluation.follow(order, until=at)
        if look is not None:
            self.evaluation.evaluate(order, look, at=at, is_first=index is None)
        if order.state.is_final:
            return
        if order.time_in_force in _ONE_LOOK | AUCTIONS:
            reason = order.waiting_for or "there was no price"
            self.evaluation.end(order, end_state(order), at=at, code="NO_FILL", text=f"Not filled: {reason}.")
            return
        self._plan_match(order, after=epoch(at) if look is None or index is None else look.at)

    def _look(self, order: WorkingOrder, at: datetime, index: int | None) -> Observation | None:
        """Return the observation on the tape, or for an order just active the one in force."""
        if index is not None:
            return self.stretch.tapes[order.instrument_id].observation(index)
        session = self.stretch.session
        if session is None:
            return None
        symbol = self.batch.instruments[order.instrument_id].symbol
        try:
            found = self.batch.market.observation_at(symbol, at=epoch(at))
        except LookupError:
            self.batch.unknown.add(order.instrument_id)
            return None
        earliest = session.pre_open_start if order.extended_hours else session.open
        if found is None or not len(found.at) or int(found.at[0]) < epoch(earliest):
            return None
        return tape_of(found, session, self.batch.market).observation(0)
