"""Listed tables refuse UPDATE, DELETE, TRUNCATE and REPLACE on both engines."""

from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from brokers import append_only
from brokers.models import ReplayAnchor

AT = datetime(2026, 11, 13, 16, 0, tzinfo=UTC)


@pytest.fixture
def anchor(db) -> ReplayAnchor:
    return ReplayAnchor.objects.create(
        number=900, anchor_real=AT, anchor_virtual=AT, speed=1, market_identity="test", reason="test"
    )


def refused(sql: str) -> None:
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_rows_cannot_be_changed_or_deleted(anchor):
    refused("UPDATE brokers_replayanchor SET reason = 'other'")
    refused("DELETE FROM brokers_replayanchor")
    anchor.refresh_from_db()
    assert anchor.reason == "test"


def test_the_orm_cannot_either(anchor):
    with pytest.raises(IntegrityError), transaction.atomic():
        ReplayAnchor.objects.update(reason="other")
    with pytest.raises(IntegrityError), transaction.atomic():
        anchor.delete()


def test_replace_and_truncate_are_refused(anchor):
    if connection.vendor == "postgresql":
        refused("TRUNCATE brokers_replayanchor")
        return
    columns = "id, number, anchor_real, anchor_virtual, speed, market_identity, reason, created_at"
    row = f"{anchor.pk}, 900, 'x', 'x', 1, 'x', 'x', 'x'"
    refused(f"INSERT OR REPLACE INTO brokers_replayanchor ({columns}) VALUES ({row})")
    refused(
        f"INSERT OR REPLACE INTO brokers_replayanchor ({columns}) VALUES ({row.replace(str(anchor.pk), '77777', 1)})"
    )
    refused(f"INSERT OR IGNORE INTO brokers_replayanchor ({columns}) VALUES ({row})")


def test_every_listed_table_exists_and_is_protected(db):
    assert set(append_only.present_tables(connection)) == set(append_only.APPEND_ONLY_TABLES)
    assert append_only.missing_triggers(connection) == []


def test_a_dropped_trigger_is_named(db):
    append_only.drop_triggers(connection)
    try:
        missing = append_only.missing_triggers(connection)
        assert any("portfolio_fill" in name for name in missing)
    finally:
        append_only.install_triggers(connection)
    assert append_only.missing_triggers(connection) == []


@pytest.mark.django_db(transaction=True)
def test_altering_a_listed_table_leaves_the_triggers_alive_after_migrate():
    """SQLite remakes the table for it and drops the triggers; what follows every migrate restores them."""
    field = ReplayAnchor._meta.get_field("reason")
    wider = models.CharField(max_length=220)
    wider.set_attributes_from_name("reason")
    wider.model = ReplayAnchor
    with connection.schema_editor() as editor:
        editor.alter_field(ReplayAnchor, field, wider)
    config = apps.get_app_config("brokers")
    models.signals.post_migrate.send(
        sender=config, app_config=config, using="default", verbosity=0, interactive=False, plan=[], apps=apps
    )
    try:
        assert append_only.missing_triggers(connection) == []
    finally:
        with connection.schema_editor() as editor:
            editor.alter_field(ReplayAnchor, wider, field)
        append_only.install_triggers(connection)


def test_the_keys_of_the_replace_trigger_are_columns(db):
    for table, keys in append_only.UNIQUE_KEYS.items():
        with connection.cursor() as cursor:
            columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
        assert all(name in columns for key in keys for name in key), table


def test_a_unique_key_taken_twice_is_an_error_too(anchor):
    with pytest.raises(DatabaseError), transaction.atomic():
        ReplayAnchor.objects.create(
            number=900, anchor_real=AT, anchor_virtual=AT, speed=1, market_identity="test", reason="again"
        )
