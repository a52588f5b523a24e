"""Open positions: marks with basis and age, sums that are honest, and closing one trade."""

import re
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portfolio import queries, trades
from portfolio.models import Order, Position, Trade
from portfolio.pages import retries

QUOTE_SECONDS = 120


def page_of(desk) -> str:
    return reverse("portfolio:positions", args=[desk.portfolio.pk])


def text(answer) -> str:
    return " ".join(answer.content.decode().replace("\u00a0", " ").split())


def test_without_a_trade_the_page_offers_an_order(desk, browser_of_alice):
    page = text(browser_of_alice.get(page_of(desk)))
    assert "Nothing open" in page
    assert "Place an order" in page


def test_a_trade_shows_quantity_entry_mark_and_result(desk, alice):
    order = desk.buy("SPY")
    row = queries.positions_by_trade(alice, desk.portfolio.pk, now=desk.time.at).rows[0]
    assert (row.symbol, row.quantity, row.entry) == ("SPY", Decimal(10), order.average_fill_price)
    assert row.market_value == row.mark.value * 10
    assert row.unrealized == row.market_value - order.average_fill_price * 10
    assert (row.mark.basis, row.mark.is_stale) == ("QUOTE", False)


def test_rows_add_up_to_the_position_and_to_the_sum(desk, alice):
    desk.buy("SPY", 10)
    desk.buy("SPY", 5)
    by_trade = queries.positions_by_trade(alice, desk.portfolio.pk, now=desk.time.at)
    by_instrument = queries.positions_by_instrument(alice, desk.portfolio.pk, now=desk.time.at)
    assert [row.quantity for row in by_trade.rows] == [10, 5]
    assert [(row.quantity, row.trades) for row in by_instrument.rows] == [(15, 2)]
    assert by_trade.market_value == by_instrument.market_value
    assert by_trade.unrealized == by_instrument.unrealized == by_instrument.rows[0].unrealized


@pytest.mark.parametrize(("age", "stale"), [(QUOTE_SECONDS, False), (QUOTE_SECONDS + 1, True)])
def test_a_quote_is_fresh_for_exactly_two_minutes(desk, alice, browser_of_alice, age, stale):
    desk.buy("SPY")
    Position.objects.update(mark_source="QUOTE", mark_as_of=desk.time.at - timedelta(seconds=age))
    row = queries.positions_by_trade(alice, desk.portfolio.pk, now=desk.time.at).rows[0]
    assert row.mark.is_stale is stale
    page = text(browser_of_alice.get(page_of(desk)))
    assert "2 min" in page
    assert ("· 1 stale" in page) is stale


def test_after_the_close_the_last_price_stands_without_ageing(desk, alice, browser_of_alice):
    desk.buy("SPY")
    close = desk.time.at.replace(hour=21, minute=0)
    Position.objects.update(mark_source="QUOTE", mark_as_of=close - timedelta(minutes=1))
    desk.time.at = close + timedelta(hours=5)
    row = queries.positions_by_trade(alice, desk.portfolio.pk, now=desk.time.at).rows[0]
    assert (row.mark.is_from_close, row.mark.is_stale) == (True, False)
    assert "mid, close" in text(browser_of_alice.get(page_of(desk)))


def test_a_missing_price_has_no_result_and_is_counted(desk, alice, browser_of_alice):
    desk.buy("SPY")
    desk.buy("QQQ")
    Position.objects.filter(instrument__symbol="SPY").update(
        mark=None, market_value=None, unrealized_pnl=None, mark_reason="No quote for 6 minutes."
    )
    found = queries.positions_by_trade(alice, desk.portfolio.pk, now=desk.time.at)
    qqq, spy = found.rows
    assert (spy.market_value, spy.unrealized, spy.unrealized_fraction) == (None, None, None)
    assert (found.unpriced, found.unrealized) == (1, qqq.unrealized)
    page = text(browser_of_alice.get(page_of(desk)))
    assert "no price" in page
    assert "No quote for 6 minutes." in page
    assert "1 without a price, not in the sums" in page


@pytest.mark.parametrize("by", ["", "instrument"])
def test_the_page_costs_the_same_queries_for_one_trade_and_five(desk, browser_of_alice, by):
    def cost() -> int:
        with CaptureQueriesContext(connection) as found:
            assert browser_of_alice.get(page_of(desk), {"by": by}).status_code == 200
        return len(found)

    desk.buy("SPY")
    cost()
    first = cost()
    for symbol in ("QQQ", "AAPL", "MSFT", "AMZN"):
        desk.buy(symbol, 1)
    assert cost() == first


def test_an_unchanged_fragment_is_answered_with_nothing(desk, browser_of_alice):
    desk.buy("SPY")
    version = browser_of_alice.get(page_of(desk)).context["version"]
    desk.time.forward(5)
    assert browser_of_alice.get(page_of(desk), {"v": version}).status_code == 204
    desk.catch_up()
    answer = browser_of_alice.get(page_of(desk), {"v": version})
    assert answer.status_code == 200
    assert b"<html" not in answer.content
    assert b'id="live"' in answer.content


