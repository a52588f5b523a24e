"""Decimals stay exact through the database, in rows, filters and sums."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F, Sum

from brokers import fixed_point
from brokers.fixed_point import MoneyField
from brokers.models import Instrument, LatestPrice
from brokers.money import NotRepresentable

AT = datetime(2026, 11, 13, 16, 0, tzinfo=UTC)


@pytest.fixture
def price(db) -> LatestPrice:
    instrument = Instrument.objects.create(symbol="AAA", kind="EQUITY")
    return LatestPrice.objects.create(instrument=instrument, last=Decimal("0.1"), source="test", updated_at=AT)


def test_a_decimal_comes_back_exactly(price):
    LatestPrice.objects.update(last=Decimal("123456789.123456"))
    price.refresh_from_db()
    assert price.last == Decimal("123456789.123456")


def test_three_tenths_are_three_tenths(price):
    for symbol in ("BBB", "CCC"):
        instrument = Instrument.objects.create(symbol=symbol, kind="EQUITY")
        LatestPrice.objects.create(instrument=instrument, last=Decimal("0.1"), source="test", updated_at=AT)
    assert LatestPrice.objects.aggregate(total=Sum("last"))["total"] == Decimal("0.3")


def test_filters_take_decimals(price):
    assert LatestPrice.objects.filter(last=Decimal("0.1")).exists()
    assert not LatestPrice.objects.filter(last__gt=Decimal("0.1")).exists()


def test_too_many_decimals_are_refused(price):
    price.last = Decimal("0.0000001")
    with pytest.raises(NotRepresentable):
        price.save()
    with pytest.raises(ValidationError):
        MoneyField().to_python("0.0000001")


def test_a_constant_in_an_expression_is_scaled(price):
    LatestPrice.objects.update(last=F("last") + fixed_point.value(1, scale=6))
    price.refresh_from_db()
    assert price.last == Decimal("1.1")
