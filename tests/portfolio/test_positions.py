"""Marks: the same exact product on every engine, set-wise and row by row, at a constant number of statements."""

import threading
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from brokers.enums import InstrumentKind, PriceSource
from brokers.market_data.prices import Price, PriceUnavailable
from brokers.models import Instrument
from brokers.money import money_value, notional, quantity_value
from portfolio import positions
from portfolio.models import Portfolio, Position

SAFE_PRICE = 9_200_000 * 10**6  # the SQLite form holds below a price of 9.2 million
SAFE_VALUE = 2**62


def price(share: Instrument, value: Decimal, now, **changes: object) -> Price:
    given = {
        "symbol": share.symbol,
        "instrument_id": share.pk,
        "value": value,
        "bid": None,
        "ask": None,
        "bid_size": 0,
        "ask_size": 0,
        "last": None,
        "source": PriceSource.QUOTE,
        "as_of": now,
        "age_seconds": Decimal(0),
        "is_stale": False,
        "is_previous_close": False,
    }
    return Price(**{**given, **changes})


@pytest.fixture
def shares(db) -> list[Instrument]:
    rows = [Instrument(symbol=f"S{n:02}", kind=InstrumentKind.EQUITY, multiplier=1) for n in range(12)]
    return Instrument.objects.bulk_create(rows)


@pytest.fixture
def portfolios(alice, now):
    def make(count: int) -> list[Portfolio]:
        return Portfolio.objects.bulk_create(
            [
                Portfolio(
                    user=alice,
                    name=f"P{n}",
                    account_id=f"a{n}",
                    initial_cash=0,
                    opened_at=now,
                    synced_until=now,
                )
                for n in range(count)
            ]
        )

    return make


def hold(portfolio: Portfolio, share: Instrument, quantity: Decimal, cost: Decimal = Decimal(0)) -> Position:
    return Position.objects.create(
        user_id=portfolio.user_id, portfolio=portfolio, instrument=share, quantity=quantity, cost=cost
    )


# The product -------------------------------------------------------------------------------------------


def random_pairs(count: int) -> list[tuple[int, int]]:
    """Price and quantity units of every size whose product fits into 64 bits, with ties and near ties."""
    draw = Random(7)
    pairs = []
    while len(pairs) < count:
        price_units = draw.randrange(1, 10 ** draw.randint(1, 12))
        quantity_units = draw.randrange(1, 10 ** draw.randint(1, 18)) * draw.choice((-1, 1))
        if len(pairs) % 5 == 0:
            quantity_units = quantity_units // 10**9 * 10**9 + 500_000_000  # x.5 of a share: ties
        if len(pairs) % 5 == 1:
            price_units = price_units * 10 + 3
            quantity_units = quantity_units // 10**9 * 10**9 + nearly_half(price_units)
        if price_units < SAFE_PRICE and quantity_units and abs(notional(price_units, quantity_units)) < SAFE_VALUE:
            pairs.append((price_units, quantity_units))
    return pairs


def nearly_half(price_units: int) -> int:
    """The quantity below one share whose value ends in 0.499999999 of a unit; the price ends in 3."""
    return 499_999_999 * pow(price_units, -1, 10**9) % 10**9


def product_on_this_engine(pairs: list[tuple[int, int]]) -> list[int]:
    """Ask the database for price x quantity with the very expression that marking uses."""
    is_postgresql = connection.vendor == "postgresql"
    form = positions.POSTGRESQL_VALUE if is_postgresql else positions.SQLITE_VALUE.replace("%%", "%")
    rows = ", ".join(f"({n}, {price}, {quantity})" for n, (price, quantity) in enumerate(pairs))
    kind = "bigint" if is_postgresql else "integer"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH given(n, price, quantity) AS (VALUES {rows}), "
            f"p AS (SELECT n, CAST(price AS {kind}) AS price, 1 AS multiplier FROM given), "
            f"q AS (SELECT n, CAST(quantity AS {kind}) AS quantity FROM given) "
            f"SELECT {form.strip()} FROM p JOIN q ON p.n = q.n ORDER BY p.n"
        )
        return [row[0] for row in cursor.fetchall()]


