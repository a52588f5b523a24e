"""How long a person waits after clicking: one order through checks, venue and books."""

from datetime import timedelta
from decimal import Decimal
from statistics import quantiles
from time import perf_counter

from brokers.enums import OrderType, Side
from brokers.market_data import sources
from portfolio import orders
from portfolio.enums import Origin
from portfolio.models import Order, Portfolio

from . import desks, venue
from .measure import Outcome, Timing

SIZES = {"small": 40, "full": 100}
MEDIAN_MS = 100
SYMBOLS = ("SPY", "AAPL", "MSFT", "JPM", "XOM")
WARM_UP = 3


def run(size: str) -> Outcome:
    """Submit market orders one by one in ten portfolios, as a person would: later ones meet fuller books."""
    count = SIZES[size]
    sources.list_instruments()
    portfolios = venue.funded_portfolios(10, group="clicks")
    for number in range(WARM_UP):
        click(portfolios[number], f"warm {number}", number)
    runs = []
    for number in range(count):
        started = perf_counter()
        click(portfolios[number % len(portfolios)], f"click {number}", WARM_UP + number)
        runs.append(perf_counter() - started)
    outcome = Outcome(name="orders")
    outcome.timings.append(Timing(name="ours: submit one order", size=1, runs=tuple(runs)))
    sent = Order.objects.filter(portfolio__in=portfolios).exclude(venue_order_id="").count()
    outcome.must_equal(sent, count + WARM_UP, f"{count + WARM_UP} orders the venue has taken")
    worst = quantiles(runs, n=100)[98]
    outcome.at_most("milliseconds, median", outcome.timings[0].seconds * 1_000, MEDIAN_MS)
    outcome.notes.append(f"99 of 100 orders took at most {worst * 1_000:.0f} ms.")
    return outcome


def click(portfolio: Portfolio, key: str, number: int) -> None:
    orders.submit(
        [
            orders.OrderIntent(
                portfolio=portfolio,
                origin=Origin.MANUAL,
                intent_key=key,
                symbol=SYMBOLS[number % len(SYMBOLS)],
                side=Side.BUY,
                order_type=OrderType.MARKET,
                quantity=Decimal(1),
                actor="benchmark",
            )
        ],
        now=desks.NOW + timedelta(seconds=number),
    )
