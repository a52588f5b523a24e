"""Bend a book as somebody with the database file would: past the triggers."""

from django.db import connection

from brokers import append_only


def tamper(sql: str) -> None:
    """Run one statement with the append-only triggers away, and put them back."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks pending cannot be altered
        append_only.drop_triggers(connection)
        try:
            cursor.execute(sql)
        finally:
            append_only.install_triggers(connection)
