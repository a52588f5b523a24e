"""
Raw units: how money, prices and quantities become integers and back.

Money and prices have six decimals, quantities nine. Integers are exact in Python, on SQLite and on
PostgreSQL; everything set-wise works on them, and names of such integers end in ``_units``.
"""

from decimal import Decimal, InvalidOperation

MONEY_SCALE = 6
QUANTITY_SCALE = 9
MONEY = 10**MONEY_SCALE
QUANTITY = 10**QUANTITY_SCALE
CENT = MONEY // 100
UNITS_MAX = 2**63 - 1


class NotRepresentable(ValueError):
    """The value has more decimals than its column, is not finite, or leaves 64 bits."""


def to_units(value: Decimal | int | str, *, scale: int) -> int:
    """Return `value` x 10^scale exactly; refuse what would need rounding."""
    try:
        number = Decimal(value)
        shifted = number.scaleb(scale)
        whole = int(shifted)
    except (InvalidOperation, ValueError, OverflowError, TypeError) as error:
        raise NotRepresentable(f"{value!r} is not a number.") from error
    if shifted != whole:
        raise NotRepresentable(f"{value} has more than {scale} decimals.")
    if abs(whole) > UNITS_MAX:
        raise NotRepresentable(f"{value} is too large.")
    return whole


def from_units(units: int, *, scale: int) -> Decimal:
    """Return the Decimal that `units` stands for, with exactly `scale` places."""
    return Decimal(units).scaleb(-scale)


def money_units(value: Decimal | int | str) -> int:
    return to_units(value, scale=MONEY_SCALE)


def quantity_units(value: Decimal | int | str) -> int:
    return to_units(value, scale=QUANTITY_SCALE)


def money_value(units: int) -> Decimal:
    return from_units(units, scale=MONEY_SCALE)


def quantity_value(units: int) -> Decimal:
    return from_units(units, scale=QUANTITY_SCALE)


def divide_half_away(numerator: int, denominator: int) -> int:
    """Divide integers, ties away from zero; the one rounding rule of money."""
    if denominator <= 0:
        raise ZeroDivisionError("The denominator must be positive.")
    quotient, remainder = divmod(abs(numerator), denominator)
    if 2 * remainder >= denominator:
        quotient += 1
    return quotient if numerator >= 0 else -quotient


def divide_up(numerator: int, denominator: int) -> int:
    """Divide non-negative or negative integers, rounding towards plus infinity."""
    return -((-numerator) // denominator)


def round_to_cent(units: int) -> int:
    """Round money units to the cent, ties away from zero."""
    return divide_half_away(units, CENT) * CENT


def round_up_to_cent(units: int) -> int:
    """Round money units up to the next cent: reserves and regulatory fees."""
    return divide_up(units, CENT) * CENT


def notional(price_units: int, quantity_units: int, *, multiplier: int = 1) -> int:
    """
    Return price x quantity x multiplier in money units, rounded half away from zero.

    Python integers do not overflow; the SQL and numpy forms of the same product live with their tables.
    """
    return divide_half_away(price_units * quantity_units * multiplier, QUANTITY)


def notional_cents(price_units: int, quantity_units: int, *, multiplier: int = 1) -> int:
    """Return price x quantity x multiplier rounded once, half away from zero, to the cent."""
    return divide_half_away(price_units * quantity_units * multiplier, QUANTITY * CENT) * CENT
