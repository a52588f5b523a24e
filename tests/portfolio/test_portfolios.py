"""Opening, money in and out, state, archive and reset."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers import registry
from brokers.enums import OrderStatus, OrderType
from brokers.models import SimulatedAccount
from portfolio import books, orders, portfolios
from portfolio.models import JournalEntry, LedgerTransaction, Portfolio


def test_a_new_portfolio_is_paper_and_holds_its_cash(desk):
    assert (desk.environment, desk.venue, desk.cash, desk.equity_peak) == ("PAPER", "SIMULATOR", 100_000, 100_000)
    assert desk.risk_limits.position_percent == 20
    assert books.check([desk]).differences == []


def test_two_people_may_use_one_name_and_one_may_not_twice(desk, other_desk, alice, now):
    assert desk.name == other_desk.name
    with pytest.raises(portfolios.NameTaken, match="Swing desk"):
        portfolios.open(user=alice, name=" Swing  desk ", cash=Decimal(1000), actor="test", now=now)
    assert Portfolio.objects.for_user(alice).count() == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b"])
def test_a_name_has_to_be_one(alice, listed, now, name):
    with pytest.raises(ValueError, match="name"):
        portfolios.open(user=alice, name=name, cash=Decimal(1000), actor="test", now=now)


@pytest.mark.parametrize("cash", ["0", "-1", "1000000001", "NaN", "0.001"])
def test_cash_has_to_be_money(alice, listed, now, cash):
    with pytest.raises(ValueError, match="amount"):
        portfolios.open(user=alice, name="New", cash=Decimal(cash), actor="test", now=now)
    assert Portfolio.objects.count() == 0


def test_an_unknown_preset_is_refused_before_anything_is_written(alice, listed, now):
    with pytest.raises(ValueError, match="preset"):
        portfolios.open(user=alice, name="New", cash=Decimal(1000), preset="LUCKY", actor="test", now=now)
    assert Portfolio.objects.count() == 0


def test_a_deposit_with_the_same_key_is_booked_once(desk, now):
    for _ in range(2):
        portfolios.deposit(desk, amount=Decimal("250.50"), key="deposit:1", actor="test", now=now)
    assert desk.cash == Decimal("100250.50")
    assert LedgerTransaction.objects.filter(kind="DEPOSIT").count() == 2  # the opening, and this one


def test_a_withdrawal_leaves_what_orders_hold(desk, place, now):
    place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"), quantity=Decimal(100))
    with pytest.raises(ValueError, match="90,000"):
        portfolios.withdraw(desk, amount=Decimal(95_000), key="withdraw:1", actor="test", now=now)
    portfolios.withdraw(desk, amount=Decimal(90_000), key="withdraw:2", actor="test", now=now)
    assert desk.cash == 10_000
    assert books.check([desk]).differences == []


def test_state_changes_carry_who_and_why_and_repeat_as_nothing(desk, now):
    portfolios.halt(desk, reason="lunch", actor="user:1", now=now)
    version = desk.version
    portfolios.halt(desk, reason="lunch", actor="user:1", now=now)
    assert (desk.trading_state, desk.state_reason, desk.version) == ("HALTED", "lunch", version)
    entry = JournalEntry.objects.get(name="portfolio.halted")
    assert (entry.actor, entry.data["reason"]) == ("user:1", "lunch")


def test_archive_cancels_and_keeps_everything_readable(desk, place, now):
    (order,) = place(desk, order_type=OrderType.LIMIT, limit_price=Decimal("100.00"))
    portfolios.archive(desk, actor="test", now=now)
    order.refresh_from_db()
    assert (order.status, desk.archived_at) == (OrderStatus.CANCELED, now)
    with pytest.raises(portfolios.StateUnchanged, match="archived"):
        portfolios.deposit(desk, amount=Decimal(1), key="d", actor="test", now=now)
    (refused,) = place(desk, "form:9")
    assert refused.status in (OrderStatus.REJECTED, OrderStatus.DENIED)
    assert books.check([desk]).differences == []


def test_reset_archives_and_opens_a_fresh_one_of_the_same_name(desk, place, now):
    place(desk)
    fresh = portfolios.reset(desk, cash=Decimal(5_000), actor="test", now=now + timedelta(minutes=1))
    desk.refresh_from_db()
    assert desk.archived_at is not None
    assert (fresh.name, fresh.cash) == (desk.name, 5_000)
    assert fresh.account_id != desk.account_id
    assert desk.fills.count() == 1


def test_the_venues_book_is_the_desks_book(desk, place, now):
    place(desk)
    place(desk, "form:2", symbol="NVDA", quantity=Decimal(7))
    broker = registry.adapter(orders.account_key(desk), now=now)
    theirs = {row.symbol: row.quantity for row in broker.positions()}
    ours = {row.instrument.symbol: row.quantity for row in desk.positions.select_related("instrument")}
    assert ours == theirs
    assert broker.account().cash == desk.cash


def test_the_same_key_opens_one_portfolio_wherever_it_was_interrupted(alice, listed, now, monkeypatch):
    wish = {"user": alice, "name": "New", "cash": Decimal(5_000), "key": "form-1", "actor": "test"}
    with monkeypatch.context() as patch:
        patch.setattr(portfolios, "write_portfolio", lambda *_, **__: 1 / 0)  # the process dies after the venue
        with pytest.raises(ZeroDivisionError):
            portfolios.open(**wish, now=now)
    first = portfolios.open(**wish, now=now + timedelta(hours=2))
    again = portfolios.open(**wish, now=now + timedelta(hours=2, seconds=40))
    assert (first.pk, first.cash) == (again.pk, 5_000)
    assert SimulatedAccount.objects.count() == Portfolio.objects.count() == 1
