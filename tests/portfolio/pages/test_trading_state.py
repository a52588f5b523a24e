"""Halt, reduce only and resume: who stopped what, since when, and what still passes."""

from decimal import Decimal

import pytest
from django.urls import reverse

from portfolio.models import Order


def text(answer) -> str:
    return " ".join(answer.content.decode().replace("\u00a0", " ").split())


def change(desk, browser, action, **given):
    address = reverse("portfolio:state", args=[desk.portfolio.pk])
    answer = browser.post(address, {"action": action, **given}, follow=True)
    desk.portfolio.refresh_from_db()
    return answer


@pytest.mark.parametrize(("action", "state"), [("halt", "HALTED"), ("reduce", "REDUCING")])
def test_a_stop_stays_visible_with_reason_and_time_until_resumed(desk, browser_of_alice, action, state):
    page = text(change(desk, browser_of_alice, action, reason="CPI at 08:30"))
    assert desk.portfolio.trading_state == state
    assert f"<strong>{state}</strong> Swing desk" in page
    assert "CPI at 08:30, since" in page
    page = text(change(desk, browser_of_alice, "resume"))
    assert desk.portfolio.trading_state == "ACTIVE"
    assert f"<strong>{state}</strong>" not in page


def test_a_stop_without_a_reason_says_that_it_was_by_hand(desk, browser_of_alice):
    change(desk, browser_of_alice, "halt")
    assert desk.portfolio.state_reason == "Stopped by hand"


def test_a_halted_portfolio_refuses_orders_in_words_and_lets_cancels_pass(desk, browser_of_alice):
    order = desk.submit("SPY", quantity=Decimal(5), order_type="LIMIT", limit_price=Decimal("1.00"))
    change(desk, browser_of_alice, "halt", reason="CPI")
    denied = desk.submit("SPY", quantity=Decimal(1))
    assert denied.status == "DENIED"
    browser_of_alice.post(reverse("portfolio:cancel", args=[order.pk]))
    assert Order.objects.get(pk=order.pk).status == "CANCELED"


def test_the_stop_dialog_lists_own_portfolios_only(desk, browser_of_alice, browser_of_bob):
    assert "Halt Swing desk" in text(browser_of_alice.get(reverse("portfolio:stop")))
    assert "Swing desk" not in text(browser_of_bob.get(reverse("portfolio:stop")))


def test_an_unknown_act_changes_nothing(desk, browser_of_alice):
    answer = change(desk, browser_of_alice, "explode")
    assert answer.status_code == 400
    assert desk.portfolio.trading_state == "ACTIVE"
