"""What matching looks at and what it answers: orders, quotes, bars, verdicts. Prices are units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from brokers.enums import OrderType, Side, TimeInForce


class Rule(StrEnum):
    """The line of the matching tables that a fill followed; it stands on the fill's evidence."""

    MARKET = "MARKET"
    LIMIT_MARKETABLE = "LIMIT_MARKETABLE"
    LIMIT_RESTING = "LIMIT_RESTING"
    LIMIT_TOUCHED = "LIMIT_TOUCHED"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"
    OPENING_PRINT = "OPENING_PRINT"
    CLOSING_PRINT = "CLOSING_PRINT"
    BAR_OPEN = "BAR_OPEN"
    BAR_LIMIT = "BAR_LIMIT"
    BAR_STOP_GAP = "BAR_STOP_GAP"
    BAR_STOP = "BAR_STOP"
    BAR_STOP_LIMIT = "BAR_STOP_LIMIT"
    BAR_TRAILING_STOP = "BAR_TRAILING_STOP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    One quote and print. `at` is epoch seconds, prices units, sizes whole shares or contracts.

    A price of 0 is missing, a size of None unknown. `step` numbers the observations of one market and
    must not depend on who asks: epoch seconds divided by five in replay. The opening and the closing
    print of a session are marked; both are regular.
    """

    at: int
    last_units: int
    bid_units: int
    ask_units: int
    bid_size: int | None = None
    ask_size: int | None = None
    is_regular: bool = True
    is_halted: bool = False
    is_opening_print: bool = False
    is_closing_print: bool = False
    step: int = 0
    source: str = ""
    market_identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketBar:
    """
    Prints of one minute or day, `at` its start in epoch seconds, volume in whole shares (None: unknown).

    The first and the last bar of a session are marked: they carry the auctions.
    """

    at: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int
    volume: int | None = None
    is_halted: bool = False
    is_first: bool = False
    is_last: bool = False
    source: str = ""
    market_identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """
    A working order as matching sees it.

    `quantity_units` is None while an order by `notional_units` has not filled (that field then holds what
    is left to spend). `is_resting`: an earlier observation of this session, not a halted one, has already
    been used on it; only a limit order's first look gets a better price than its limit. `is_triggered`
    stays once set.
    `trail_percent_units` is percent x 10^6. `attempts` counts earlier evaluations that could have filled.
    """

    side: Side
    order_type: OrderType
    time_in_force: TimeInForce = TimeInForce.DAY
    quantity_units: int | None = None
    filled_units: int = 0
    notional_units: int | None = None
    limit_units: int | None = None
    stop_units: int | None = None
    trail_amount_units: int | None = None
    trail_percent_units: int | None = None
    watermark_units: int | None = None
    extended_hours: bool = False
    is_resting: bool = False
    is_triggered: bool = False
    attempts: int = 0

    @property
    def remaining_units(self) -> int | None:
        return None if self.quantity_units is None else self.quantity_units - self.filled_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    Whether an order trades here (`rule` set) or what it waits for, and its trigger state afterwards.

    The price is `base_units` (far side, spread included) made worse by slippage and bounded by
    `limit_units`; `reference_units` is what slippage is measured on. At its own price (`at_limit`) no
    slippage is added. `spread_units` is the spread that a fraction of it is taken from.
    `lowest_units` and `highest_units` are the envelope before slippage. `was_looked_at` is false while the
    market, or the auction the order waits for, has not given it a chance at all.
    """

    rule: Rule | None = None
    reference_units: int = 0
    base_units: int = 0
    half_spread_units: int = 0
    spread_units: int = 0
    limit_units: int | None = None
    at_limit: bool = False
    lowest_units: int = 0
    highest_units: int = 0
    waiting_for: str = ""
    watermark_units: int | None = None
    is_triggered: bool = False
    was_looked_at: bool = True
    touch_draw: int | None = None

    @property
    def trades(self) -> bool:
        return self.rule is not None


def waits(terms: OrderTerms, reason: str, *, was_looked_at: bool = True) -> Verdict:
    """Return the verdict that an order does not trade here, with the reason in words."""
    return Verdict(
        waiting_for=reason,
        watermark_units=terms.watermark_units,
        is_triggered=terms.is_triggered,
        was_looked_at=was_looked_at,
    )
