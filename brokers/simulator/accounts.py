"""Open, fund, change, archive and reset accounts of the simulated venue; repeating a call changes nothing."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, Sum

from brokers import money
from brokers.enums import (
    FINAL_SIMULATED_STATES,
    AccountKind,
    AccountStatus,
    ActivityKind,
    SimulatedOrderState,
)
from brokers.models import SimulatedAccount, SimulatedActivity, SimulatedOrder
from brokers.simulator import presets
from brokers.simulator.presets import SimulationSettings

NAMESPACE = uuid.UUID("6f1d1f0e-9a0b-5b7c-8a53-70617065726b")
CURRENCY = "USD"
OPENING = "opening"
_OWN_EVENTS = frozenset(ActivityKind) - {ActivityKind.DEPOSIT, ActivityKind.WITHDRAWAL}


class AccountRefused(ValueError):
    """The venue will not do this to an account; the message says why, with the amounts."""


def open(
    *,
    event_id: str,
    cash: Decimal,
    preset: str = presets.DEFAULT_PRESET,
    kind: AccountKind = AccountKind.CASH,
    seed: int,
    now: datetime,
    generation: int = 1,
) -> SimulatedAccount:
    """
    Open an account with its first deposit and return it; the same `event_id` returns the same account.

    `cash` is money, >= 0, in whole cents; `seed` decides the account's luck for ever. Raises AccountRefused.
    """
    if kind is not AccountKind.CASH:
        raise AccountRefused("The simulated venue lends no money: it opens cash accounts only.")
    settings = _preset(preset)
    cash_units = _amount_units(cash, allow_zero=True)
    with transaction.atomic():
        account, is_new = SimulatedAccount.objects.get_or_create(
            account_id=identity(event_id),
            defaults={
                "currency": CURRENCY,
                "kind": kind,
                "preset": preset,
                "settings": settings.to_json(),
                "seed": seed,
                "matched_until": now,
                "generation": generation,
            },
        )
        if is_new and cash_units:
            _book(account, ActivityKind.DEPOSIT, cash_units, event_id=OPENING, now=now)
    return account


def identity(event_id: str) -> uuid.UUID:
    """Return the account id that an opening has, before and after it."""
    return uuid.uuid5(NAMESPACE, event_id)


def opened_at(account_id: uuid.UUID) -> datetime:
    """Return when an account was opened, as its first deposit says; one without any was opened when it began."""
    first = SimulatedActivity.objects.filter(account__account_id=account_id, event_id=OPENING).first()
    return first.occurred_at if first else SimulatedAccount.objects.get(account_id=account_id).matched_until


def deposit(account_id: uuid.UUID, *, amount: Decimal, event_id: str, now: datetime) -> SimulatedActivity:
    """
    Book money into an account, at once; the same `event_id` books once and returns the first booking.

    Raises AccountRefused for an archived account, an amount not above 0 or not in whole cents, or another
    amount under the same event id.
    """
    with transaction.atomic():
        account = locked(account_id)
        return _transfer(account, ActivityKind.DEPOSIT, _amount_units(amount), event_id=event_id, now=now)


def withdraw(account_id: uuid.UUID, *, amount: Decimal, event_id: str, now: datetime) -> SimulatedActivity:
    """
    Book money out of an account; what working orders reserve stays.

    Repeats as `deposit`. Raises AccountRefused, also when the free cash is less than the amount.
    """
    with transaction.atomic():
        account = locked(account_id)
        return _transfer(account, ActivityKind.WITHDRAWAL, -_amount_units(amount), event_id=event_id, now=now)


def change_settings(
    account_id: uuid.UUID, *, changes: Mapping[str, Any], preset: str | None = None
) -> SimulatedAccount:
    """
    Change how unkind the market is to orders accepted from here on; orders that work keep their settings.

    `changes` are values as in `SimulationSettings.to_json`, on top of `preset` or of the present settings.
    The version rises by 1 when something changes. Raises SettingsRefused or AccountRefused.
    """
    with transaction.atomic():
        account = locked(account_id)
        _require_active(account)
        base = account.settings if preset is None else _preset(preset).to_json()
        wanted = SimulationSettings.from_json({**base, **changes}).to_json()
        if wanted != account.settings:
            account.settings = wanted
            account.preset = wanted["preset"]
            account.settings_version += 1
            account.version += 1
            account.save(update_fields=["settings", "preset", "settings_version", "version"])
        return account


def archive(account_id: uuid.UUID, *, now: datetime) -> SimulatedAccount:
    """Cancel what works, with reason RESET, and close the account for good; it stays readable."""
    with transaction.atomic():
        account = locked(account_id)
        if account.status != AccountStatus.ARCHIVED:
            now = max(now, account.matched_until)
            _working(account).filter(quantity_units=None, filled_units__gt=0).update(quantity_units=F("filled_units"))
            _working(account).update(
                state=SimulatedOrderState.CANCELED,
                reason_code="RESET",
                reason_text="The account was archived while this order worked.",
                reserve_units=0,
                updated_at=now,
            )
            account.status = AccountStatus.ARCHIVED
            account.version += 1
            account.save(update_fields=["status", "version"])
        return account


def reset(
    account_id: uuid.UUID,
    *,
    event_id: str,
    cash: Decimal,
    preset: str = presets.DEFAULT_PRESET,
    seed: int,
    now: datetime,
) -> SimulatedAccount:
    """Archive an account and open the next generation of it; the same `event_id` returns the same successor."""
    with transaction.atomic():
        old = archive(account_id, now=now)
        return open(event_id=event_id, cash=cash, preset=preset, seed=seed, now=now, generation=old.generation + 1)


def locked(account_id: uuid.UUID) -> SimulatedAccount:
    """Return an account locked until the transaction ends; raises SimulatedAccount.DoesNotExist."""
    return SimulatedAccount.objects.select_for_update(no_key=True).get(account_id=account_id)


def reserved_units(account: SimulatedAccount) -> int:
    """Return the money that working orders hold back, in units."""
    return int(_working(account).aggregate(total=Sum("reserve_units"))["total"] or 0)


def _working(account: SimulatedAccount) -> Any:
    return SimulatedOrder.objects.filter(account=account).exclude(state__in=FINAL_SIMULATED_STATES)


def _transfer(
    account: SimulatedAccount, kind: ActivityKind, amount_units: int, *, event_id: str, now: datetime
) -> SimulatedActivity:
    """Book a signed transfer unless this event id is booked already; then return that booking."""
    if event_id.partition(":")[0] in _OWN_EVENTS:
        raise AccountRefused(f"The event id {event_id} is of the kind the venue gives to its own events; use another.")
    booked = SimulatedActivity.objects.filter(account=account, event_id=event_id).first()
    if booked is not None:
        if (booked.kind, booked.amount_units) != (kind, amount_units):
            raise AccountRefused(
                f"The event {event_id} is already booked with {money.money_value(booked.amount_units):,.2f}."
            )
        return booked
    _require_active(account)
    free_units = account.cash_units - reserved_units(account)
    if free_units + amount_units < 0:
        raise AccountRefused(
            f"Only {money.money_value(free_units):,.2f} can be withdrawn; working orders hold the rest of "
            f"{money.money_value(account.cash_units):,.2f}."
        )
    return _book(account, kind, amount_units, event_id=event_id, now=now)


def _book(
    account: SimulatedAccount, kind: ActivityKind, amount_units: int, *, event_id: str, now: datetime
) -> SimulatedActivity:
    SimulatedAccount.objects.filter(pk=account.pk).update(
        cash_units=F("cash_units") + amount_units, version=F("version") + 1
    )
    account.refresh_from_db(fields=["cash_units", "version"])
    return SimulatedActivity.objects.create(
        account=account,
        activity_id=activity_id(account.account_id, event_id),
        kind=kind,
        event_id=event_id,
        amount_units=amount_units,
        occurred_at=max(now, account.matched_until),
    )


def activity_id(account_id: uuid.UUID, event_id: str) -> uuid.UUID:
    """Return the id of an activity: the same account and event always give the same."""
    return uuid.uuid5(account_id, f"activity:{event_id}")


def _require_active(account: SimulatedAccount) -> None:
    if account.status == AccountStatus.ARCHIVED:
        raise AccountRefused("This account is archived: it can be read and exported, not changed.")


def _preset(name: str) -> SimulationSettings:
    if name not in presets.PRESETS:
        raise AccountRefused(f"There is no preset {name}; known are {', '.join(presets.PRESETS)}.")
    return presets.PRESETS[name]


def _amount_units(amount: Decimal, *, allow_zero: bool = False) -> int:
    try:
        units = money.money_units(amount)
    except money.NotRepresentable as error:
        raise AccountRefused(str(error)) from error
    if units < 0 or (units == 0 and not allow_zero):
        raise AccountRefused(f"The amount must be above 0; it is {amount}.")
    if units % money.CENT:
        raise AccountRefused(f"The amount must be in whole cents; it is {amount}.")
    return units
