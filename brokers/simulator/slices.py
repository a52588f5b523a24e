"""A quantity of an order with its price and costs, and what the cash allows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from brokers.enums import InstrumentKind, Side
from brokers.instruments import IncrementRule
from brokers.money import QUANTITY, notional_cents
from brokers.simulator import slippage
from brokers.simulator.commission import (
    FEE_RATES,
    NO_CHARGES,
    Costs,
    FeeRow,
    SessionCharges,
    TradedQuantity,
    costs_of_slice,
)
from brokers.simulator.presets import SimulationSettings, SlippagePlan
from brokers.simulator.pricing import final_price
from brokers.simulator.terms import OrderTerms, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TradedInstrument:
    """What matching must know of an instrument."""

    kind: InstrumentKind
    increments: IncrementRule
    multiplier: int = 1
    is_index_option: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FillContext:
    """
    What surrounds one evaluation of one order.

    `volume` and `average_daily_volume` are whole shares, `used_units` and `month_units` quantity units
    (what this account traded in the instrument in this minute; in its kind this month), `hour_left` whole
    shares that extended hours still allow. `cash_units` bounds buys of cash accounts; None where cash
    does not. `charges` is what this order was charged earlier in this session, `trade_date` the date in
    New York. `order_key` comes from `chance.order_key`.
    """

    settings: SimulationSettings
    instrument: TradedInstrument
    order_key: int
    trade_date: date
    settings_version: int = 1
    volume: int | None = None
    used_units: int = 0
    hour_left: int | None = None
    daily_deviation: float | None = None
    average_daily_volume: int | None = None
    cash_units: int | None = None
    charges: SessionCharges = NO_CHARGES
    month_units: int = 0
    fee_rates: Sequence[FeeRow] = FEE_RATES


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedSlice:
    """A quantity with its price and costs."""

    quantity_units: int
    measured: slippage.Slice
    slippage_units: int
    unrounded_units: int
    price_units: int
    traded: TradedQuantity
    costs: Costs
    is_cut_by_cash: bool = False

    @property
    def notional_units(self) -> int:
        return notional_cents(self.price_units, self.quantity_units, multiplier=self.traded.multiplier)


def slice_within_cash(
    terms: OrderTerms, verdict: Verdict, quantity_units: int, context: FillContext
) -> PricedSlice | None:
    """Price a slice; cut a buy to what the cash pays, costs included. None: not even the least of it."""
    slice_ = _price_slice(terms, verdict, quantity_units, context)
    if terms.side is not Side.BUY or context.cash_units is None or _is_paid(slice_, context.cash_units):
        return slice_
    quantity = _largest_paid(slice_, context)
    if quantity <= 0:
        return None
    return replace(_price_slice(terms, verdict, quantity, context), is_cut_by_cash=True)


def _price_slice(terms: OrderTerms, verdict: Verdict, quantity_units: int, context: FillContext) -> PricedSlice:
    measured = slippage.Slice(
        reference_units=verdict.reference_units,
        spread_units=verdict.spread_units,
        quantity_units=quantity_units,
        filled_units=terms.filled_units,
        volume=context.volume,
        daily_deviation=slippage.deviation(context.daily_deviation),
        average_daily_volume=context.average_daily_volume,
    )
    amount = 0 if verdict.at_limit else slippage.slippage_units(slippage_plan(context), measured)
    unrounded, price = final_price(
        verdict, side=terms.side, slippage_units=amount, increments=context.instrument.increments
    )
    if terms.remaining_units is None:
        quantity_units = min(quantity_units, affordable(terms.notional_units, price, context))
    traded = TradedQuantity(
        kind=context.instrument.kind,
        side=terms.side,
        quantity_units=quantity_units,
        price_units=price,
        multiplier=context.instrument.multiplier,
        is_index_option=context.instrument.is_index_option,
        month_units=context.month_units,
    )
    return PricedSlice(
        quantity_units=quantity_units,
        measured=measured,
        slippage_units=amount,
        unrounded_units=unrounded,
        price_units=price,
        traded=traded,
        costs=_costs(traded, context),
    )


def _largest_paid(slice_: PricedSlice, context: FillContext) -> int:
    """
    Return the largest quantity, in the order's own steps, that the cash pays at the slice's price.

    A smaller slice never costs more a share, so pricing it again keeps it paid. Costs jump (minimum,
    cents), so the quantity is searched by halving rather than divided out.
    """
    step = QUANTITY if slice_.quantity_units % QUANTITY == 0 else 1
    most = affordable(max(0, context.cash_units), slice_.price_units, context) // step + 1
    low, high = 0, min(most, slice_.quantity_units // step)
    while low < high:
        middle = (low + high + 1) // 2
        traded = replace(slice_.traded, quantity_units=middle * step)
        tried = replace(slice_, quantity_units=middle * step, traded=traded, costs=_costs(traded, context))
        low, high = (middle, high) if _is_paid(tried, context.cash_units) else (low, middle - 1)
    return low * step


def _is_paid(slice_: PricedSlice, cash_units: int) -> bool:
    return slice_.notional_units + slice_.costs.total_units <= cash_units


def _costs(traded: TradedQuantity, context: FillContext) -> Costs:
    return costs_of_slice(
        context.settings,
        traded,
        before=context.charges,
        rates=context.fee_rates,
        trade_date=context.trade_date,
    )


def affordable(money_units: int, price_units: int, context: FillContext) -> int:
    """Return floor(money / price) with nine decimals."""
    return money_units * QUANTITY // (price_units * context.instrument.multiplier)


def slippage_plan(context: FillContext) -> SlippagePlan:
    is_option = context.instrument.kind is InstrumentKind.OPTION
    return context.settings.option_slippage if is_option else context.settings.slippage
