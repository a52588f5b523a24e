"""Settings survive JSON, refuse nonsense, and the five presets are what the page says."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.enums import AccountKind
from brokers.simulator.presets import (
    ASSUMPTIONS,
    DEFAULT_PRESET,
    PRESETS,
    CommissionModel,
    CommissionPlan,
    LiquidityModel,
    SettingsRefused,
    SimulationSettings,
    SlippageModel,
    SlippagePlan,
)

PLAIN = PRESETS["CONSERVATIVE"].to_json()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_survives_json(name):
    text = json.dumps(PRESETS[name].to_json())
    assert SimulationSettings.from_json(json.loads(text)) == PRESETS[name]


def test_every_preset_says_what_it_assumes():
    assert set(ASSUMPTIONS) == set(PRESETS)
    assert all(preset.preset == name for name, preset in PRESETS.items())
    assert "comparison only" in ASSUMPTIONS["FRICTIONLESS"]


def test_the_default_is_not_flattering():
    default = PRESETS[DEFAULT_PRESET]
    assert default == SimulationSettings()
    assert default.account_kind is AccountKind.CASH
    assert (default.slippage.model, default.slippage.bps) == (SlippageModel.FIXED_BPS, Decimal(5))
    assert default.option_slippage.spread_fraction == Decimal("0.25")
    assert default.participation == Decimal("0.10")
    assert default.option_commission.rate == Decimal("0.65")
    assert set(default.fees) == {"SEC", "TAF_SHARES", "TAF_OPTIONS", "ORF", "OCC"}
    assert not default.fill_on_touch


def test_alpaca_like_is_their_paper():
    alpaca = PRESETS["ALPACA_LIKE"]
    assert alpaca.slippage.model is SlippageModel.NONE
    assert alpaca.liquidity is LiquidityModel.RANDOM_PARTIAL
    assert (alpaca.fees, alpaca.wash_trades, alpaca.exits_wait_for_full_entry) == ((), True, True)


def test_ibkr_tiered_pays_impact_and_two_basis_points():
    ibkr = PRESETS["IBKR_TIERED"]
    assert ibkr.account_kind is AccountKind.MARGIN
    assert (ibkr.slippage.model, ibkr.slippage.base_bps) == (SlippageModel.VOLUME_SHARE, Decimal(2))
    assert ibkr.participation == ibkr.slippage.volume_limit == Decimal("0.025")


def test_missing_keys_keep_their_default():
    assert SimulationSettings.from_json({"latency_ms": 200}) == replace(SimulationSettings(), latency_ms=200)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slipage": {}}, "settings has no setting called slipage"),
        ({"slippage": {"bsp": "5"}}, "settings.slippage has no setting called bsp"),
        ({"slippage": {"model": "KIND"}}, "settings.slippage.model is 'KIND'"),
        ({"slippage": []}, "settings.slippage must be an object"),
        ({"participation": 0.1}, "settings.participation is 0.1; it must be a decimal number in quotes"),
        ({"participation": "much"}, "settings.participation is 'much'"),
        ({"participation": "NaN"}, "must be finite"),
        ({"participation": "1.01"}, "participation is 1.01; it must lie between 0 and 1"),
        ({"slippage": {"bps": "-1"}}, "bps is -1; it must lie between 0 and 10000"),
        ({"latency_ms": True}, "settings.latency_ms is True; it must be of type int"),
        ({"latency_ms": -1}, "latency_ms is -1"),
        ({"fill_on_touch": 1}, "settings.fill_on_touch is 1; it must be of type bool"),
        ({"fees": ["VAT"]}, "There is no fee called VAT"),
        ({"fees": "SEC"}, "settings.fees must be a list"),
        ({"share_commission": {"rate": "0.0000001"}}, "at most six decimals"),
        ({"share_commission": {"model": "TIERED_MONTHLY"}}, "needs tiers"),
        ({"share_commission": {"tiers": [[5, "0.1"]]}}, "must start at 0 and rise"),
        ({"share_commission": {"tiers": [[0, "0.1", "0.2"]]}}, "must be a list of 2 values"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(change, message):
    with pytest.raises(SettingsRefused) as refused:
        SimulationSettings.from_json(PLAIN | change)
    assert message in str(refused.value)


@pytest.mark.parametrize("bps", ["0", "10000"])
def test_the_ends_of_a_range_are_inside(bps):
    plan = SlippagePlan(bps=Decimal(bps))
    assert SimulationSettings(slippage=plan).slippage == plan


def test_premium_rates_survive_json():
    plan = CommissionPlan(model=CommissionModel.PER_CONTRACT, premium_rates=((Decimal(0), Decimal("0.25")),))
    settings = SimulationSettings(option_commission=plan)
    assert SimulationSettings.from_json(settings.to_json()) == settings
