"""Verify every hash chain of the journal and every anchor of it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from brokers.market_data import clock
from portfolio import anchors, books
from portfolio.models import JournalHead


class Command(BaseCommand):
    help = "Replay the journal chains and compare them with their signed anchors."

    def handle(self, *args: Any, **options: Any) -> None:
        found = books.Findings()
        with books.one_view():
            for user_id in JournalHead.objects.values_list("user_id", flat=True):
                books.check_chain(user_id, found)
        faults = [str(difference) for difference in found.differences] + anchors.faults()
        for fault in faults:
            self.stdout.write(self.style.ERROR(fault))
        if faults:
            sys.exit(1)
        fresh = anchors.write(now=clock.now())
        self.stdout.write(
            self.style.SUCCESS(f"{found.compared['journal chain']} chains are unbroken; {fresh} anchored now.")
        )
