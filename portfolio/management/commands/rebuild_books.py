"""Replay fills and ledger, and compare the result with the kept book or put the book right."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portfolio import rebuild
from portfolio.models import Portfolio


class Command(BaseCommand):
    help = "Replay every fill and ledger transaction; lots, trades, positions and cash must come out the same."

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument("--compare", action="store_true", help="name every difference and change nothing")
        group.add_argument("--write", action="store_true", help="put the replayed values into the book")

    def handle(self, *args: Any, write: bool, **options: Any) -> None:
        count, found = 0, []
        for portfolio in Portfolio.objects.order_by("pk"):
            found += rebuild.write(portfolio) if write else rebuild.compare(portfolio)
            count += 1
        for difference in found:
            self.stdout.write(str(difference))
        if found and not write:
            sys.exit(1)
        done = f"{len(found)} values put right" if write else "every value equals its replay"
        self.stdout.write(self.style.SUCCESS(f"{count} portfolios replayed; {done}."))
