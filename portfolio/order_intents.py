"""What somebody wants to trade, before it is an order; the keys that make a repeat the same order."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings

from brokers.enums import OrderType, PositionEffect, Side, TimeInForce
from brokers.messages import NewOrder
from portfolio.enums import Origin
from portfolio.models import Order, OrderLeg, Portfolio, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """
    One wish for one portfolio: the same `intent_key` is the same wish, however often it is sent.

    Exactly one of `quantity` (> 0) and `notional` (money, buys only). `trade` makes it the exit of that
    trade. `plan` keeps tags, note and context for the trade that an entry begins.
    """

    portfolio: Portfolio
    origin: Origin
    intent_key: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce = TimeInForce.DAY
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    expires_on: date | None = None
    extended_hours: bool = False
    trade: Trade | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    actor: str = "desk"

    @property
    def request_hash(self) -> str:
        """SHA-256 of what is wanted; the same key with another hash is refused."""
        content = [
            self.portfolio.pk, self.symbol, self.side, self.order_type, self.time_in_force,
            *map(plain_number, (self.quantity, self.notional, self.limit_price, self.stop_price)),
            *map(plain_number, (self.trail_amount, self.trail_percent)),
            str(self.expires_on), self.extended_hours, self.trade.pk if self.trade else None,
        ]  # fmt: skip
        return hashlib.sha256(compact(content)).hexdigest()


def plain_number(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize(), "f")


def compact(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), default=str).encode()


def client_order_id(*, portfolio_id: int, origin: str, intent_key: str, attempt: int = 1) -> str:
    """
    Return `pd-<20 characters>-<attempt>`, the same for the same intent always.

    The characters are lower-case base32 of the first 100 bits of SHA-256 over the compact JSON of
    ["v1", desk id, portfolio id, origin, intent key].
    """
    content = compact(["v1", settings.DESK_ID, portfolio_id, str(origin), intent_key])
    text = base64.b32encode(hashlib.sha256(content).digest()[:13]).decode().lower()[:20]
    return f"pd-{text}-{attempt}"


def new_order(order: Order, leg: OrderLeg, symbol: str) -> NewOrder:
    """The message that a venue gets for an order."""
    return NewOrder(
        client_order_id=order.client_order_id,
        symbol=symbol,
        side=Side(leg.side),
        order_type=OrderType(order.order_type),
        time_in_force=TimeInForce(order.time_in_force),
        position_effect=PositionEffect(leg.position_effect),
        quantity=order.quantity,
        notional=order.notional,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        expires_on=order.expires_on,
        extended_hours=order.extended_hours,
    )
