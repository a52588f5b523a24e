"""Commission and fees: per order and session, cumulative, with the numbers of the design page."""

from datetime import date
from decimal import Decimal

import pytest

from brokers.enums import InstrumentKind, Side
from brokers.simulator.commission import (
    FEE_RATES,
    NO_CHARGES,
    FeeRow,
    TradedQuantity,
    costs_of_slice,
    dated_rate,
)
from brokers.simulator.presets import PRESETS, CommissionModel, CommissionPlan
from tests.brokers.simulator.scenes import price, quantity, settings

TIERED = PRESETS["IBKR_TIERED"]
CONSERVATIVE = PRESETS["CONSERVATIVE"]
PER_SHARE = settings(
    share_commission=CommissionPlan(
        model=CommissionModel.PER_SHARE,
        rate=Decimal("0.0035"),
        minimum=Decimal("0.35"),
        maximum_percent=Decimal(1),
    )
)
SPRING_2026 = date(2026, 5, 4)


def traded(count, at, *, side=Side.BUY, kind=InstrumentKind.EQUITY, **fields):
    multiplier = 100 if kind is InstrumentKind.OPTION else 1
    return TradedQuantity(
        kind=kind,
        side=side,
        quantity_units=quantity(count),
        price_units=price(at),
        multiplier=multiplier,
        **fields,
    )


def costs(rules, slices, *, day=SPRING_2026, rates=FEE_RATES):
    """Charge slices of one order one after the other; return the costs of each."""
    charges, answers = NO_CHARGES, []
    for each in slices:
        answer = costs_of_slice(rules, each, before=charges, rates=rates, trade_date=day)
        charges = answer.charges
        answers.append(answer)
    return answers


def commission(rules, *slices):
    return [answer.commission_units for answer in costs(rules, slices)]


def fee(name, slices, *, day=SPRING_2026, rules=CONSERVATIVE):
    return [
        sum(each.amount_units for each in answer.fees if each.name == name) for answer in costs(rules, slices, day=day)
    ]


def sold(count, at):
    return traded(count, at, side=Side.SELL)


def contracts(count, at, side=Side.SELL, **fields):
    return traded(count, at, side=side, kind=InstrumentKind.OPTION, **fields)


# ---------------------------------------------------------------------- commission


@pytest.mark.parametrize("rules", [PER_SHARE, TIERED])
@pytest.mark.parametrize(
    ("count", "at", "expected"),
    [
        (50, "20.00", "0.35"),  # 0.175: the minimum
        (1_000, "50.00", "3.50"),
        (10, "1.00", "0.10"),  # the maximum of 1 % wins over the minimum
    ],
)
def test_commission_by_share(rules, count, at, expected):
    assert commission(rules, traded(count, at)) == [price(expected)]


def test_tiers_take_each_share_at_its_place_in_the_month():
    # 1,000 x 0.0035 up to 300,000, then 1,000 x 0.0020.
    earlier = quantity(299_000)
    assert commission(TIERED, traded(2_000, "50.00", month_units=earlier)) == [price("5.50")]


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        (299_800, "0.70"),
        (299_900, "0.55"),  # 100 x 0.0035 + 100 x 0.0020
        (300_000, "0.40"),
        (3_000_000, "0.30"),
        (20_000_000, "0.20"),
        (100_000_000, "0.10"),
    ],
)
def test_two_hundred_shares_in_every_tier_of_the_month(earlier, expected):
    plan = CommissionPlan(model=CommissionModel.TIERED_MONTHLY, tiers=TIERED.share_commission.tiers)
    free_of_minimum = settings(share_commission=plan)
    slice_ = traded(200, "50.00", month_units=quantity(earlier))
    assert commission(free_of_minimum, slice_) == [price(expected)]


@pytest.mark.parametrize("rules", [PER_SHARE, TIERED])
def test_a_split_fill_costs_what_the_whole_costs(rules):
    # 150 x 0.0035 = 0.525, rounded 0.53; 200 x 0.0035 = 0.70.
    second = traded(50, "50.00", month_units=quantity(150))
    assert commission(rules, traded(150, "50.00"), second) == [price("0.53"), price("0.17")]
    assert commission(rules, traded(200, "50.00")) == [price("0.70")]


def test_the_minimum_is_charged_once_an_order():
    assert commission(PER_SHARE, *[traded(10, "50.00")] * 3) == [price("0.35"), 0, 0]


@pytest.mark.parametrize(
    ("preset", "at", "expected"),
    [
        ("CONSERVATIVE", "2.35", "1.95"),
        ("TRADIER_LIKE", "2.35", "1.05"),
        ("ALPACA_LIKE", "2.35", "0"),
        ("IBKR_TIERED", "0.10", "1.95"),
        ("IBKR_TIERED", "0.09", "1.50"),
        ("IBKR_TIERED", "0.05", "1.50"),
        ("IBKR_TIERED", "0.04", "1.00"),  # 3 x 0.25 = 0.75: the minimum
    ],
)
def test_commission_of_three_contracts(preset, at, expected):
    assert commission(PRESETS[preset], contracts(3, at)) == [price(expected)]


def test_shares_are_free_where_only_contracts_cost():
    assert commission(CONSERVATIVE, traded(10_000, "150.00")) == [0]


