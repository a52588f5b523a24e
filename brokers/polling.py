"""What happened at the venues: many accounts asked at once, an error of one never in the way of others."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from brokers import registry
from brokers.enums import Venue
from brokers.messages import AccountKey, VenueReports
from brokers.simulator import batch, reporting

logger = logging.getLogger(__name__)
ACCOUNTS_PER_PASS = batch.ACCOUNTS_PER_BATCH


@dataclass(frozen=True, slots=True)
class PollRequest:
    """
    Ask one account for everything from `since` on, that instant included.

    Let `since` lie at least five minutes before the last answer's `caught_up_until`: processes read the
    clock at slightly different moments, and seeing a report twice changes nothing.
    """

    key: AccountKey
    since: datetime


def poll(requests: Sequence[PollRequest], *, now: datetime) -> list[VenueReports]:
    """
    Return the reports of each account, in the order asked.

    Simulated accounts are caught up and read 200 at a time, with the same number of statements for one as
    for 200. What went wrong with an account stands in its `error`; its reports end where it got to.
    """
    simulated = [each for each in requests if each.key.venue is Venue.SIMULATOR]
    found = _simulated(simulated, now=now)
    return [found.get(each.key) or _failed(each, _why_missing(each)) for each in requests]


def _simulated(requests: Sequence[PollRequest], *, now: datetime) -> dict[AccountKey, VenueReports]:
    market = registry.market()
    found: dict[AccountKey, VenueReports] = {}
    for start in range(0, len(requests), ACCOUNTS_PER_PASS):
        keys = {_uuid(each): each for each in requests[start : start + ACCOUNTS_PER_PASS]}
        keys.pop(None, None)
        reached = batch.advance(keys, now=now, market=market)
        for account_id, reports in _read(keys, reached).items():
            found[keys[account_id].key] = reports
    return found


def _read(
    asked: Mapping[uuid.UUID, PollRequest], reached: Mapping[uuid.UUID, datetime]
) -> dict[uuid.UUID, VenueReports]:
    """Read the reports of all together; if that fails, in halves until the one that cannot be read is alone."""
    if not asked:
        return {}
    try:
        return reporting.reports({account_id: each.since for account_id, each in asked.items()}, reached=reached)
    except Exception as error:
        if not connection.is_usable():
            raise  # nobody's account: the database is gone
        if len(asked) == 1:
            (account_id, request), *_ = asked.items()
            logger.exception("Could not read the reports of simulated account %s", account_id)
            return {account_id: _failed(request, f"The reports of this account cannot be read: {error!r}.")}
    items = list(asked.items())
    middle = len(items) // 2
    return _read(dict(items[:middle]), reached) | _read(dict(items[middle:]), reached)


def _uuid(request: PollRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.key.account_id)
    except ValueError:
        return None


def _failed(request: PollRequest, error: str) -> VenueReports:
    return VenueReports(account_id=request.key.account_id, caught_up_until=request.since, error=error)


def _why_missing(request: PollRequest) -> str:
    if request.key.venue is not Venue.SIMULATOR:
        return f"This desk has no adapter for {request.key.venue}."
    return f"The simulated venue has no account {request.key.account_id}."
