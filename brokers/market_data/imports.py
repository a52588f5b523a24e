"""
Bring a file of bars into the database: streaming, in chunks, repeatable, one sentence for each refused line.

The file is read twice: once to find which company each ticker's bars belong to and what happened to it, once
to store them. A run that broke off goes on after its last complete chunk.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from brokers import money
from brokers.enums import CorporateActionKind, ImportState, Timeframe
from brokers.market_data import calendar, import_listings, sources
from brokers.market_data.import_histories import DerivedEvent, Listing, Point, listings, merged
from brokers.market_data.import_listings import Companies
from brokers.market_data.import_rows import BarFile, FileRefused, Line, Row, RowRefused
from brokers.market_data.sources import to_date, to_ordinal
from brokers.models import CorporateAction, ImportRowError, ImportRun

__all__ = ["CHUNK_ROWS", "FileRefused", "ImportStopped", "import_bars"]

CHUNK_ROWS = 5_000
ROW_ERRORS_MAX = 100_000
SOURCE_LENGTH_MAX = 40
_MESSAGE_LENGTH_MAX = 300
_VALUE_LENGTH_MAX = 200
_PRICE_COLUMNS = ("open", "high", "low", "close", "volume")


class ImportStopped(Exception):
    """The import ended early; complete chunks stay, and the next run of the same file goes on from there."""


def import_bars(
    path: Path,
    *,
    timeframe: Timeframe = Timeframe.DAY,
    source: str = "import",
    overwrite: bool = False,
    dry_run: bool = False,
    file_name: str = "",
    report: Callable[[ImportRun], None] = lambda run: None,
) -> ImportRun:
    """
    Import a file of daily or minute bars and return its finished run.

    Bars equal to stored ones count as unchanged. A different value is refused, or with `overwrite` replaced;
    either way a line error keeps the old value. `report` is called after every chunk. A `dry_run` counts and
    lists errors and stores nothing else. Raises `FileRefused` before anything is written, `ImportStopped`
    when the run was canceled or the database refused.
    """
    if not 0 < len(source) <= SOURCE_LENGTH_MAX:
        raise FileRefused(f"The source name must have 1 to {SOURCE_LENGTH_MAX} characters.")
    if source == sources.SYNTHETIC:
        raise FileRefused(f"The source name {source} is kept for the invented market; choose another one.")
    file = BarFile(path, timeframe=timeframe)
    run = _open_run(file, timeframe, source, dry_run, file_name or path.name)
    survey = _survey(file)
    companies = import_listings.resolve(survey.listings, dry_run=dry_run)
    work = _Work(run=run, file=file, companies=companies, overwrite=overwrite, report=report)
    try:
        work.store_chunks()
        _finish(run, _store_events(run, survey, companies))
    except DatabaseError as error:
        raise _stopped(run, ImportState.FAILED, f"The database refused: {_first_line(error)}") from error
    report(run)
    return run


def _open_run(file: BarFile, timeframe: Timeframe, source: str, dry_run: bool, file_name: str) -> ImportRun:
    """Return the run to go on with, when the same file was left unfinished, or a new one."""
    same = ImportRun.objects.filter(
        kind="bars", sha256=file.sha256, timeframe=timeframe, source=source, is_dry_run=False
    )
    earlier = same.order_by("-pk").first()
    if earlier is None or earlier.state == ImportState.DONE or dry_run:
        return ImportRun.objects.create(
            file_name=file_name[:200],
            sha256=file.sha256,
            timeframe=timeframe,
            source=source,
            is_dry_run=dry_run,
        )
    earlier.state, earlier.error, earlier.finished_at = ImportState.RUNNING, "", None
    earlier.cancel_requested = False
    earlier.save(update_fields=["state", "error", "finished_at", "cancel_requested"])
    return earlier


def _finish(run: ImportRun, events_inserted: int) -> None:
    run.state, run.events_inserted = ImportState.DONE, run.events_inserted + events_inserted
    run.finished_at = Now()
    run.save(update_fields=["state", "events_inserted", "finished_at"])
    run.refresh_from_db()


def _stopped(run: ImportRun, state: ImportState, sentence: str) -> ImportStopped:
    ImportRun.objects.filter(pk=run.pk).update(state=state, error=sentence, finished_at=Now())
    run.refresh_from_db()
    return ImportStopped(f"{sentence} {run.rows_read:,} rows are done; import the same file again to go on.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# ------------------------------------------------------------------ first reading: histories and events


@dataclass(slots=True)
class _Survey:
    """What the whole file says about each ticker."""

    listings: dict[str, list[Listing]]
    announced: dict[str, list[DerivedEvent]]


def _survey(file: BarFile) -> _Survey:
    points: dict[str, list[Point]] = defaultdict(list)
    announced: dict[str, list[DerivedEvent]] = defaultdict(list)
    for line in file.lines():
        if line.row is not None:
            row, ordinal = line.row, to_ordinal(line.row.session_date)
            points[row.symbol].append(Point(ordinal, row.close, row.adj_close or 0, row.split))
            announced[row.symbol] += _announced(row, ordinal)
    is_daily = file.timeframe is Timeframe.DAY
    derive = is_daily and not {"dividend", "split_ratio"} & file.columns.keys()
    numbers = _session_numbers()
    found = {}
    for symbol, stored in import_listings.stored_points(points.keys()).items():
        known = merged(points[symbol], stored) if is_daily else stored.values()
        found[symbol] = listings(known, session_numbers=numbers, derive=derive)
        if not found[symbol]:
            first, last = min(points[symbol]).ordinal, max(points[symbol]).ordinal
            found[symbol] = [Listing(first, last)]
    return _Survey(found, announced)


def _session_numbers() -> dict[int, int]:
    ordinals, _, _ = calendar.session_arrays()
    return {int(ordinal) - _UNIX_EPOCH: number for number, ordinal in enumerate(ordinals)}


_UNIX_EPOCH = datetime.date(1970, 1, 1).toordinal()


def _announced(row: Row, ordinal: int) -> Iterator[DerivedEvent]:
    """Yield what the file's own event columns say of a day."""
    if row.split != 1:
        to, old = row.split.as_integer_ratio()
        yield DerivedEvent(ordinal=ordinal, kind=CorporateActionKind.SPLIT, ratio_from=old, ratio_to=to)
    if row.dividend:
        yield DerivedEvent(ordinal=ordinal, kind=CorporateActionKind.DIVIDEND, cash_units=row.dividend)


