"""Orders and evidence in words."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from portfolio.pages import evidence, sentences

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"order_type": "MARKET", "quantity": Decimal(40)}, "Buy 40 NVDA at market"),
        ({"order_type": "MARKET", "notional": Decimal("1250.5")}, "Buy 1,250.50 of NVDA at market"),
        (
            {"order_type": "LIMIT", "quantity": Decimal("0.5"), "limit_price": Decimal("136.45")},
            "Buy 0.5 NVDA at 136.45 or better",
        ),
        (
            {"order_type": "STOP", "quantity": Decimal(4), "stop_price": Decimal("0.9")},
            "Buy 4 NVDA at market once it trades at 0.9000",
        ),
        (
            {
                "order_type": "STOP_LIMIT",
                "quantity": Decimal(4),
                "stop_price": Decimal(140),
                "limit_price": Decimal(141),
            },
            "Buy 4 NVDA at 141.00 or better once it trades at 140.00",
        ),
        (
            {"order_type": "TRAILING_STOP", "quantity": Decimal(4), "trail_percent": Decimal("2.5")},
            "Buy 4 NVDA trailing by 2.50 %",
        ),
    ],
)
def test_a_wish_in_words(wish, sentence):
    known = {"side": "BUY", "symbol": "NVDA", "quantity": None, "notional": None}
    assert sentences.wish(**{**known, **wish}) == sentence


def test_evidence_turns_stored_units_into_prices_and_shares():
    stored = {
        "rule": "MARKET",
        "observation": {"bid": "97710000", "ask": "97730000", "as_of": "2026-11-19T15:00:00+00:00"},
        "slippage": {"model": "FIXED_BPS", "amount": "48865"},
        "liquidity": {"v": "242310", "allowed": "24231000000000", "used": "0"},
        "draws": [{"stream": 1, "attempt": "0", "value": "77"}],
        "fees": [{"name": "SEC", "amount": "20000"}],
    }
    assert dict(evidence.lines(stored, zone=NEW_YORK)) == {
        "Rule": "market",
        "Market seen": "bid 97.71, ask 97.73",
        "Seen at": "Thu Nov 19 2026 10:00:00 EST",
        "Slippage": "0.048865 (fixed bps)",
        "Volume of the minute": "242,310",
        "Available to this account": "24,231",
        "Used of it before": "0",
        "Random draws": "size 77",
        "Fee SEC": "0.02",
    }


def test_evidence_of_another_shape_is_shown_as_far_as_it_is_known():
    assert dict(evidence.lines({}, zone=NEW_YORK)) == {"Random draws": "none"}
    assert dict(evidence.lines({"reference": "unknown", "draws": None}, zone=NEW_YORK)) == {
        "Price before slippage": "unknown",
        "Random draws": "none",
    }
