"""
The sixty symbols of the synthetic market and what drives each.

Tickers and names are spelled like real ones; every number is invented to be
plausible. A change of any row, or of their set, needs a new UNIVERSE_VERSION.
"""

from dataclasses import dataclass
from typing import NamedTuple

UNIVERSE_VERSION = 1
FACTORS = ("MARKET", "TECH", "RATES", "COMMODITY", "SMALL")
FACTOR_DEVIATIONS = (0.009, 0.006, 0.006, 0.010, 0.004)
CASH_RATE = 0.042
IMPORTED_HALF_SPREAD_BPS = 2.0


class Betas(NamedTuple):
    """How much a symbol moves with each factor. Positive `rates` means it gains when bonds gain."""

    market: float = 0.0
    tech: float = 0.0
    rates: float = 0.0
    commodity: float = 0.0
    small: float = 0.0


NO_BETAS = Betas()


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseRow:
    """
    One symbol of the synthetic market.

    `sigma` is the symbol's own daily deviation, `annual_yield` and `annual_carry`
    are fractions a year; carry accrues evenly and does not depend on the market.
    `dividend_month` 1, 2 or 3 is the first paying month of the year, then every
    third; 0 means every month, paying out what accrued since the last time. A
    leveraged fund (`leverage` not 1) is derived from `base` and has no draws of
    its own prices. A `half_spread_bps` of 0 means a market one increment wide.
    """

    symbol: str
    name: str
    sector: str
    start_price: float
    betas: Betas = NO_BETAS
    sigma: float = 0.0
    annual_yield: float = 0.0
    annual_carry: float = 0.0
    dividend_month: int = 3
    base_volume: int
    half_spread_bps: float
    has_options: bool = False
    leverage: int = 1
    base: str = ""
    is_stock: bool = False

    @property
    def splits_forward(self) -> bool:
        """Say whether a price above 800 leads to a split: single stocks and leveraged funds."""
        return self.is_stock or self.leverage != 1


def _fund(
    symbol: str,
    name: str,
    sector: str,
    start_price: float,
    betas: Betas,
    sigma: float,
    annual_yield: float,
    base_volume: int,
    half_spread_bps: float,
    *,
    has_options: bool = False,
    annual_carry: float = 0.0,
) -> UniverseRow:
    return UniverseRow(
        symbol=symbol,
        name=name,
        sector=sector,
        start_price=start_price,
        betas=betas,
        sigma=sigma,
        annual_yield=annual_yield,
        annual_carry=annual_carry,
        base_volume=base_volume,
        half_spread_bps=half_spread_bps,
        has_options=has_options,
    )


def _bills(symbol: str, name: str, start_price: float, base_volume: int) -> UniverseRow:
    return UniverseRow(
        symbol=symbol,
        name=name,
        sector="Treasury bills",
        start_price=start_price,
        dividend_month=0,
        annual_carry=CASH_RATE,
        base_volume=base_volume,
        half_spread_bps=0.0,
    )


def _leveraged(
    symbol: str,
    name: str,
    start_price: float,
    base: str,
    leverage: int,
    base_volume: int,
    half_spread_bps: float,
) -> UniverseRow:
    return UniverseRow(
        symbol=symbol,
        name=name,
        sector="Leveraged and inverse",
        start_price=start_price,
        base=base,
        leverage=leverage,
        base_volume=base_volume,
        half_spread_bps=half_spread_bps,
    )


def _stock(
    symbol: str,
    name: str,
    sector: str,
    start_price: float,
    betas: Betas,
    sigma: float,
    annual_yield: float,
    dividend_month: int,
    base_volume: int,
    half_spread_bps: float,
    *,
    has_options: bool = False,
) -> UniverseRow:
    return UniverseRow(
        symbol=symbol,
        name=name,
        sector=sector,
        start_price=start_price,
        betas=betas,
        sigma=sigma,
        annual_yield=annual_yield,
        dividend_month=dividend_month,
        base_volume=base_volume,
        half_spread_bps=half_spread_bps,
        has_options=has_options,
        is_stock=True,
    )


