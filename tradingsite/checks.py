"""Start-up checks: web, worker and beat refuse to start on a desk that could lose or bend its books."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, Error, Tags, Warning, register, run_checks
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

SQLITE_ADVICE = "Set DATABASE_URL to a PostgreSQL database, or LIVE_TRADING_ON_SQLITE=true if this is meant."


def stop_unless_sound() -> None:
    """Run every check, the database included: log warnings, end the process with the sentences of errors."""
    found = run_checks(databases=["default"])
    for message in found:
        if WARNING <= message.level < ERROR:
            logger.warning("%s", _sentence(message))
    serious = [message for message in found if message.is_serious()]
    if serious:
        sys.exit("\n".join(f"Paperdesk cannot start: {_sentence(message)}" for message in serious))


def _sentence(message: CheckMessage) -> str:
    return f"{message.msg} {message.hint}" if message.hint else message.msg


@register(Tags.security)
def live_trading_needs_postgresql(**_: Any) -> list[CheckMessage]:
    on_sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if settings.LIVE_TRADING_ENABLED and on_sqlite and not settings.LIVE_TRADING_ON_SQLITE:
        return [
            Error(
                "LIVE_TRADING_ENABLED is true on SQLite, which lacks the database's own wall between users.",
                hint=SQLITE_ADVICE,
                id="tradingsite.E001",
            )
        ]
    return []


@register(Tags.database)
def database_keeps_its_promises(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Ask each checked database whether a commit is durable and whether the append-only triggers stand."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        connection = connections[alias]
        ask = _sqlite_messages if connection.vendor == "sqlite" else _postgresql_messages
        found += ask(connection)
        # migrate makes the tables and re-creates lost triggers: neither may stop it at its start.
        if sys.argv[1:2] != ["migrate"] and _is_migrated(connection):
            found += _trigger_messages(connection) + _clock_messages()
    return found


def _sqlite_messages(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    # A database in memory cannot keep a write-ahead log and needs none.
    journal_mode = _value(connection, "PRAGMA journal_mode")
    if journal_mode not in ("wal", "memory"):
        found.append(
            Error(
                f"SQLite's journal_mode is {journal_mode}, but must be wal.",
                hint="Put DATA_FOLDER on a local disk: network file systems cannot hold a write-ahead log.",
                id="tradingsite.E002",
            )
        )
    if not _value(connection, "PRAGMA recursive_triggers"):
        found.append(
            Error(
                "SQLite's recursive_triggers is off, so INSERT OR REPLACE could rewrite booked rows.",
                hint="Keep the SQLite OPTIONS of tradingsite/databases.py.",
                id="tradingsite.E003",
            )
        )
    return found


def _postgresql_messages(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if _value(connection, "SHOW synchronous_commit") == "off":
        found.append(
            Error(
                "PostgreSQL's synchronous_commit is off, so a crash could lose orders already sent.",
                hint="Switch it on for the desk's role: ALTER ROLE … SET synchronous_commit = on.",
                id="tradingsite.E004",
            )
        )
    powers = _powers_of_role(connection)
    if powers:
        kind = Error if settings.LIVE_TRADING_ENABLED else Warning
        found.append(
            kind(
                f"The desk's PostgreSQL role {powers}, so the database cannot refuse it anything.",
                hint="Run the desk as a plain role that owns no table, and migrate as another one.",
                id="tradingsite.E006" if kind is Error else "tradingsite.W006",
            )
        )
    return found


def _powers_of_role(connection: BaseDatabaseWrapper) -> str:
    """Say in words what lets the role walk past triggers and row security; empty when nothing does."""
    from brokers import append_only

    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        is_superuser, bypasses = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FROM pg_tables WHERE tableowner = current_user AND tablename = ANY(%s)",
            [list(append_only.APPEND_ONLY_TABLES)],
        )
        owned = cursor.fetchone()[0]
    powers = {"is superuser": is_superuser, "bypasses row security": bypasses, "owns booked tables": owned}
    return " and ".join(words for words, has in powers.items() if has)


def _trigger_messages(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    # Imported here: checks are registered before the applications' models are known.
    from brokers import append_only
    from portfolio import owner_keys

    missing = append_only.missing_triggers(connection) + owner_keys.absent(connection)
    if not missing:
        return []
    return [
        Error(
            f"{len(missing)} guards that keep booked rows unchanged and owners apart are missing: "
            f"{', '.join(missing)}.",
            hint="Run `python manage.py migrate`, which re-creates them.",
            id="tradingsite.E005",
        )
    ]


def _clock_messages() -> list[CheckMessage]:
    """Fills carry the time of the clock they were made under; another clock would mix up their order."""
    from brokers.market_data import clock
    from brokers.models import ReplayAnchor
    from portfolio.models import Fill

    found: list[CheckMessage] = []
    problem = clock.identity_problem()
    if problem is not None:
        found.append(Error(problem, id="tradingsite.E007"))
    if Fill.objects.exists():
        found += clock_switch(settings.DESK_CLOCK, began="replay" if ReplayAnchor.objects.exists() else "real")
    return found


def clock_switch(desk_clock: str, *, began: str) -> list[CheckMessage]:
    """Refuse a clock other than the one under which this database's fills began."""
    if desk_clock == began:
        return []
    return [
        Error(
            f"DESK_CLOCK is {desk_clock}, but this database has fills made in {began} time.",
            hint=f"Set DESK_CLOCK={began}, or start with a fresh database.",
            id="tradingsite.E008",
        )
    ]


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    from brokers import append_only

    return set(append_only.APPEND_ONLY_TABLES) <= set(connection.introspection.table_names())


def _value(connection: BaseDatabaseWrapper, statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]
