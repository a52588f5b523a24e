"""Words of the book."""

from enum import StrEnum


class Origin(StrEnum):
    """Who caused it; nobody touches what another origin owns."""

    MANUAL = "MANUAL"
    REBALANCE = "REBALANCE"
    STRATEGY = "STRATEGY"
    GUARD = "GUARD"
    API = "API"
    EXTERNAL = "EXTERNAL"


# These keep one open trade a symbol, which later fills add to or reduce.
POOLED_ORIGINS = frozenset({Origin.REBALANCE, Origin.API, Origin.EXTERNAL})


class OrderRole(StrEnum):
    ENTRY = "ENTRY"
    EXIT = "EXIT"
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"


class TradingState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Direction(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"


class TradeStatus(StrEnum):
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class CloseReason(StrEnum):
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"
    MANUAL = "MANUAL"
    API = "API"
    SIGNAL = "SIGNAL"
    REBALANCE = "REBALANCE"
    GUARD = "GUARD"
    EXPIRED_WORTHLESS = "EXPIRED_WORTHLESS"
    EXERCISED = "EXERCISED"
    ASSIGNED = "ASSIGNED"
    CASH_SETTLED = "CASH_SETTLED"
    EXTERNAL = "EXTERNAL"


class SnapshotKind(StrEnum):
    INTRADAY = "INTRADAY"
    PRE_OPEN = "PRE_OPEN"
    POST_CLOSE = "POST_CLOSE"


class LedgerAccount(StrEnum):
    """
    Accounts of the double entry. An asset rises by a positive amount; income and contributions are negative.

    RECEIVABLE holds dividends between their ex-date and their pay date.
    """

    CASH = "CASH"
    SECURITIES = "SECURITIES"
    RECEIVABLE = "RECEIVABLE"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FEES = "FEES"
    DIVIDENDS = "DIVIDENDS"
    INTEREST = "INTEREST"
    CONTRIBUTIONS = "CONTRIBUTIONS"
    ADJUSTMENT = "ADJUSTMENT"


class LedgerKind(StrEnum):
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    FILL = "FILL"
    DIVIDEND_DECLARED = "DIVIDEND_DECLARED"
    DIVIDEND = "DIVIDEND"
    SPLIT = "SPLIT"
    CASH_IN_LIEU = "CASH_IN_LIEU"


class Theme(StrEnum):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"