# fmt: off
_INDEX_FUNDS = (
    _fund("SPY", "SPDR S&P 500 ETF", "Index", 200.0, Betas(1.0), 0.0008, 0.015, 70_000_000, 0.2,
          has_options=True),
    _fund("VOO", "Vanguard S&P 500 ETF", "Index", 185.0, Betas(1.0), 0.0009, 0.015, 6_000_000, 0.3),
    _fund("VTI", "Vanguard Total Stock Market ETF", "Index", 100.0, Betas(1.0, small=0.2), 0.0009, 0.015,
          4_000_000, 0.4),
    _fund("QQQ", "Invesco QQQ Trust", "Index", 150.0, Betas(1.1, 0.8), 0.002, 0.006, 45_000_000, 0.2,
          has_options=True),
    _fund("DIA", "SPDR Dow Jones Industrial Average ETF", "Index", 150.0, Betas(0.95), 0.002, 0.018,
          4_000_000, 0.4),
    _fund("IWM", "iShares Russell 2000 ETF", "Index", 100.0, Betas(1.1, small=1.6), 0.002, 0.012, 30_000_000,
          0.4, has_options=True),
    _fund("EFA", "iShares MSCI EAFE ETF", "International", 66.0, Betas(0.9, commodity=0.1), 0.004, 0.028,
          18_000_000, 0.7),
    _fund("EEM", "iShares MSCI Emerging Markets ETF", "International", 36.0, Betas(1.0, 0.2, 0.0, 0.25),
          0.006, 0.022, 35_000_000, 1.2),
)
_SECTOR_FUNDS = (
    _fund("XLK", "Technology Select Sector SPDR Fund", "Technology", 85.0, Betas(1.1, 0.9), 0.002, 0.008,
          9_000_000, 0.5),
    _fund("XLF", "Financial Select Sector SPDR Fund", "Financials", 34.0, Betas(1.1, -0.1, -0.4), 0.005,
          0.018, 45_000_000, 1.2, has_options=True),
    _fund("XLE", "Energy Select Sector SPDR Fund", "Energy", 70.0, Betas(0.8, commodity=0.8), 0.006, 0.033,
          17_000_000, 0.6),
    _fund("XLV", "Health Care Select Sector SPDR Fund", "Health care", 50.0, Betas(0.75), 0.005, 0.015,
          9_000_000, 0.4),
    _fund("XLU", "Utilities Select Sector SPDR Fund", "Utilities", 78.0, Betas(0.5, rates=0.6), 0.006, 0.03,
          13_000_000, 0.7),
    _fund("XLP", "Consumer Staples Select Sector SPDR Fund", "Consumer staples", 74.0, Betas(0.55, rates=0.2),
          0.004, 0.025, 12_000_000, 0.7),
    _fund("XLY", "Consumer Discretionary Select Sector SPDR Fund", "Consumer discretionary", 70.0,
          Betas(1.1, 0.3), 0.004, 0.009, 5_000_000, 0.5),
    _fund("SMH", "VanEck Semiconductor ETF", "Technology", 50.0, Betas(1.35, 1.3), 0.007, 0.006, 8_000_000,
          0.6),
)
_BOND_FUNDS = (
    _fund("TLT", "iShares 20+ Year Treasury Bond ETF", "Bonds", 110.0, Betas(rates=1.45), 0.001, 0.036,
          35_000_000, 0.6, has_options=True, annual_carry=0.037),
    _fund("IEF", "iShares 7-10 Year Treasury Bond ETF", "Bonds", 100.0, Betas(rates=0.68), 0.0006, 0.033,
          7_000_000, 0.6, annual_carry=0.035),
    _fund("SHY", "iShares 1-3 Year Treasury Bond ETF", "Bonds", 80.0, Betas(rates=0.15), 0.0002, 0.03,
          4_000_000, 0.6, annual_carry=0.031),
    _fund("AGG", "iShares Core U.S. Aggregate Bond ETF", "Bonds", 100.0, Betas(0.02, rates=0.5), 0.0006,
          0.033, 8_000_000, 0.6, annual_carry=0.032),
    _fund("LQD", "iShares Investment Grade Corporate Bond ETF", "Bonds", 125.0, Betas(0.12, rates=0.75),
          0.0012, 0.041, 22_000_000, 0.5, annual_carry=0.032),
    _fund("HYG", "iShares High Yield Corporate Bond ETF", "Bonds", 105.0, Betas(0.35, rates=0.2), 0.0015,
          0.057, 35_000_000, 0.7, annual_carry=0.023),
    _bills("SGOV", "iShares 0-3 Month Treasury Bond ETF", 100.0, 9_000_000),
    _bills("BIL", "SPDR Bloomberg 1-3 Month T-Bill ETF", 91.5, 7_000_000),
)
_COMMODITY_FUNDS = (
    _fund("GLD", "SPDR Gold Shares", "Commodities", 95.0, Betas(0.02, rates=0.35, commodity=0.7), 0.005, 0.0,
          8_000_000, 0.4, has_options=True, annual_carry=0.07),
    _fund("SLV", "iShares Silver Trust", "Commodities", 17.0, Betas(0.15, rates=0.2, commodity=1.3), 0.01,
          0.0, 20_000_000, 2.0, annual_carry=0.06),
    _fund("USO", "United States Oil Fund", "Commodities", 68.0, Betas(0.3, rates=-0.2, commodity=1.8), 0.006,
          0.0, 5_000_000, 0.7, annual_carry=0.03),
)
_LEVERAGED_FUNDS = (
    _leveraged("SH", "ProShares Short S&P500", 60.0, "SPY", -1, 6_000_000, 1.5),
    _leveraged("SDS", "ProShares UltraShort S&P500", 70.0, "SPY", -2, 8_000_000, 2.0),
    _leveraged("SSO", "ProShares Ultra S&P500", 90.0, "SPY", 2, 4_000_000, 1.0),
    _leveraged("UPRO", "ProShares UltraPro S&P500", 60.0, "SPY", 3, 6_000_000, 1.0),
    _leveraged("PSQ", "ProShares Short QQQ", 60.0, "QQQ", -1, 5_000_000, 1.5),
    _leveraged("QLD", "ProShares Ultra QQQ", 80.0, "QQQ", 2, 4_000_000, 1.0),
    _leveraged("TQQQ", "ProShares UltraPro QQQ", 20.0, "QQQ", 3, 60_000_000, 0.8),
    _leveraged("SQQQ", "ProShares UltraPro Short QQQ", 80.0, "QQQ", -3, 80_000_000, 1.5),
    _leveraged("TMF", "Direxion Daily 20+ Year Treasury Bull 3X", 90.0, "TLT", 3, 6_000_000, 1.5),
    _leveraged("TMV", "Direxion Daily 20+ Year Treasury Bear 3X", 70.0, "TLT", -3, 1_000_000, 3.0),
    _leveraged("SOXL", "Direxion Daily Semiconductor Bull 3X", 30.0, "SMH", 3, 60_000_000, 1.2),
    _leveraged("SOXS", "Direxion Daily Semiconductor Bear 3X", 90.0, "SMH", -3, 40_000_000, 2.0),
)
_STOCKS = (
    _stock("AAPL", "Apple Inc.", "Technology", 190.0, Betas(1.15, 0.8), 0.011, 0.005, 2, 55_000_000, 0.4,
           has_options=True),
    _stock("MSFT", "Microsoft Corporation", "Technology", 260.0, Betas(1.05, 0.8), 0.009, 0.009, 2,
           24_000_000, 0.4, has_options=True),
    _stock("NVDA", "NVIDIA Corporation", "Technology", 50.0, Betas(1.5, 1.4), 0.016, 0.001, 3, 200_000_000,
           0.5, has_options=True),
    _stock("AMZN", "Amazon.com, Inc.", "Consumer discretionary", 180.0, Betas(1.2, 0.9), 0.012, 0.0, 3,
           45_000_000, 0.5, has_options=True),
    _stock("GOOGL", "Alphabet Inc. Class A", "Communication", 105.0, Betas(1.1, 0.8), 0.01, 0.004, 3,
           30_000_000, 0.5, has_options=True),
    _stock("META", "Meta Platforms, Inc.", "Communication", 290.0, Betas(1.2, 0.9), 0.014, 0.003, 3,
           14_000_000, 0.8, has_options=True),
    _stock("TSLA", "Tesla, Inc.", "Consumer discretionary", 120.0, Betas(1.5, 0.9), 0.022, 0.0, 3,
           100_000_000, 0.7, has_options=True),
    _stock("AMD", "Advanced Micro Devices, Inc.", "Technology", 260.0, Betas(1.5, 1.4), 0.019, 0.0, 3,
           50_000_000, 0.8, has_options=True),
    _stock("NFLX", "Netflix, Inc.", "Communication", 210.0, Betas(1.15, 0.7), 0.016, 0.0, 3, 4_000_000, 1.5),
    _stock("AVGO", "Broadcom Inc.", "Technology", 150.0, Betas(1.3, 1.2), 0.012, 0.012, 3, 25_000_000, 0.8),
    _stock("JPM", "JPMorgan Chase & Co.", "Financials", 150.0, Betas(1.15, -0.1, -0.4), 0.009, 0.024, 1,
           9_000_000, 0.6, has_options=True),
    _stock("BAC", "Bank of America Corporation", "Financials", 42.0, Betas(1.25, -0.1, -0.5), 0.011, 0.022, 3,
           38_000_000, 1.2),
    _stock("XOM", "Exxon Mobil Corporation", "Energy", 110.0, Betas(0.75, commodity=0.7), 0.008, 0.034, 2,
           16_000_000, 0.6, has_options=True),
    _stock("CVX", "Chevron Corporation", "Energy", 120.0, Betas(0.8, commodity=0.7), 0.008, 0.038, 2,
           8_000_000, 0.7),
    _stock("JNJ", "Johnson & Johnson", "Health care", 105.0, Betas(0.6, rates=0.1), 0.008, 0.027, 2,
           7_000_000, 0.6),
    _stock("UNH", "UnitedHealth Group Incorporated", "Health care", 280.0, Betas(0.85), 0.012, 0.014, 3,
           4_500_000, 0.8),
    _stock("PG", "The Procter & Gamble Company", "Consumer staples", 75.0, Betas(0.55, rates=0.15), 0.008,
           0.024, 1, 7_000_000, 0.5),
    _stock("KO", "The Coca-Cola Company", "Consumer staples", 58.0, Betas(0.55, rates=0.15), 0.007, 0.029, 3,
           14_000_000, 0.9),
    _stock("WMT", "Walmart Inc.", "Consumer staples", 72.0, Betas(0.6), 0.009, 0.014, 2, 17_000_000, 0.7),
    _stock("HD", "The Home Depot, Inc.", "Consumer discretionary", 230.0, Betas(1.0), 0.01, 0.022, 3,
           3_500_000, 0.7),
    _stock("BRK.B", "Berkshire Hathaway Inc. Class B", "Financials", 210.0, Betas(0.85), 0.006, 0.0, 3,
           4_000_000, 0.5),
)
# fmt: on
UNIVERSE = _INDEX_FUNDS + _SECTOR_FUNDS + _BOND_FUNDS + _COMMODITY_FUNDS + _LEVERAGED_FUNDS + _STOCKS
