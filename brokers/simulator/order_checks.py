"""Everything the venue asks about an order before it takes it: rules, reserve, money, and what it would cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from brokers import money
from brokers.enums import AccountStatus, InstrumentKind, OrderType, PositionEffect, Side
from brokers.errors import Refusal
from brokers.market_data import calendar
from brokers.market_data.listings import tradable
from brokers.messages import InstrumentFacts, NewOrder
from brokers.models import Instrument, SimulatedAccount
from brokers.simulator import book_rows, hours, reserves, validation
from brokers.simulator.book import AccountBook, WorkingOrder
from brokers.simulator.commission import FeeRow
from brokers.simulator.market import Market
from brokers.simulator.presets import SimulationSettings
from brokers.simulator.reserves import Asked, Estimate
from brokers.simulator.stretch import epoch, ordinal
from brokers.simulator.terms import OrderTerms
from brokers.simulator.trailing import stop_price
from brokers.simulator.validation import RestingOrder, Surroundings


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


class OrderChecks:
    """The rules of the venue for one account at one moment; its book must be caught up."""

    def __init__(
        self,
        account: SimulatedAccount,
        book: AccountBook,
        *,
        now: datetime,
        market: Market,
        settings: SimulationSettings,
        rates: Sequence[FeeRow],
    ) -> None:
        self.account = account
        self.book = book
        self.now = now
        self.market = market
        self.settings = settings
        self.rates = rates
        self.quotes: dict[str, Quote] = {}

    def check(self, new_order: NewOrder, *, is_id_taken: bool = False) -> Checked:
        """Ask every rule of the venue, the money last."""
        instrument = _instrument(new_order.symbol)
        quote = self._quote(instrument)
        around = self._surroundings(new_order, instrument, quote, is_id_taken=is_id_taken)
        effect = validation.position_effect(new_order, position=around.position)
        refusals = validation.refusals(new_order, around)
        if refusals:
            return Checked(refusals=refusals, warnings=(), effect=effect, instrument=instrument, estimate=None)
        asked = self._asked(new_order, instrument, quote, effect)
        estimate = self._estimate(asked)
        refusals = self._money_refusals(new_order, around, asked, estimate)
        warnings = validation.warnings(new_order, around)
        return Checked(refusals=refusals, warnings=warnings, effect=effect, instrument=instrument, estimate=estimate)

    def _money_refusals(
        self, new_order: NewOrder, around: Surroundings, asked: Asked, estimate: Estimate | None
    ) -> tuple[Refusal, ...]:
        value = reserves.value_units(asked)
        if estimate is None or value is None:
            return (Refusal("SYMBOL_NOT_TRADABLE", f"There is no price of {new_order.symbol} to reckon with."),)
        return validation.value_refusal(new_order, around, value_units=value) or validation.buying_power_refusal(
            new_order, reserve_units=estimate.reserve_units, buying_power_units=self.buying_power()
        )

    def buying_power(self) -> int:
        return reserves.buying_power(cash_units=self.book.cash_units, reserved_units=self.book.reserved_units())

    def _surroundings(
        self, new_order: NewOrder, instrument: Instrument | None, quote: Quote, *, is_id_taken: bool
    ) -> Surroundings:
        pk = 0 if instrument is None else instrument.pk
        return Surroundings(
            now=self.now,
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

    def _asked(self, new_order: NewOrder, instrument: Instrument, quote: Quote, effect: PositionEffect) -> Asked:
        return Asked(
            kind=InstrumentKind(instrument.kind),
            side=new_order.side,
            effect=effect,
            order_type=new_order.order_type,
            quantity_units=optional_units(new_order.quantity, money.quantity_units),
            notional_units=optional_units(new_order.notional, money.money_units),
            limit_units=optional_units(new_order.limit_price, money.money_units),
            stop_units=self._stop(new_order, instrument, quote),
            ask_units=quote.ask,
            last_units=quote.last,
            multiplier=instrument.multiplier,
        )

    def _estimate(self, asked: Asked) -> Estimate | None:
        return reserves.estimate(
            asked, settings=self.settings, rates=self.rates, trade_date=calendar.new_york_date(self.now)
        )

    def _stop(self, new_order: NewOrder, instrument: Instrument, quote: Quote) -> int | None:
        """Return an order's stop; of a trailing one, where it would stand if it started at the last price."""
        if new_order.order_type is not OrderType.TRAILING_STOP:
            return optional_units(new_order.stop_price, money.money_units)
        if quote.last is None:
            return None
        terms = OrderTerms(
            side=new_order.side,
            order_type=new_order.order_type,
            trail_amount_units=optional_units(new_order.trail_amount, money.money_units),
            trail_percent_units=optional_units(new_order.trail_percent, money.money_units),
            watermark_units=quote.last,
        )
        return stop_price(terms, increments=book_rows.traded(instrument).increments)

    def _quote(self, instrument: Instrument | None) -> Quote:
        if instrument is None:
            return NO_QUOTE
        if instrument.symbol not in self.quotes:
            self.quotes[instrument.symbol] = quote_at(self.market, instrument.symbol, self.now)
        return self.quotes[instrument.symbol]


def quote_at(market: Market, symbol: str, at: datetime) -> Quote:
    """Return last price, ask and average volume of a symbol; nothing for one the market does not know."""
    try:
        seen = market.observation_at(symbol, at=epoch(at))
        _, volume = market.daily_statistics(symbol, before_ordinal=ordinal(at))
    except LookupError:
        return NO_QUOTE
    if seen is None or not len(seen.at):
        return NO_QUOTE
    ask = int(seen.ask[0]) if hours.is_open(at) and bool(seen.is_regular[0]) else 0
    return Quote(last=int(seen.last[0]) or None, ask=ask or None, average_daily_volume=int(volume) or None)


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
    """Return the instrument that trades under a symbol; else the newest that had it."""
    if not symbol.isprintable():
        return None
    active = tradable([symbol]).get(symbol)
    return active or Instrument.objects.filter(symbol=symbol).order_by("-pk").first()


def _resting(order: WorkingOrder) -> RestingOrder:
    limit = optional_value(order.limit_units)
    return RestingOrder(order.client_order_id, Side(order.side), order.order_type, limit)


def optional_units(value: Decimal | None, convert: Callable[[Decimal], int]) -> int | None:
    """Return a number in units, or None for none."""
    return None if value is None else convert(value)


def optional_value(units: int | None) -> Decimal | None:
    """Return money units as a number, or None for none."""
    return None if units is None else money.money_value(units)
