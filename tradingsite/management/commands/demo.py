"""Create a demo user with a paper portfolio and some lived history."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from brokers.market_data import clock
from portfolio.models import User
from tradingsite import lived_history

DEMO_EMAIL = "demo@paperdesk.local"


class Command(BaseCommand):
    help = "Create a demo user who has traded for three weeks in the replay market."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default=DEMO_EMAIL)
        parser.add_argument("--password", required=True)

    def handle(self, *args: Any, email: str, password: str, **options: Any) -> None:
        if not clock.is_replay():
            raise CommandError("The demo lives in the replay market; DESK_CLOCK is real.")
        if User.objects.filter(email=email.lower()).exists():
            raise CommandError(f"There is a user {email} already; nothing was changed.")
        with transaction.atomic():  # killed half-way it leaves nothing, and the next start begins again
            user = User.objects.create_superuser(email, password)
            portfolio = lived_history.live(user, until=clock.now(), say=self.stdout.write)
        self.stdout.write(f"{portfolio.name}: {portfolio.currency} {portfolio.cash:,.2f} in cash.")
