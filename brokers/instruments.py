"""What a symbol means, how much one contract is, and which prices may be named for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from brokers import money
from brokers.enums import InstrumentKind

NET_PRICE_INCREMENT = Decimal("0.01")  # of a multi-leg order's net price, debit or credit

_SHARE = re.compile(r"([A-Z]{1,5})(?:\.([A-Z]{1,2}))?")
_OPTION = re.compile(r"([A-Z]{1,6}[0-9]?)([0-9]{2})([0-9]{2})([0-9]{2})([CP])([0-9]{8})")
_FOREX = re.compile(r"([A-Z]{3})/([A-Z]{3})")
_CFD = re.compile(r"(MT5):([A-Za-z0-9._#-]{1,32})")

_OPTION_ROOT_LENGTH_MAX = 6  # the OCC's field, the digit of an adjusted contract included
_STRIKE_SCALE = 3
_SHARE_KINDS = frozenset({InstrumentKind.EQUITY, InstrumentKind.ETF})

_MULTIPLIERS = {
    InstrumentKind.EQUITY: 1,
    InstrumentKind.ETF: 1,
    InstrumentKind.OPTION: 100,
    InstrumentKind.FOREX: 100_000,
}
_PENNY_FROM_ANY_PRICE = frozenset({"SPY", "QQQ", "IWM"})


class SymbolRefused(ValueError):
    """The text is not a symbol of its kind; the message says what one looks like."""


class IncrementUnknown(ValueError):
    """The venue sets this instrument's price increment and has not told us; nothing may be priced."""


class OptionRight(StrEnum):
    CALL = "C"
    PUT = "P"


@dataclass(frozen=True, slots=True)
class ShareSymbol:
    """A stock or fund, `AAPL`, with its class where there is one, `BRK.B`."""

    root: str
    share_class: str = ""

    def __str__(self) -> str:
        return f"{self.root}.{self.share_class}" if self.share_class else self.root


@dataclass(frozen=True, slots=True)
class OptionSymbol:
    """An option in the unpadded notation of the OCC: root, expiry, right, strike in dollars."""

    root: str
    expiry: date
    right: OptionRight
    strike: Decimal

    @property
    def is_adjusted(self) -> bool:
        """Return whether it delivers something else than 100 shares: it may be closed, not opened."""
        return self.root[-1].isdigit()

    def __str__(self) -> str:
        thousandths = money.to_units(self.strike, scale=_STRIKE_SCALE)
        return f"{self.root}{self.expiry:%y%m%d}{self.right}{thousandths:08d}"


@dataclass(frozen=True, slots=True)
class ForexSymbol:
    """A currency pair, `EUR/USD`: units of `quote` for one of `base`."""

    base: str
    quote: str

    def __str__(self) -> str:
        return f"{self.base}/{self.quote}"


@dataclass(frozen=True, slots=True)
class CfdSymbol:
    """A contract for difference under its venue's own name, `MT5:US500`."""

    venue: str
    name: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.name}"


Symbol = ShareSymbol | OptionSymbol | ForexSymbol | CfdSymbol


def parse_symbol(text: str, *, kind: InstrumentKind) -> Symbol:
    """
    Return what a canonical symbol says; `str()` of the answer is the text again, unchanged.

    Nothing is trimmed, padded or put in capitals: other spellings are translated in a venue's adapter.
    Raises `SymbolRefused`.
    """
    return _PARSERS[kind](text)


def parse_option(text: str) -> OptionSymbol:
    """Return root, expiry, right and strike of an unpadded OCC symbol; raises `SymbolRefused`."""
    match = _OPTION.fullmatch(text)
    if match is None or len(match[1]) > _OPTION_ROOT_LENGTH_MAX:
        raise SymbolRefused(
            f"{text!r} is not an option symbol; one looks like SPY250321C00560000: root, expiry as YYMMDD, "
            "C or P, strike in thousandths."
        )
    root, year, month, day, right, thousandths = match.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError as error:
        raise SymbolRefused(f"{text!r} names an expiry, {year}{month}{day}, that is not a date.") from error
    if int(thousandths) == 0:
        raise SymbolRefused(f"{text!r} has a strike of zero.")
    strike = money.from_units(int(thousandths), scale=_STRIKE_SCALE)
    return OptionSymbol(root=root, expiry=expiry, right=OptionRight(right), strike=strike)


def option_symbol(*, root: str, expiry: date, right: OptionRight, strike: Decimal) -> str:
    """
    Return the unpadded OCC symbol of a contract: `SPY250321C00560000`.

    The strike is in dollars, above 0, below 100,000 and with at most three decimals; the expiry lies in
    2000 to 2099. Raises `SymbolRefused` for what the notation cannot say.
    """
    try:
        text = str(OptionSymbol(root=root, expiry=expiry, right=right, strike=strike))
    except money.NotRepresentable as error:
        raise SymbolRefused(f"A strike of {strike} cannot be written in an option symbol.") from error
    if parse_option(text) != OptionSymbol(root=root, expiry=expiry, right=right, strike=strike):
        raise SymbolRefused(f"{root} {expiry} {right} {strike} cannot be written as an option symbol.")
    return text


def default_multiplier(kind: InstrumentKind) -> int | None:
    """Return how many units one share, contract or lot stands for; None for CFDs, where the venue says."""
    return _MULTIPLIERS.get(kind)


