"""Symbols, multipliers and price increments."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers import instruments
from brokers.enums import InstrumentKind
from brokers.instruments import IncrementUnknown, OptionRight, OptionSymbol, SymbolRefused

EQUITY, ETF, OPTION = InstrumentKind.EQUITY, InstrumentKind.ETF, InstrumentKind.OPTION
FOREX, CFD = InstrumentKind.FOREX, InstrumentKind.CFD


# Symbols


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (EQUITY, "F"),
        (EQUITY, "AAPL"),
        (EQUITY, "GOOGL"),
        (EQUITY, "BRK.B"),
        (EQUITY, "ABCDE.WS"),
        (ETF, "SPY"),
        (OPTION, "SPY250321C00560000"),
        (OPTION, "F140621P00000500"),
        (OPTION, "AAPL1140621C00645000"),
        (OPTION, "SPXW261231P99999999"),
        (FOREX, "EUR/USD"),
        (CFD, "MT5:US500"),
        (CFD, "MT5:Brent_Crude.x#2-a"),
        (CFD, "MT5:" + "a" * 32),
    ],
)
def test_an_accepted_symbol_prints_back_unchanged(kind, text):
    assert str(instruments.parse_symbol(text, kind=kind)) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (EQUITY, ""),
        (EQUITY, "aapl"),
        (EQUITY, "ABCDEF"),
        (EQUITY, "BRK/B"),
        (EQUITY, "BRK."),
        (EQUITY, "BRK.ABC"),
        (EQUITY, "AAPL "),
        (EQUITY, "AAPL\n"),
        (EQUITY, "AÄPL"),
        (ETF, "SPY250321C00560000"),
        (OPTION, "SPY"),
        (OPTION, "SPY   250321C00560000"),  # padded
        (OPTION, "SPY250321C0056000"),  # a digit short
        (OPTION, "SPY250321X00560000"),
        (OPTION, "SPY250321c00560000"),
        (OPTION, "SPY250231C00560000"),  # no such day
        (OPTION, "SPY251321C00560000"),
        (OPTION, "SPY250321C00000000"),  # strike of zero
        (OPTION, "ABCDEFG250321C00560000"),
        (OPTION, "ABCDEF1250321C00560000"),  # seven characters of root
        (OPTION, "1250321C00560000"),
        (OPTION, "SPY25032١C00560000"),  # a digit, but not one of ours
        (OPTION, "SPY250321C00560000\n"),
        (FOREX, "EURUSD"),
        (FOREX, "EUR/usd"),
        (FOREX, "EUR/USDT"),
        (CFD, "US500"),
        (CFD, "mt5:US500"),
        (CFD, "MT5:"),
        (CFD, "MT5:US 500"),
        (CFD, "MT5:" + "a" * 33),
    ],
)
def test_anything_else_is_refused_with_the_text_in_the_sentence(kind, text):
    with pytest.raises(SymbolRefused) as raised:
        instruments.parse_symbol(text, kind=kind)
    assert repr(text) in str(raised.value)


@given(st.sampled_from(list(InstrumentKind)), st.text(max_size=30) | st.from_regex(r"[A-Z0-9./:]{1,25}"))
def test_parsing_is_total(kind, text):
    try:
        parsed = instruments.parse_symbol(text, kind=kind)
    except SymbolRefused:
        return
    assert str(parsed) == text


def test_the_parts_of_symbols():
    share = instruments.parse_symbol("BRK.B", kind=EQUITY)
    assert (share.root, share.share_class) == ("BRK", "B")
    pair = instruments.parse_symbol("EUR/USD", kind=FOREX)
    assert (pair.base, pair.quote) == ("EUR", "USD")
    cfd = instruments.parse_symbol("MT5:US500", kind=CFD)
    assert (cfd.venue, cfd.name) == ("MT5", "US500")


def test_the_parts_of_an_option_symbol():
    option = instruments.parse_option("SPY250321C00560000")
    assert option == OptionSymbol("SPY", date(2025, 3, 21), OptionRight.CALL, Decimal(560))
    assert not option.is_adjusted


def test_the_strike_is_the_last_eight_digits_in_thousandths():
    assert instruments.parse_option("AAPL140621P00092140").strike == Decimal("92.14")
    assert instruments.parse_option("F140621P00000001").strike == Decimal("0.001")
    assert instruments.parse_option("SPX261218C99999999").strike == Decimal("99999.999")


def test_a_root_with_a_digit_is_an_adjusted_contract():
    adjusted = instruments.parse_option("AAPL1140621C00645000")
    assert adjusted.root == "AAPL1"
    assert adjusted.expiry == date(2014, 6, 21)
    assert adjusted.is_adjusted


def test_writing_an_option_symbol():
    written = instruments.option_symbol(
        root="SPY", expiry=date(2025, 3, 21), right=OptionRight.PUT, strike=Decimal("92.5")
    )
    assert written == "SPY250321P00092500"


@given(
    root=st.from_regex(r"[A-Z]{1,5}[0-9]?", fullmatch=True),
    expiry=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    right=st.sampled_from(list(OptionRight)),
    thousandths=st.integers(1, 99_999_999),
)
def test_what_is_written_reads_back_the_same(root, expiry, right, thousandths):
    strike = Decimal(thousandths) / 1000
    text = instruments.option_symbol(root=root, expiry=expiry, right=right, strike=strike)
    assert instruments.parse_option(text) == OptionSymbol(root, expiry, right, strike)


@pytest.mark.parametrize(
    ("root", "expiry", "strike"),
    [
        ("SPY", date(2025, 3, 21), "0"),
        ("SPY", date(2025, 3, 21), "-5"),
        ("SPY", date(2025, 3, 21), "0.0005"),
        ("SPY", date(2025, 3, 21), "100000"),
        ("SPY", date(2025, 3, 21), "NaN"),
        ("SPY", date(1999, 3, 21), "5"),
        ("spy", date(2025, 3, 21), "5"),
        ("BRK.B", date(2025, 3, 21), "5"),
    ],
)
def test_what_the_notation_cannot_say_is_not_written(root, expiry, strike):
    with pytest.raises(SymbolRefused):
        instruments.option_symbol(root=root, expiry=expiry, right=OptionRight.CALL, strike=Decimal(strike))


# Multipliers and quantities


@pytest.mark.parametrize(("kind", "multiplier"), [(EQUITY, 1), (ETF, 1), (OPTION, 100), (FOREX, 100_000), (CFD, None)])
def test_multiplier_by_kind(kind, multiplier):
    assert instruments.default_multiplier(kind) == multiplier


@pytest.mark.parametrize(
    ("kind", "is_fractionable", "step"),
    [
        (EQUITY, False, Decimal(1)),
        (EQUITY, True, Decimal("0.000000001")),
        (ETF, True, Decimal("0.000000001")),
        (OPTION, False, Decimal(1)),
        (OPTION, True, Decimal(1)),
        (FOREX, False, None),
        (CFD, False, None),
    ],
)
def test_quantity_step(kind, is_fractionable, step):
    assert instruments.quantity_step(kind=kind, is_fractionable=is_fractionable) == step


# Price increments

OF_XYZ, OF_SPY = "XYZ250321C00010000", "SPY250321C00560000"
INCREMENTS = [
    (EQUITY, "AAPL", "1.00", False, "0.01"),
    (EQUITY, "AAPL", "0.9999", False, "0.0001"),
    (EQUITY, "AAPL", "187.30", False, "0.01"),
    (ETF, "SPY", "0.50", False, "0.0001"),  # the fund follows Rule 612; only its options are special
    (OPTION, OF_XYZ, "2.99", False, "0.05"),
    (OPTION, OF_XYZ, "3.00", False, "0.1"),
    (OPTION, OF_XYZ, "2.99", True, "0.01"),
    (OPTION, OF_XYZ, "3.00", True, "0.05"),
    (OPTION, OF_SPY, "2.99", False, "0.01"),
    (OPTION, OF_SPY, "12.34", True, "0.01"),
    (OPTION, "QQQ250321P00400000", "30.01", False, "0.01"),
    (OPTION, "IWM250321P00200000", "30.01", False, "0.01"),
    (OPTION, "SPY1250321C00560000", "3.00", False, "0.1"),  # an adjusted root is not the penny root
]


@pytest.mark.parametrize(("kind", "symbol", "price", "penny_programme", "increment"), INCREMENTS)
def test_increment_by_rule(kind, symbol, price, penny_programme, increment):
    found = instruments.price_increment(
        kind=kind, price=Decimal(price), symbol=symbol, override=None, penny_programme=penny_programme
    )
    assert str(found) == increment


@pytest.mark.parametrize(("kind", "symbol", "price", "penny_programme", "increment"), INCREMENTS)
def test_increment_in_units_is_the_same(kind, symbol, price, penny_programme, increment):
    found = instruments.price_increment_units(
        kind=kind,
        price_units=int(Decimal(price) * 1_000_000),
        symbol=symbol,
        override=None,
        penny_programme=penny_programme,
    )
    assert found == int(Decimal(increment) * 1_000_000)


def test_an_instruments_own_increment_wins_over_the_rule():
    for kind, symbol in [(EQUITY, "AAPL"), (OPTION, OF_SPY), (FOREX, "EUR/USD"), (CFD, "MT5:US500")]:
        found = instruments.price_increment(
            kind=kind, price=Decimal(5), symbol=symbol, override=Decimal("0.005"), penny_programme=True
        )
        assert found == Decimal("0.005")


@pytest.mark.parametrize(("kind", "symbol"), [(FOREX, "EUR/USD"), (CFD, "MT5:US500")])
def test_forex_and_cfds_have_no_increment_but_the_venues(kind, symbol):
    with pytest.raises(IncrementUnknown, match=symbol):
        instruments.increment_rule(kind=kind, symbol=symbol, override=None, penny_programme=False)


@pytest.mark.parametrize("override", ["0", "-0.01"])
def test_an_increment_that_is_not_positive_is_refused(override):
    with pytest.raises(IncrementUnknown, match="above zero"):
        instruments.increment_rule(kind=EQUITY, symbol="AAPL", override=Decimal(override), penny_programme=False)


@pytest.mark.parametrize(
    ("kind", "symbol", "price", "is_on"),
    [
        (EQUITY, "AAPL", "187.31", True),
        (EQUITY, "AAPL", "187.315", False),
        (EQUITY, "AAPL", "0.1234", True),
        (EQUITY, "AAPL", "0.12345", False),
        (EQUITY, "AAPL", "1.0001", False),
        (OPTION, OF_XYZ, "2.95", True),
        (OPTION, OF_XYZ, "2.97", False),
        (OPTION, OF_XYZ, "3.05", False),
        (OPTION, OF_XYZ, "3.10", True),
        (OPTION, OF_SPY, "3.07", True),
    ],
)
def test_prices_on_and_off_their_increment(kind, symbol, price, is_on):
    found = instruments.is_on_increment(
        kind=kind, price=Decimal(price), symbol=symbol, override=None, penny_programme=False
    )
    assert found is is_on


# Rounding, in price units: 1 cent is 10,000


@pytest.mark.parametrize(
    ("price", "increment", "up", "down"),
    [
        (100_010_000, 10_000, 100_010_000, 100_010_000),
        (100_010_001, 10_000, 100_020_000, 100_010_000),
        (100_019_999, 10_000, 100_020_000, 100_010_000),
        (2_970_000, 50_000, 3_000_000, 2_950_000),
        (99, 100, 100, 0),
        (0, 10_000, 0, 0),
        (-15_000, 10_000, -10_000, -20_000),  # a net credit: up is towards more
    ],
)
def test_rounding_up_and_down(price, increment, up, down):
    assert instruments.round_up_to(price, increment) == up
    assert instruments.round_down_to(price, increment) == down
