"""Take, preview, cancel and replace orders of one account, as of now: catch up, check, write, match once."""

import copy
import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from brokers import money
from brokers.database_locks import RETRY_SECONDS, unavailable_while_locked
from brokers.enums import (
    AccountStatus,
    SimulatedOrderState,
    TimeInForce,
)
from brokers.errors import AccountUnknown, BrokerUnavailable, OrderRejected, Refusal
from brokers.market_data import calendar
from brokers.messages import NewOrder, OrderChange, OrderPreview, OrderReport
from brokers.models import SimulatedAccount, SimulatedOrder
from brokers.simulator import batch, book_rows, book_writing, catch_up, chance, hours, reporting
from brokers.simulator.book import AccountBook, WorkingOrder, venue_order_id
from brokers.simulator.market import Market
from brokers.simulator.order_checks import Checked, OrderChecks, optional_units, optional_value
from brokers.simulator.pricing import EnvelopeViolation
from brokers.simulator.stretch import Batch, stretch_at


def submit_many(
    account_id: uuid.UUID, new_orders: Sequence[NewOrder], *, now: datetime, market: Market
) -> list[OrderReport | OrderRejected]:
    """
    Take orders of one account and return each as it stands after its first look at the market.

    A refused one comes back as the OrderRejected it is and stops no other; a known client order id with the
    same content as the order it made. All that were taken are matched together. Raises AccountUnknown, and
    BrokerUnavailable when the account has not caught up; then nothing was taken.
    """
    with _one_account(account_id, now=now, market=market) as desk:
        taken = [desk.take(new_order) for new_order in new_orders]
        desk.settle()
    return [desk.answer(outcome) for outcome in taken]


def preview(account_id: uuid.UUID, new_order: NewOrder, *, now: datetime, market: Market) -> OrderPreview:
    """Return what the venue would say to an order now, with its estimated price and costs; writes nothing."""
    with _one_account(account_id, now=now, market=market) as desk:
        desk.save()
        checked = desk.checks.check(new_order)
        power = desk.checks.buying_power()
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
    with _one_account(account_id, now=now, market=market) as desk:
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
    with _one_account(account_id, now=now, market=market) as desk:
        taken = desk.replace(order_id, change)
        desk.settle()
    answer = desk.answer(taken)
    if isinstance(answer, OrderRejected):
        raise answer
    return answer


def find_order(account_id: uuid.UUID, client_order_id: str) -> OrderReport | None:
    """
    Return an order by its client order id; None proves that the venue has none and is not just writing it.

    Raises BrokerUnavailable when the account stays locked: then nothing is proven.
    """
    wanted = reporting.orders_for_reports().filter(account__account_id=account_id, client_order_id=client_order_id)
    with unavailable_while_locked():
        found = wanted.first() or _after_the_writer(account_id, wanted)
    return None if found is None else reporting.order_report(found, account_id=account_id)


def _after_the_writer(account_id: uuid.UUID, wanted: QuerySet[SimulatedOrder]) -> SimulatedOrder | None:
    """Look again when whoever writes this account has finished."""
    with transaction.atomic():
        book_rows.lock_accounts([account_id], skip_locked=False, with_archived=True)
        return wanted.first()


def catch_up_account(account_id: uuid.UUID, *, now: datetime, market: Market) -> None:
    """Carry one account to now, waiting for whoever holds it. Raises AccountUnknown and BrokerUnavailable."""
    with _one_account(account_id, now=now, market=market) as desk:
        desk.save()