def _store_events(run: ImportRun, survey: _Survey, companies: Companies) -> int:
    """Store what is new of the events; one of the same company, kind and day is known already."""
    wanted: dict[tuple[int, str, datetime.date], CorporateAction] = {}
    for symbol, found in survey.listings.items():
        for event in itertools.chain(*(each.events for each in found), survey.announced.get(symbol, ())):
            instrument_id = companies.instrument_id(symbol, event.ordinal)
            action = _action(run, symbol, instrument_id, event)
            wanted.setdefault((instrument_id, action.kind, action.ex_date), action)
    if run.is_dry_run:
        return len(wanted)
    with transaction.atomic():
        known = set(
            CorporateAction.objects.filter(instrument__in={key[0] for key in wanted})
            .exclude(source=sources.SYNTHETIC)
            .values_list("instrument_id", "kind", "ex_date")
        )
        new = [action for key, action in wanted.items() if key not in known]
        CorporateAction.objects.bulk_create(new, batch_size=CHUNK_ROWS, ignore_conflicts=True)
    return len(new)


def _action(run: ImportRun, symbol: str, instrument_id: int, event: DerivedEvent) -> CorporateAction:
    terms = f"{event.ratio_from}:{event.ratio_to}:{event.cash_units}:{event.step}"
    name = f"{event.kind}|{symbol}|{event.ordinal}|{terms}"
    is_dividend = event.kind is CorporateActionKind.DIVIDEND
    return CorporateAction(
        source=run.source,
        event_id=hashlib.sha256(name.encode()).hexdigest()[:40],
        instrument_id=instrument_id,
        kind=event.kind.value,
        ex_date=to_date(event.ordinal),
        ratio_from=event.ratio_from,
        ratio_to=event.ratio_to,
        cash_per_share=money.money_value(event.cash_units) if is_dividend else None,
        step=event.step,
    )


# ------------------------------------------------------------------ second reading: rows


@dataclass(slots=True)
class _Counts:
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: list[ImportRowError] = field(default_factory=list)
    refused: int = 0


