"""The database the desk remembers in: SQLite in the data folder, or PostgreSQL by DATABASE_URL."""

from pathlib import Path
from typing import Any

import environ

from tradingsite import environment

# Without WAL and IMMEDIATE, read-then-write transactions fail at once with "database is locked", whatever the
# timeout. recursive_triggers lets the append-only triggers see INSERT OR REPLACE.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON",
}
# A page must not wait long; a worker may; a migration or a backup takes the time it needs.
STATEMENT_TIMEOUTS = {"web": "30s", "worker": "120s", "command": "0"}
CONNECT_SECONDS = 5
POOL = {"min_size": 1, "max_size": 16, "timeout": 10}


def from_environment(*, data_folder: Path) -> dict[str, Any]:
    """Return Django's entry for DATABASE_URL, SQLite in `data_folder` when it is empty."""
    url = environment.address("DATABASE_URL", schemes=("sqlite", "postgres", "postgresql"))
    if not url:
        return _sqlite(data_folder / "paperdesk.sqlite3")
    found = dict(environ.Env.db_url_config(url))
    if url.startswith("sqlite"):
        name = found["NAME"]
        return _sqlite(name if name == ":memory:" else environment.ROOT / name)
    return found | {
        "OPTIONS": found.get("OPTIONS", {})
        | {"pool": POOL, "options": _session_options(), "connect_timeout": CONNECT_SECONDS},
        "CONN_HEALTH_CHECKS": True,
    }


def _sqlite(name: Path | str) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": SQLITE_OPTIONS}


def _session_options() -> str:
    process = environment.choice("DESK_PROCESS", default="command", allowed=tuple(STATEMENT_TIMEOUTS))
    timeouts = {
        "lock_timeout": "3s",
        "statement_timeout": STATEMENT_TIMEOUTS[process],
        "idle_in_transaction_session_timeout": "30s",
    }
    return " ".join(f"-c {name}={value}" for name, value in timeouts.items())
