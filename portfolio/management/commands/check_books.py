"""Prove every identity of the books, and name the first difference."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from brokers.market_data import clock
from portfolio import books, orders, venue_check
from portfolio.findings import Findings
from portfolio.models import Portfolio

SHOWN = 20


class Command(BaseCommand):
    help = "Check that postings balance, positions equal lots and ledger, fills and journal agree."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", type=int, help="Only this portfolio, by its number.")
        parser.add_argument(
            "--venue",
            action="store_true",
            help="Bring in what the venues report until now, then compare cash, holdings and working orders with them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = Portfolio.objects.order_by("pk")
        if options["portfolio"] is not None:
            rows = rows.filter(pk=options["portfolio"])
            if not rows:
                raise CommandError(f"There is no portfolio {options['portfolio']}.")
        found = books.check(list(rows))
        if options["venue"]:
            found.add(against_venues(rows.filter(archived_at__isnull=True)))
        for name, count in found.compared.items():
            self.stdout.write(f"{count:>9,}  {name}")
        if not found.differences:
            self.stdout.write(self.style.SUCCESS(f"Books of {found.portfolios} portfolios are clean."))
            return
        self.stdout.write(self.style.ERROR(f"First difference: {found.differences[0]}"))
        for difference in found.differences[1:SHOWN]:
            self.stdout.write(str(difference))
        self.stdout.write(f"{len(found.differences)} differences in all.")
        sys.exit(1)


def against_venues(rows: QuerySet[Portfolio]) -> Findings:
    """Compare with the venues; what differs is compared once more, in case somebody traded in between."""
    now = clock.now()
    orders.sync(list(rows), now=now)
    found = venue_check.check(list(rows), now=now)
    if not found.differences:
        return found
    now = clock.now()
    orders.sync(list(rows), now=now)
    return venue_check.check(list(rows), now=now)
