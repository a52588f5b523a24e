"""check_books names the first difference; a bent book is found wherever it was bent; a rebuild puts it right."""

import threading
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from brokers import registry
from brokers.enums import OrderType, TimeInForce
from brokers.market_data import clock
from monitoring import tick
from portfolio import books, orders, portfolios, rebuild, venue_check
from portfolio.models import Lot, Order, Portfolio, Position, Snapshot, Trade
from tests.brokers.simulator.scripted import ScriptedMarket
from tests.tampering import tamper


@pytest.fixture
def traded(desk, place, now) -> Portfolio:
    place(desk, "form:1")
    place(desk, "form:2", symbol="NVDA", quantity=Decimal(4))
    place(desk, "form:3", side="SELL", quantity=Decimal(6))
    later = now + timedelta(minutes=1)
    tick.run([desk], now=later)
    desk.refresh_from_db()
    assert Snapshot.objects.get().complete
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
        ("UPDATE portfolio_fill SET price = price + 1", "fill stands in the journal"),
        ("UPDATE portfolio_fill SET fees = fees + 1", "fill stands in the journal"),
        (
            "UPDATE portfolio_position SET realized_pnl = realized_pnl + 1",
            "realized_pnl of positions equals the ledger",
        ),
        ("UPDATE portfolio_position SET market_value = market_value + 1", "value equals mark times quantity"),
        ("UPDATE portfolio_position SET mark = mark + 1", "value equals mark times quantity"),
        ("UPDATE portfolio_position SET mark = NULL", "value equals mark times quantity"),
        ("UPDATE portfolio_position SET unrealized_pnl = unrealized_pnl + 1", "unrealized equals value less cost"),
        (
            "UPDATE portfolio_order SET average_fill_price = average_fill_price + 1",
            "average price equals that of the fills",
        ),
        ("UPDATE portfolio_tradeleg SET open_quantity = 0", "an open trade holds something"),
        ("UPDATE portfolio_portfolio SET equity_peak = 1", "peak covers every snapshot"),
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


def test_an_average_over_several_fills_is_rounded_as_the_door_rounds(desk, place, now, monkeypatch):
    market = ScriptedMarket()
    market.volume = 0
    market.quote(now - timedelta(minutes=5), "99.98", "100.00", symbol="AAPL", size=40)
    monkeypatch.setattr(registry, "market", lambda: market)
    limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal("100.00"), "time_in_force": TimeInForce.GTC}
    (order,) = place(desk, symbol="AAPL", quantity=Decimal(150), **limit)
    for minute in range(1, 8):
        market.quote(now + timedelta(minutes=minute), "99.90", f"99.9{minute}", symbol="AAPL", size=30 + minute)
    orders.sync([desk], now=now + timedelta(minutes=9))
    order.refresh_from_db()
    assert order.fills.count() > 2
    assert books.check([desk]).differences == []


def test_a_peak_from_before_a_withdrawal_is_no_difference(traded, now):
    portfolios.withdraw(traded, amount=Decimal(50_000), key="w:1", actor="test", now=now + timedelta(minutes=2))
    assert traded.equity_peak < Snapshot.objects.get().equity_peak
    assert books.check([traded]).differences == []


def test_a_trade_that_fell_flat_just_now_still_waits_for_its_pass(traded):
    tamper("UPDATE portfolio_tradeleg SET open_quantity = 0")
    tamper("UPDATE portfolio_lot SET remaining = 0")
    Order.objects.update(final_at=traded.synced_until)
    found = {difference.identity for difference in books.check([traded]).differences}
    assert "an open trade holds something" not in found


# Against the venue -------------------------------------------------------------------------------------


def test_the_desk_agrees_with_the_venue(traded, place, now):
    at = now + timedelta(minutes=2)
    place(
        traded, "form:9", at=at, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"),
        time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    found = venue_check.check([traded], now=at)
    assert found.differences == []
    assert found.compared == {
        "cash equals the venue's": 1,
        "position equals the venue's": 2,
        "working orders are the venue's": 1,
    }


@pytest.mark.parametrize(
    ("sql", "identity"),
    [
        ("UPDATE portfolio_portfolio SET cash = cash + 1", "cash equals the venue's"),
        ("UPDATE portfolio_position SET quantity = quantity + 1", "position equals the venue's"),
        ("UPDATE portfolio_position SET quantity = 0", "position equals the venue's"),
        (
            "UPDATE portfolio_order SET status = 'ACCEPTED' WHERE intent_key = 'form:1'",
            "working orders are the venue's",
        ),
    ],
)
def test_one_unit_off_the_venue_is_found(traded, sql, identity):
    tamper(sql)
    found = venue_check.check([traded], now=traded.synced_until)
    assert {difference.identity for difference in found.differences} == {identity}


def test_a_desk_that_has_not_heard_all_is_no_judge_of_the_venue(traded, now):
    found = venue_check.check([traded], now=traded.synced_until + timedelta(seconds=1))
    assert [difference.identity for difference in found.differences] == ["the desk has heard all"]


def test_the_command_compares_with_the_venue_when_asked(traded, now, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=5))
    out = StringIO()
    call_command("check_books", "--venue", stdout=out)
    assert "cash equals the venue's" in out.getvalue()
    Portfolio.objects.update(cash=Decimal(1))
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_books", "--venue", stdout=out)
    assert "cash equals the venue's: portfolio" in out.getvalue()


# While the desk goes on --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's transactions shut every writer out.")
def test_what_is_booked_during_a_check_is_no_difference(desk, place, now, monkeypatch):
    place(desk)

    def somebody_trades(rows, found):
        def trade():
            place(Portfolio.objects.get(pk=desk.pk), "form:2", at=now + timedelta(minutes=1))
            connection.close()

        thread = threading.Thread(target=trade)
        thread.start()
        thread.join()

    monkeypatch.setattr(books, "IDENTITIES", (*books.IDENTITIES[:3], somebody_trades, *books.IDENTITIES[3:]))
    assert books.check([desk]).differences == []
    assert Order.objects.count() == 2
