"""What can be named on an order ticket."""

from dataclasses import dataclass

from brokers.enums import InstrumentKind
from brokers.models import Instrument

LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One share or fund, as a search box offers it."""

    symbol: str
    name: str
    kind: str
    is_fractionable: bool


def tradable() -> list[Listing]:
    """Return the active shares and funds by symbol, at most LISTED_MAX; every user sees the same market."""
    rows = Instrument.objects.filter(is_active=True, kind__in=[InstrumentKind.EQUITY, InstrumentKind.ETF]).order_by(
        "symbol"
    )[:LISTED_MAX]
    return [
        Listing(symbol=row.symbol, name=row.listed_name, kind=row.kind, is_fractionable=row.is_fractionable)
        for row in rows
    ]
