"""Which instrument a ticker means: one answer for orders, prices and the market."""

from collections.abc import Iterable

from brokers.enums import InstrumentKind
from brokers.models import Instrument

SHARE_KINDS = (InstrumentKind.EQUITY, InstrumentKind.ETF)


def tradable(symbols: Iterable[str]) -> dict[str, Instrument]:
    """
    Return the active instrument behind each symbol that has one, with its cached price, in one query.

    Several kinds may share a ticker: a stock or fund goes before every other kind, then the one listed first.
    """
    found = Instrument.objects.filter(symbol__in=list(symbols), is_active=True).select_related("latest_price")
    # The last of a symbol stays in the dictionary, so the one that counts comes last.
    ranked = sorted(found, key=lambda each: (each.kind not in SHARE_KINDS, each.pk), reverse=True)
    return {each.symbol: each for each in ranked}


def tradable_shares(symbols: Iterable[str]) -> dict[str, Instrument]:
    """Return the active stock or fund behind each symbol that has one, the one listed first."""
    return {symbol: each for symbol, each in tradable(symbols).items() if each.kind in SHARE_KINDS}