def quantity_step(*, kind: InstrumentKind, is_fractionable: bool) -> Decimal | None:
    """Return the smallest difference between two quantities; None where the venue says (forex, CFD)."""
    if kind in _SHARE_KINDS:
        return money.quantity_value(1) if is_fractionable else Decimal(1)
    return Decimal(1) if kind is InstrumentKind.OPTION else None


@dataclass(frozen=True, slots=True)
class IncrementRule:
    """The price steps of one instrument: one below a threshold price, one from it up; all in price units."""

    threshold_units: int
    below_units: int
    from_units: int

    def at(self, price_units: int) -> int:
        """Return the increment, in price units, that a price must be a multiple of."""
        return self.below_units if price_units < self.threshold_units else self.from_units


_SHARE_RULE = IncrementRule(threshold_units=1_000_000, below_units=100, from_units=10_000)  # SEC Rule 612
_OPTION_RULE = IncrementRule(threshold_units=3_000_000, below_units=50_000, from_units=100_000)
_PENNY_RULE = IncrementRule(threshold_units=3_000_000, below_units=10_000, from_units=50_000)
_PENNY_FROM_ANY_PRICE_RULE = IncrementRule(threshold_units=0, below_units=10_000, from_units=10_000)


def increment_rule(
    *, kind: InstrumentKind, symbol: str, override: Decimal | None, penny_programme: bool
) -> IncrementRule:
    """
    Return an instrument's price steps, to be kept while many prices are checked.

    `override` is the instrument's own increment, from the venue or dated by hand, and wins over the rule.
    Forex and CFDs have no rule: without an override this raises `IncrementUnknown`.
    """
    if override is not None:
        return _fixed_rule(symbol, override)
    if kind in _SHARE_KINDS:
        return _SHARE_RULE
    if kind is not InstrumentKind.OPTION:
        raise IncrementUnknown(f"The venue has not told the price increment of {symbol}.")
    if parse_option(symbol).root in _PENNY_FROM_ANY_PRICE:
        return _PENNY_FROM_ANY_PRICE_RULE
    return _PENNY_RULE if penny_programme else _OPTION_RULE


def price_increment(
    *, kind: InstrumentKind, price: Decimal, symbol: str, override: Decimal | None, penny_programme: bool
) -> Decimal:
    """
    Return the smallest price step of an instrument at a price; the price being checked chooses it.

    Shares: 0.01 from 1.00 up, 0.0001 below. Options: 0.05 below 3.00 and 0.10 from there; in the penny
    programme 0.01 and 0.05; on SPY, QQQ and IWM always 0.01. Raises as `increment_rule`.
    """
    rule = increment_rule(kind=kind, symbol=symbol, override=override, penny_programme=penny_programme)
    if override is not None:
        return override
    is_below = price < money.money_value(rule.threshold_units)
    return money.money_value(rule.below_units if is_below else rule.from_units).normalize()


def price_increment_units(
    *, kind: InstrumentKind, price_units: int, symbol: str, override: Decimal | None, penny_programme: bool
) -> int:
    """Return the same step as `price_increment`, with price and answer in price units."""
    rule = increment_rule(kind=kind, symbol=symbol, override=override, penny_programme=penny_programme)
    return rule.at(price_units)


def is_on_increment(
    *, kind: InstrumentKind, price: Decimal, symbol: str, override: Decimal | None, penny_programme: bool
) -> bool:
    """Return whether a price is a whole multiple of its increment."""
    increment = price_increment(
        kind=kind, price=price, symbol=symbol, override=override, penny_programme=penny_programme
    )
    return price % increment == 0


def round_up_to(price_units: int, increment_units: int) -> int:
    """Return the lowest multiple of the increment that is not below the price; negative net prices too."""
    return money.divide_up(price_units, increment_units) * increment_units


def round_down_to(price_units: int, increment_units: int) -> int:
    """Return the highest multiple of the increment that is not above the price; negative net prices too."""
    return price_units // increment_units * increment_units


def _fixed_rule(symbol: str, override: Decimal) -> IncrementRule:
    if override <= 0:
        raise IncrementUnknown(f"The price increment of {symbol} is {override}; it must be above zero.")
    units = money.money_units(override)
    return IncrementRule(threshold_units=0, below_units=units, from_units=units)


def _parse_share(text: str) -> ShareSymbol:
    match = _SHARE.fullmatch(text)
    if match is None:
        raise SymbolRefused(f"{text!r} is not a stock or fund symbol; one looks like AAPL or BRK.B.")
    return ShareSymbol(root=match[1], share_class=match[2] or "")


def _parse_forex(text: str) -> ForexSymbol:
    match = _FOREX.fullmatch(text)
    if match is None:
        raise SymbolRefused(f"{text!r} is not a currency pair; one looks like EUR/USD.")
    return ForexSymbol(base=match[1], quote=match[2])


def _parse_cfd(text: str) -> CfdSymbol:
    match = _CFD.fullmatch(text)
    if match is None:
        raise SymbolRefused(f"{text!r} is not a CFD symbol; one looks like MT5:US500.")
    return CfdSymbol(venue=match[1], name=match[2])


_PARSERS: dict[InstrumentKind, Callable[[str], Symbol]] = {
    InstrumentKind.EQUITY: _parse_share,
    InstrumentKind.ETF: _parse_share,
    InstrumentKind.OPTION: parse_option,
    InstrumentKind.FOREX: _parse_forex,
    InstrumentKind.CFD: _parse_cfd,
}