class _Desk:
    """One account, locked and caught up, with everything at hand that taking an order needs."""

    def __init__(self, account: SimulatedAccount, book: AccountBook, *, at: datetime, market: Market) -> None:
        self.account = account
        self.book = book
        self.at = at
        self.market = market
        self.settings = book_rows.settings_of(account.settings)
        self.rates = book_rows.fee_rates()
        self.checks = OrderChecks(account, book, now=at, market=market, settings=self.settings, rates=self.rates)

    # -------------------------------------------------------------- taking orders

    def take(self, new_order: NewOrder) -> WorkingOrder | SimulatedOrder | OrderRejected:
        """Write one order, or return the one its id already made, or why it is refused."""
        known = self._known(new_order.client_order_id)
        if known is not None and known.request_hash == request_hash(new_order):
            return known
        checked = self.checks.check(new_order, is_id_taken=known is not None)
        if checked.refusals:
            return OrderRejected(checked.refusals)
        return self._write(new_order, checked)

    def _known(self, client_order_id: str) -> SimulatedOrder | None:
        # PostgreSQL cannot even be asked for a text with a zero byte in it.
        if not client_order_id.isprintable():
            return None
        return SimulatedOrder.objects.filter(account=self.account, client_order_id=client_order_id).first()

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
            quantity_units=optional_units(new_order.quantity, money.quantity_units),
            notional_units=optional_units(new_order.notional, money.money_units),
            limit_units=optional_units(new_order.limit_price, money.money_units),
            stop_units=optional_units(new_order.stop_price, money.money_units),
            trail_amount_units=optional_units(new_order.trail_amount, money.money_units),
            trail_percent_units=optional_units(new_order.trail_percent, money.money_units),
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
        known = self._known(change.client_order_id)
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
            limit_price=optional_value(old.limit_units),
            stop_price=optional_value(old.stop_units),
            trail_amount=optional_value(old.trail_amount_units),
            trail_percent=optional_value(old.trail_percent_units),
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
        wanted = {order.instrument_id for order in self.book.orders.values()}
        around = Batch(market=self.market, instruments=book_rows.read_instruments(wanted), rates=self.rates)
        self.book.target = self.at
        book_rows.read_details([self.book])
        catch_up.carry(self.book, stretch_at(self.at), around)
        self.save()

    def save(self) -> None:
        book_writing.write([self.book])

    def answer(self, outcome: WorkingOrder | SimulatedOrder | OrderRejected) -> OrderReport | OrderRejected:
        if isinstance(outcome, OrderRejected):
            return outcome
        return _report(self.account.account_id, str(outcome.venue_order_id))


@contextmanager
def _one_account(account_id: uuid.UUID, *, now: datetime, market: Market) -> Iterator[_Desk]:
    """
    Lock an account, carry it to now and hold the transaction while something is done with it.

    Raises AccountUnknown, and BrokerUnavailable whenever nothing was done and trying again makes sense.
    """
    try:
        with unavailable_while_locked():
            _bring_near(account_id, now=now, market=market)
            with transaction.atomic():
                book = _locked_book(account_id, now=now, market=market)
                account = SimulatedAccount.objects.get(pk=book.pk)
                yield _Desk(account, book, at=max(now, book.matched_until), market=market)
    except (EnvelopeViolation, book_writing.AccountChanged) as error:
        raise BrokerUnavailable(f"Nothing was done: {error}", retry_after_seconds=RETRY_SECONDS) from error


def _bring_near(account_id: uuid.UUID, *, now: datetime, market: Market) -> None:
    """Carry an account that is more than one call behind, and keep that, before anything else is tried."""
    account = SimulatedAccount.objects.filter(account_id=account_id).first()
    if account is None:
        raise AccountUnknown(f"The simulated venue has no account {account_id}.")
    if account.status == AccountStatus.ARCHIVED or batch.reach(account.matched_until, now) >= now:
        return
    reached = batch.advance([account_id], now=now, market=market).get(account_id, account.matched_until)
    if reached < now:
        raise BrokerUnavailable(
            f"The account is still catching up and stands at {reached:%Y-%m-%d %H:%M} UTC; nothing was done.",
            retry_after_seconds=RETRY_SECONDS,
        )


def _locked_book(account_id: uuid.UUID, *, now: datetime, market: Market) -> AccountBook:
    locked = book_rows.lock_accounts([account_id], skip_locked=False, with_archived=True)
    if locked[0].status is AccountStatus.ARCHIVED:
        return locked[0]
    carried = batch.carry(locked, now=now, market=market)
    if not carried or carried[0].matched_until < now:
        raise BrokerUnavailable(
            "The simulated venue could not bring this account up to date; nothing was done.",
            retry_after_seconds=RETRY_SECONDS,
        )
    if not carried[0].is_open:
        book_rows.read_orders(carried)
        book_rows.read_holdings(carried)
    return carried[0]


def request_hash(new_order: NewOrder) -> str:
    """Return a fingerprint of an order's content: equal content, equal text, however its numbers are written."""
    content = {name: _canonical(value) for name, value in asdict(new_order).items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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


def _canonical(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return None if value is None else str(value)
