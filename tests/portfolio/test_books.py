"""check_books names the first difference; a bent book is found wherever it was bent; a rebuild puts it right."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from portfolio import books, rebuild
from portfolio.models import Lot, Portfolio, Position, Trade
from tests.tampering import tamper


@pytest.fixture
def traded(desk, place) -> Portfolio:
    place(desk, "form:1")
    place(desk, "form:2", symbol="NVDA", quantity=Decimal(4))
    place(desk, "form:3", side="SELL", quantity=Decimal(6))
    assert books.check([desk]).differences == []
    return desk


@pytest.mark.parametrize(
    ("sql", "identity"),
    [
        ("UPDATE portfolio_portfolio SET cash = cash + 1", "cash equals the ledger"),
        ("UPDATE portfolio_portfolio SET receivable = 1", "receivable equals the ledger"),
        ("UPDATE portfolio_ledgerposting SET amount = amount + 1 WHERE account = 'CASH'", "postings sum to zero"),
        ("UPDATE portfolio_position SET quantity = quantity + 1", "position equals its open lots"),
        ("UPDATE portfolio_position SET cost = cost + 1", "position equals its open lots"),
        ("UPDATE portfolio_lot SET remaining = remaining - 1 WHERE remaining > 0", "position equals its open lots"),
        ("UPDATE portfolio_trade SET realized_pnl = realized_pnl + 1", "realized_pnl of trades equals the ledger"),
        ("UPDATE portfolio_trade SET commission = 5", "commission of trades equals the ledger"),
        (
            "UPDATE portfolio_order SET filled_quantity = filled_quantity - 1 WHERE filled_quantity > 0",
            "order equals its fills",
        ),
        ("UPDATE portfolio_tradeleg SET open_quantity = open_quantity + 1", "trade leg equals its lots"),
        ("UPDATE portfolio_journalentry SET actor = 'x' WHERE sequence = 3", "journal chain"),
        ("UPDATE portfolio_journalhead SET sequence = sequence + 1", "journal head"),
        (
            "UPDATE portfolio_ledgertransaction SET key = 'fill:other' WHERE kind = 'DEPOSIT'",
            "booking stands in the journal",
        ),
        (
            "UPDATE portfolio_fill SET quantity = quantity - 1000000000 WHERE side = 'BUY'",
            "booking moves the fill's quantity",
        ),
    ],
)
def test_one_unit_off_is_found(traded, sql, identity):
    tamper(sql)
    assert identity in {difference.identity for difference in books.check([traded]).differences}


def test_the_command_names_the_first_difference_and_fails(traded):
    out = StringIO()
    call_command("check_books", stdout=out)
    assert "clean" in out.getvalue()
    Portfolio.objects.update(cash=Decimal(1))
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_books", stdout=out)
    assert "First difference: cash equals the ledger: portfolio" in out.getvalue()


def test_a_rebuild_puts_a_bent_book_right(traded):
    Lot.objects.filter(remaining__gt=0).update(remaining=Decimal(1), cost=Decimal(1))
    Position.objects.update(quantity=Decimal(99), cost=Decimal(1))
    Trade.objects.update(realized_pnl=Decimal(7))
    Portfolio.objects.update(cash=Decimal(3))
    bent = Portfolio.objects.get()
    assert len(rebuild.compare(bent)) > 4
    assert rebuild.write(bent)
    fresh = Portfolio.objects.get()
    assert rebuild.compare(fresh) == []
    assert books.check([fresh]).differences == []
