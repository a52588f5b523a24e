"""Prove every identity of the books, and name the first difference."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portfolio import books
from portfolio.models import Portfolio

SHOWN = 20


class Command(BaseCommand):
    help = "Check that postings balance, positions equal lots and ledger, fills and journal agree."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", type=int, help="Only this portfolio, by its number.")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = Portfolio.objects.order_by("pk")
        if options["portfolio"] is not None:
            rows = rows.filter(pk=options["portfolio"])
            if not rows:
                raise CommandError(f"There is no portfolio {options['portfolio']}.")
        found = books.check(list(rows))
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
