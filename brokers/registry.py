"""Which adapter speaks for an account, and the life of simulated accounts: the desk's door to its venues."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from brokers.enums import AccountKind, Environment, Venue
from brokers.errors import Unsupported
from brokers.interface import Broker
from brokers.market_data import sources
from brokers.messages import AccountKey
from brokers.models import SimulatedAccount, SimulatedActivity
from brokers.simulator import accounts
from brokers.simulator.adapter import SimulatedBroker
from brokers.simulator.market import Market
from brokers.simulator.presets import ASSUMPTIONS, DEFAULT_PRESET
from brokers.simulator.stored_prices import StoredPrices


def adapter(key: AccountKey, *, now: datetime) -> Broker:
    """
    Return the Broker of one account for one unit of work, as of `now`.

    Raises AccountUnknown, and Unsupported for a venue this desk has no adapter of.
    """
    _require_simulated(key.venue)
    return SimulatedBroker(key.account_id, now=now, market=market())


def presets() -> tuple[tuple[str, str], ...]:
    """Return the simulated venue's presets, the default first, each with its assumptions in words."""
    first = (DEFAULT_PRESET, ASSUMPTIONS[DEFAULT_PRESET])
    return (first, *(item for item in ASSUMPTIONS.items() if item != first))


def market() -> Market:
    """Return the market the simulated venue trades in: replayed, or the prices stored by the desk."""
    return sources.replay_market() if settings.DESK_CLOCK == "replay" else StoredPrices()


def open_account(
    *,
    event_id: str,
    cash: Decimal,
    preset: str = DEFAULT_PRESET,
    kind: AccountKind = AccountKind.CASH,
    seed: int,
    now: datetime,
) -> AccountKey:
    """Open a simulated account with its first deposit; the same `event_id` gives the same account."""
    account = accounts.open(event_id=event_id, cash=cash, preset=preset, kind=kind, seed=seed, now=now)
    return _key(account)


def account_id_of(event_id: str) -> str:
    """The id of the account that `open_account` opens, or opened, for this event."""
    return str(accounts.identity(event_id))


def opened_at(key: AccountKey) -> datetime:
    """When a simulated account was opened, in the desk's time."""
    return accounts.opened_at(uuid.UUID(key.account_id))


def deposit(key: AccountKey, *, amount: Decimal, event_id: str, now: datetime) -> SimulatedActivity:
    """Put money into a simulated account; its activity report is what the desk books."""
    account_id = _caught_up(key, now=now)
    return accounts.deposit(account_id, amount=amount, event_id=event_id, now=now)


def withdraw(key: AccountKey, *, amount: Decimal, event_id: str, now: datetime) -> SimulatedActivity:
    """Take free money out of a simulated account; raises AccountRefused when working orders hold it."""
    account_id = _caught_up(key, now=now)
    return accounts.withdraw(account_id, amount=amount, event_id=event_id, now=now)


def archive(key: AccountKey, *, now: datetime) -> None:
    """Cancel what works and close a simulated account for good; it stays readable."""
    accounts.archive(_caught_up(key, now=now), now=now)


def reset(
    key: AccountKey,
    *,
    event_id: str,
    cash: Decimal,
    preset: str = DEFAULT_PRESET,
    seed: int,
    now: datetime,
) -> AccountKey:
    """Archive a simulated account and open its next generation; returns the new one's key."""
    account_id = _caught_up(key, now=now)
    successor = accounts.reset(account_id, event_id=event_id, cash=cash, preset=preset, seed=seed, now=now)
    return _key(successor)


def change_settings(key: AccountKey, *, changes: Mapping[str, Any], preset: str | None = None, now: datetime) -> int:
    """Change how a simulated account's market behaves towards later orders; returns the settings' version."""
    account = accounts.change_settings(_caught_up(key, now=now), changes=changes, preset=preset)
    return account.settings_version


def _caught_up(key: AccountKey, *, now: datetime) -> uuid.UUID:
    """Carry an account to now, so that what is done to it happens after all that came before."""
    _require_simulated(key.venue)
    broker = SimulatedBroker(key.account_id, now=now, market=market())
    broker.catch_up()
    return broker.account_id


def _key(account: SimulatedAccount) -> AccountKey:
    return AccountKey(Venue.SIMULATOR, Environment.PAPER, str(account.account_id))


def _require_simulated(venue: Venue) -> None:
    if venue != Venue.SIMULATOR:
        raise Unsupported(f"This desk has no adapter for {venue}.")