def test_thousands_of_random_products_agree_with_pythons_integers(db):
    pairs = random_pairs(5_000)
    assert sum(1 for _, quantity in pairs if quantity < 0) > 1_000
    assert sum(1 for price_units, quantity in pairs if price_units * abs(quantity) > 2**63) > 100
    assert product_on_this_engine(pairs) == [notional(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("price_units", "quantity_units", "value_units"),
    [
        (100_000_000, 1_000_000_000_000, 100_000_000_000),  # 100.00 x 1,000: 1e20 in raw units
        (1, 500_000_000, 1),  # half a millionth rounds away from zero
        (1, -500_000_000, -1),
        (1, 499_999_999, 0),
        (3, 500_000_000, 2),
        (9_199_999_999_999, 400_000_000_000, 3_679_999_999_999_600),  # the highest price of the SQLite form
        (9_199_999_999_999, -1, -9_200),
        (123_456_789, 1_000_000_001, 123_456_789),
        # 2418871982520.49998992: a quotient of sixteen digits would end in .500 and round up.
        (847_612_820, 2_853_746_339_656, 2_418_871_982_520),
        (847_612_820, -2_853_746_339_656, -2_418_871_982_520),
    ],
)
def test_products_worked_by_hand(db, price_units, quantity_units, value_units):
    assert product_on_this_engine([(price_units, quantity_units)]) == [value_units]
    assert notional(price_units, quantity_units) == value_units


# Marking -----------------------------------------------------------------------------------------------


def test_marks_equal_those_computed_row_by_row(shares, portfolios, now):
    draw = Random(11)
    found = {}
    for number, share in enumerate(shares):
        share.multiplier = 100 if number == 3 else 1
        share.save()
        found[share.symbol] = price(share, Decimal(draw.randint(1, 900_000_000)).scaleb(-6), now)
    rows = [
        hold(portfolio, share, quantity_value(draw.randint(-(10**13), 10**13) or 1), Decimal(draw.randint(-999, 999)))
        for portfolio in portfolios(7)
        for share in draw.sample(shares, 6)
    ]
    assert positions.mark(Portfolio.objects.all(), found, now=now) == []
    for row in rows:
        expected = found[row.instrument.symbol]
        worth = notional(int(expected.value.scaleb(6)), int(row.quantity.scaleb(9))) * row.instrument.multiplier
        row.refresh_from_db()
        assert (row.mark, row.mark_source, row.mark_as_of, row.mark_reason) == (expected.value, "QUOTE", now, "")
        assert row.market_value == money_value(worth)
        assert row.unrealized_pnl == money_value(worth) - row.cost


def test_only_the_given_portfolios_and_symbols_are_marked(shares, portfolios, now):
    mine, other = portfolios(2)
    marked, elsewhere = hold(mine, shares[0], Decimal(2)), hold(other, shares[0], Decimal(2))
    unasked, flat = hold(mine, shares[1], Decimal(2)), hold(mine, shares[2], Decimal(0))
    found = {share.symbol: price(share, Decimal(5), now) for share in (shares[0], shares[2])}
    positions.mark([mine], found, now=now)
    values = {row.pk: row.market_value for row in Position.objects.all()}
    assert values == {marked.pk: Decimal(10), elsewhere.pk: None, unasked.pk: None, flat.pk: None}


def test_a_holding_without_a_price_loses_its_mark_and_says_why(shares, portfolios, now):
    (mine,) = portfolios(1)
    held, other = hold(mine, shares[0], Decimal(2)), hold(mine, shares[1], Decimal(-3))
    found = {share.symbol: price(share, Decimal(5), now) for share in shares[:2]}
    positions.mark([mine], found, now=now)
    gone = {
        "S00": PriceUnavailable("S00", ("No quote.",)),
        "S01": PriceUnavailable("S01", ("x" * 300,)),
        "NONE": PriceUnavailable("NONE", ("NONE is not listed at this desk.",)),
    }
    assert positions.mark([mine], gone, now=now + timedelta(minutes=1)) == ["NONE", "S00", "S01"]
    held.refresh_from_db()
    other.refresh_from_db()
    assert (held.mark, held.market_value, held.unrealized_pnl, held.mark_source) == (None, None, None, "")
    assert held.mark_reason == "There is no price of S00. No quote."
    assert len(other.mark_reason) == 200
    assert held.mark_as_of == now  # since when it has had none


def test_a_holding_is_unmarked_by_its_instrument_not_by_its_symbol(shares, portfolios, now):
    (mine,) = portfolios(1)
    old = Instrument.objects.create(symbol="S00", kind=InstrumentKind.ETF, multiplier=1, is_active=False)
    held, namesake, gone = (hold(mine, share, Decimal(2)) for share in (shares[0], old, shares[1]))
    Position.objects.update(mark=Decimal(9), market_value=Decimal(18), unrealized_pnl=Decimal(0), mark_as_of=now)
    Instrument.objects.filter(pk=shares[1].pk).update(is_active=False)
    found = {
        "S00": price(shares[0], Decimal(5), now),
        "S01": PriceUnavailable("S01", ("S01 is not listed at this desk.",)),
    }
    assert positions.mark([mine], found, now=now) == ["S00", "S01"]
    rows = Position.objects.in_bulk()
    assert rows[held.pk].market_value == 10
    assert (rows[namesake.pk].mark, rows[namesake.pk].market_value) == (None, None)
    assert "another instrument" in rows[namesake.pk].mark_reason
    assert rows[gone.pk].mark_reason == "There is no price of S01. S01 is not listed at this desk."


def test_a_flat_namesake_is_nobodys_missing_price(shares, portfolios, now):
    (mine,) = portfolios(1)
    Instrument.objects.create(symbol="S00", kind=InstrumentKind.ETF, multiplier=1, is_active=False)
    hold(mine, shares[0], Decimal(2))
    assert positions.mark([mine], {"S00": price(shares[0], Decimal(5), now)}, now=now) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time and no row locks.")
def test_passes_over_the_same_holdings_never_wait_for_each_other_in_a_circle(shares, portfolios, now):
    all_of_them, draw = portfolios(20), Random(5)
    pairs = [(portfolio, share) for portfolio in all_of_them for share in shares]
    for portfolio, share in draw.sample(pairs, len(pairs)):
        hold(portfolio, share, Decimal(1))
    rounds = [[(draw.sample(all_of_them, 20), draw.sample(shares, 6)) for _ in range(25)] for _ in range(3)]
    errors = []

    def work(calls):
        try:
            for group, some in calls:
                positions.mark(group, {share.symbol: price(share, Decimal(5), now) for share in some}, now=now)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(calls,)) for calls in rounds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def statements(portfolios: list[Portfolio], found: dict, now) -> int:
    with CaptureQueriesContext(connection) as queries:
        positions.mark(portfolios, found, now=now)
    return len(queries)


def test_the_number_of_statements_grows_neither_with_portfolios_nor_with_symbols(shares, portfolios, now):
    all_of_them = portfolios(30)
    for number, portfolio in enumerate(all_of_them):
        hold(portfolio, shares[number % 12], Decimal(1))
    priced = {share.symbol: price(share, Decimal(5), now) for share in shares[:6]}
    missing = {share.symbol: PriceUnavailable(share.symbol, ("No quote.",)) for share in shares[6:]}
    few = {"S00": priced["S00"], "S06": missing["S06"]}
    assert statements(all_of_them[:1], few, now) == statements(all_of_them, priced | missing, now)
