"""
One seeded day at the venue and in the desk's book, boiled down to a digest.

The digest was taken on SQLite; the suite runs on PostgreSQL as well, so equal digests mean equal rows. It also
changes whenever the market, the matching or the costs do, and then has to be renewed on purpose.
"""

import hashlib
import json
from datetime import timedelta
from decimal import Decimal

from brokers.enums import OrderType, Side, TimeInForce
from brokers.market_data import prices
from brokers.models import SimulatedAccount, SimulatedFill, SimulatedPosition
from monitoring import tick
from portfolio import books, orders, portfolios
from portfolio.models import Fill, LedgerPosting, Portfolio, Position

DAY = "da1ea78588939742"
ORDERS = (
    ("SPY", OrderType.MARKET, "12", {}),
    ("NVDA", OrderType.LIMIT, "20", {"limit_price": "0.999"}),
    ("MSFT", OrderType.STOP, "15", {"stop_price": "1.001"}),
    ("BIL", OrderType.MARKET, "180", {}),
    ("QQQ", OrderType.TRAILING_STOP, "30", {"trail_percent": Decimal("0.2")}),
    ("KO", OrderType.MARKET, "33.125", {}),
)


def test_a_seeded_day_leaves_the_same_rows_everywhere(alice, bob, listed, now, settings):
    settings.DESK_ID = "0" * 32
    desks = [
        portfolios.open(user=user, name="Seeded", cash=Decimal(100_000), key=f"day-{n}", actor="test", now=now)
        for n, user in enumerate((alice, bob))
    ]
    SimulatedAccount.objects.update(seed=7)
    for desk in desks:
        trade_the_day(desk, now)
    for minutes in range(0, 290, 29):
        assert tick.run(list(Portfolio.objects.order_by("pk")), now=now + timedelta(minutes=minutes)).is_good
    assert books.check(desks).differences == []
    assert digest(rows()) == DAY


def level(price: Decimal, value: str | Decimal) -> Decimal:
    """A text is a factor on the price now, a Decimal stands for itself."""
    return value if isinstance(value, Decimal) else (price * Decimal(value)).quantize(Decimal("0.01"))


def trade_the_day(desk: Portfolio, now) -> None:
    found = prices.latest([symbol for symbol, *_ in ORDERS], now)
    for number, (symbol, kind, quantity, terms) in enumerate(ORDERS):
        levels = {name: level(found[symbol].value, value) for name, value in terms.items()}
        wish = orders.OrderIntent(
            portfolio=desk, origin="MANUAL", intent_key=f"day:{number}", symbol=symbol, side=Side.BUY, order_type=kind,
            time_in_force=TimeInForce.DAY, quantity=Decimal(quantity), actor="test", **levels,
        )  # fmt: skip
        orders.submit([wish], now=now)


VENUE_FILL = (
    "account__cash_units", "instrument__symbol", "sequence", "quantity_units", "price_units", "commission_units",
    "fees_units", "executed_at",
)  # fmt: skip
FILL = ("instrument__symbol", "quantity", "price", "commission", "fees", "slippage", "executed_at")


def rows() -> list[list[list[str]]]:
    """Every fill, position and posting of venue and desk, without keys that a database hands out."""
    tables = (
        SimulatedFill.objects.values_list(*VENUE_FILL),
        SimulatedPosition.objects.values_list("instrument__symbol", "quantity_units", "average_price_units"),
        Fill.objects.values_list(*FILL),
        Position.objects.values_list("instrument__symbol", "quantity", "cost", "average_cost", "mark", "market_value"),
        LedgerPosting.objects.values_list("account", "instrument__symbol", "amount", "quantity"),
    )
    return [sorted([str(value) for value in row] for row in table) for table in tables]


def digest(content: list) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
