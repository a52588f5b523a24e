"""
A row may only hang on rows of its own user: the database itself refuses the rest.

An ordinary foreign key accepts another user's row. PostgreSQL gets a second key over (user, parent) beside
each; SQLite, which cannot add one to a table, gets triggers. Both follow from the models and are restored
after every migrate, because a remade table loses its triggers in silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from portfolio.ownership import UserOwned

REFUSAL = "This row and the one it belongs to have different owners."


@dataclass(frozen=True, slots=True)
class OwnedLink:
    """A foreign key from one owned table to another."""

    table: str
    column: str
    parent: str

    @property
    def name(self) -> str:
        return f"{self.table}_{self.column}_owner"


def links() -> list[OwnedLink]:
    """Every foreign key between owned models, in a fixed order."""
    found = [
        OwnedLink(model._meta.db_table, field.column, field.related_model._meta.db_table)
        for model in apps.get_models()
        if issubclass(model, UserOwned)
        for field in model._meta.fields
        if isinstance(field, models.ForeignKey) and issubclass(field.related_model, UserOwned)
    ]
    return sorted(found, key=lambda link: link.name)


def install(connection: Any) -> None:
    """Create what is missing; what is there already stays."""
    missing = set(absent(connection))
    with connection.cursor() as cursor:
        for link in links():
            for name, statement in statements(connection.vendor, link):
                if name in missing:
                    missing.discard(name)  # several links share their parent's index
                    cursor.execute(statement)


def absent(connection: Any) -> list[str]:
    """Name every key or trigger that should guard a link and does not."""
    present = existing(connection)
    wanted = dict.fromkeys(name for link in links() for name, _ in statements(connection.vendor, link))
    return [name for name in wanted if name not in present]


def existing(connection: Any) -> set[str]:
    sql = (
        "SELECT conname FROM pg_constraint UNION SELECT indexname FROM pg_indexes"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {row[0] for row in cursor.fetchall()}


def statements(vendor: str, link: OwnedLink) -> Iterator[tuple[str, str]]:
    """Yield (name, statement) in the order they must run; identifiers come from the models alone."""
    if vendor == "postgresql":
        yield (
            f"{link.parent}_owner",
            f'CREATE UNIQUE INDEX "{link.parent}_owner" ON "{link.parent}" (user_id, id)',
        )
        yield (
            link.name,
            f'ALTER TABLE "{link.table}" ADD CONSTRAINT "{link.name}" FOREIGN KEY (user_id, "{link.column}") '
            f'REFERENCES "{link.parent}" (user_id, id) DEFERRABLE INITIALLY DEFERRED',
        )
        return
    foreign = (
        f'NEW."{link.column}" IS NOT NULL AND NEW.user_id IS NOT '
        f'(SELECT user_id FROM "{link.parent}" WHERE id = NEW."{link.column}")'
    )
    for act, clause in (("insert", "INSERT"), ("update", f'UPDATE OF "{link.column}", user_id')):
        yield (
            f"{link.name}_{act}",
            f'CREATE TRIGGER "{link.name}_{act}" BEFORE {clause} ON "{link.table}" '
            f"WHEN {foreign} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
        )
