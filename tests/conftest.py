"""Two people, a member of staff, and a fixed moment in an open market."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import TransactionTestCase

from brokers import append_only
from brokers.market_data import clock
from brokers.models import FeeRate
from portfolio.models import User
from tests.trading_fixtures import desk, intent, listed, other_desk, place

__all__ = ["desk", "intent", "listed", "other_desk", "place"]
PASSWORD = "correct-horse-battery"


@pytest.fixture
def now() -> datetime:
    """Friday 2026-11-13, 11:00 in New York: the market is open."""
    return datetime(2026, 11, 13, 16, 0, tzinfo=UTC)


@pytest.fixture
def alice(db) -> User:
    return User.objects.create_user("alice@example.com", PASSWORD)


@pytest.fixture
def bob(db) -> User:
    return User.objects.create_user("bob@example.com", PASSWORD)


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)


@pytest.fixture(autouse=True)
def fresh_clock():
    """Begin every test like a new process: the anchors of another test's database are gone."""
    clock.forget()


@pytest.fixture(scope="session", autouse=True)
def flush_past_the_triggers():
    """Let transactional tests empty the append-only tables afterwards, and keep the rates a migration wrote."""
    original = TransactionTestCase._fixture_teardown

    def teardown(case: TransactionTestCase) -> None:
        rates = list(FeeRate.objects.all())
        append_only.drop_triggers(connection)
        try:
            original(case)
        finally:
            append_only.install_triggers(connection)
            FeeRate.objects.bulk_create(rates, ignore_conflicts=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield
