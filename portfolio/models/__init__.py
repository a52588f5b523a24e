"""The rows of the book, each owned by one user."""

from portfolio.models.journal import Anchor, JournalEntry, JournalHead, Lease
from portfolio.models.ledger import LedgerPosting, LedgerTransaction
from portfolio.models.order import Fill, Order, OrderLeg
from portfolio.models.portfolio import Portfolio, RiskLimits
from portfolio.models.position import Position
from portfolio.models.snapshot import Snapshot
from portfolio.models.trade import Lot, Trade, TradeLeg
from portfolio.models.user import User

__all__ = [
    "Anchor",
    "Fill",
    "JournalEntry",
    "JournalHead",
    "Lease",
    "LedgerPosting",
    "LedgerTransaction",
    "Lot",
    "Order",
    "OrderLeg",
    "Portfolio",
    "Position",
    "RiskLimits",
    "Snapshot",
    "Trade",
    "TradeLeg",
    "User",
]
