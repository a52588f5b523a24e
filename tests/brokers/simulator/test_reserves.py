from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from brokers.enums import InstrumentKind, OrderType, PositionEffect, Side
from brokers.money import QUANTITY, money_units
from brokers.simulator import presets, reserves
from brokers.simulator.commission import FEE_RATES
from brokers.simulator.reserves import Asked

FREE = presets.PRESETS["FRICTIONLESS"]
TIERED = presets.PRESETS["IBKR_TIERED"]
DAY = date(2026, 11, 20)
BUY = Asked(
    kind=InstrumentKind.EQUITY,
    side=Side.BUY,
    effect=PositionEffect.OPEN,
    order_type=OrderType.MARKET,
    quantity_units=100 * QUANTITY,
    ask_units=money_units("142.80"),
    last_units=money_units("142.00"),
)


def reserved(asked, settings=FREE):
    found = reserves.estimate(asked, settings=settings, rates=FEE_RATES, trade_date=DAY)
    return None if found is None else Decimal(found.reserve_units).scaleb(-6)


def test_a_market_buy_of_673_shares_at_142_80_fits_100_000_and_674_do_not():
    # 142.80 x 1.04 = 148.512; x 673 = 99,948.576, x 674 = 100,097.088
    assert reserved(replace(BUY, quantity_units=673 * QUANTITY)) == Decimal("99948.58")
    assert reserved(replace(BUY, quantity_units=674 * QUANTITY)) == Decimal("100097.09")


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"ask_units": None}, "14768.00"),  # closed: 142.00 x 1.04 x 100
        ({"order_type": OrderType.LIMIT, "limit_units": money_units("140.00")}, "14000.00"),
        (
            {
                "order_type": OrderType.STOP_LIMIT,
                "limit_units": money_units("145.00"),
                "stop_units": money_units("144.00"),
            },
            "14500.00",
        ),
        ({"order_type": OrderType.STOP, "stop_units": money_units("49.99")}, "5198.96"),  # x 1.04
        ({"order_type": OrderType.STOP, "stop_units": money_units("50.00")}, "5125.00"),  # x 1.025
        ({"order_type": OrderType.TRAILING_STOP, "stop_units": money_units("145.00")}, "14862.50"),
        ({"side": Side.SELL}, "14708.40"),  # short: ask x 1.03
        ({"side": Side.SELL, "order_type": OrderType.LIMIT, "limit_units": money_units("150")}, "15000.00"),
        ({"side": Side.SELL, "order_type": OrderType.LIMIT, "limit_units": money_units("140")}, "14708.40"),
        ({"side": Side.SELL, "effect": PositionEffect.CLOSE}, "0"),
    ],
)
def test_what_each_order_reserves_for_100_shares(changes, amount):
    assert reserved(replace(BUY, **changes)) == Decimal(amount)


def test_an_order_by_amount_reserves_the_amount():
    assert reserved(replace(BUY, quantity_units=None, notional_units=money_units("5000.00"))) == Decimal(5000)


def test_commission_and_fees_are_reserved_too():
    # 100 shares at the limit 50.00: 100 x 0.0035 = 0.35; buys pay no regulatory fee.
    asked = replace(BUY, order_type=OrderType.LIMIT, limit_units=money_units("50.00"))
    assert reserved(asked, TIERED) == Decimal("5000.35")


def test_without_any_price_there_is_no_reserve_to_name():
    assert reserved(replace(BUY, ask_units=None, last_units=None)) is None


@pytest.mark.parametrize(("left", "amount"), [(100, 1_000_010_000), (60, 600_010_000), (0, 0)])
def test_a_partial_fill_frees_its_share_of_the_reserve_and_rounds_up(left, amount):
    # 1,000.01 for 100: 60 keep 600.006, to the cent 600.01
    assert reserves.remaining_reserve(1_000_010_000, before_units=100, after_units=left) == amount
