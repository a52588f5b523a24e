"""Each limit just inside, exactly at, and just outside; several at once are all listed."""

from dataclasses import replace
from decimal import Decimal

import pytest

from portfolio.enums import TradingState
from portfolio.risk.limits import Limits, Proposal, check, warnings

CALM = Proposal(
    portfolio="Swing desk",
    state=TradingState.ACTIVE,
    state_reason="",
    symbol="NVDA",
    sector="Technology",
    is_closing=False,
    is_guard=False,
    value=Decimal(1000),
    equity=Decimal(100_000),
    put_in=Decimal(100_000),
    symbol_value=Decimal(0),
    sector_value=Decimal(0),
    trades_today=0,
    day_pnl=Decimal(0),
)
LIMITS = Limits(
    position_percent=Decimal(20),
    symbol_warn_percent=Decimal(15),
    sector_percent=Decimal(30),
    trades_per_day=10,
    halt_equity_percent=Decimal(50),
    daily_loss=Decimal(500),
    order_value_max=Decimal(20_000),
)


def codes(limits: Limits = LIMITS, **changes: object) -> list[str]:
    return [refusal.code for refusal in check(replace(CALM, **changes), limits)]


def test_a_small_order_passes():
    assert codes() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"value": Decimal("20000")}, []),
        ({"value": Decimal("20000.01")}, ["NOTIONAL_EXCEEDS_LIMIT", "POSITION_EXCEEDS_LIMIT"]),
        ({"symbol_value": Decimal(19_000)}, []),
        ({"symbol_value": Decimal("19000.01")}, ["POSITION_EXCEEDS_LIMIT"]),
        ({"sector_value": Decimal(29_000)}, []),
        ({"sector_value": Decimal(29_001)}, ["SECTOR_EXCEEDS_LIMIT"]),
        ({"sector_value": Decimal(29_001), "sector": ""}, []),
        ({"trades_today": 9}, []),
        ({"trades_today": 10}, ["TRADES_PER_DAY"]),
        ({"day_pnl": Decimal("-499.99")}, []),
        ({"day_pnl": Decimal(-500)}, ["DAILY_LOSS"]),
        ({"equity": Decimal("50000.01")}, []),
        ({"equity": Decimal(50_000)}, ["EQUITY_BELOW_FLOOR"]),
        ({"equity": None}, ["EQUITY_UNKNOWN"]),
        ({"value": None, "price_problem": "quote is 360 s old"}, ["PRICE_UNAVAILABLE"]),
        ({"state": TradingState.HALTED}, ["TRADING_HALTED"]),
        ({"state": TradingState.REDUCING}, ["REDUCE_ONLY"]),
    ],
)
def test_limits_at_their_boundaries(changes, expected):
    assert codes(**changes) == expected


def test_closing_passes_every_limit_but_a_halt():
    broke = {"value": Decimal(90_000), "trades_today": 99, "equity": Decimal(1), "is_closing": True}
    assert codes(**broke) == []
    assert codes(**broke, state=TradingState.REDUCING) == []
    assert codes(**broke, state=TradingState.HALTED) == ["TRADING_HALTED"]


def test_a_guard_may_close_in_a_halted_portfolio():
    assert codes(state=TradingState.HALTED, is_closing=True, is_guard=True) == []


def test_a_limit_that_is_off_refuses_nothing():
    assert codes(Limits(), value=Decimal(99_000), trades_today=500, equity=Decimal(1)) == []


def test_the_sentence_carries_value_and_limit():
    (refusal,) = check(replace(CALM, value=Decimal(24_000), equity=Decimal(10**6)), LIMITS)
    assert refusal.message == "Order value 24,000.00 is above this portfolio's maximum of 20,000.00."
    assert (refusal.measured, refusal.limit) == ("24,000.00", "20,000.00")


def test_a_large_position_is_warned_of_before_it_is_refused():
    assert warnings(replace(CALM, value=Decimal(15_000)), LIMITS) == ()
    assert len(warnings(replace(CALM, value=Decimal("15000.01")), LIMITS)) == 1
