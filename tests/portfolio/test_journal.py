"""The chain: dense, hashed, one per user; an edit, a gap, a swap and a cut tail are found."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from portfolio import anchors, books, journal
from portfolio.journal import Fact
from portfolio.models import JournalEntry, JournalHead
from tests.tampering import tamper

AT = datetime(2026, 11, 13, 16, 0, 0, 5, tzinfo=UTC)


def fact(user, name="order.submitted", **data) -> Fact:
    return Fact(name=name, subject="order:1", user_id=user.pk if user else None, at=AT, actor="test", data=data)


def record(*facts: Fact) -> list[JournalEntry]:
    with transaction.atomic():
        return journal.record(facts)


def test_each_user_has_a_dense_chain_of_their_own(alice, bob):
    record(fact(alice), fact(bob), fact(alice))
    record(fact(bob), fact(alice))
    assert list(JournalEntry.objects.for_user(alice).values_list("sequence", flat=True).order_by("sequence")) == [
        1,
        2,
        3,
    ]
    assert list(JournalEntry.objects.for_user(bob).values_list("sequence", flat=True).order_by("sequence")) == [1, 2]


def test_the_desk_has_a_chain_without_a_user(db):
    record(fact(None, "login.failed"))
    record(fact(None, "login.failed"))
    assert JournalHead.objects.get(user=None).sequence == 2


def test_a_cause_is_the_number_of_the_fact_recorded_before_it(alice):
    first = fact(alice)
    second = replace(fact(alice, "order.filled"), cause=first)
    record(first, second)
    assert JournalEntry.objects.get(name="order.filled").cause == first.sequence == 1


def test_floats_are_refused(alice):
    with pytest.raises(TypeError):
        record(fact(alice, price=1.5))


def test_a_clean_chain_verifies_after_a_round_trip_through_the_database(alice):
    record(*[fact(alice, price=Decimal("1.50"), at=AT, nested={"b": 1, "a": None}) for _ in range(5)])
    assert journal.verify_chain(JournalEntry.objects.for_user(alice).order_by("sequence")) is None


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        (
            "UPDATE portfolio_journalentry SET actor = 'else' WHERE sequence = 2",
            "Entry 2 (order.submitted) was changed",
        ),
        ("DELETE FROM portfolio_journalentry WHERE sequence = 2", "Entry 2 is missing"),
        ("DELETE FROM portfolio_journalentry WHERE sequence = 1", "Entry 1 is missing"),
    ],
)
def test_tampering_is_named(alice, sql, sentence):
    record(*[fact(alice) for _ in range(4)])
    tamper(sql)
    assert sentence in journal.verify_chain(JournalEntry.objects.for_user(alice).order_by("sequence"))


def test_a_cut_off_tail_is_found_by_the_head_and_by_the_anchor(alice, settings, tmp_path):
    settings.DATA_FOLDER = tmp_path
    record(*[fact(alice) for _ in range(4)])
    assert anchors.write(now=AT) == 1
    assert anchors.write(now=AT) == 0  # nothing new to sign
    assert anchors.faults() == []
    tamper("DELETE FROM portfolio_journalentry WHERE sequence = 4")
    found = books.Findings()
    books.check_chain(alice.pk, found)
    assert [each.identity for each in found.differences] == ["journal head"]
    assert len(anchors.faults()) == 2  # the table's anchor and the file's line both say so


def test_an_anchor_signed_with_another_key_is_refused(alice, settings, tmp_path):
    settings.DATA_FOLDER = tmp_path
    record(fact(alice))
    anchors.write(now=AT)
    settings.ANCHOR_KEY = "eHl6" * 10 + "eHg="
    assert "not signed" in anchors.faults()[0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE portfolio_journalentry SET actor = 'else'",
        "DELETE FROM portfolio_journalentry",
    ],
)
def test_the_database_itself_refuses_change(alice, statement):
    record(fact(alice))
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert JournalEntry.objects.count() == 1


def test_a_torn_line_of_the_anchor_file_is_named(alice, settings, tmp_path):
    settings.DATA_FOLDER = tmp_path
    record(fact(alice))
    anchors.write(now=AT)
    with anchors.file_path().open("a") as file:
        file.write('{"user":1,"sequ')
    assert anchors.faults() == ["Line 2 of anchors.jsonl is not an anchor."]
