"""
Reads for screens. Each starts from a user, costs a constant number of queries, and returns plain values.
"""

from portfolio.queries.instruments import Listing, tradable
from portfolio.queries.orders import (
    ROWS_MAX,
    FillRow,
    OrderDetail,
    OrderRow,
    order_detail,
    orders,
    recent_fills,
    working_orders,
)
from portfolio.queries.portfolios import PortfolioCard, Total, cards, session_day, totals
from portfolio.queries.positions import (
    InstrumentRow,
    OpenPositions,
    TradeRow,
    positions_by_instrument,
    positions_by_trade,
    trade_row,
)

__all__ = [
    "ROWS_MAX",
    "FillRow",
    "InstrumentRow",
    "Listing",
    "OpenPositions",
    "OrderDetail",
    "OrderRow",
    "PortfolioCard",
    "Total",
    "TradeRow",
    "cards",
    "order_detail",
    "orders",
    "positions_by_instrument",
    "positions_by_trade",
    "recent_fills",
    "session_day",
    "totals",
    "tradable",
    "trade_row",
    "working_orders",
]
