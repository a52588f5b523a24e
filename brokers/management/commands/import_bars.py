"""Import a file of daily or minute bars."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Exists, OuterRef, QuerySet

from brokers.enums import Timeframe
from brokers.market_data import imports
from brokers.models import ImportRun, InstrumentAlias

ERRORS_SHOWN_MAX = 20


class Command(BaseCommand):
    help = "Import bars from a CSV file, gzip or plain; importing the same file again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="date,symbol,open,high,low,close,volume in any order")
        parser.add_argument("--period", choices=[each.value for each in Timeframe], default=Timeframe.DAY.value)
        parser.add_argument("--source", default="import", metavar="NAME", help="kept beside every bar")
        parser.add_argument("--dry-run", action="store_true", help="count and check, store no bar")
        parser.add_argument("--overwrite", action="store_true", help="replace stored values that differ")

    def handle(self, *args: Any, file: Path, period: str, **options: Any) -> None:
        try:
            run = imports.import_bars(
                file,
                timeframe=Timeframe(period),
                source=options["source"],
                overwrite=options["overwrite"],
                dry_run=options["dry_run"],
                report=self._show_progress,
            )
        except (imports.FileRefused, imports.ImportStopped) as error:
            raise CommandError(str(error)) from error
        self._show_result(run)

    def _show_progress(self, run: ImportRun) -> None:
        if run.state == "RUNNING":
            self.stdout.write(f"{run.rows_read:,} rows read, {run.rows_failed:,} refused …")
            self.stdout.flush()

    def _show_result(self, run: ImportRun) -> None:
        errors = run.row_errors.order_by("line", "pk")
        for error in errors[:ERRORS_SHOWN_MAX]:
            self.stdout.write(f"line {error.line}: {error.message}")
        if errors.count() > ERRORS_SHOWN_MAX:
            self.stdout.write(f"… and {errors.count() - ERRORS_SHOWN_MAX:,} more; the admin lists them all.")
        for alias in _other_companies(run):
            self.stdout.write(f"{alias.symbol} is taken for another company from {alias.first_date} on.")
        start = "Dry run, nothing stored: " if run.is_dry_run else ""
        self.stdout.write(
            f"{start}{run.rows_read:,} rows read: {run.rows_inserted:,} inserted, "
            f"{run.rows_updated:,} updated, {run.rows_unchanged:,} unchanged, {run.rows_failed:,} refused; "
            f"{run.events_inserted:,} corporate events added."
        )


def _other_companies(run: ImportRun) -> QuerySet[InstrumentAlias]:
    """Return the names that this run gave to a company after another one had borne them."""
    earlier = InstrumentAlias.objects.filter(symbol=OuterRef("symbol"), first_date__lt=OuterRef("first_date"))
    started = InstrumentAlias.objects.filter(Exists(earlier), created_at__gte=run.created_at)
    return started.order_by("symbol", "first_date")
