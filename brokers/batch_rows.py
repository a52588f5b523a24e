"""
Insert and update thousands of rows with one statement: the ORM's bulk calls cost more than the rows.

PostgreSQL takes whole columns (`unnest`), SQLite one prepared statement many times (`executemany`). Identifiers
in the SQL come from the models, never from input.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connections, models, router, transaction

from brokers import money
from brokers.fixed_point import FixedPointField

Convert = Callable[[Any], Any]


class RowsChanged(RuntimeError):
    """Some rows were no longer as they were read; the transaction must not stand."""


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model that have no key yet; it is set afterwards, in their order."""
    if not rows:
        return
    model = type(rows[0])
    fields = model._meta.concrete_fields
    connection = connections[router.db_for_write(model)]
    fill_in(rows, fields)
    with transaction.atomic(using=connection.alias, savepoint=False):
        keys = reserve_keys(model, len(rows), connection)
        for row, key in zip(rows, keys, strict=True):
            row.pk = key
        columns = [values_of(rows, field, connection) for field in fields]
        insert_columns(model, fields, columns, connection)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def insert_units(model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sequence[int]:
    """
    Insert plain tuples, one value for each column in `names`, and return the keys they got, in their order.

    Fixed-point columns take raw units; a relation takes the key under its column's name (`fill_id`). Names left
    out must have a time of creation or the model's default. Making objects of rows that nobody reads again
    costs more than writing them.
    """
    if not rows:
        return ()
    connection = connections[router.db_for_write(model)]
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    given = [by_name.pop(name) for name in names]
    rest = [field for field in by_name.values() if not field.primary_key]
    columns = converted(given, rows, connection)
    columns += [[converter(field, connection)(first_value(model, field))] * len(rows) for field in rest]
    with transaction.atomic(using=connection.alias, savepoint=False):
        keys = reserve_keys(model, len(rows), connection)
        insert_columns(model, [model._meta.pk, *given, *rest], [keys, *columns], connection)
    return keys


def update_rows(rows: Sequence[models.Model], fields: Sequence[str], *, guard: str | None = "version") -> None:
    """
    Write `fields` of every row by primary key, all rows of one model, none twice.

    With a `guard` column the row must still carry the value it was read with; the guard rises by one, in the
    row and in memory. Raises RowsChanged when any row did not match; the transaction must then roll back.
    """
    if not rows:
        return
    model = type(rows[0])
    connection = connections[router.db_for_write(model)]
    written = [model._meta.get_field(name) for name in (*fields, model._meta.pk.name, *([guard] if guard else []))]
    columns = [values_of(rows, field, connection) for field in written]
    update_columns(model, written[: len(fields)], guard, columns, connection)
    if guard:
        for row in rows:
            setattr(row, guard, getattr(row, guard) + 1)


def update_units(model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """
    Write the columns `names` from plain tuples that end with the row's key, none twice.

    Values are as for `insert_units`. Raises RowsChanged when a row is gone; the transaction must then roll back.
    """
    if not rows:
        return
    connection = connections[router.db_for_write(model)]
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = [*(by_name[name] for name in names), model._meta.pk]
    columns = converted(fields, rows, connection)
    update_columns(model, fields[:-1], None, columns, connection)


def keys_of_pairs(
    model: type[models.Model], names: tuple[str, str], pairs: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], int]:
    """
    Return the key of the row for each (number, text) pair that the table holds, one look a pair.

    `x IN (…) AND y IN (…)` would look for every combination of the two lists.
    """
    if not pairs:
        return {}
    connection = connections[router.db_for_read(model)]
    number, text = (model._meta.get_field(name).column for name in names)
    on = f'kept."{number}" = given.number AND kept."{text}" = given.text'
    columns = f'given.number, given.text, kept."{model._meta.pk.column}"'
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sql = (
                f"SELECT {columns} FROM unnest(%s::bigint[], %s::text[]) AS given(number, text) "
                f'JOIN "{model._meta.db_table}" AS kept ON {on}'
            )
            cursor.execute(sql, [array_text(values) for values in zip(*pairs, strict=True)])
        else:
            # CROSS JOIN keeps this order: each pair is looked up in the table's index.
            sql = (
                f"SELECT {columns} FROM (SELECT value ->> 0 AS number, value ->> 1 AS text FROM json_each(%s)) "
                f'AS given CROSS JOIN "{model._meta.db_table}" AS kept ON {on}'
            )
            cursor.execute(sql, [json.dumps(pairs)])
        return {(number, text): key for number, text, key in cursor.fetchall()}


# Statements --------------------------------------------------------------------------------------------


def insert_columns(
    model: type[models.Model], fields: Sequence[Any], columns: Sequence[Sequence[Any]], connection: Any
) -> None:
    names = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sql = f'INSERT INTO "{model._meta.db_table}" ({names}) {as_table(fields, connection)}'
            cursor.execute(sql, [array_text(column) for column in columns])
            return
        places = ", ".join(["%s"] * len(fields))
        sql = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({places})'
        cursor.executemany(sql, list(zip(*columns, strict=True)))


def update_columns(
    model: type[models.Model],
    fields: Sequence[Any],
    guard: str | None,
    columns: Sequence[Sequence[Any]],
    connection: Any,
) -> None:
    """Write columns, the last of them the keys and, with a guard, its values as they were read."""
    count = len(columns[0])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(update_from_columns(model, fields, guard, connection), list(map(array_text, columns)))
        else:
            cursor.executemany(update_one(model, fields, guard), list(zip(*columns, strict=True)))
        if cursor.rowcount != count:
            raise RowsChanged(f"{count - cursor.rowcount} of {count} {model.__name__} rows had changed.")


def update_one(model: type[models.Model], fields: Sequence[Any], guard: str | None) -> str:
    assignments = [f'"{field.column}" = %s' for field in fields]
    where = f'"{model._meta.pk.column}" = %s'
    if guard:
        assignments.append(f'"{guard}" = "{guard}" + 1')
        where += f' AND "{guard}" = %s'
    return f'UPDATE "{model._meta.db_table}" SET {", ".join(assignments)} WHERE {where}'


def update_from_columns(model: type[models.Model], fields: Sequence[Any], guard: str | None, connection: Any) -> str:
    keys = [model._meta.pk, *([model._meta.get_field(guard)] if guard else [])]
    assignments = [f'"{field.column}" = given."{field.column}"' for field in fields]
    where = " AND ".join(f'kept."{field.column}" = given."{field.column}"' for field in keys)
    if guard:
        assignments.append(f'"{guard}" = kept."{guard}" + 1')
    return (
        f'UPDATE "{model._meta.db_table}" AS kept SET {", ".join(assignments)} '
        f"FROM ({as_table([*fields, *keys], connection)}) AS given WHERE {where}"
    )


def as_table(fields: Sequence[Any], connection: Any) -> str:
    """Return a SELECT over arrays, one array parameter for each field."""
    kinds = [array_kind(field, connection) for field in fields]
    arrays = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for kind in kinds)
    names = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(
        f'"{field.column}"{"::jsonb" if kind == "jsonb" else ""}' for field, kind in zip(fields, kinds, strict=True)
    )
    return f"SELECT {values} FROM unnest({arrays}) AS rows({names})"


