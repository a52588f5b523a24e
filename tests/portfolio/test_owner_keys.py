"""A row of bob's cannot hang on a row of alice's, whatever the code above forgets."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from portfolio import owner_keys
from portfolio.models import Lot, Portfolio, Position, RiskLimits, Snapshot


def refused(change: Callable[[], object]) -> None:
    """PostgreSQL checks at commit; the test asks for it at once."""

    def do() -> None:
        with transaction.atomic():
            change()
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(IntegrityError):
        do()


def test_every_link_between_owned_rows_is_guarded(db):
    assert len(owner_keys.links()) > 15
    assert owner_keys.absent(connection) == []


def test_a_row_on_anothers_portfolio_is_refused(desk, bob):
    refused(lambda: Position.objects.create(user=bob, portfolio=desk, instrument_id=1))
    assert Position.objects.count() == 0


def test_moving_a_row_to_anothers_portfolio_is_refused(desk, other_desk):
    refused(lambda: RiskLimits.objects.filter(portfolio=desk).update(user_id=other_desk.user_id))
    assert RiskLimits.objects.get(portfolio=desk).user_id == desk.user_id


def test_changing_the_owner_of_a_portfolio_strands_nothing(desk, bob):
    """What hangs on it holds it: on PostgreSQL by the key, on SQLite the rows below still name their owner."""
    if connection.vendor == "postgresql":
        refused(lambda: Portfolio.objects.filter(pk=desk.pk).update(user_id=bob.pk))
    assert not RiskLimits.objects.for_user(bob).exists()


def test_own_rows_pass(desk, place):
    place(desk)
    assert Lot.objects.for_user(desk.user).count() == 1
    assert Snapshot.objects.for_user(desk.user).count() == 0
