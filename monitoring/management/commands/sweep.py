"""Take one sweep by hand: settle overdue orders and half-done work."""

from typing import Any

from django.core.management.base import BaseCommand

from brokers.market_data import clock
from monitoring import sweep


class Command(BaseCommand):
    help = "Settle whatever is overdue, unknown or half done, once."

    def handle(self, *args: Any, **options: Any) -> None:
        record = sweep.run(now=clock.now())
        for error in record.errors:
            self.stderr.write(error)
        self.stdout.write("Sweep done." if record.is_good else "Sweep done, with the errors above.")
