"""Many rows in one statement: the same rows as saving one by one, on either engine; changed rows stop it all."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from brokers.batch_rows import (
    RowsChanged,
    array_text,
    insert_rows,
    insert_units,
    keys_of_pairs,
    update_rows,
    update_units,
)
from brokers.enums import InstrumentKind
from brokers.models import Instrument, LatestPrice, SimulatedAccount
from brokers.money import NotRepresentable

AT = datetime(2026, 11, 13, 16, 0, 0, 5, tzinfo=UTC)
AWKWARD = ["plain", "", "it's", 'say "no"', "back\\slash", "{1,2}", "NULL", "a,b", "line\nbreak", "Ünïcode €"]


@pytest.fixture
def shares(db) -> list[Instrument]:
    rows = [Instrument(symbol=f"S{n}", kind=InstrumentKind.EQUITY) for n in range(5)]
    insert_rows(rows)
    return rows


def price(share: Instrument, **changes: object) -> LatestPrice:
    return LatestPrice(**{"instrument": share, "source": "test:QUOTE", "updated_at": AT, **changes})


def account(number: int, **changes: object) -> SimulatedAccount:
    given = {"account_id": UUID(int=number), "seed": number, "matched_until": AT, "preset": "FRICTIONLESS"}
    return SimulatedAccount(**{**given, **changes})


# Inserting ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_inserted_rows_equal_rows_that_were_saved():
    def rows() -> list[Instrument]:
        return [
            Instrument(symbol="A", kind=InstrumentKind.EQUITY, listed_name='it\'s "A" \\ Ünïcode'),
            Instrument(symbol="B", kind=InstrumentKind.ETF, price_increment=Decimal("0.05"), leverage=-3),
            Instrument(symbol="C", kind=InstrumentKind.EQUITY, is_fractionable=True, first_date=AT.date()),
        ]

    columns = [field.attname for field in Instrument._meta.concrete_fields if field.attname not in ("id", "created_at")]
    saved = rows()
    for row in saved:
        row.save()
    one_by_one = list(Instrument.objects.order_by("pk").values_list(*columns))
    Instrument.objects.all().delete()
    inserted = rows()
    insert_rows(inserted)
    assert list(Instrument.objects.order_by("pk").values_list(*columns)) == one_by_one
    assert [row.pk for row in inserted] == list(Instrument.objects.order_by("pk").values_list("pk", flat=True))
    assert all(row.created_at is not None and not row._state.adding for row in inserted)


def test_json_times_and_money_come_back_as_they_went_in(shares):
    kept = {"text": 'a "b" \\ c', "list": [1, None, {"x": True}], "empty": {}}
    insert_rows([account(1, settings=kept), account(2, settings={}), account(3, settings=[])])
    assert list(SimulatedAccount.objects.order_by("seed").values_list("settings", "matched_until")) == [
        (kept, AT),
        ({}, AT),
        ([], AT),
    ]
    insert_rows([price(shares[0], last=Decimal("9223372036854.775807")), price(shares[1], last=Decimal("-0.000001"))])
    assert list(LatestPrice.objects.order_by("pk").values_list("last", "bid")) == [
        (Decimal("9223372036854.775807"), None),
        (Decimal("-0.000001"), None),
    ]


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.django_db
def test_any_text_survives(text):
    rows = [Instrument(symbol=f"T{n}", kind=InstrumentKind.EQUITY, listed_name=text) for n in range(2)]
    insert_rows(rows)
    assert set(Instrument.objects.values_list("listed_name", flat=True)) == {text}
    rows[0].sector = text
    update_rows(rows[:1], ["sector"], guard=None)
    assert Instrument.objects.get(pk=rows[0].pk).sector == text


def test_a_related_row_that_got_its_key_meanwhile_is_named(db):
    share = Instrument(symbol="LATE", kind=InstrumentKind.EQUITY)
    quote = price(share)
    insert_rows([share])
    insert_rows([quote])
    assert LatestPrice.objects.get().instrument_id == share.pk


def test_a_related_row_without_a_key_is_refused(db):
    with pytest.raises(ValueError, match=r"LatestPrice\.instrument must be saved before"):
        insert_rows([price(Instrument(symbol="NEVER", kind=InstrumentKind.EQUITY))])


def test_a_number_with_too_many_places_is_refused_not_rounded(shares):
    with pytest.raises(NotRepresentable), transaction.atomic():
        insert_rows([price(shares[0], last=Decimal("1.0000001"))])
    assert not LatestPrice.objects.exists()


def test_a_text_that_is_too_long_is_not_cut(shares):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no lengths.")
    shares[0].symbol = "X" * 41
    with pytest.raises(Exception, match="too long"), transaction.atomic():
        update_rows(shares[:1], ["symbol"], guard=None)


def test_a_broken_constraint_leaves_nothing(shares):
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows([Instrument(symbol=name, kind=InstrumentKind.EQUITY) for name in ("NEW", "S0")])
    assert not Instrument.objects.filter(symbol="NEW").exists()


def test_keys_go_on_after_rows_that_were_saved_or_deleted(shares):
    highest = Instrument.objects.create(symbol="ONE", kind=InstrumentKind.EQUITY)
    last = highest.pk
    highest.delete()
    row = Instrument(symbol="TWO", kind=InstrumentKind.EQUITY)
    insert_rows([row])
    assert row.pk > last
    assert Instrument.objects.create(symbol="THREE", kind=InstrumentKind.EQUITY).pk > row.pk


def test_plain_tuples_take_raw_units_and_the_models_defaults(shares):
    keys = insert_units(
        LatestPrice,
        ("instrument_id", "last", "source", "updated_at"),
        [(shares[0].pk, 1_500_000, "a", AT), (shares[1].pk, None, "b", AT)],
    )
    rows = LatestPrice.objects.in_bulk(keys)
    assert [rows[key].source for key in keys] == ["a", "b"]
    assert [rows[key].last for key in keys] == [Decimal("1.5"), None]
    assert [rows[key].quarantined_source for key in keys] == ["", ""]
    assert all(row.created_at is not None for row in rows.values())


def test_no_rows_cost_no_statement(db):
    with CaptureQueriesContext(connection) as queries:
        insert_rows([])
        update_rows([], ["symbol"])
        assert list(insert_units(Instrument, ("symbol",), [])) == []
        update_units(Instrument, ("symbol",), [])
        assert keys_of_pairs(Instrument, ("leverage", "symbol"), []) == {}
    assert len(queries) == 0


# Updating ----------------------------------------------------------------------------------------------


def test_each_row_gets_its_own_values_and_the_next_version(db):
    rows = [account(n) for n in range(3)]
    insert_rows(rows)
    for row in rows:
        row.cash_units, row.error = row.seed * 100, f"error {row.seed}"
    update_rows(rows, ["cash_units", "error"])
    assert [row.version for row in rows] == [1, 1, 1]
    assert list(SimulatedAccount.objects.order_by("seed").values_list("cash_units", "error", "version")) == [
        (0, "error 0", 1),
        (100, "error 1", 1),
        (200, "error 2", 1),
    ]


def test_a_row_that_changed_meanwhile_stops_the_whole_batch(db):
    rows = [account(n) for n in range(3)]
    insert_rows(rows)
    SimulatedAccount.objects.filter(pk=rows[1].pk).update(version=7)
    for row in rows:
        row.cash_units = 5
    with pytest.raises(RowsChanged, match="1 of 3 SimulatedAccount rows had changed"), transaction.atomic():
        update_rows(rows, ["cash_units"])
    assert set(SimulatedAccount.objects.values_list("cash_units", flat=True)) == {0}
    assert [row.version for row in rows] == [0, 0, 0]


def test_a_row_that_is_gone_stops_the_whole_batch(db):
    rows = [account(n) for n in range(2)]
    insert_rows(rows)
    SimulatedAccount.objects.filter(pk=rows[0].pk).delete()
    with pytest.raises(RowsChanged), transaction.atomic():
        update_rows(rows, ["error"], guard=None)
    with pytest.raises(RowsChanged), transaction.atomic():
        update_units(SimulatedAccount, ("cash_units",), [(1, row.pk) for row in rows])
    assert SimulatedAccount.objects.get().cash_units == 0


def test_plain_tuples_update_by_their_last_value(shares):
    keys = insert_units(
        LatestPrice, ("instrument_id", "last", "source", "updated_at"), [(each.pk, 0, "a", AT) for each in shares]
    )
    update_units(LatestPrice, ("last", "source"), [(number, f"s{number}", key) for number, key in enumerate(keys)])
    assert list(LatestPrice.objects.order_by("pk").values_list("last", "source")) == [
        (Decimal(number).scaleb(-6), f"s{number}") for number in range(5)
    ]


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.django_db
def test_any_number_of_rows_takes_two_statements_to_insert_and_one_to_update(count):
    rows = [account(n) for n in range(count)]
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        insert_rows(rows)
    assert len(queries) == 2  # reserve the keys, insert
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        update_rows(rows, ["error"])
    assert len(queries) == 1


# Looking up --------------------------------------------------------------------------------------------


def test_only_the_pairs_asked_for_are_found_not_their_combinations(db):
    rows = [account(n, error=f"e{n % 2}") for n in range(4)]
    insert_rows(rows)
    found = keys_of_pairs(SimulatedAccount, ("seed", "error"), [(0, "e0"), (1, "e0"), (1, "e1"), (9, 'x"\\')])
    assert found == {(0, "e0"): rows[0].pk, (1, "e1"): rows[1].pk}


def test_an_array_literal_quotes_what_must_be_quoted():
    assert array_text([1, None, -5]) == "{1,NULL,-5}"
    assert array_text(["a,b", "NULL", 'q"', "b\\s", ""]) == '{"a,b","NULL","q\\"","b\\\\s",""}'
    assert array_text([True, AT.date()]) == '{True,"2026-11-13"}'
