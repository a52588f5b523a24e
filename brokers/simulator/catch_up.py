"""
Carry one account through a stretch of market time: one ordered list of everything that happens. Pure.

At equal times: corporate action, open (payments), activation, match, order expiry, close (cash in lieu).
Several orders at one observation: exits before entries, then by acceptance, then by id. The result
depends on the market and the book alone, never on how the time was cut into pieces.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import Any

import numpy as np

from brokers import money
from brokers.enums import (
    AccountKind,
    ActivityKind,
    OrderType,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.market_data import calendar
from brokers.market_data.calendar import Session
from brokers.market_data.replay.events import MarketEvent, to_date
from brokers.money import QUANTITY
from brokers.simulator import chance, corporate, liquidity, reserves
from brokers.simulator.book import (
    AccountBook,
    BookedFill,
    Promise,
    Traded,
    WorkingOrder,
    execution_id,
)
from brokers.simulator.commission import NO_CHARGES, FeeRow, SessionCharges
from brokers.simulator.fills import FillDecision, NoFill, fill_against_quote
from brokers.simulator.market import Market
from brokers.simulator.presets import CommissionModel, SimulationSettings, Trigger
from brokers.simulator.slices import FillContext, TradedInstrument
from brokers.simulator.tape import Tape, next_index, watermarks
from brokers.simulator.terms import Observation

WAITING_LENGTH = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = _EPOCH.toordinal()
_ONE_LOOK = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})


class Rank(IntEnum):
    """What comes first at equal times."""

    CORPORATE_ACTION = 0
    PAYMENT_AT_OPEN = 1
    ACTIVATION = 2
    MATCH = 3
    EXPIRY = 4
    PAYMENT_AT_CLOSE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """
    A piece of time, `start` excluded and `end` included, with at most one session in it.

    The tapes hold the observations of every instrument that an order works in.
    """

    start: datetime
    end: datetime
    session: Session | None
    tapes: dict[int, Tape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is the same for every account of a batch; `unknown` are instruments the market has no prices of."""

    market: Market
    instruments: dict[int, Traded]
    rates: Sequence[FeeRow]
    unknown: set[int] = field(default_factory=set)


