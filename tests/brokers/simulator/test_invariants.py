"""What must hold whatever the market, the order and the settings."""

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from brokers.enums import Side
from brokers.simulator.fills import FillDecision
from brokers.simulator.presets import (
    PRESETS,
    LiquidityModel,
    SimulationSettings,
    SlippageModel,
    SlippagePlan,
)
from tests.brokers.simulator.scenes import answered, filled, order, price, quote, settings, shares

CENT = 10_000


@pytest.mark.parametrize("model", list(SlippageModel))
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_quote_moved_against_the_trader_never_improves_a_market_order(model, side):
    chance = random.Random(f"{model}{side}")
    rules = settings(slippage=SlippagePlan(model=model, base_bps=Decimal(1)))
    context = shares(settings=rules, volume=5_000, daily_deviation=0.02, average_daily_volume=900_000)
    for _ in range(200):
        bid = chance.randrange(50, 30_000) * 100
        ask = bid + chance.randrange(1, 300) * 100
        look = replace(quote(last="1.00"), bid_units=bid, ask_units=ask)
        moved = chance.randrange(1, 200) * 100
        if side == "BUY":
            worse = replace(look, ask_units=ask + moved)
        else:
            worse = replace(look, bid_units=max(100, bid - moved))
        before = filled(order(side), look, context).price_units
        after = filled(order(side), worse, context).price_units
        assert after >= before if side == "BUY" else after <= before


STRICTER = [
    (settings(), "no slippage, no fees"),
    (settings(slippage=SlippagePlan(bps=Decimal(2))), "2 bps"),
    (settings(slippage=SlippagePlan(bps=Decimal(5))), "5 bps"),
    (settings(slippage=SlippagePlan(bps=Decimal(5)), fees=("SEC", "TAF_SHARES")), "and fees"),
    (
        replace(
            PRESETS["IBKR_TIERED"],
            slippage=SlippagePlan(bps=Decimal(5)),
            liquidity=LiquidityModel.UNLIMITED,
        ),
        "and commission",
    ),
]


@pytest.mark.parametrize("count", [1, 100, 2_500])
@pytest.mark.parametrize(("bought", "sold"), [("100.00", "103.00"), ("5.00", "4.50"), ("0.50", "0.60")])
def test_stricter_settings_never_yield_more_on_the_same_round_trip(count, bought, sold):
    results = [round_trip(rules, count, bought, sold) for rules, _ in STRICTER]
    assert results == sorted(results, reverse=True)


def test_the_default_never_beats_frictionless():
    for count in (1, 100, 2_000):
        free = round_trip(PRESETS["FRICTIONLESS"], count, "50.00", "52.00")
        conservative = round_trip(PRESETS["CONSERVATIVE"], count, "50.00", "52.00")
        assert conservative < free


def round_trip(rules: SimulationSettings, count: int, bought: str, sold: str) -> int:
    """Return the change of cash of a buy at one quote and a sale of all of it at another."""
    context = shares(settings=rules, volume=1_000_000, trade_date=date(2026, 5, 4))
    cash = 0
    for side, at in (("BUY", bought), ("SELL", sold)):
        look = replace(quote(last=at), bid_units=price(at) - CENT, ask_units=price(at) + CENT, ask_size=100_000)
        fill = filled(order(side, "MARKET", count), look, context)
        cash -= Side(side).sign * fill.notional_units + fill.commission_units + fill.fees_units
    return cash


def test_a_smaller_cap_never_fills_more():
    look = quote("149.98", "150.02", "150.00", ask_size=100)
    fills = [
        filled(
            order("BUY", "MARKET", 50_000),
            look,
            shares(settings=settings(liquidity=LiquidityModel.SIZE, participation=Decimal(share)), volume=9_999),
        ).quantity_units
        for share in ("0.50", "0.10", "0.025", "0")
    ]
    assert fills == sorted(fills, reverse=True)


def test_quantity_is_filled_and_remaining_and_costs_are_never_negative():
    chance = random.Random(3)
    for _ in range(300):
        preset = PRESETS[chance.choice(sorted(PRESETS))]
        terms = order(chance.choice(["BUY", "SELL"]), "MARKET", chance.randrange(1, 5_000))
        look = quote("19.99", "20.01", "20.00", ask_size=chance.randrange(500), bid_size=7)
        cash = chance.choice([None, price("20000")])
        context = shares(
            settings=preset, volume=chance.randrange(20_000), cash_units=cash, order_key=chance.getrandbits(64)
        )
        answer = answered(terms, look, context)
        if not isinstance(answer, FillDecision):
            continue
        assert 0 < answer.quantity_units <= terms.quantity_units
        assert answer.completes_order == (answer.quantity_units == terms.quantity_units)
        assert answer.commission_units >= 0
        assert answer.fees_units >= 0
        if cash is not None and terms.side is Side.BUY:
            assert answer.notional_units + answer.commission_units + answer.fees_units <= cash


def test_the_same_question_has_the_same_answer():
    context = shares(settings=PRESETS["ALPACA_LIKE"], volume=23_400)
    look = quote("149.98", "150.02", "150.00")
    assert filled(order("BUY"), look, context) == filled(order("BUY"), look, context)