def array_kind(field: Any, connection: Any) -> str:
    """Return the type an array of this column has; texts without their length, which a cast would cut to."""
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return "text" if kind.startswith("varchar") else kind.partition("(")[0]


def reserve_keys(model: type[models.Model], count: int, connection: Any) -> Sequence[int]:
    """Take `count` fresh keys; on SQLite the transaction, IMMEDIATE, keeps every other writer out."""
    table, column = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
                [f'"{table}"', column, count],
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = %s), 0), "
            f'coalesce((SELECT max("{column}") FROM "{table}"), 0))',
            [table],
        )
        last = cursor.fetchone()[0]
        return range(last + 1, last + 1 + count)


# Values ------------------------------------------------------------------------------------------------


def fill_in(rows: Sequence[models.Model], fields: Iterable[Any]) -> None:
    """Set what saving would set: times of creation, and keys of related rows that were saved meanwhile."""
    for field in fields:
        if getattr(field, "auto_now_add", False):
            moment = field.pre_save(rows[0], add=True)  # one moment for the whole batch
            for row in rows:
                setattr(row, field.attname, moment)
        elif field.is_relation:
            for row in rows:
                if getattr(row, field.attname) is None and field.is_cached(row):
                    take_key(row, field)


def take_key(row: models.Model, field: Any) -> None:
    related = field.get_cached_value(row)
    if related is None:
        return
    if related.pk is None:
        raise ValueError(f"{type(row).__name__}.{field.name} must be saved before the row that names it.")
    setattr(row, field.attname, related.pk)


def array_text(values: Sequence[Any]) -> str:
    """Write a column as PostgreSQL's array literal; the driver's own takes five times as long."""
    return "{" + ",".join(["NULL" if value is None else element(value) for value in values]) + "}"


def element(value: Any) -> str:
    if type(value) is int or type(value) is bool:
        return str(value)
    text = value if type(value) is str else str(value)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def values_of(rows: Sequence[models.Model], field: Any, connection: Any) -> list[Any]:
    convert, name = converter(field, connection), field.attname
    return [convert(getattr(row, name)) for row in rows]


def converted(fields: Sequence[Any], rows: Sequence[Sequence[Any]], connection: Any) -> list[Sequence[Any]]:
    """Turn plain tuples into columns of parameters."""
    columns: list[Sequence[Any]] = []
    for field, values in zip(fields, zip(*rows, strict=True), strict=True):
        convert = converter(field, connection, takes_units=True)
        columns.append(values if convert is as_they_are else [convert(value) for value in values])
    return columns


def first_value(model: type[models.Model], field: Any) -> Any:
    """What saving a fresh row would write: its time of creation, or the column's default."""
    return field.pre_save(model(), add=True)


def converter(field: Any, connection: Any, *, takes_units: bool = False) -> Convert:
    """Return how a column's values become parameters: what the field itself would do, with short cuts."""
    if isinstance(field, FixedPointField):
        return as_they_are if takes_units else units_of(field.scale)
    if isinstance(field, models.JSONField):
        return json_text(field.encoder)
    slow = remembered(lambda value: field.get_db_prep_save(value, connection))
    if isinstance(field, models.DateTimeField):
        return as_they_are if connection.vendor == "postgresql" else slow
    if isinstance(field, models.CharField | models.TextField):
        return lambda value: value if type(value) is str else slow(value) if value is None else str(value)
    if isinstance(field, models.IntegerField | models.ForeignKey | models.BooleanField):
        return lambda value: value if value is None or type(value) in (int, bool) else slow(value)
    return lambda value: field.get_db_prep_save(value, connection)


def as_they_are(value: Any) -> Any:
    return value


@lru_cache(maxsize=10)
def units_of(scale: int) -> Convert:
    return lambda value: None if value is None else money.to_units(value, scale=scale)


def json_text(encoder: type[json.JSONEncoder] | None) -> Convert:
    encode = (encoder or json.JSONEncoder)().encode
    return lambda value: None if value is None else "{}" if value == {} else encode(value)


def remembered(convert: Convert) -> Convert:
    """Convert each value once: the rows of a batch share most of their times."""
    known: dict[datetime, Any] = {}

    def look_up(value: Any) -> Any:
        if value not in known:
            known[value] = convert(value)
        return known[value]

    return look_up
