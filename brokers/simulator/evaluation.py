"""One working order against one observation: what surrounds it, what is decided, what it changes. Pure."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from brokers import money
from brokers.enums import AccountKind, OrderType, SimulatedOrderState, TimeInForce
from brokers.market_data import calendar
from brokers.money import QUANTITY
from brokers.simulator import chance, liquidity, reserves
from brokers.simulator.book import AccountBook, BookedFill, WorkingOrder, execution_id
from brokers.simulator.commission import NO_CHARGES, SessionCharges
from brokers.simulator.fills import FillDecision, NoFill, fill_against_quote
from brokers.simulator.market import forgets
from brokers.simulator.presets import CommissionModel, SimulationSettings, Trigger
from brokers.simulator.slices import FillContext, TradedInstrument
from brokers.simulator.stretch import Batch, Stretch, epoch, ordinal
from brokers.simulator.tape import watermarks
from brokers.simulator.terms import Observation

WAITING_LENGTH = 200
AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The orders of one account in one stretch, decided one look at a time."""

    book: AccountBook
    stretch: Stretch
    batch: Batch

    def evaluate(self, order: WorkingOrder, look: Observation, *, at: datetime, is_first: bool) -> None:
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
            self.end(order, end_state(order), at=at, code=decision.ends_order, text=_sentence(text))

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
        first = epoch(max(order.active_from, opens))
        if look.at <= first:
            return False
        market, symbol = self.batch.market, self.batch.instruments[order.instrument_id].symbol
        earlier = market.observation_at(symbol, at=first)
        if earlier is not None and len(earlier.at) and earlier.at[0] >= epoch(opens) and not earlier.is_halted[0]:
            return True
        between = market.observations(symbol, after=first, until=look.at - 1)
        if np.any(~between.is_halted):
            return True
        # Without a history the visits count: an account that was here since has been shown a price.
        return forgets(market) and epoch(self.book.matched_until) > first

    def _context(self, order: WorkingOrder, look: Observation, at: datetime) -> FillContext:
        traded, settings = self.batch.instruments[order.instrument_id], self.settings(order)
        day = calendar.new_york_date(at)
        market, second = self.batch.market, epoch(at)
        deviation, average = market.daily_statistics(traded.symbol, before_ordinal=ordinal(at))
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
        if self.book.kind is AccountKind.CASH and cash < self.book.reserved_units(but=order.pk):
            text = "The costs of this sale are above its proceeds, and there is no cash for them."
            self.end(order, SimulatedOrderState.CANCELED, at=at, code="CASH_AT_FILL", text=text)
            return
        self.book.cash_units = cash
        self.book.holding(order.instrument_id).trade(order.side, fill.quantity_units, fill.price_units)
        before = self._left(order)
        self._add_fill(order, fill, at)
        order.filled_units += fill.quantity_units
        order.waiting_for = ""
        order.reserve_units = reserves.remaining_reserve(
            order.reserve_units, before_units=before, after_units=self._left(order)
        )
        if fill.completes_order:
            order.quantity_units = order.filled_units
            order.end(SimulatedOrderState.FILLED, at=at)
        elif order.state is SimulatedOrderState.PENDING_CANCEL:
            order.change(order.state, at=at)
        else:
            order.change(SimulatedOrderState.PARTIALLY_FILLED, at=at)

    def _left(self, order: WorkingOrder) -> int:
        """Return what is left to fill in quantity units; of an order by amount, what is left to spend."""
        if order.quantity_units is not None:
            return order.remaining_units
        return max(0, (order.notional_units or 0) - _spent(self._charges(order)))

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
        self.book.used.append((order.instrument_id, epoch(at), fill.quantity_units))
        day = calendar.new_york_date(at)
        month = (day.year, day.month)
        self.book.month_units[month] = self.book.month_units.get(month, 0) + fill.quantity_units

    def end(
        self, order: WorkingOrder, state: SimulatedOrderState, *, at: datetime, code: str = "", text: str = ""
    ) -> None:
        self.follow(order, until=at)
        if order.quantity_units is None and order.filled_units:
            order.quantity_units = order.filled_units
        order.end(state, at=at, code=code, text=text)

    def follow(self, order: WorkingOrder, *, until: datetime) -> None:
        """Let a trailing stop keep up with the prints of the stretch up to a moment."""
        if order.order_type is OrderType.TRAILING_STOP:
            trigger, matched = self.settings(order).share_trigger, self.book.matched_until
            move_watermark(order, self.stretch, until=until, matched_until=matched, trigger=trigger)

    def settings(self, order: WorkingOrder) -> SimulationSettings:
        return self.book.settings[order.settings_version]


def move_watermark(
    order: WorkingOrder, stretch: Stretch, *, until: datetime, matched_until: datetime, trigger: Trigger
) -> None:
    """Let a trailing stop that has not fired follow the prints of a stretch."""
    tape = stretch.tapes.get(order.instrument_id)
    is_following = order.order_type is OrderType.TRAILING_STOP and not order.is_triggered
    if tape is None or not is_following or order.state is SimulatedOrderState.ACCEPTED:
        return
    start = tape.start_after(epoch(max(matched_until, order.active_from)))
    end = tape.start_after(epoch(until))
    if start >= end:
        return
    prices = np.where(tape.is_open, tape.trigger_prices(order.side, trigger), 0)[start:end]
    mark = int(watermarks(order, prices)[-1]) or None
    if mark != order.watermark_units:
        order.watermark_units = mark
        order.is_changed = True


_END_TEXTS = {
    "CASH_AT_FILL": "the cash paid for no more of it",
    "IOC_REMAINDER": "the rest could not trade at once",
    "AUCTION_REMAINDER": "the auction did not take the rest",
}


def end_state(order: WorkingOrder) -> SimulatedOrderState:
    """An auction that has passed is an order's time running out; every other end is a cancel."""
    return SimulatedOrderState.EXPIRED if order.time_in_force in AUCTIONS else SimulatedOrderState.CANCELED


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _spent(charges: SessionCharges) -> int:
    return money.divide_up(charges.notional_exact, QUANTITY)


def _is_tiered(settings: SimulationSettings) -> bool:
    return settings.share_commission.model is CommissionModel.TIERED_MONTHLY
