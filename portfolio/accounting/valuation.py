"""What holdings are worth, in raw units; the SQL forms of the same formula live in portfolio/positions.py."""

from brokers.money import MONEY, divide_half_away, notional


def market_value(*, price: int, quantity: int, multiplier: int = 1) -> int:
    """Price x |quantity| rounded half away from zero to the unit, x multiplier, with the quantity's sign."""
    value = notional(price, abs(quantity)) * multiplier
    return value if quantity >= 0 else -value


def average_price(*, cost: int, quantity: int, multiplier: int = 1) -> int:
    """Cost per unit of the instrument, both signed alike; 0 when flat."""
    if quantity == 0:
        return 0
    return divide_half_away(abs(cost) * 10**9, abs(quantity) * multiplier)


def scaled_peak(*, peak: int, equity: int, flow: int) -> int:
    """
    Move an equity peak by a deposit (+) or withdrawal (-), so that the flow is neither gain nor drawdown.

    The peak grows in the same proportion as equity does. With no equity before, the peak is what comes in.
    """
    if equity <= 0:
        return max(equity + flow, 0)
    return max(divide_half_away(peak * (equity + flow), equity), 0)


def drawdown_units(*, equity: int, peak: int) -> int:
    """The positive fraction of the peak that is lost, in 10^-6; 0 at or above the peak."""
    if peak <= 0 or equity >= peak:
        return 0
    return divide_half_away((peak - equity) * MONEY, peak)
