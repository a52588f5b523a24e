"""The Broker protocol: what every venue promises about one account."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

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
)


class Broker(Protocol):
    """
    One account at one venue, for one unit of work.

    `submit`, `replace` and `cancel` return what the venue said or raise exactly one of OrderRejected,
    BrokerUnavailable (nothing was sent) and OutcomeUnknown (something may have been). Submitting a known
    client order id with the same content returns the existing order.
    """

    capabilities: Capabilities

    def account(self) -> AccountReport: ...

    def positions(self) -> list[PositionReport]: ...

    def preview(self, new_order: NewOrder) -> OrderPreview: ...

    def submit(self, new_order: NewOrder) -> OrderReport: ...

    def submit_many(self, new_orders: Sequence[NewOrder]) -> list[OrderReport | Exception]: ...

    def replace(self, venue_order_id: str, change: OrderChange) -> OrderReport: ...

    def cancel(self, venue_order_id: str) -> OrderReport: ...

    def order(self, *, client_order_id: str) -> OrderReport | None: ...

    def orders(self, *, since: datetime) -> list[OrderReport]: ...

    def fills(self, *, since: datetime) -> list[FillReport]: ...

    def activities(self, *, since: datetime) -> list[ActivityReport]: ...