def test_cumulative_commission_never_falls_however_an_order_is_cut():
    pieces = [traded(count, at) for count, at in ((1, "90.00"), (399, "0.50"), (3, "1.00"), (7, "80.00"))]
    assert all(amount >= 0 for amount in commission(PER_SHARE, *pieces))


# ---------------------------------------------------------------------- fees


def test_sec_and_taf_round_the_orders_total_up():
    # 150,020 x 20.60 per million = 3.090412; 1,000 x 0.000195 = 0.195.
    assert fee("SEC", [sold(1_000, "150.02")]) == [price("3.10")]
    assert fee("TAF_SHARES", [sold(1_000, "150.02")]) == [price("0.20")]


def test_three_fills_of_ten_thousand_dollars_cost_what_their_sum_costs():
    # 0.206 each: cumulative 0.21, 0.42, 0.62.
    assert fee("SEC", [sold(100, "100.00")] * 3) == [price("0.21"), price("0.21"), price("0.20")]
    assert fee("SEC", [sold(300, "100.00")]) == [price("0.62")]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(50_205, "9.79"), (50_000, "9.75"), (60_000, "9.79")],
)
def test_taf_is_capped_per_order(count, expected):
    # 50,205 x 0.000195 = 9.789975, up to 9.79; 60,000 would be 11.70.
    assert fee("TAF_SHARES", [sold(count, "10.00")]) == [price(expected)]


def test_the_cap_holds_across_the_slices_of_an_order():
    assert fee("TAF_SHARES", [sold(40_000, "10.00"), sold(20_000, "10.00")]) == [
        price("7.80"),
        price("1.99"),
    ]


def test_three_contracts_sold_at_2_35():
    # SEC 705 x 20.60 per million = 0.014523; TAF 3 x 0.00329 = 0.00987; OCC 0.075; ORF 0.081.
    three = [contracts(3, "2.35")]
    assert fee("SEC", three) == [price("0.02")]
    assert fee("TAF_OPTIONS", three) == [price("0.01")]
    assert fee("OCC", three) == [price("0.08")]  # a tie, away from zero
    assert fee("ORF", three) == [price("0.08")]


def test_buying_shares_is_free_of_fees_and_buying_options_is_not():
    assert costs(CONSERVATIVE, [traded(1_000, "150.02")])[0].fees_units == 0
    bought = costs(CONSERVATIVE, [contracts(3, "2.35", side=Side.BUY)])[0]
    assert {each.name for each in bought.fees} == {"OCC", "ORF"}


def test_index_options_pay_no_sec_fee():
    assert fee("SEC", [contracts(3, "2.35", is_index_option=True)]) == [0]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2025, 5, 13), "2.78"),
        (date(2025, 5, 14), "0"),
        (date(2026, 4, 3), "0"),
        (date(2026, 4, 4), "2.06"),
    ],
)
def test_sec_fee_of_100_000_dollars_by_date(day, expected):
    assert fee("SEC", [sold(1_000, "100.00")], day=day) == [price(expected)]


@pytest.mark.parametrize(("day", "expected"), [(date(2025, 12, 31), "0.17"), (date(2026, 1, 1), "0.20")])
def test_taf_of_1_000_shares_by_date(day, expected):
    assert fee("TAF_SHARES", [sold(1_000, "10.00")], day=day) == [price(expected)]


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        (date(2025, 2, 13), 100, "2.00"),
        (date(2025, 2, 13), 3_000, "55.00"),  # capped: 60.00
        (date(2025, 2, 14), 100, "2.50"),
        (date(2025, 2, 14), 3_000, "75.00"),  # no cap any more
    ],
)
def test_occ_fee_by_date(day, count, expected):
    assert fee("OCC", [contracts(count, "2.35", side=Side.BUY)], day=day) == [price(expected)]


def test_a_date_before_the_first_row_uses_it_and_says_so():
    early = costs(CONSERVATIVE, [sold(1_000, "100.00")], day=date(2019, 3, 4))[0]
    assert {each.before_first_row for each in early.fees} == {True}
    assert [each.amount_units for each in early.fees if each.name == "SEC"] == [price("2.78")]
    late = costs(CONSERVATIVE, [sold(1_000, "100.00")])[0]
    assert {each.before_first_row for each in late.fees} == {False}


def test_the_first_day_of_a_row_is_not_before_it():
    assert dated_rate(FEE_RATES, "SEC", date(2024, 5, 22))[1] is False
    assert dated_rate(FEE_RATES, "SEC", date(2024, 5, 21))[1] is True


def test_rows_of_the_table_are_used_in_any_order_and_a_missing_fee_is_not_charged():
    rows = [
        FeeRow(name="SEC", valid_from=date(2026, 1, 1), rate=Decimal("0.00002")),
        FeeRow(name="SEC", valid_from=date(2020, 1, 1), rate=Decimal("0.00001")),
    ]
    answer = costs(CONSERVATIVE, [sold(1_000, "100.00")], rates=rows)[0]
    assert [(each.name, each.amount_units) for each in answer.fees] == [("SEC", price("2.00"))]


def test_nothing_is_charged_where_no_fee_applies():
    assert costs(PRESETS["ALPACA_LIKE"], [sold(1_000, "150.02")])[0].total_units == 0


def test_the_cat_fee_is_off():
    assert fee("CAT", [sold(1_000, "150.02")], rules=TIERED) == [0]
