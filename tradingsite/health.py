"""Is the desk alive, and can this process serve? Asked by machines, answered from rows."""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Min
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from brokers.market_data import calendar, clock
from brokers.models import LatestPrice
from monitoring.models import TickRun
from portfolio.models import Portfolio, Position
from portfolio.order_sync import CATCHING_UP

TICK_PERIODS_MAX = 3
SWEEP_AGE_MAX = timedelta(minutes=3)
QUEUE_AGE_MAX = timedelta(seconds=60)
PRICE_AGE_MAX = timedelta(seconds=60)  # in the desk's time, for each unit of replay speed
QUEUE_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what was asked, whether it is good, and the figures it was judged by."""

    name: str
    is_good: bool
    detail: str


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 503 when the last good tick or sweep is too old: a worker can be connected and deaf."""
    return _answer(
        [
            _database,
            lambda: last_tick(now=clock.real_now()),
            lambda: last_sweep(now=clock.real_now()),
            lambda: queue_age(now=clock.real_now()),
            lambda: price_age(now=clock.now()),
            portfolios_in_trouble,
        ]
    )


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 503 when this process cannot serve: no database, or no way to ring the queue."""
    return _answer([_database, _queue])


def last_tick(*, now: datetime) -> Finding:
    return _age("last tick", "tick", now=now, age_max=TICK_PERIODS_MAX * timedelta(seconds=settings.TICK_SECONDS))


def last_sweep(*, now: datetime) -> Finding:
    return _age("last sweep", "sweep", now=now, age_max=SWEEP_AGE_MAX)


def queue_age(*, now: datetime) -> Finding:
    """Judge how long the oldest message waits, in real time."""
    try:
        waits = _redis_wait(now) if settings.REDIS_URL else _file_wait(now)
    except (redis.RedisError, ValueError, KeyError) as error:
        return Finding("queue age", False, f"cannot be read: {type(error).__name__}")
    if waits is None:
        return Finding("queue age", True, "empty")
    limit = QUEUE_AGE_MAX.total_seconds()
    return Finding("queue age", waits <= QUEUE_AGE_MAX, f"{waits.total_seconds():.0f} s; at most {limit:.0f} s allowed")


def _file_wait(now: datetime) -> timedelta | None:
    times = []
    for path in settings.QUEUE_FOLDER.glob("*.msg"):
        with contextlib.suppress(FileNotFoundError):  # a worker took it meanwhile
            times.append(path.stat().st_mtime)
    return now - datetime.fromtimestamp(min(times), tz=UTC) if times else None


def _redis_wait(now: datetime) -> timedelta | None:
    """How long ago the oldest message ran out; one that is still good has waited less than a period."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=QUEUE_TIMEOUT_SECONDS) as client:
        oldest = client.lindex("celery", -1)
    if oldest is None:
        return None
    expires = json.loads(oldest)["headers"].get("expires")
    return max(now - datetime.fromisoformat(expires), timedelta(0)) if expires else timedelta(0)


def price_age(*, now: datetime) -> Finding:
    """Judge the oldest price of anything held, in the desk's time, while the market is open."""
    if not calendar.is_regular_hours(now):
        return Finding("price age", True, "market closed")
    held = Position.objects.exclude(quantity=0).values("instrument_id")
    oldest = LatestPrice.objects.filter(instrument_id__in=held).aggregate(Min("updated_at"))["updated_at__min"]
    if oldest is None:
        return Finding("price age", True, "nothing is held")
    age, limit = now - oldest, PRICE_AGE_MAX * max(float(clock.speed()), 1.0)
    detail = f"{age.total_seconds():.0f} s; at most {limit.total_seconds():.0f} s allowed"
    return Finding("price age", age <= limit, detail)


def portfolios_in_trouble() -> Finding:
    """Count the open portfolios that cannot be brought up to date; told, not judged: the others trade on."""
    failing = Portfolio.objects.filter(archived_at__isnull=True).exclude(sync_error="")
    count = failing.exclude(sync_error__startswith=CATCHING_UP).count()
    return Finding("portfolios in trouble", True, "none" if not count else f"{count} cannot be brought up to date")


def _answer(questions: Sequence[Callable[[], Finding]]) -> JsonResponse:
    findings = []
    for question in questions:
        findings.append(question())
        if not findings[-1].is_good and findings[-1].name == "database":
            break  # the other rows cannot be read either
    is_good = all(finding.is_good for finding in findings)
    body = {"status": "good" if is_good else "bad", "checks": [asdict(finding) for finding in findings]}
    return JsonResponse(body, status=200 if is_good else 503)


def _age(name: str, kind: str, *, now: datetime, age_max: timedelta) -> Finding:
    """Judge the age of the last good run in real time; exactly `age_max` is still good."""
    last = TickRun.objects.filter(kind=kind, is_good=True).order_by("-id").values_list("started_at", flat=True)
    started_at = last.first()
    limit = f"at most {age_max.total_seconds():.0f} s allowed"
    if started_at is None:
        return Finding(name, False, f"none yet; {limit}")
    age = now - started_at
    return Finding(name, age <= age_max, f"{age.total_seconds():.0f} s ago; {limit}")


def _database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return Finding("database", False, "does not answer")
    return Finding("database", True, connection.vendor)


def _queue() -> Finding:
    if not settings.REDIS_URL:
        is_writable = os.access(settings.QUEUE_FOLDER, os.W_OK)
        return Finding("queue", is_writable, "files" if is_writable else "its folder cannot be written")
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=QUEUE_TIMEOUT_SECONDS,
            socket_connect_timeout=QUEUE_TIMEOUT_SECONDS,
        ) as client:
            client.ping()
    except redis.RedisError:
        return Finding("queue", False, "Redis does not answer")
    return Finding("queue", True, "Redis")
