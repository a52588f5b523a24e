"""Short ways to say what the tests are about: a price, a quantity, a quote, an order, an account."""

from datetime import date
from decimal import Decimal
from typing import Any

from brokers.enums import InstrumentKind, OrderType, Side
from brokers.instruments import IncrementRule
from brokers.money import money_units, quantity_units
from brokers.simulator.commission import SessionCharges
from brokers.simulator.fills import (
    FillContext,
    FillDecision,
    NoFill,
    TradedInstrument,
    fill_against_bar,
    fill_against_quote,
)
from brokers.simulator.matching import MarketBar, Observation, OrderTerms
from brokers.simulator.presets import (
    CommissionPlan,
    LiquidityModel,
    SimulationSettings,
    SlippageModel,
    SlippagePlan,
)

SHARES = IncrementRule(threshold_units=1_000_000, below_units=100, from_units=10_000)
PENNY_OPTIONS = IncrementRule(threshold_units=3_000_000, below_units=10_000, from_units=50_000)
NO_SLIPPAGE = SlippagePlan(model=SlippageModel.NONE)
NOON = 1_777_046_400  # 2026-04-24 16:00 UTC, noon in New York

_PRICES = frozenset(
    {"limit", "stop", "trail_amount", "trail_percent", "watermark", "notional"}
)  # written in dollars or percent


def price(text: str) -> int:
    return money_units(text)


def quantity(text: str | int) -> int:
    return quantity_units(text)


def order(side: str, order_type: str = "MARKET", count: str | int | None = 100, **fields: Any) -> OrderTerms:
    """An order; prices are dollars in text: order("BUY", "LIMIT", 100, limit="150.00")."""
    units = {f"{name}_units": price(value) for name, value in fields.items() if name in _PRICES}
    rest = {name: value for name, value in fields.items() if name not in _PRICES}
    return OrderTerms(
        side=Side(side),
        order_type=OrderType(order_type),
        quantity_units=None if count is None else quantity(count),
        **units,
        **rest,
    )


def quote(bid: str = "0", ask: str = "0", last: str = "0", **fields: Any) -> Observation:
    fields.setdefault("bid_size", 100_000)
    fields.setdefault("ask_size", 100_000)
    fields.setdefault("at", NOON)
    return Observation(bid_units=price(bid), ask_units=price(ask), last_units=price(last), **fields)


def bar(o: str, h: str, l: str, c: str, **fields: Any) -> MarketBar:  # noqa: E741
    fields.setdefault("volume", 10_000_000)
    fields.setdefault("at", NOON)
    return MarketBar(open_units=price(o), high_units=price(h), low_units=price(l), close_units=price(c), **fields)


def settings(**fields: Any) -> SimulationSettings:
    """An account without slippage, commission or fees, and as much liquidity as it wants."""
    fields.setdefault("slippage", NO_SLIPPAGE)
    fields.setdefault("option_slippage", NO_SLIPPAGE)
    fields.setdefault("option_commission", CommissionPlan())
    fields.setdefault("liquidity", LiquidityModel.UNLIMITED)
    fields.setdefault("fees", ())
    return SimulationSettings(**fields)


def bps(text: str) -> SlippagePlan:
    return SlippagePlan(model=SlippageModel.FIXED_BPS, bps=Decimal(text))


def shares(**fields: Any) -> FillContext:
    """The surroundings of an order for shares."""
    fields.setdefault("settings", settings())
    fields.setdefault("order_key", 42)
    fields.setdefault("trade_date", date(2026, 4, 24))
    instrument = TradedInstrument(kind=InstrumentKind.EQUITY, increments=SHARES)
    fields.setdefault("instrument", instrument)
    fields.setdefault("charges", SessionCharges())
    return FillContext(**fields)


def options(**fields: Any) -> FillContext:
    """The surroundings of an order for option contracts in the penny programme."""
    instrument = TradedInstrument(kind=InstrumentKind.OPTION, increments=PENNY_OPTIONS, multiplier=100)
    return shares(instrument=instrument, **fields)


def filled(terms: OrderTerms, look: Observation | MarketBar, context: FillContext) -> FillDecision:
    answer = answered(terms, look, context)
    assert isinstance(answer, FillDecision), answer
    return answer


def waiting(terms: OrderTerms, look: Observation | MarketBar, context: FillContext) -> NoFill:
    answer = answered(terms, look, context)
    assert isinstance(answer, NoFill), answer
    return answer


def answered(terms: OrderTerms, look: Observation | MarketBar, context: FillContext) -> FillDecision | NoFill:
    match look:
        case MarketBar():
            return fill_against_bar(terms, look, context=context)
        case _:
            return fill_against_quote(terms, look, context=context)
