"""The five models, with the table of the design page: bid 149.98, ask 150.02."""

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.simulator import slippage
from brokers.simulator.presets import SlippageModel, SlippagePlan
from tests.brokers.simulator.scenes import filled, order, price, quantity, quote, settings, shares

QUOTE = quote("149.98", "150.02", "150.00")


def plan(model, **parameters):
    return SlippagePlan(model=SlippageModel(model), **{name: Decimal(text) for name, text in parameters.items()})


@pytest.mark.parametrize(
    ("model", "count", "surroundings", "buy", "sell"),
    [
        (plan("NONE"), 100, {}, "150.02", "149.98"),
        (plan("FIXED_BPS", bps="2"), 100, {}, "150.06", "149.95"),
        (plan("FIXED_BPS"), 100, {}, "150.10", "149.90"),
        (plan("SPREAD_FRACTION", spread_fraction="0.5"), 100, {}, "150.04", "149.96"),
        (plan("VOLUME_SHARE"), 2_500, {"volume": 100_000}, "150.03", "149.97"),
        (
            plan("SQUARE_ROOT"),
            10_000,
            {"daily_deviation": 0.016, "average_daily_volume": 4_000_000},
            "150.15",
            "149.86",
        ),
    ],
)
def test_the_worked_table(model, count, surroundings, buy, sell):
    context = shares(settings=settings(slippage=model), **surroundings)
    assert filled(order("BUY", "MARKET", count), QUOTE, context).price_units == price(buy)
    assert filled(order("SELL", "MARKET", count), QUOTE, context).price_units == price(sell)


PART = slippage.Slice(reference_units=price("100.00"), spread_units=price("0.04"), quantity_units=quantity(1_000))


def test_volume_share_grows_with_the_square_and_stops_at_its_limit():
    volume = plan("VOLUME_SHARE")
    # 1 % of the volume: 0.0001 x 0.1 x 100 = 0.001.
    assert slippage.slippage_units(volume, replace(PART, volume=100_000)) == price("0.001")
    # At 2.5 % and beyond: 0.000625 x 0.1 x 100 = 0.00625.
    assert slippage.slippage_units(volume, replace(PART, volume=40_000)) == price("0.00625")
    assert slippage.slippage_units(volume, replace(PART, volume=1_000)) == price("0.00625")


@pytest.mark.parametrize("volume", [None, 0])
def test_volume_share_without_volume_takes_its_limit_and_says_so(volume):
    part = replace(PART, volume=volume)
    assert slippage.slippage_units(plan("VOLUME_SHARE"), part) == price("0.00625")
    assert slippage.assumed(plan("VOLUME_SHARE"), part) == ("no volume known: the volume limit was taken as its share",)


def test_square_root_counts_what_the_order_has_filled_before():
    part = replace(PART, daily_deviation=Decimal("0.02"), average_daily_volume=400_000)
    # sqrt(4,000 / 400,000) = 0.1; 0.02 x 0.1 x 100 = 0.20.
    total = replace(part, filled_units=quantity(3_000))
    assert slippage.slippage_units(plan("SQUARE_ROOT"), total) == price("0.20")


def test_square_root_without_statistics_is_unkind_and_says_so():
    # 0.03 x sqrt(0.025) x 100 = 0.47434165..., up to the next unit.
    assert slippage.slippage_units(plan("SQUARE_ROOT"), PART) == 474_342
    assert len(slippage.assumed(plan("SQUARE_ROOT"), PART)) == 2


def test_base_bps_are_added_to_any_model_before_the_one_rounding():
    assert slippage.slippage_units(plan("NONE", base_bps="2"), PART) == price("0.02")
    both = plan("VOLUME_SHARE", base_bps="2")
    assert slippage.slippage_units(both, replace(PART, volume=40_000)) == price("0.02625")


def test_parts_of_a_unit_are_rounded_up_once():
    third = replace(PART, reference_units=10_001)  # 0.010001 x 1 bp = 1.0001 units
    assert slippage.slippage_units(plan("FIXED_BPS", bps="1"), third) == 2


def test_a_missing_other_side_counts_as_a_spread_as_wide_as_the_price():
    context = shares(settings=settings(slippage=plan("SPREAD_FRACTION")))
    # 0.25 x 1.00 on top of 1.00.
    assert filled(order("BUY"), quote("0", "1.00", "1.00"), context).price_units == price("1.25")


@pytest.mark.parametrize(("measured", "expected"), [(0.016, Decimal("0.016000000")), (None, None), (0.0, None)])
def test_a_deviation_becomes_nine_decimals_once(measured, expected):
    assert slippage.deviation(measured) == expected