@dataclass(slots=True, kw_only=True)
class _Work:
    """The second reading: chunk by chunk, each in a transaction of its own together with its progress."""

    run: ImportRun
    file: BarFile
    companies: Companies
    overwrite: bool
    report: Callable[[ImportRun], None]

    def store_chunks(self) -> None:
        lines = itertools.islice(self.file.lines(), self.run.rows_read, None)
        while chunk := list(itertools.islice(lines, CHUNK_ROWS)):
            with transaction.atomic():
                self._store(chunk)
            self.run.refresh_from_db()
            self.report(self.run)
            if self.run.cancel_requested:
                raise _stopped(self.run, ImportState.CANCELED, "The import was canceled.")
            if self.run.rows_failed > ROW_ERRORS_MAX:
                raise _stopped(self.run, ImportState.FAILED, f"More than {ROW_ERRORS_MAX:,} lines were refused.")

    def _store(self, chunk: Sequence[Line]) -> None:
        counts = _Counts()
        inserts, updates = self._compare(chunk, counts)
        if not self.run.is_dry_run:
            _insert_bars(inserts, self.run)
            _update_bars(updates, self.run)
        ImportRowError.objects.bulk_create(counts.errors, batch_size=CHUNK_ROWS)
        self._record_progress(len(chunk), counts)

    def _compare(self, chunk: Sequence[Line], counts: _Counts) -> tuple[dict[_Key, Row], dict[_Key, Row]]:
        """Sort a chunk's lines into new, changed and unchanged bars; the rest becomes line errors."""
        placed = [(line, self._key(line.row)) for line in chunk if line.row is not None]
        known = _stored_bars({key for _, key in placed}, self.run.timeframe)
        inserts: dict[_Key, Row] = {}
        updates: dict[_Key, Row] = {}
        for line in chunk:
            if line.refusal is not None:
                counts.refused += 1
                counts.errors.append(self._error(line.number, line.refusal))
        for line, key in placed:
            values, old = line.row[3:8], known.get(key)
            if old is None:
                inserts[key] = line.row
                counts.inserted += 1
            elif old == values:
                counts.unchanged += 1
                continue
            else:
                counts.errors.append(self._changed(line, old))
                if not self.overwrite:
                    counts.refused += 1
                    continue
                counts.updated += 1
                (inserts if key in inserts else updates)[key] = line.row
            known[key] = values
        return inserts, updates

    def _key(self, row: Row) -> _Key:
        return self.companies.instrument_id(row.symbol, to_ordinal(row.session_date)), row.at

    def _changed(self, line: Line, old: tuple[int, ...]) -> ImportRowError:
        """Keep the old value of the first column that differs."""
        new = line.row[3:8]
        number = next(number for number in range(len(new)) if new[number] != old[number])
        column, before, after = _PRICE_COLUMNS[number], old[number], new[number]
        if column != "volume":
            before, after = f"{money.money_value(before):f}", f"{money.money_value(after):f}"
        verb = "was replaced by" if self.overwrite else "is kept; with --overwrite it becomes"
        message = f"{line.row.symbol} {line.row.at:%Y-%m-%d %H:%M}: the stored {column} {before} {verb} {after}."
        return self._error(line.number, RowRefused(message, column=column, value=str(before)))

    def _error(self, number: int, refusal: RowRefused) -> ImportRowError:
        return ImportRowError(
            run=self.run,
            line=number,
            column=refusal.column[:40],
            value=refusal.value[:_VALUE_LENGTH_MAX],
            message=refusal.message[:_MESSAGE_LENGTH_MAX],
        )

    def _record_progress(self, rows: int, counts: _Counts) -> None:
        """Move the run on, unless another process is importing it too."""
        moved = ImportRun.objects.filter(
            pk=self.run.pk, rows_read=self.run.rows_read, state=ImportState.RUNNING
        ).update(
            rows_read=F("rows_read") + rows,
            rows_inserted=F("rows_inserted") + counts.inserted,
            rows_updated=F("rows_updated") + counts.updated,
            rows_unchanged=F("rows_unchanged") + counts.unchanged,
            rows_failed=F("rows_failed") + counts.refused,
        )
        if not moved:
            raise ImportStopped("Another process is importing the same file; this one stops.")


# ------------------------------------------------------------------ bars, as raw integers

# Thousands of rows at once go around the ORM: Decimals of six columns would take most of the time.
_Key = tuple[int, datetime.datetime]
_INSERT = (
    "INSERT INTO brokers_bar (instrument_id, timeframe, at, session_date, open, high, low, close, volume, "
    "source, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, CURRENT_TIMESTAMP)"
)
_UPDATE = (
    "UPDATE brokers_bar SET open = %s, high = %s, low = %s, close = %s, volume = %s, source = %s "
    "WHERE instrument_id = %s AND timeframe = %s AND at = %s"
)


def _stored_bars(keys: set[_Key], timeframe: str) -> dict[_Key, tuple[int, ...]]:
    """Return the stored values of these bars, read as the one range of times that holds them all."""
    if not keys:
        return {}
    identifiers = sorted({instrument_id for instrument_id, _ in keys})
    places = ", ".join(["%s"] * len(identifiers))
    first, last = (_db_time(edge(at for _, at in keys)) for edge in (min, max))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT instrument_id, at, open, high, low, close, volume FROM brokers_bar "
            f"WHERE timeframe = %s AND at BETWEEN %s AND %s AND instrument_id IN ({places})",
            [timeframe, first, last, *identifiers],
        )
        rows = cursor.fetchall()
    return {(row[0], _aware(row[1])): tuple(row[2:]) for row in rows}


def _insert_bars(bars: Mapping[_Key, Row], run: ImportRun) -> None:
    _execute_many(
        _INSERT,
        (
            (key[0], run.timeframe, _db_time(row.at), _db_date(row.session_date), *row[3:8], run.source)
            for key, row in bars.items()
        ),
    )


def _update_bars(bars: Mapping[_Key, Row], run: ImportRun) -> None:
    _execute_many(
        _UPDATE,
        ((*row[3:8], run.source, key[0], run.timeframe, _db_time(row.at)) for key, row in bars.items()),
    )


def _execute_many(statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    values = list(rows)
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(statement, values)


def _db_time(at: datetime.datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)


def _db_date(day: datetime.date) -> Any:
    return connection.ops.adapt_datefield_value(day)


def _aware(at: datetime.datetime) -> datetime.datetime:
    """Give SQLite's times, stored without a zone, the zone they are stored in."""
    return at.replace(tzinfo=datetime.UTC) if at.tzinfo is None else at
