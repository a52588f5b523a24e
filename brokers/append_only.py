"""
Tables that refuse change, and the triggers that make them.

The list stands here once; triggers, the admin, the tests and the start-up check read it. Every migrate
drops and re-creates each trigger, because remaking a table (SQLite's AlterField) loses them in silence.
"""

from collections.abc import Iterable
from typing import Any

APPEND_ONLY_TABLES = (
    "brokers_replayanchor",
    "brokers_simulatedactivity",
    "brokers_simulatedfill",
    "portfolio_anchor",
    "portfolio_fill",
    "portfolio_journalentry",
    "portfolio_ledgerposting",
    "portfolio_ledgertransaction",
)
# On SQLite `INSERT OR REPLACE` deletes without firing a delete trigger, so a known key is refused on insert.
UNIQUE_KEYS = {
    "brokers_replayanchor": [("number",)],
    "brokers_simulatedactivity": [("activity_id",), ("account_id", "event_id")],
    "brokers_simulatedfill": [("execution_id",), ("order_id", "sequence")],
    "portfolio_anchor": [("user_id", "sequence")],
    "portfolio_fill": [("portfolio_id", "venue_fill_id")],
    "portfolio_journalentry": [("user_id", "sequence")],
    "portfolio_ledgerposting": [],
    "portfolio_ledgertransaction": [("portfolio_id", "key")],
}
REFUSAL = "This table is append-only: correct it with a new row."


def install_triggers(connection: Any) -> None:
    """Drop and re-create every trigger on the tables that exist."""
    with connection.cursor() as cursor:
        for table in present_tables(connection):
            for statement in statements(connection.vendor, table):
                cursor.execute(statement)


def drop_triggers(connection: Any) -> None:
    """Take the triggers away; only the tests' clean-up may call this."""
    with connection.cursor() as cursor:
        for table in present_tables(connection):
            for statement in drop_statements(connection.vendor, table):
                cursor.execute(statement)


def missing_triggers(connection: Any) -> list[str]:
    """Name every trigger that should protect a table and does not, or is disabled."""
    enabled = enabled_triggers(connection)
    return [
        name
        for table in present_tables(connection)
        for name in trigger_names(connection.vendor, table)
        if name not in enabled
    ]


def present_tables(connection: Any) -> list[str]:
    known = set(connection.introspection.table_names())
    return [table for table in APPEND_ONLY_TABLES if table in known]


def trigger_names(vendor: str, table: str) -> list[str]:
    kinds = ("rows", "truncate") if vendor == "postgresql" else ("update", "delete", "replace")
    return [f"{table}_append_only_{kind}" for kind in kinds]


def enabled_triggers(connection: Any) -> set[str]:
    sql = (
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {row[0] for row in cursor.fetchall()}


def drop_statements(vendor: str, table: str) -> Iterable[str]:
    for name in trigger_names(vendor, table):
        on_table = f' ON "{table}"' if vendor == "postgresql" else ""
        yield f'DROP TRIGGER IF EXISTS "{name}"{on_table}'


def statements(vendor: str, table: str) -> Iterable[str]:
    yield from drop_statements(vendor, table)
    yield from postgresql_triggers(table) if vendor == "postgresql" else sqlite_triggers(table)


def postgresql_triggers(table: str) -> Iterable[str]:
    rows, truncate = trigger_names("postgresql", table)
    yield (
        "CREATE OR REPLACE FUNCTION paperdesk_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    yield (
        f'CREATE TRIGGER "{rows}" BEFORE UPDATE OR DELETE ON "{table}" '
        "FOR EACH ROW EXECUTE FUNCTION paperdesk_append_only()"
    )
    yield (
        f'CREATE TRIGGER "{truncate}" BEFORE TRUNCATE ON "{table}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION paperdesk_append_only()"
    )
    yield f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{rows}"'
    yield f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{truncate}"'


def sqlite_triggers(table: str) -> Iterable[str]:
    update, delete, replace = trigger_names("sqlite", table)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    yield f'CREATE TRIGGER "{update}" BEFORE UPDATE ON "{table}" {refuse}'
    yield f'CREATE TRIGGER "{delete}" BEFORE DELETE ON "{table}" {refuse}'
    known = " OR ".join(
        " AND ".join(f'{column} IS NEW."{column}"' for column in key) for key in [("id",), *UNIQUE_KEYS[table]]
    )
    yield (
        f'CREATE TRIGGER "{replace}" BEFORE INSERT ON "{table}" '
        f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE {known}) {refuse}'
    )