def corporate_events(book: AccountBook, stretch: Stretch, batch: Batch) -> list[MarketEvent]:
    """Return the splits and dividends that take effect in a stretch for what an account holds or orders."""
    session = stretch.session
    if session is None or not book.matched_until < session.pre_open_start <= min(stretch.end, book.target):
        return []
    concerned = {instrument for instrument, held in book.holdings.items() if held.quantity_units}
    concerned |= {order.instrument_id for order in book.working()}
    return [
        event
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
                self._corporate_action(subject)
            elif rank in (Rank.PAYMENT_AT_OPEN, Rank.PAYMENT_AT_CLOSE):
                self._payment(subject)
            elif rank == Rank.ACTIVATION:
                self._activate(subject, at)
            elif rank == Rank.MATCH:
                self._match(subject, at, index, edition=entry[8])
            else:
                self._expire(subject)
        self._move_watermarks()

    # ------------------------------------------------------------------ the agenda

    def _plan(self) -> None:
        session = self.stretch.session
        for event in corporate_events(self.book, self.stretch, self.batch):
            self._push(session.pre_open_start, Rank.CORPORATE_ACTION, event)
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
            self._plan_match(order, after=_epoch(self.book.matched_until))
        if order.expires_at is not None and order.expires_at <= self.until:
            self._push(order.expires_at, Rank.EXPIRY, order)

    def _plan_match(self, order: WorkingOrder, *, after: int) -> None:
        """Put the next observation at which an order must be looked at on the agenda."""
        tape = self.stretch.tapes.get(order.instrument_id)
        if tape is None or order.time_in_force in _AUCTIONS:
            self._say_if_unknown(order)
            return
        settings = self._settings(order)
        index = next_index(
            order,
            tape,
            start=tape.start_after(after),
            trigger=settings.share_trigger,
            on_touch=settings.fill_on_touch,
            increments=self.batch.instruments[order.instrument_id].increments,
        )
        if index is not None and tape.at(index) <= _epoch(self.until):
            self._push(_EPOCH + timedelta(seconds=tape.at(index)), Rank.MATCH, order, index=index)

    def _say_if_unknown(self, order: WorkingOrder) -> None:
        """Write on an order that the market of this desk has no prices for it, once."""
        symbol = self.batch.instruments[order.instrument_id].symbol
        text = f"the market has no prices of {symbol}"
        if order.instrument_id in self.batch.unknown and order.waiting_for != text:
            order.waiting_for = text
            order.is_changed = True

    def _push(self, at: datetime, rank: Rank, subject: Any, *, index: int | None = None) -> None:
        self.counter += 1
        is_entry, accepted, pk, edition = 0, _EPOCH, 0, 0
        if isinstance(subject, WorkingOrder):
            is_entry, accepted, pk = int(not subject.is_exit), subject.accepted_at, subject.pk
            edition = self.editions.get(pk, 0)
        heapq.heappush(self.agenda, (at, rank, is_entry, accepted, pk, self.counter, subject, index, edition))

    # ------------------------------------------------------------------ what happens

    def _corporate_action(self, event: MarketEvent) -> None:
        traded = next(each for each in self.batch.instruments.values() if each.symbol == event.symbol)
        session = self.stretch.session
        at = session.pre_open_start
        if event.kind == "SPLIT":
            corporate.apply_split(self.book, event, traded, at=at, session_date=session.date, closes=session.close)
        else:
            pays_on = to_date(event.pay_ordinal)
            due = (calendar.session(pays_on) or calendar.next_session(pays_on)).open
            corporate.declare_dividend(self.book, event, traded, at=at, pays_on=pays_on, due=due)
        for promise in self.book.promises:
            if promise.event_id == event.event_id:
                self._plan_promise(promise)
        for order in self.book.working():
            if order.instrument_id == traded.instrument_id and order.state is not SimulatedOrderState.ACCEPTED:
                self.editions[order.pk] = self.editions.get(order.pk, 0) + 1
                self._plan_match(order, after=_epoch(at) - 1)

    def _payment(self, promise: Promise) -> None:
        close = 0
        if promise.kind is ActivityKind.CASH_IN_LIEU:
            symbol = self.batch.instruments[promise.instrument_id].symbol
            close = self.batch.market.previous_close(symbol, at=_epoch(promise.due))
        corporate.keep_promise(self.book, promise, close_units=close)

    def _activate(self, order: WorkingOrder, at: datetime) -> None:
        if order.state is SimulatedOrderState.ACCEPTED:
            order.change(SimulatedOrderState.WORKING, at=at)
            self._push(at, Rank.MATCH, order)

    def _expire(self, order: WorkingOrder) -> None:
        if order.state.is_final or order.expires_at is None:
            return
        if order.state is SimulatedOrderState.PENDING_CANCEL:
            self._end(order, SimulatedOrderState.CANCELED, at=order.expires_at)
            return
        text = f"The order was good until {order.expires_at:%Y-%m-%d %H:%M} UTC."
        self._end(order, SimulatedOrderState.EXPIRED, at=order.expires_at, code="TIME_IN_FORCE", text=text)

    def _match(self, order: WorkingOrder, at: datetime, index: int | None, *, edition: int) -> None:
        if order.state.is_final or edition != self.editions.get(order.pk, 0):
            return
        look = self._look(order, at, index)
        if index is not None:
            self._follow(order, until=at)
        if look is not None:
            self._evaluate(order, look, at=at, is_first=index is None)
        if order.state.is_final:
            return
        if order.time_in_force in _ONE_LOOK | _AUCTIONS:
            reason = order.waiting_for or "there was no price"
            self._end(order, _end_state(order), at=at, code="NO_FILL", text=f"Not filled: {reason}.")
            return
        self._plan_match(order, after=_epoch(at) if look is None or index is None else look.at)

    def _look(self, order: WorkingOrder, at: datetime, index: int | None) -> Observation | None:
        """Return the observation on the tape, or for an order just active the one in force."""
        if index is not None:
            return self.stretch.tapes[order.instrument_id].observation(index)
        session = self.stretch.session
        if session is None:
            return None
        symbol = self.batch.instruments[order.instrument_id].symbol
        try:
            found = self.batch.market.observation_at(symbol, at=_epoch(at))
        except LookupError:
            self.batch.unknown.add(order.instrument_id)
            return None
        earliest = session.pre_open_start if order.extended_hours else session.open
        if found is None or not len(found.at) or int(found.at[0]) < _epoch(earliest):
            return None
        return tape_of(found, session, self.batch.market).observation(0)

    # ------------------------------------------------------------------ one evaluation

    def _evaluate(self, order: WorkingOrder, look: Observation, *, at: datetime, is_first: bool) -> None:
        terms = order.terms(
            is_resting=not is_first and self._was_looked_at(order, look),
            spent_units=_spent(self._charges(order)),
        )
        decision = fill_against_quote(terms, look, context=self._context(order, look, at))
        self._learn(order, decision, at)
        if isinstance(decision, FillDecision):
            self._book_fill(order, decision, at)
        elif decision.waiting_for:
            order.waiting_for = decision.waiting_for[:WAITING_LENGTH]
            order.is_changed = True
        if decision.ends_order and not order.state.is_final:
            text = getattr(decision, "waiting_for", "") or _END_TEXTS.get(decision.ends_order, "")
            self._end(order, _end_state(order), at=at, code=decision.ends_order, text=_sentence(text))

    def _learn(self, order: WorkingOrder, decision: FillDecision | NoFill, at: datetime) -> None:
        if decision.attempts != order.attempts or decision.watermark_units != order.watermark_units:
            order.attempts, order.watermark_units = decision.attempts, decision.watermark_units
            order.is_changed = True
        if decision.is_triggered and not order.is_triggered:
            order.triggered_at = at
            order.change(order.state, at=at)

    def _was_looked_at(self, order: WorkingOrder, look: Observation) -> bool:
        """Say whether an earlier observation of this session has been used: halted ones give no look."""
        session = self.stretch.session
        opens = session.pre_open_start if order.extended_hours else session.open
        first = _epoch(max(order.active_from, opens))
        if look.at <= first:
            return False
        symbol = self.batch.instruments[order.instrument_id].symbol
        earlier = self.batch.market.observation_at(symbol, at=first)
        if earlier is not None and len(earlier.at) and not earlier.is_halted[0]:
            return True
        between = self.batch.market.observations(symbol, after=first, until=look.at - 1)
        return bool(np.any(~between.is_halted))

    def _context(self, order: WorkingOrder, look: Observation, at: datetime) -> FillContext:
        traded, settings = self.batch.instruments[order.instrument_id], self._settings(order)
        day = calendar.new_york_date(at)
        market, second = self.batch.market, _epoch(at)
        deviation, average = market.daily_statistics(traded.symbol, before_ordinal=day.toordinal() - EPOCH_ORDINAL)
        volume = market.volume_of_last_minute(traded.symbol, at=second) if look.is_regular else None
        return FillContext(
            settings=settings,
            settings_version=order.settings_version,
            instrument=TradedInstrument(kind=traded.kind, increments=traded.increments),
            order_key=chance.order_key(account_seed=self.book.seed, venue_order_id=order.venue_order_id),
            trade_date=day,
            volume=volume,
            used_units=self.book.used_between(order.instrument_id, second // 60 * 60, second),
            hour_left=None if look.is_regular else self._hour_left(order, average, second),
            daily_deviation=deviation or None,
            average_daily_volume=int(average) or None,
            cash_units=self._spendable(order),
            charges=self._charges(order),
            month_units=self.book.month_units.get((day.year, day.month), 0) if _is_tiered(settings) else 0,
            fee_rates=self.batch.rates,
        )

    def _hour_left(self, order: WorkingOrder, average: float, second: int) -> int:
        cap = liquidity.extended_hour_cap(average_daily_volume=int(average))
        used = self.book.used_between(order.instrument_id, second // 3600 * 3600, second)
        return max(0, cap - -(-used // QUANTITY))

    def _spendable(self, order: WorkingOrder) -> int | None:
        if self.book.kind is not AccountKind.CASH:
            return None
        return self.book.cash_units - self.book.reserved_units(but=order.pk)

    def _charges(self, order: WorkingOrder) -> SessionCharges:
        session = self.stretch.session
        day, charges = self.book.charges.get(order.pk, (None, NO_CHARGES))
        return charges if session is not None and day == session.date else NO_CHARGES

    def _book_fill(self, order: WorkingOrder, fill: FillDecision, at: datetime) -> None:
        cash = self.book.cash_units - order.side.sign * fill.notional_units
        cash -= fill.commission_units + fill.fees_units
        if self.book.kind is AccountKind.CASH and cash < 0:
            text = "The costs of this sale are above its proceeds, and there is no cash for them."
            self._end(order, SimulatedOrderState.CANCELED, at=at, code="CASH_AT_FILL", text=text)
            return
        self.book.cash_units = cash
        self.book.holding(order.instrument_id).trade(order.side, fill.quantity_units, fill.price_units)
        self._add_fill(order, fill, at)
        before = order.remaining_units
        order.filled_units += fill.quantity_units
        order.waiting_for = ""
        if order.quantity_units is None:
            before, left = order.notional_units, max(0, order.notional_units - _spent(fill.charges))
        else:
            left = order.remaining_units
        order.reserve_units = reserves.remaining_reserve(order.reserve_units, before_units=before, after_units=left)
        if fill.completes_order:
            order.quantity_units = order.filled_units
            order.end(SimulatedOrderState.FILLED, at=at)
        elif order.state is SimulatedOrderState.PENDING_CANCEL:
            order.change(order.state, at=at)
        else:
            order.change(SimulatedOrderState.PARTIALLY_FILLED, at=at)

    def _add_fill(self, order: WorkingOrder, fill: FillDecision, at: datetime) -> None:
        order.fill_count += 1
        self.book.fills.append(
            BookedFill(
                order_pk=order.pk,
                execution_id=execution_id(order.venue_order_id, order.fill_count),
                sequence=order.fill_count,
                instrument_id=order.instrument_id,
                side=order.side,
                quantity_units=fill.quantity_units,
                price_units=fill.price_units,
                commission_units=fill.commission_units,
                fees_units=fill.fees_units,
                executed_at=at,
                evidence=fill.evidence,
            )
        )
        self.book.charges[order.pk] = (self.stretch.session.date, fill.charges)
        self.book.used.append((order.instrument_id, _epoch(at), fill.quantity_units))
        day = calendar.new_york_date(at)
        month = (day.year, day.month)
        self.book.month_units[month] = self.book.month_units.get(month, 0) + fill.quantity_units

    def _end(
        self, order: WorkingOrder, state: SimulatedOrderState, *, at: datetime, code: str = "", text: str = ""
    ) -> None:
        self._follow(order, until=at)
        if order.quantity_units is None and order.filled_units:
            order.quantity_units = order.filled_units
        order.end(state, at=at, code=code, text=text)

    # ------------------------------------------------------------------ afterwards

    def _move_watermarks(self) -> None:
        """Keep how far each trailing stop has followed the market by the end of the stretch."""
        for order in self.book.working():
            self._follow(order, until=self.until)

    def _follow(self, order: WorkingOrder, *, until: datetime) -> None:
        if order.order_type is OrderType.TRAILING_STOP:
            trigger = self._settings(order).share_trigger
            matched = self.book.matched_until
            move_watermark(order, self.stretch, until=until, matched_until=matched, trigger=trigger)

    def _settings(self, order: WorkingOrder) -> SimulationSettings:
        return self.book.settings[order.settings_version]


def move_watermark(
    order: WorkingOrder, stretch: Stretch, *, until: datetime, matched_until: datetime, trigger: Trigger
) -> None:
    """Let a trailing stop that has not fired follow the prints of a stretch."""
    tape = stretch.tapes.get(order.instrument_id)
    is_following = order.order_type is OrderType.TRAILING_STOP and not order.is_triggered
    if tape is None or not is_following or order.state is SimulatedOrderState.ACCEPTED:
        return
    start = tape.start_after(_epoch(max(matched_until, order.active_from)))
    end = tape.start_after(_epoch(until))
    if start >= end:
        return
    prices = np.where(tape.is_open, tape.trigger_prices(order.side, trigger), 0)[start:end]
    mark = int(watermarks(order, prices)[-1]) or None
    if mark != order.watermark_units:
        order.watermark_units = mark
        order.is_changed = True


def tape_of(observations: Any, session: Session, market: Market) -> Tape:
    """Wrap observations of one session."""
    return Tape(
        observations=observations,
        opens_at=_epoch(session.open),
        closes_at=_epoch(session.close),
        source=market.label,
        market_identity=market.identity,
    )


_END_TEXTS = {
    "CASH_AT_FILL": "the cash paid for no more of it",
    "IOC_REMAINDER": "the rest could not trade at once",
    "AUCTION_REMAINDER": "the auction did not take the rest",
}


def _end_state(order: WorkingOrder) -> SimulatedOrderState:
    """An auction that has passed is an order's time running out; every other end is a cancel."""
    return SimulatedOrderState.EXPIRED if order.time_in_force in _AUCTIONS else SimulatedOrderState.CANCELED


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _epoch(at: datetime) -> int:
    """Return whole seconds since 1970 in UTC, a started second not counted."""
    return (at - _EPOCH) // timedelta(seconds=1)


def _spent(charges: SessionCharges) -> int:
    return money.divide_up(charges.notional_exact, QUANTITY)


def _is_tiered(settings: SimulationSettings) -> bool:
    return settings.share_commission.model is CommissionModel.TIERED_MONTHLY
