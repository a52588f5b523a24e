"""A row of bob's cannot hang on a row of alice's, whatever the code above forgets."""

import pytest
from django.db import IntegrityError, connection, transaction

from portfolio import owner_keys
from portfolio.models import Lot, Portfolio, Position, RiskLimits, Snapshot


def check_now() -> None:
    """PostgreSQL checks at commit; the test asks for it at once."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_every_link_between_owned_rows_is_guarded(db):
    assert len(owner_keys.links()) > 15
    assert owner_keys.absent(connection) == []


def test_a_row_on_anothers_portfolio_is_refused(desk, bob):
    with pytest.raises(IntegrityError), transaction.atomic():
        Position.objects.create(user=bob, portfolio=desk, instrument_id=1)
        check_now()
    assert Position.objects.count() == 0


def test_moving_a_row_to_anothers_portfolio_is_refused(desk, other_desk):
    with pytest.raises(IntegrityError), transaction.atomic():
        RiskLimits.objects.filter(portfolio=desk).update(user_id=other_desk.user_id)
        check_now()
    assert RiskLimits.objects.get(portfolio=desk).user_id == desk.user_id


def test_changing_the_owner_of_a_portfolio_strands_nothing(desk, bob):
    """What hangs on it holds it: on PostgreSQL by the key, on SQLite the rows below still name their owner."""
    if connection.vendor == "postgresql":
        with pytest.raises(IntegrityError), transaction.atomic():
            Portfolio.objects.filter(pk=desk.pk).update(user_id=bob.pk)
            check_now()
    assert not RiskLimits.objects.for_user(bob).exists()


def test_own_rows_pass(desk, place):
    place(desk)
    assert Lot.objects.for_user(desk.user).count() == 1
    assert Snapshot.objects.for_user(desk.user).count() == 0
