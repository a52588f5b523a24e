"""Numbers and times in the desk's notation, for templates and for sentences alike."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

EXCHANGE_ZONE = ZoneInfo("America/New_York")
UNKNOWN = "–"
MINUS = "−"
NO_BREAK_SPACE = "\u00a0"


def money(value: Decimal | None, places: int = 2) -> str:
    """Write 1,234.50 with a true minus; an unknown amount is a dash, never a zero."""
    if value is None:
        return UNKNOWN
    shown = rounded(value, places)
    return f"{MINUS if shown < 0 else ''}{abs(shown):,.{places}f}"


def signed(value: Decimal | None, places: int = 2) -> str:
    """Write a change: +172.80, −64.00, and a plain 0.00."""
    if value is None:
        return UNKNOWN
    return f"{'+' if rounded(value, places) > 0 else ''}{money(value, places)}"


def price(value: Decimal | None) -> str:
    """Write a share price with the digits of its increment: cents from 1.00 up, four digits below."""
    if value is None:
        return UNKNOWN
    return money(value, 2 if abs(value) >= 1 else 4)


def quantity(value: Decimal | None) -> str:
    """Write whole units plainly and fractions without trailing zeros; short holdings carry a minus."""
    if value is None:
        return UNKNOWN
    digits = f"{abs(value):,f}"
    trimmed = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{MINUS if value < 0 else ''}{trimmed}"


def signed_quantity(value: Decimal | None) -> str:
    return f"{'+' if value is not None and value > 0 else ''}{quantity(value)}"


def percent(fraction: Decimal | None, places: int = 1) -> str:
    """Write a fraction as a percentage: 0.021 is 2.1 %."""
    if fraction is None:
        return UNKNOWN
    return f"{money(fraction * 100, places)}{NO_BREAK_SPACE}%"


def signed_percent(fraction: Decimal | None, places: int = 1) -> str:
    if fraction is None:
        return UNKNOWN
    return f"{signed(fraction * 100, places)}{NO_BREAK_SPACE}%"


def bps(value: Decimal | None) -> str:
    """Write basis points, signed: +5.8 bps."""
    return UNKNOWN if value is None else f"{signed(value, 1)}{NO_BREAK_SPACE}bps"


def rounded(value: Decimal, places: int) -> Decimal:
    """Round half away from zero; what rounds to nothing loses its sign, so that −0.00 is never shown."""
    shown = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return shown if shown else abs(shown)


def moment(at: datetime, *, zone: ZoneInfo, now: datetime | None) -> str:
    """Write 10:41:12 EST on the desk's own day, Thu Nov 19 15:50 EST on others, with another year named."""
    local = at.astimezone(zone)
    today = now.astimezone(zone) if now else None
    if today is not None and local.date() == today.date():
        return f"{local:%H:%M:%S %Z}"
    year = "" if today is not None and local.year == today.year else f" {local.year}"
    return f"{local:%a %b} {local.day}{year} {local:%H:%M %Z}"


def clock_face(at: datetime, zone: ZoneInfo) -> str:
    """Write the desk's clock: Fri Nov 20 10:41:12 EST."""
    local = at.astimezone(zone)
    return f"{local:%a %b} {local.day} {local:%H:%M:%S %Z}"


def in_other_zones(at: datetime, *, zone: ZoneInfo) -> str:
    """Write the same instant in the exchange's zone and in UTC, as far as the reader's is another."""
    others = [UTC] if zone == EXCHANGE_ZONE else [EXCHANGE_ZONE, UTC]
    return ", ".join(f"{at.astimezone(other):%a %b %d %Y %H:%M:%S %Z}" for other in others)


def duration(value: timedelta) -> str:
    """Write 4 s, 6 min, 3 h or 2 d: the largest whole unit, rounded down."""
    seconds = max(0, int(value.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size}{NO_BREAK_SPACE}{unit}"
    return f"{seconds}{NO_BREAK_SPACE}s"
