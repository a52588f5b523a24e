"""A database of the benchmarks' own: a SQLite file in a temporary folder, or a fresh PostgreSQL database."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import django

# These keys open nothing: the database they protect is thrown away at the end.
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tradingsite.settings",
    "DESK_ENV_FILE": "",
    "SECRET_KEY": "for-benchmarks-only-" * 4,
    "FIELD_ENCRYPTION_KEYS": "1:" + "YmVu" * 10 + "Y2g=",
    "ANCHOR_KEY": "YmVu" * 10 + "Y2g=",
    "DESK_ID": "0123456789abcdef" * 2,
    "DESK_CLOCK": "replay",
    "REDIS_URL": "",
}


@contextmanager
def own_database() -> Iterator[str]:
    """
    Start Django on an empty, migrated database and give its engine in words; throw it away afterwards.

    PostgreSQL when DATABASE_URL names one: its user must be allowed to create databases.
    """
    os.environ.update(SETTINGS)
    address = os.environ.get("DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="paperdesk-bench-") as folder:
        os.environ["DATA_FOLDER"] = folder
        if address.startswith("postgres"):
            with postgresql(address) as own:
                os.environ["DATABASE_URL"] = own
                yield from start()
        else:
            os.environ["DATABASE_URL"] = f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
            yield from start()


def start() -> Iterator[str]:
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    try:
        yield engine()
    finally:
        connection.close()
        if connection.vendor == "postgresql":
            connection.close_pool()


def engine() -> str:
    """Name the database server and how safely it writes."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT current_setting('server_version'), current_setting('synchronous_commit')")
            version, commit = cursor.fetchone()
            return f"PostgreSQL {version}, synchronous_commit {commit}"
        cursor.execute("SELECT sqlite_version()")
        return f"SQLite {cursor.fetchone()[0]}, WAL, synchronous FULL"


@contextmanager
def postgresql(address: str) -> Iterator[str]:
    """Create a database of a name nobody has on this server, and drop it afterwards."""
    import psycopg

    name = f"paperdesk_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(address)._replace(path=f"/{name}"))
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
