from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.simulator import accounts

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def test_opening_twice_gives_one_account_with_one_deposit():
    first = accounts.open(event_id="a", cash=Decimal("1000"), seed=1, now=NOW)
    again = accounts.open(event_id="a", cash=Decimal("1000"), seed=1, now=NOW)
    assert first.pk == again.pk
    assert again.cash_units == 1_000_000_000
    assert first.activities.count() == 1
