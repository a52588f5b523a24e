"""Words that orders, venues and markets share."""

from enum import StrEnum


class Environment(StrEnum):
    PAPER = "PAPER"
    LIVE = "LIVE"


class Venue(StrEnum):
    SIMULATOR = "SIMULATOR"


class InstrumentKind(StrEnum):
    EQUITY = "EQUITY"
    ETF = "ETF"
    OPTION = "OPTION"
    FOREX = "FOREX"
    CFD = "CFD"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class PositionEffect(StrEnum):
    OPEN = "OPEN"
    CLOSE = "CLOSE"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"
    OPG = "OPG"
    CLS = "CLS"


class OrderStatus(StrEnum):
    """The life of an order in the desk's book; venues report only the middle ones."""

    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"
    NEEDS_REVIEW = "NEEDS_REVIEW"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {
        OrderStatus.DENIED,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    }
)
WORKING_STATUSES = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL})


class SimulatedOrderState(StrEnum):
    """States inside the simulated venue; its reports translate them to OrderStatus."""

    HELD = "HELD"
    ACCEPTED = "ACCEPTED"
    WORKING = "WORKING"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    REPLACED = "REPLACED"

    @property
    def is_final(self) -> bool:
        return self in FINAL_SIMULATED_STATES


FINAL_SIMULATED_STATES = frozenset(
    {
        SimulatedOrderState.FILLED,
        SimulatedOrderState.CANCELED,
        SimulatedOrderState.EXPIRED,
        SimulatedOrderState.REJECTED,
        SimulatedOrderState.REPLACED,
    }
)


class AccountKind(StrEnum):
    CASH = "CASH"
    MARGIN = "MARGIN"


class AccountStatus(StrEnum):
    ACTIVE = "ACTIVE"
    RESTRICTED = "RESTRICTED"
    ARCHIVED = "ARCHIVED"


class ActivityKind(StrEnum):
    """What a venue books besides fills."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    DIVIDEND_DECLARED = "DIVIDEND_DECLARED"  # on the ex-date: owed, not yet paid
    DIVIDEND = "DIVIDEND"  # on the pay date: cash moves
    SPLIT = "SPLIT"
    CASH_IN_LIEU = "CASH_IN_LIEU"
    RENAME = "RENAME"


class CorporateActionKind(StrEnum):
    SPLIT = "SPLIT"
    DIVIDEND = "DIVIDEND"
    RENAME = "RENAME"
    DELISTING = "DELISTING"
    UNCLASSIFIED = "UNCLASSIFIED"


class CorporateActionState(StrEnum):
    ANNOUNCED = "ANNOUNCED"
    EFFECTIVE = "EFFECTIVE"
    WITHDRAWN = "WITHDRAWN"


class Timeframe(StrEnum):
    DAY = "DAY"
    MINUTE = "MINUTE"


class PriceSource(StrEnum):
    QUOTE = "QUOTE"
    TRADE = "TRADE"
    MINUTE_BAR = "MINUTE_BAR"
    DAILY_BAR = "DAILY_BAR"


class ImportState(StrEnum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
