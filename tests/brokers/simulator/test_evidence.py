"""A fill's evidence is JSON, says what was seen, and gives back price and costs."""

import json
from datetime import date
from decimal import Decimal

import pytest

from brokers.enums import TimeInForce
from brokers.simulator.evidence import charges_after, recompute
from brokers.simulator.presets import PRESETS, SlippageModel, SlippagePlan
from tests.brokers.simulator.scenes import (
    bar,
    bps,
    filled,
    options,
    order,
    price,
    quantity,
    quote,
    settings,
    shares,
)

QUOTE = quote("149.98", "150.02", "150.00", source="replay", market_identity="seed=42")
LOOKS = [
    QUOTE,
    quote("149.98", "150.02", "150.00", is_opening_print=True),
    quote("0.8123", "0.8125", "0.8124"),
    bar("150.00", "151.00", "149.00", "150.50"),
]


def said(fill):
    """The evidence as it comes back from a database."""
    return json.loads(json.dumps(fill.evidence))


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize("look", LOOKS)
def test_price_and_costs_follow_from_the_evidence_alone(preset, side, look):
    context = shares(
        settings=PRESETS[preset],
        volume=23_400,
        daily_deviation=0.0175,
        average_daily_volume=4_000_000,
        month_units=quantity(299_990),
        trade_date=date(2026, 5, 4),
    )
    fill = filled(order(side, "MARKET", 2_000), look, context)
    assert recompute(said(fill)) == (fill.price_units, fill.commission_units, fill.fees_units)
    assert charges_after(said(fill)) == fill.charges


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_costs_of_option_slices_follow_from_the_evidence_alone(preset):
    context = options(settings=PRESETS[preset], volume=900)
    look = quote("2.30", "2.40", "2.35", bid_size=3)
    first = filled(order("SELL", "LIMIT", 40, limit="2.05"), look, context)
    more = options(settings=PRESETS[preset], volume=900, charges=charges_after(said(first)))
    second = filled(order("SELL", "LIMIT", 40, limit="2.05", filled_units=quantity(3)), look, more)
    for fill in (first, second):
        assert recompute(said(fill)) == (fill.price_units, fill.commission_units, fill.fees_units)


def test_every_slippage_model_can_be_worked_out_again():
    for model in SlippageModel:
        plan = SlippagePlan(model=model, base_bps=Decimal("0.7"))
        context = shares(
            settings=settings(slippage=plan),
            volume=77_777,
            daily_deviation=0.0123456789,
            average_daily_volume=1_234_567,
        )
        fill = filled(order("BUY", "MARKET", 987), QUOTE, context)
        assert recompute(said(fill))[0] == fill.price_units


def test_a_changed_observation_gives_another_price():
    fill = filled(order("BUY"), QUOTE, shares(settings=settings(slippage=bps("5"))))
    evidence = said(fill)
    evidence["base"] = str(price("150.03"))
    assert recompute(evidence)[0] == price("150.11")  # 150.03 + 5 bps of 150.02 = 150.10501


def test_what_the_evidence_says_of_a_market_buy():
    context = shares(settings=settings(slippage=bps("5")), settings_version=3, volume=400)
    evidence = said(filled(order("BUY"), QUOTE, context))
    assert evidence["rule"] == "MARKET"
    assert evidence["observation"] == {
        "kind": "QUOTE",
        "as_of": "2026-04-24T16:00:00+00:00",
        "bid": "149980000",
        "ask": "150020000",
        "bid_size": "100000",
        "ask_size": "100000",
        "last": "150000000",
        "source": "replay",
        "market_identity": "seed=42",
    }
    assert evidence["reference"] == "150020000"
    assert evidence["slippage"]["model"] == "FIXED_BPS"
    assert evidence["slippage"]["amount"] == "75010"
    assert evidence["unrounded"] == "150095010"
    assert (evidence["increment"], evidence["price"]) == ("10000", "150100000")
    assert evidence["liquidity"] == {"model": "UNLIMITED", "v": "400", "allowed": None, "used": "0"}
    assert evidence["settings_version"] == 3


def test_a_bar_is_evidence_with_its_prices_and_half_spread():
    look = bar("47.20", "48.00", "47.00", "47.50", volume=1_000)
    evidence = said(filled(order("SELL"), look, shares()))
    seen = {key: evidence["observation"][key] for key in ("kind", "o", "h", "l", "c", "v")}
    assert seen == {
        "kind": "BAR",
        "o": "47200000",
        "h": "48000000",
        "l": "47000000",
        "c": "47500000",
        "v": "1000",
    }
    assert evidence["half_spread"] == "10000"


def test_fees_name_their_row():
    context = shares(settings=PRESETS["CONSERVATIVE"], volume=100_000, trade_date=date(2019, 1, 2))
    evidence = said(filled(order("SELL", time_in_force=TimeInForce.IOC), QUOTE, context))
    assert evidence["fees"][0] == {
        "name": "SEC",
        "rate": "0.0000278",
        "cap": None,
        "valid_from": "2024-05-22",
        "before_first_row": True,
        "amount": "420000",  # 100 x 149.90 x 27.80 per million = 0.416722, up
    }


def test_no_number_in_the_evidence_is_a_float():
    def walk(value):
        if isinstance(value, dict):
            return all(walk(item) for item in value.values())
        if isinstance(value, list):
            return all(walk(item) for item in value)
        return not isinstance(value, float)

    context = shares(settings=PRESETS["IBKR_TIERED"], volume=23_400, daily_deviation=0.016)
    assert walk(filled(order("SELL", "MARKET", 2_000), QUOTE, context).evidence)
