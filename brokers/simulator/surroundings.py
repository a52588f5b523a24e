"""What the venue knows when an order arrives: the other half of every rule about orders."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from brokers.enums import AccountKind, AccountStatus, InstrumentKind, OrderType, PositionEffect, Side
from brokers.messages import InstrumentFacts, NewOrder
from brokers.simulator.presets import SimulationSettings

SHARE_KINDS = frozenset({InstrumentKind.EQUITY, InstrumentKind.ETF})


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order that works in the same instrument, as the wash-trade rule sees it."""

    client_order_id: str
    side: Side
    order_type: OrderType
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    What the venue knows when an order arrives.

    `position` is signed; `held` is the part of it that working orders already promise to close, >= 0.
    `instrument` is None when no instrument has the symbol. Prices are None when there is none.
    """

    now: datetime
    account_status: AccountStatus
    account_kind: AccountKind
    may_short: bool
    instrument: InstrumentFacts | None
    settings: SimulationSettings
    last: Decimal | None = None
    position: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    average_daily_volume: Decimal | None = None
    is_client_order_id_taken: bool = False
    resting: tuple[RestingOrder, ...] = ()


def position_effect(order: NewOrder, *, position: Decimal) -> PositionEffect:
    """Return whether an order opens or closes, given the signed position: against it means closing."""
    is_against = position * order.side.sign < 0
    return PositionEffect.CLOSE if is_against else PositionEffect.OPEN


def is_closing(order: NewOrder, around: Surroundings) -> bool:
    """Return whether an order works against the position it meets."""
    return position_effect(order, position=around.position) is PositionEffect.CLOSE


def is_fractional(order: NewOrder) -> bool:
    """Return whether an order is by amount of money or for a part of a share."""
    return order.quantity is None or order.quantity != order.quantity.to_integral_value()


def type_in_words(order: NewOrder) -> str:
    """Return `stop limit` for STOP_LIMIT."""
    return order.order_type.replace("_", " ").lower()


def plain(number: Decimal) -> str:
    """Write a number without needless zeros and never with an exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(number: Decimal) -> int:
    """Count the decimals a number really needs."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
