"""The simulated venue as a Broker: one account, as of one moment. Every call catches up first."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from brokers.enums import OrderType, TimeInForce
from brokers.errors import AccountUnknown
from brokers.messages import (
    AccountReport,
    ActivityReport,
    Capabilities,
    FillReport,
    NewOrder,
    OrderChange,
    OrderPreview,
    OrderReport,
    PositionReport,
    VenueReports,
)
from brokers.models import SimulatedAccount
from brokers.simulator import reporting, submission
from brokers.simulator.batch import advance
from brokers.simulator.market import Market

CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    dedupes_client_id=True,
    fractional=True,
    extended_hours=True,
    notional=True,
    preview=True,
)


class SimulatedBroker:
    """
    The Broker protocol over one simulated account.

    `now` is the desk's time of this unit of work; nothing later is known to the venue. An account that is
    more than five sessions behind takes several calls: until then orders are answered with
    BrokerUnavailable, and `account().caught_up_until` says how far it is.
    """

    capabilities = CAPABILITIES

    def __init__(self, account_id: str, *, now: datetime, market: Market) -> None:
        self.account_id = _known(account_id)
        self.now = now
        self.market = market

    def catch_up(self) -> None:
        """Carry the account all the way to `now`, or raise BrokerUnavailable."""
        submission.catch_up_account(self.account_id, now=self.now, market=self.market)

    def account(self) -> AccountReport:
        reached = self._advance()
        return reporting.account_report(self.account_id, caught_up_until=reached)

    def positions(self) -> list[PositionReport]:
        self._advance()
        return reporting.position_reports(self.account_id)

    def preview(self, new_order: NewOrder) -> OrderPreview:
        return submission.preview(self.account_id, new_order, now=self.now, market=self.market)

    def submit(self, new_order: NewOrder) -> OrderReport:
        (answer,) = self.submit_many([new_order])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit_many(self, new_orders: Sequence[NewOrder]) -> list[OrderReport | Exception]:
        return list(submission.submit_many(self.account_id, new_orders, now=self.now, market=self.market))

    def replace(self, venue_order_id: str, change: OrderChange) -> OrderReport:
        return submission.replace_order(self.account_id, venue_order_id, change, now=self.now, market=self.market)

    def cancel(self, venue_order_id: str) -> OrderReport:
        return submission.cancel(self.account_id, venue_order_id, now=self.now, market=self.market)

    def order(self, *, client_order_id: str) -> OrderReport | None:
        self._advance()
        return submission.find_order(self.account_id, client_order_id)

    def orders(self, *, since: datetime) -> list[OrderReport]:
        return list(self._reports(since).orders)

    def fills(self, *, since: datetime) -> list[FillReport]:
        return list(self._reports(since).fills)

    def activities(self, *, since: datetime) -> list[ActivityReport]:
        return list(self._reports(since).activities)

    def _reports(self, since: datetime) -> VenueReports:
        self._advance()
        return reporting.reports({self.account_id: since})[self.account_id]

    def _advance(self) -> datetime | None:
        """Catch up as far as one call goes; None when someone else is just doing it."""
        return advance([self.account_id], now=self.now, market=self.market).get(self.account_id)


def _known(account_id: str) -> uuid.UUID:
    try:
        identity = uuid.UUID(str(account_id))
    except ValueError as error:
        raise AccountUnknown(f"{account_id} is not an account of the simulated venue.") from error
    if not SimulatedAccount.objects.filter(account_id=identity).exists():
        raise AccountUnknown(f"The simulated venue has no account {account_id}.")
    return identity
