"""A fill's evidence as lines a person reads; the stored JSON keeps raw units and stays the proof."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from brokers import money
from portfolio.pages import figures

SEEN_PRICES = {"bid": "bid", "ask": "ask", "last": "last", "o": "open", "h": "high", "l": "low", "c": "close"}
DRAWS = {0: "partial fill", 1: "size", 2: "latency", 3: "touch", 4: "auction"}


def lines(evidence: Mapping[str, Any], *, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return (name, value) of what decided a fill, in reading order; what is unknown is left out."""
    seen = evidence.get("observation") or {}
    slippage = evidence.get("slippage") or {}
    liquidity = evidence.get("liquidity") or {}
    found = [
        ("Rule", _words(evidence.get("rule"))),
        ("Market seen", _market(seen)),
        ("Seen at", _instant(seen.get("as_of"), zone=zone)),
        ("Source", _words(seen.get("source"))),
        ("Price before slippage", _price(evidence.get("reference"))),
        ("Slippage", _with(_price(slippage.get("amount")), _words(slippage.get("model")))),
        ("Volume of the minute", _whole(liquidity.get("v"))),
        ("Available to this account", _quantity(liquidity.get("allowed"))),
        ("Used of it before", _quantity(liquidity.get("used"))),
        ("Random draws", _draws(evidence.get("draws") or ())),
        ("Price before rounding", _price(evidence.get("unrounded"))),
        ("Price increment", _price(evidence.get("increment"))),
        ("Preset", _with(_words(evidence.get("preset")), _version(evidence.get("settings_version")))),
        ("Market", str(seen.get("market_identity") or "")),
    ]
    fees = [(f"Fee {fee.get('name', '')}", _price(fee.get("amount"))) for fee in evidence.get("fees") or ()]
    return [(name, value) for name, value in [*found, *fees] if value]


def _market(seen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_price(seen[key])}" for key, name in SEEN_PRICES.items() if seen.get(key))


def _price(units: Any) -> str:
    return _converted(units, money.money_value)


def _quantity(units: Any) -> str:
    return _converted(units, money.quantity_value)


def _whole(number: Any) -> str:
    return _converted(number, lambda units: money.from_units(units, scale=0))


def _converted(units: Any, convert: Callable[[int], Any]) -> str:
    """Turn stored units into a number; a text that is no whole number is shown as it is."""
    if units is None or units == "":
        return ""
    try:
        return figures.quantity(convert(int(units)))
    except ValueError:
        return str(units)


def _instant(value: str | None, *, zone: ZoneInfo) -> str:
    if not value:
        return ""
    try:
        return f"{datetime.fromisoformat(value).astimezone(zone):%a %b %d %Y %H:%M:%S %Z}"
    except ValueError:
        return str(value)


def _draws(draws: Any) -> str:
    named = [f"{DRAWS.get(draw.get('stream'), draw.get('stream'))} {draw.get('value')}" for draw in draws]
    return ", ".join(named) or "none"


def _words(code: Any) -> str:
    return str(code).replace("_", " ").lower() if code else ""


def _version(number: Any) -> str:
    return f"settings version {number}" if number else ""


def _with(value: str, detail: str) -> str:
    return f"{value} ({detail})" if value and detail else value