def test_a_halt_by_somebody_else_reaches_the_open_page(desk, browser_of_alice):
    version = browser_of_alice.get(page_of(desk)).context["version"]
    browser_of_alice.post(reverse("portfolio:state", args=[desk.portfolio.pk]), {"action": "halt"})
    answer = text(browser_of_alice.get(page_of(desk), {"v": version}))
    assert 'hx-swap-oob="true"' in answer
    assert "HALTED" in answer


def test_working_orders_and_fills_are_on_the_page(desk, browser_of_alice):
    desk.buy("SPY")
    desk.submit("QQQ", quantity=Decimal(2), order_type="LIMIT", limit_price=Decimal("1.00"))
    page = text(browser_of_alice.get(page_of(desk)))
    assert "Buy 2 QQQ at 1.00 or better" in page
    assert re.search(r"Buy 10 SPY</a></th>", page)


# ------------------------------------------------------------------ closing


def ask(browser, trade, **extra):
    return browser.get(reverse("portfolio:close", args=[trade.pk]), **extra)


def press(browser, trade, answer, **changed):
    form = answer.context["form"]
    given = {
        "quantity": form["quantity"].value(),
        "version": form["version"].value(),
        "key": form["key"].value(),
        **changed,
    }
    return browser.post(reverse("portfolio:close", args=[trade.pk]), given, headers={"HX-Request": "true"})


def test_the_dialog_says_what_will_happen_and_starts_on_cancel(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    page = text(ask(browser_of_alice, trade, headers={"HX-Request": "true"}))
    assert "Close SPY?" in page
    assert "Sell at market" in page
    assert "P&amp;L after fees, about" in page
    assert re.search(r"<a [^>]*autofocus>Cancel</a>", page)
    assert "<html" not in page


def test_the_dialog_is_a_page_of_its_own_without_scripts(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    assert "<html" in text(ask(browser_of_alice, trade))


def test_closing_sends_one_exit_however_often_it_is_pressed(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    dialog = ask(browser_of_alice, trade)
    first, second = press(browser_of_alice, trade, dialog), press(browser_of_alice, trade, dialog)
    assert first.status_code == second.status_code == 204
    assert "desk:done" in first["HX-Trigger"]
    assert Order.objects.filter(trade=trade, role="EXIT").count() == 1
    desk.catch_up()
    trade.refresh_from_db()
    assert trade.status == "CLOSED"


def test_closing_a_part_leaves_the_rest_open(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    press(browser_of_alice, trade, ask(browser_of_alice, trade), quantity="4")
    desk.catch_up()
    trade.refresh_from_db()
    assert trade.status == "OPEN"
    assert trade.legs.get().open_quantity == 6


def test_a_dialog_that_is_behind_sends_nothing_and_says_so(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    dialog = ask(browser_of_alice, trade)
    press(browser_of_alice, trade, ask(browser_of_alice, trade))
    desk.catch_up()
    answer = press(browser_of_alice, trade, dialog, key=str(uuid.uuid4()))
    assert answer.status_code == 409
    assert "The trade was closed meanwhile" in text(answer)
    assert "Nothing was sent." in text(answer)
    assert Order.objects.filter(trade=trade, role="EXIT").count() == 1


def test_a_quantity_that_is_none_is_told_beside_its_field(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    for quantity in ("", "0", "many", "11"):
        answer = press(browser_of_alice, trade, ask(browser_of_alice, trade), quantity=quantity)
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in text(answer)
    assert Trade.objects.get().status == "OPEN"


def test_more_than_is_held_is_refused_with_what_is_held(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    answer = press(browser_of_alice, trade, ask(browser_of_alice, trade), quantity="10.5")
    assert "The trade holds 10; more cannot be closed." in text(answer)
    assert not Order.objects.filter(role="EXIT").exists()


def test_without_scripts_closing_leads_back_with_a_message(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    form = ask(browser_of_alice, trade).context["form"]
    given = {name: form[name].value() for name in ("quantity", "version", "key")}
    answer = browser_of_alice.post(reverse("portfolio:close", args=[trade.pk]), given)
    assert answer["Location"] == page_of(desk)
    assert "Close SPY" in text(browser_of_alice.get(page_of(desk)))


def test_a_close_while_halted_says_why_and_leaves_everything_as_it_is(desk, browser_of_alice):
    trade = desk.buy("SPY").trade
    dialog = ask(browser_of_alice, trade)
    browser_of_alice.post(reverse("portfolio:state", args=[desk.portfolio.pk]), {"action": "halt"})
    answer = press(browser_of_alice, trade, dialog)
    assert answer.status_code == 422
    assert "Swing desk is halted" in text(answer)
    assert not Order.objects.filter(role="EXIT").exists()


def test_a_press_interrupted_by_a_lock_carries_on_by_itself(desk, browser_of_alice, monkeypatch):
    """The lock could not be had after the trade was claimed: the same press goes on and sells, once."""
    trade, real, failures = desk.buy("SPY").trade, trades.send_exit, [OperationalError("database is locked")]

    def locked_once(wish, *, now):
        if failures:
            raise failures.pop()
        return real(wish, now=now)

    monkeypatch.setattr(trades, "send_exit", locked_once)
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0)
    assert press(browser_of_alice, trade, ask(browser_of_alice, trade)).status_code == 204
    desk.catch_up()
    trade.refresh_from_db()
    assert (trade.status, Order.objects.filter(role="EXIT").count()) == ("CLOSED", 1)
