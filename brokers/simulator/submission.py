"""Take, preview, cancel and replace orders of one account, as of now: catch up, check, write, match once."""

import copy
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from brokers import money
from brokers.enums import (
    AccountStatus,
    InstrumentKind,
    OrderType,
    PositionEffect,
    Side,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.errors import AccountUnknown, BrokerUnavailable, OrderRejected, Refusal
from brokers.market_data import calendar
from brokers.messages import InstrumentFacts, NewOrder, OrderChange, OrderPreview, OrderReport
from brokers.models import Instrument, SimulatedAccount, SimulatedOrder
from brokers.simulator import batch, book_rows, catch_up, chance, hours, reporting, reserves, validation
from brokers.simulator.book import AccountBook, WorkingOrder, venue_order_id
from brokers.simulator.catch_up import Batch, Stretch
from brokers.simulator.market import Market
from brokers.simulator.reserves import Asked, Estimate
from brokers.simulator.terms import OrderTerms
from brokers.simulator.trailing import stop_price
from brokers.simulator.validation import RestingOrder, Surroundings

RETRY_SECONDS = 1
_SHARE_KINDS = (InstrumentKind.EQUITY, InstrumentKind.ETF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What is known of a price at a moment, in units; None where there is none. `ask` only in an open market."""

    last: int | None
    ask: int | None
    average_daily_volume: int | None


NO_QUOTE = Quote(last=None, ask=None, average_daily_volume=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the venue thinks of an order before it takes it."""

    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    effect: PositionEffect
    instrument: Instrument | None
    estimate: Estimate | None


def submit_many(
    account_id: uuid.UUID, new_orders: Sequence[NewOrder], *, now: datetime, market: Market
) -> list[OrderReport | OrderRejected]:
    """
    Take orders of one account and return each as it stands after its first look at the market.

    A refused one comes back as the OrderRejected it is and stops no other; a known client order id with the
    same content as the order it made. All that were taken are matched together. Raises AccountUnknown, and
    BrokerUnavailable when the account has not caught up; then nothing was taken.
    """
    with transaction.atomic():
        desk = _Desk.at(account_id, now=now, market=market)
        taken = [desk.take(new_order) for new_order in new_orders]
        desk.settle()
    return [desk.answer(outcome) for outcome in taken]


def preview(account_id: uuid.UUID, new_order: NewOrder, *, now: datetime, market: Market) -> OrderPreview:
    """Return what the venue would say to an order now, with its estimated price and costs; writes nothing."""
    with transaction.atomic():
        desk = _Desk.at(account_id, now=now, market=market)
        desk.save()
        checked = desk.check(new_order)
        power = desk.buying_power()
    found = checked.estimate
    return OrderPreview(
        refusals=checked.refusals,
        warnings=checked.warnings,
        estimated_price=None if found is None else money.money_value(found.price_units),
        estimated_notional=None if found is None else money.money_value(found.notional_units),
        commission=None if found is None else money.money_value(found.commission_units),
        fees=None if found is None else money.money_value(found.fees_units),
        buying_power=money.money_value(power),
        buying_power_after=None if found is None else money.money_value(power - found.reserve_units),
    )


def cancel(account_id: uuid.UUID, order_id: str, *, now: datetime, market: Market) -> OrderReport:
    """
    Cancel an order and return it as it stands; one that is over already stays as it ended.

    Raises OrderRejected when the account has no such order.
    """
    with transaction.atomic():
        desk = _Desk.at(account_id, now=now, market=market)
        working = desk.find(order_id)
        if working is not None:
            desk.cancel(working)
        desk.save()
    return _report(account_id, order_id)


def replace_order(
    account_id: uuid.UUID, order_id: str, change: OrderChange, *, now: datetime, market: Market
) -> OrderReport:
    """
    Put a changed order in the place of a working one, at once and as a whole; return the new one.

    `quantity` is what the new order still has to fill; left out, it is what the old one had left. Raises
    OrderRejected when the old one is over (ORDER_NOT_OPEN) or the new one is refused; then the old stands.
    """
    with transaction.atomic():
        desk = _Desk.at(account_id, now=now, market=market)
        taken = desk.replace(order_id, change)
        desk.settle()
    answer = desk.answer(taken)
    if isinstance(answer, OrderRejected):
        raise answer
    return answer


class _Desk:
    """One account, locked and caught up, with everything at hand that taking an order needs."""

    def __init__(self, account: SimulatedAccount, book: AccountBook, *, at: datetime, market: Market) -> None:
        self.account = account
        self.book = book
        self.at = at
        self.market = market
        self.settings = book_rows.settings_of(account.settings)
        self.rates = book_rows.fee_rates()
        self.quotes: dict[str, Quote] = {}

    @classmethod
    def at(cls, account_id: uuid.UUID, *, now: datetime, market: Market) -> "_Desk":
        """Lock an account and carry it to now. Raises AccountUnknown and BrokerUnavailable."""
        account = SimulatedAccount.objects.filter(account_id=account_id).first()
        if account is None:
            raise AccountUnknown(f"The simulated venue has no account {account_id}.")
        book = _locked_book(account_id, now=now, market=market)
        account.refresh_from_db()
        return cls(account, book, at=max(now, book.matched_until), market=market)

    # -------------------------------------------------------------- taking orders

    def take(self, new_order: NewOrder) -> WorkingOrder | SimulatedOrder | OrderRejected:
        """Write one order, or return the one its id already made, or why it is refused."""
        known = SimulatedOrder.objects.filter(account=self.account, client_order_id=new_order.client_order_id).first()
        if known is not None and known.request_hash == request_hash(new_order):
            return known
        checked = self.check(new_order, is_id_taken=known is not None)
        if checked.refusals:
            return OrderRejected(checked.refusals)
        return self._write(new_order, checked)

    def check(self, new_order: NewOrder, *, is_id_taken: bool = False) -> Checked:
        """Ask every rule of the venue, the money last."""
        instrument = _instrument(new_order.symbol)
        quote = self._quote(instrument)
        around = self._surroundings(new_order, instrument, quote, is_id_taken=is_id_taken)
        effect = validation.position_effect(new_order, position=around.position)
        refusals = validation.refusals(new_order, around)
        if refusals:
            return Checked(refusals=refusals, warnings=(), effect=effect, instrument=instrument, estimate=None)
        estimate = self._estimate(new_order, instrument, quote, effect)
        if estimate is None:
            refusals = (Refusal("SYMBOL_NOT_TRADABLE", f"There is no price of {new_order.symbol} to reckon with."),)
        else:
            refusals = validation.buying_power_refusal(
                new_order, reserve_units=estimate.reserve_units, buying_power_units=self.buying_power()
            )
        warnings = validation.warnings(new_order, around)
        return Checked(refusals=refusals, warnings=warnings, effect=effect, instrument=instrument, estimate=estimate)

    def buying_power(self) -> int:
        return reserves.buying_power(cash_units=self.book.cash_units, reserved_units=self.book.reserved_units())

    def _surroundings(
        self, new_order: NewOrder, instrument: Instrument | None, quote: Quote, *, is_id_taken: bool
    ) -> Surroundings:
        pk = 0 if instrument is None else instrument.pk
        return Surroundings(
            now=self.at,
            account_status=AccountStatus(self.account.status),
            account_kind=self.book.kind,
            may_short=self.account.may_short,
            instrument=None if instrument is None else facts_of(instrument),
            settings=self.settings,
            last=None if quote.last is None else money.money_value(quote.last),
            position=money.quantity_value(self.book.position_units(pk)),
            held=money.quantity_value(self.book.held_units(pk)),
            average_daily_volume=None if quote.average_daily_volume is None else Decimal(quote.average_daily_volume),
            is_client_order_id_taken=is_id_taken,
            resting=tuple(_resting(order) for order in self.book.working() if order.instrument_id == pk),
        )

    def _estimate(
        self, new_order: NewOrder, instrument: Instrument, quote: Quote, effect: PositionEffect
    ) -> Estimate | None:
        asked = Asked(
            kind=InstrumentKind(instrument.kind),
            side=new_order.side,
            effect=effect,
            order_type=new_order.order_type,
            quantity_units=_units(new_order.quantity, money.quantity_units),
            notional_units=_units(new_order.notional, money.money_units),
            limit_units=_units(new_order.limit_price, money.money_units),
            stop_units=self._stop(new_order, instrument, quote),
            ask_units=quote.ask,
            last_units=quote.last,
            multiplier=instrument.multiplier,
        )
        return reserves.estimate(
            asked, settings=self.settings, rates=self.rates, trade_date=calendar.new_york_date(self.at)
        )

    def _stop(self, new_order: NewOrder, instrument: Instrument, quote: Quote) -> int | None:
        """Return an order's stop; of a trailing one, where it would stand if it started at the last price."""
        if new_order.order_type is not OrderType.TRAILING_STOP:
            return _units(new_order.stop_price, money.money_units)
        if quote.last is None:
            return None
        terms = OrderTerms(
            side=new_order.side,
            order_type=new_order.order_type,
            trail_amount_units=_units(new_order.trail_amount, money.money_units),
            trail_percent_units=_units(new_order.trail_percent, money.money_units),
            watermark_units=quote.last,
        )
        return stop_price(terms, increments=book_rows.traded(instrument).increments)

    def _quote(self, instrument: Instrument | None) -> Quote:
        if instrument is None:
            return NO_QUOTE
        if instrument.symbol not in self.quotes:
            self.quotes[instrument.symbol] = quote_at(self.market, instrument.symbol, self.at)
        return self.quotes[instrument.symbol]

    # -------------------------------------------------------------- writing

    def _write(self, new_order: NewOrder, checked: Checked) -> WorkingOrder:
        identity = venue_order_id(self.account.account_id, new_order.client_order_id)
        life = hours.life(
            time_in_force=new_order.time_in_force,
            extended_hours=new_order.extended_hours,
            expires_on=new_order.expires_on,
            now=self.at,
            latency=self._latency(identity),
        )
        row = SimulatedOrder.objects.create(
            account=self.account,
            venue_order_id=identity,
            client_order_id=new_order.client_order_id,
            request_hash=request_hash(new_order),
            instrument=checked.instrument,
            side=new_order.side,
            effect=checked.effect,
            order_type=new_order.order_type,
            time_in_force=new_order.time_in_force,
            quantity_units=_units(new_order.quantity, money.quantity_units),
            notional_units=_units(new_order.notional, money.money_units),
            limit_units=_units(new_order.limit_price, money.money_units),
            stop_units=_units(new_order.stop_price, money.money_units),
            trail_amount_units=_units(new_order.trail_amount, money.money_units),
            trail_percent_units=_units(new_order.trail_percent, money.money_units),
            extended_hours=new_order.extended_hours,
            state=SimulatedOrderState.ACCEPTED,
            accepted_at=self.at,
            active_from=life.active_from,
            expires_at=life.expires_at,
            updated_at=self.at,
            reserve_units=checked.estimate.reserve_units,
            waiting_for="" if life.active_from <= self.at else f"active from {life.active_from:%Y-%m-%d %H:%M} UTC",
            warnings=list(checked.warnings),
            settings=self.account.settings,
            settings_version=self.account.settings_version,
        )
        return self._add(row)

    def _add(self, row: SimulatedOrder) -> WorkingOrder:
        working = book_rows.from_row(row)
        self.book.orders[row.pk] = working
        self.book.settings[row.settings_version] = self.settings
        return working

    def _latency(self, identity: uuid.UUID) -> timedelta:
        key = chance.order_key(account_seed=self.account.seed, venue_order_id=identity)
        settings = self.settings
        return timedelta(
            milliseconds=chance.latency_ms(key, fixed_ms=settings.latency_ms, spread_ms=settings.latency_spread_ms)
        )

    # -------------------------------------------------------------- changing orders

    def find(self, order_id: str) -> WorkingOrder | None:
        """Return a working order by the venue's id; None when it is over. Raises OrderRejected if unknown."""
        for order in self.book.working():
            if str(order.venue_order_id) == order_id:
                return order
        _row(self.account.account_id, order_id)
        return None

    def cancel(self, order: WorkingOrder) -> None:
        if order.state is SimulatedOrderState.PENDING_CANCEL:
            return
        latency = self._latency(order.venue_order_id)
        if latency and order.state is not SimulatedOrderState.ACCEPTED:
            # It goes on working until the cancel has arrived; a fill before that wins.
            order.expires_at = min(order.expires_at or self.at + latency, self.at + latency)
            order.change(SimulatedOrderState.PENDING_CANCEL, at=self.at)
            return
        if order.quantity_units is None and order.filled_units:
            order.quantity_units = order.filled_units
        order.end(SimulatedOrderState.CANCELED, at=self.at, code="CANCELED", text="Canceled on request.")

    def replace(self, order_id: str, change: OrderChange) -> WorkingOrder | SimulatedOrder | OrderRejected:
        known = SimulatedOrder.objects.filter(account=self.account, client_order_id=change.client_order_id).first()
        if known is not None and known.replaces and str(known.replaces.venue_order_id) == order_id:
            return known
        old = self.find(order_id)
        if old is None or old.state is SimulatedOrderState.PENDING_CANCEL or old.quantity_units is None:
            return OrderRejected((_not_open(self.account.account_id, order_id),))
        wanted, as_it_was = self._changed(old, change), copy.copy(old)
        old.end(SimulatedOrderState.REPLACED, at=self.at, code="REPLACED", text="Replaced on request.")
        outcome = self.take(wanted)
        if isinstance(outcome, OrderRejected):
            self.book.orders[old.pk] = as_it_was
        elif isinstance(outcome, WorkingOrder):
            self._inherit(outcome, as_it_was)
        return outcome

    def _inherit(self, new: WorkingOrder, old: WorkingOrder) -> None:
        """Give a replacement what does not start again: its end, its trigger, its watermark."""
        new.expires_at = old.expires_at
        new.active_from = max(new.active_from, old.active_from)
        new.watermark_units = old.watermark_units
        if new.stop_units == old.stop_units:
            new.triggered_at = old.triggered_at
        new.is_changed = True
        SimulatedOrder.objects.filter(pk=new.pk).update(replaces=old.pk, active_from=new.active_from)

    def _changed(self, old: WorkingOrder, change: OrderChange) -> NewOrder:
        row = SimulatedOrder.objects.select_related("instrument").get(pk=old.pk)
        is_gtd = old.time_in_force is TimeInForce.GTD and old.expires_at is not None
        as_it_is = NewOrder(
            client_order_id=change.client_order_id,
            symbol=row.instrument.symbol,
            side=old.side,
            order_type=old.order_type,
            time_in_force=old.time_in_force,
            quantity=money.quantity_value(old.remaining_units),
            limit_price=_value(old.limit_units),
            stop_price=_value(old.stop_units),
            trail_amount=_value(old.trail_amount_units),
            trail_percent=_value(old.trail_percent_units),
            expires_on=calendar.new_york_date(old.expires_at) if is_gtd else None,
            extended_hours=old.extended_hours,
        )
        wanted = {
            name: value for name, value in asdict(change).items() if value is not None and name != "client_order_id"
        }
        return replace(as_it_is, **wanted)

    # -------------------------------------------------------------- finishing

    def settle(self) -> None:
        """Let new orders that are active have their first look at the market, and write everything."""
        session = batch.session_around(self.at)
        stretch = Stretch(start=self.at, end=self.at, session=session)
        wanted = {order.instrument_id for order in self.book.orders.values()}
        around = Batch(market=self.market, instruments=book_rows.read_instruments(wanted), rates=self.rates)
        self.book.target = self.at
        book_rows.read_details([self.book])
        catch_up.carry(self.book, stretch, around)
        self.save()

    def save(self) -> None:
        book_rows.write([self.book])

    def answer(self, outcome: WorkingOrder | SimulatedOrder | OrderRejected) -> OrderReport | OrderRejected:
        if isinstance(outcome, OrderRejected):
            return outcome
        return _report(self.account.account_id, str(outcome.venue_order_id))


def _locked_book(account_id: uuid.UUID, *, now: datetime, market: Market) -> AccountBook:
    locked = book_rows.lock_accounts([account_id], skip_locked=False, with_archived=True)
    if locked[0].status is AccountStatus.ARCHIVED:
        return locked[0]
    carried = batch.carry(locked, now=now, market=market)
    if not carried:
        raise BrokerUnavailable(
            "The simulated venue could not bring this account up to date; nothing was taken.",
            retry_after_seconds=RETRY_SECONDS,
        )
    book = carried[0]
    if book.matched_until < now:
        raise BrokerUnavailable(
            f"The account is still catching up and stands at {book.matched_until:%Y-%m-%d %H:%M} UTC; "
            "nothing was taken.",
            retry_after_seconds=RETRY_SECONDS,
        )
    if not book.is_open:
        book_rows.read_orders([book])
        book_rows.read_holdings([book])
    return book


def quote_at(market: Market, symbol: str, at: datetime) -> Quote:
    """Return last price, ask and average volume of a symbol; nothing for one the market does not know."""
    second = int(at.timestamp() // 1)
    try:
        seen = market.observation_at(symbol, at=second)
        day = calendar.new_york_date(at)
        _, volume = market.daily_statistics(symbol, before_ordinal=day.toordinal() - catch_up.EPOCH_ORDINAL)
    except LookupError:
        return NO_QUOTE
    if seen is None or not len(seen.at):
        return NO_QUOTE
    ask = int(seen.ask[0]) if hours.is_open(at) and bool(seen.is_regular[0]) else 0
    return Quote(last=int(seen.last[0]) or None, ask=ask or None, average_daily_volume=int(volume) or None)


def request_hash(new_order: NewOrder) -> str:
    """Return a fingerprint of an order's content: equal content, equal text, however its numbers are written."""
    content = {name: _canonical(value) for name, value in asdict(new_order).items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def facts_of(instrument: Instrument) -> InstrumentFacts:
    """Return what validation must know of an instrument."""
    return InstrumentFacts(
        instrument_id=instrument.pk,
        symbol=instrument.symbol,
        kind=InstrumentKind(instrument.kind),
        multiplier=instrument.multiplier,
        price_increment=instrument.price_increment,
        is_fractionable=instrument.is_fractionable,
        is_shortable=instrument.is_shortable,
        is_active=instrument.is_active,
    )


def _instrument(symbol: str) -> Instrument | None:
    """Return the active instrument of a symbol, shares first; else the newest that had it."""
    found = list(Instrument.objects.filter(symbol=symbol).order_by("-is_active", "-pk"))
    shares = [each for each in found if each.is_active and each.kind in _SHARE_KINDS]
    return next(iter(shares + found), None)


def _row(account_id: uuid.UUID, order_id: str) -> SimulatedOrder:
    try:
        wanted = uuid.UUID(order_id)
        return reporting.orders_for_reports().get(account__account_id=account_id, venue_order_id=wanted)
    except (ValueError, SimulatedOrder.DoesNotExist) as error:
        refusal = Refusal("ORDER_UNKNOWN", f"This account has no order {order_id}.", measured=order_id)
        raise OrderRejected((refusal,)) from error


def _report(account_id: uuid.UUID, order_id: str) -> OrderReport:
    return reporting.order_report(_row(account_id, order_id), account_id=account_id)


def _not_open(account_id: uuid.UUID, order_id: str) -> Refusal:
    row = _row(account_id, order_id)
    filled = money.quantity_value(row.filled_units).normalize()
    return Refusal(
        "ORDER_NOT_OPEN",
        f"The order cannot be replaced: it is {row.state.lower().replace('_', ' ')} with {filled:f} filled.",
        measured=row.state,
    )


def _resting(order: WorkingOrder) -> RestingOrder:
    limit = _value(order.limit_units)
    return RestingOrder(order.client_order_id, Side(order.side), order.order_type, limit)


def _units(value: Decimal | None, convert: Any) -> int | None:
    return None if value is None else convert(value)


def _value(units: int | None) -> Decimal | None:
    return None if units is None else money.money_value(units)


def _canonical(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return None if value is None else str(value)
