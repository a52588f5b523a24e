"""The database's clock: real time for deadlines, leases and signs of life, the same for all processes."""

from datetime import UTC, datetime, timedelta

from django.db import connection


def database_now() -> datetime:
    """Return the real time now, aware UTC, as the database server reads it."""
    sql = (
        "SELECT clock_timestamp()"
        if connection.vendor == "postgresql"
        else "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        value = cursor.fetchone()[0]
    if isinstance(value, str):
        value = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value.astimezone(UTC)


def in_seconds(seconds: float) -> datetime:
    return database_now() + timedelta(seconds=seconds)
