"""The venue's rows as reports: what the desk reads after a catch-up has been committed."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from brokers import money
from brokers.enums import ActivityKind, OrderStatus, Side, SimulatedOrderState
from brokers.messages import (
    AccountReport,
    ActivityReport,
    FillReport,
    OrderReport,
    PositionReport,
    VenueReports,
)
from brokers.models import (
    SimulatedAccount,
    SimulatedActivity,
    SimulatedFill,
    SimulatedOrder,
    SimulatedPosition,
)
from brokers.simulator import accounts, reserves

STATUSES = {
    SimulatedOrderState.HELD: OrderStatus.ACCEPTED,
    SimulatedOrderState.ACCEPTED: OrderStatus.ACCEPTED,
    SimulatedOrderState.WORKING: OrderStatus.ACCEPTED,
    SimulatedOrderState.PARTIALLY_FILLED: OrderStatus.PARTIALLY_FILLED,
    SimulatedOrderState.FILLED: OrderStatus.FILLED,
    SimulatedOrderState.PENDING_CANCEL: OrderStatus.PENDING_CANCEL,
    SimulatedOrderState.CANCELED: OrderStatus.CANCELED,
    SimulatedOrderState.EXPIRED: OrderStatus.EXPIRED,
    SimulatedOrderState.REJECTED: OrderStatus.REJECTED,
    SimulatedOrderState.REPLACED: OrderStatus.CANCELED,
}
PLACES_PER_INSTANT = 4_096
FIRST_FILL_PLACE = PLACES_PER_INSTANT // 2
TRANSFERS = frozenset({ActivityKind.DEPOSIT, ActivityKind.WITHDRAWAL})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reports(
    since: Mapping[uuid.UUID, datetime], *, reached: Mapping[uuid.UUID, datetime] | None = None
) -> dict[uuid.UUID, VenueReports]:
    """
    Return what each account reported from its `since` on, included, with the same few statements for all.

    `reached` is the answer of the catch-up before; an idle account's row is not moved each time.

    An instant that was reported before is reported again: every fill and activity has an id, and seeing it
    twice changes nothing.
    """
    known = {
        pk: (account_id, matched_until, error)
        for pk, account_id, matched_until, error in SimulatedAccount.objects.filter(
            account_id__in=list(since)
        ).values_list("pk", "account_id", "matched_until", "error")
    }
    asked = {pk: since[account_id] for pk, (account_id, _, _) in known.items()}
    orders, fills, activities = _orders(asked, known), _fills(asked, known), _activities(asked, known)
    return {
        account_id: VenueReports(
            account_id=str(account_id),
            caught_up_until=max(matched_until, (reached or {}).get(account_id, matched_until)),
            orders=tuple(orders[pk]),
            fills=tuple(fills[pk]),
            activities=tuple(activities[pk]),
            error=error,
        )
        for pk, (account_id, matched_until, error) in known.items()
    }


def account_report(account_id: uuid.UUID, *, caught_up_until: datetime | None = None) -> AccountReport:
    """
    Return cash, reserves and buying power of one account; raises SimulatedAccount.DoesNotExist.

    `caught_up_until` is how far a catch-up just got; an idle account's row is not moved each time.
    """
    account = SimulatedAccount.objects.get(account_id=account_id)
    reserved = accounts.reserved_units(account)
    power = reserves.buying_power(cash_units=account.cash_units, reserved_units=reserved)
    return AccountReport(
        account_id=str(account_id),
        currency=account.currency,
        cash=money.money_value(account.cash_units),
        reserved=money.money_value(reserved),
        buying_power=money.money_value(power),
        status=account.status,
        caught_up_until=max(caught_up_until or account.matched_until, account.matched_until),
    )


def position_reports(account_id: uuid.UUID) -> list[PositionReport]:
    """Return what an account holds, by symbol; a short position is negative."""
    rows = (
        SimulatedPosition.objects.filter(account__account_id=account_id)
        .exclude(quantity_units=0)
        .order_by("instrument__symbol")
        .values_list("instrument__symbol", "quantity_units", "average_price_units")
    )
    return [
        PositionReport(
            account_id=str(account_id),
            symbol=symbol,
            quantity=money.quantity_value(quantity),
            average_price=money.money_value(average),
        )
        for symbol, quantity, average in rows
    ]


def order_report(order: SimulatedOrder, *, account_id: uuid.UUID) -> OrderReport:
    """Return one order as the desk reads it."""
    state = SimulatedOrderState(order.state)
    is_replaced = state is SimulatedOrderState.REPLACED
    return OrderReport(
        account_id=str(account_id),
        client_order_id=order.client_order_id,
        venue_order_id=str(order.venue_order_id),
        status=STATUSES[state],
        raw_status=state.value,
        quantity=_quantity(order.quantity_units),
        filled_quantity=money.quantity_value(order.filled_units),
        updated_at=order.updated_at,
        reason_code=order.reason_code,
        reason=order.reason_text,
        waiting_for="" if state.is_final else order.waiting_for,
        expires_at=order.expires_at,
        replaced_by=next((each.client_order_id for each in order.replacements.all()), "") if is_replaced else "",
        warnings=tuple(order.warnings),
        limit_price=_money(order.limit_units),
        stop_price=_money(order.stop_units),
        trail_amount=_money(order.trail_amount_units),
    )


def orders_for_reports() -> QuerySet[SimulatedOrder]:
    """Return orders with what a report needs, without the settings they were accepted with."""
    return SimulatedOrder.objects.defer("settings").prefetch_related("replacements")


def _orders(asked: dict[int, datetime], known: dict[int, Any]) -> dict[int, list[OrderReport]]:
    found: dict[int, list[OrderReport]] = defaultdict(list)
    for order in orders_for_reports().filter(_from(asked, "updated_at")).order_by("updated_at", "pk"):
        account_id = known[order.account_id][0]
        found[order.account_id].append(order_report(order, account_id=account_id))
    return found


def _fills(asked: dict[int, datetime], known: dict[int, Any]) -> dict[int, list[FillReport]]:
    found: dict[int, list[FillReport]] = defaultdict(list)
    places = _Places(FIRST_FILL_PLACE)
    rows = (
        SimulatedFill.objects.filter(_from(asked, "executed_at"))
        .order_by("executed_at", "pk")
        .values_list(
            "account_id", "execution_id", "order__venue_order_id", "order__client_order_id",
            "instrument__symbol", "side", "quantity_units", "price_units", "commission_units", "fees_units",
            "executed_at", "evidence",
        )
    )  # fmt: skip
    for account, *row in rows:
        sequence = places.next(account, row[9])
        found[account].append(_fill_report(known[account][0], row, sequence=sequence))
    return found


def _fill_report(account_id: uuid.UUID, row: list, *, sequence: int) -> FillReport:
    execution, order, client, symbol, side, quantity, price, commission, fees, executed_at, evidence = row
    return FillReport(
        account_id=str(account_id),
        venue_fill_id=str(execution),
        venue_order_id=str(order),
        client_order_id=client,
        symbol=symbol,
        side=Side(side),
        quantity=money.quantity_value(quantity),
        price=money.money_value(price),
        commission=money.money_value(commission),
        fees=money.money_value(fees),
        executed_at=executed_at,
        sequence=sequence,
        expected_price=money.money_value(int(evidence["reference"])),
        evidence=evidence,
    )


def _activities(asked: dict[int, datetime], known: dict[int, Any]) -> dict[int, list[ActivityReport]]:
    found: dict[int, list[ActivityReport]] = defaultdict(list)
    places = _Places(0)
    rows = (
        SimulatedActivity.objects.filter(_from(asked, "occurred_at"))
        .select_related("instrument")
        .order_by("occurred_at", "pk")
    )
    for row in rows:
        sequence = places.next(row.account_id, row.occurred_at)
        found[row.account_id].append(_activity_report(known[row.account_id][0], row, sequence=sequence))
    return found


def _activity_report(account_id: uuid.UUID, row: SimulatedActivity, *, sequence: int) -> ActivityReport:
    return ActivityReport(
        account_id=str(account_id),
        venue_activity_id=str(row.activity_id),
        kind=ActivityKind(row.kind),
        amount=money.money_value(row.amount_units),
        occurred_at=row.occurred_at,
        sequence=sequence,
        symbol=row.instrument.symbol if row.instrument else "",
        event_id=_event_id(row),
        quantity=_quantity(row.quantity_units),
        price=_money(row.price_units),
        promised=_money(row.promised_units),
        ratio_from=row.ratio_from,
        ratio_to=row.ratio_to,
        text=row.text,
    )


def _event_id(row: SimulatedActivity) -> str:
    """Return the id of the event behind an activity; a transfer's is its owner's own text, kept as it is."""
    if row.kind in TRANSFERS:
        return row.event_id
    return row.event_id.removeprefix(f"{row.kind}:")


class _Places:
    """
    Number what happened to an account: by time, activities before fills, then by row.

    Reports always begin with a whole instant, so the numbers are the same in every answer.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.last: dict[int, tuple[datetime, int]] = {}

    def next(self, account: int, at: datetime) -> int:
        earlier, place = self.last.get(account, (at, -1))
        place = place + 1 if earlier == at else 0
        self.last[account] = (at, place)
        instant = (at - _EPOCH) // timedelta(microseconds=1)
        return instant * PLACES_PER_INSTANT + self.first + min(place, FIRST_FILL_PLACE - 1)


def _from(asked: dict[int, datetime], column: str) -> Q:
    """Return the condition `column` >= each account's own since; accounts with the same one go together."""
    groups: dict[datetime, list[int]] = defaultdict(list)
    for pk, since in asked.items():
        groups[since].append(pk)
    condition = Q(pk__in=[])
    for since, pks in groups.items():
        condition |= Q(account__in=pks, **{f"{column}__gte": since})
    return condition


def _money(units: int | None) -> Decimal | None:
    return None if units is None else money.money_value(units)


def _quantity(units: int | None) -> Decimal | None:
    return None if units is None else money.quantity_value(units)
