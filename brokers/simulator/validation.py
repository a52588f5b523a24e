"""
May this order be accepted? The venue's rejections, pure, in the order of the published table.

The first group of rules that fails is reported with all its codes, so nobody reads about buying power
while the symbol is misspelled. Every refusal is a sentence with the numbers behind it.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from brokers import money
from brokers.enums import AccountStatus
from brokers.errors import Refusal
from brokers.messages import NewOrder
from brokers.simulator import field_rules, hours, position_rules, time_rules
from brokers.simulator.surroundings import SHARE_KINDS, RestingOrder, Surroundings, is_closing, plain, position_effect

__all__ = [
    "RestingOrder",
    "Surroundings",
    "buying_power_refusal",
    "position_effect",
    "refusals",
    "value_refusal",
    "warnings",
]

CLIENT_ORDER_ID_LENGTH_MAX = 128
FAR_FROM_LAST_FRACTION = Decimal("0.20")
LARGE_SHARE_OF_VOLUME = Decimal("0.10")


def refusals(order: NewOrder, around: Surroundings) -> tuple[Refusal, ...]:
    """Return all refusals of the first group of rules that fails; empty when the order may be taken."""
    for group in _GROUPS:
        found = tuple(group(order, around))
        if found:
            return found
    return ()


def value_refusal(order: NewOrder, around: Surroundings, *, value_units: int) -> tuple[Refusal, ...]:
    """Return the refusal of an order worth less than 1.00; what closes may be worth less, or it could never end."""
    value = money.money_value(value_units)
    if value >= field_rules.NOTIONAL_MIN or is_closing(order, around):
        return ()
    return (
        Refusal(
            "NOTIONAL_TOO_SMALL",
            f"This order in {order.symbol} is worth {plain(value)}, and an order must be worth at least "
            f"{field_rules.NOTIONAL_MIN} unless it closes a position.",
            measured=plain(value),
            limit=str(field_rules.NOTIONAL_MIN),
        ),
    )


def buying_power_refusal(order: NewOrder, *, reserve_units: int, buying_power_units: int) -> tuple[Refusal, ...]:
    """Return the refusal when an order needs more than may still be spent; met exactly is enough."""
    if reserve_units <= buying_power_units:
        return ()
    needed, available = _money(reserve_units), _money(buying_power_units)
    return (
        Refusal(
            "INSUFFICIENT_BUYING_POWER",
            f"This order in {order.symbol} needs {needed} and the account has {available} to spend.",
            measured=needed,
            limit=available,
        ),
    )


def warnings(order: NewOrder, around: Surroundings) -> tuple[str, ...]:
    """Return what is worth a second look but is not refused."""
    return tuple(_warnings(order, around))


def _account(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    if around.account_status is AccountStatus.ARCHIVED:
        yield Refusal("ACCOUNT_ARCHIVED", "This account is archived and takes no more orders.")
    if around.account_status is AccountStatus.RESTRICTED and not is_closing(order, around):
        yield Refusal("ACCOUNT_RESTRICTED", "This account is restricted: it takes only orders that close.")


def _client_order_id(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    length = len(order.client_order_id)
    if not 1 <= length <= CLIENT_ORDER_ID_LENGTH_MAX:
        yield Refusal(
            "CLIENT_ORDER_ID_REUSED",
            f"A client order id has 1 to {CLIENT_ORDER_ID_LENGTH_MAX} characters; this one has {length}.",
            measured=str(length),
            limit=str(CLIENT_ORDER_ID_LENGTH_MAX),
        )
    elif not order.client_order_id.isprintable():
        yield Refusal("CLIENT_ORDER_ID_REUSED", "A client order id has printable characters only.")
    elif around.is_client_order_id_taken:
        yield Refusal(
            "CLIENT_ORDER_ID_REUSED",
            f"The client order id {order.client_order_id} belongs to another order, with other content.",
            measured=order.client_order_id,
        )


def _symbol(order: NewOrder, around: Surroundings) -> Iterator[Refusal]:
    facts = around.instrument
    if facts is None:
        yield Refusal("SYMBOL_UNKNOWN", f"There is no instrument {order.symbol}.", measured=order.symbol)
    elif facts.kind not in SHARE_KINDS:
        yield Refusal(
            "SYMBOL_NOT_TRADABLE",
            f"{order.symbol} is not a stock or fund, and this venue trades only these.",
            measured=facts.kind,
        )
    elif not facts.is_active:
        yield Refusal("SYMBOL_NOT_TRADABLE", f"{order.symbol} is no longer listed.", measured=order.symbol)


def _warnings(order: NewOrder, around: Surroundings) -> Iterator[str]:
    if order.limit_price is not None and around.last:
        away = abs(order.limit_price - around.last) / around.last
        if away > FAR_FROM_LAST_FRACTION:
            yield (
                f"The limit price {plain(order.limit_price)} is {away:.0%} away from the last price "
                f"{plain(around.last)}."
            )
    volume = around.average_daily_volume
    if order.quantity is not None and volume and order.quantity > LARGE_SHARE_OF_VOLUME * volume:
        yield (
            f"{plain(order.quantity)} shares are {order.quantity / volume:.0%} of the {plain(volume)} "
            f"{order.symbol} traded on an average day."
        )
    if order.expires_on is not None and order.expires_on == hours.new_york_date(around.now):
        yield "The order ends today."


def _money(units: int) -> str:
    return f"{money.money_value(units):,.2f}"


_GROUPS: tuple[Callable[[NewOrder, Surroundings], Iterator[Refusal]], ...] = (
    _account,
    _client_order_id,
    _symbol,
    field_rules.quantity,
    field_rules.price_fields,
    field_rules.increments,
    field_rules.whole_quantity,
    time_rules.time_in_force,
    position_rules.stop_side,
    time_rules.market_open,
    position_rules.effect,
    position_rules.held,
    position_rules.crosses_zero,
    position_rules.short,
    position_rules.wash_trade,
)
