"""Compare the desk's book with what the venue says: cash, holdings, working orders. Asks the venue as of now."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from brokers import registry
from brokers.enums import WORKING_STATUSES, Environment, Venue
from brokers.errors import BrokerError
from brokers.messages import AccountKey
from portfolio.findings import Findings, place
from portfolio.models import Order, Portfolio, Position


def check(portfolios: Collection[Portfolio], *, now: datetime) -> Findings:
    """
    Compare these portfolios with their accounts, one by one.

    The venue is carried to `now` by being asked, so sync the portfolios to the same moment before; one that is
    not there yet, or whose venue does not answer, is a finding of its own.
    """
    found = Findings(portfolios=len(portfolios))
    for portfolio in Portfolio.objects.filter(pk__in=[row.pk for row in portfolios]).order_by("pk"):
        if portfolio.synced_until < now:
            found.compare("the desk has heard all", place(portfolio), portfolio.synced_until, now)
            continue
        try:
            compare(portfolio, found, now=now)
        except BrokerError as error:
            found.compare("the venue answers", place(portfolio), str(error) or type(error).__name__, "an answer")
    return found


def compare(portfolio: Portfolio, found: Findings, *, now: datetime) -> None:
    venue, environment = Venue(portfolio.venue), Environment(portfolio.environment)
    broker = registry.adapter(AccountKey(venue, environment, portfolio.account_id), now=now)
    where = place(portfolio)
    found.compare("cash equals the venue's", where, portfolio.cash, broker.account().cash)
    theirs = {report.symbol: report.quantity for report in broker.positions()}
    mine = held(portfolio)
    for symbol in sorted({*mine, *theirs}):
        left, right = mine.get(symbol, Decimal(0)), theirs.get(symbol, Decimal(0))
        found.compare("position equals the venue's", f"{where}, {symbol}", left, right)
    reports = broker.orders(since=portfolio.opened_at)
    there = {report.client_order_id for report in reports if report.status in WORKING_STATUSES}
    here = working(portfolio)
    found.compare("working orders are the venue's", where, sorted(here - there), sorted(there - here))


def held(portfolio: Portfolio) -> dict[str, Decimal]:
    rows = Position.objects.filter(portfolio=portfolio).exclude(quantity=0)
    return dict(rows.values_list("instrument__symbol", "quantity"))


def working(portfolio: Portfolio) -> set[str]:
    rows = Order.objects.filter(portfolio=portfolio, status__in=WORKING_STATUSES)
    return set(rows.values_list("client_order_id", flat=True))
