"""The list of orders, one order with all it touched, and canceling."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.urls import reverse

from portfolio import orders as verbs
from portfolio import queries
from portfolio.models import Order

FAR_BELOW = {"order_type": "LIMIT", "limit_price": Decimal("1.00"), "quantity": Decimal(5)}


def text(answer) -> str:
    return " ".join(answer.content.decode().replace("\u00a0", " ").split())


def listing(desk) -> str:
    return reverse("portfolio:orders", args=[desk.portfolio.pk])


def test_unfinished_orders_come_first_then_the_newest(desk, alice):
    working = desk.submit("QQQ", **FAR_BELOW)
    older, newer = desk.buy("SPY", 1), desk.buy("SPY", 2)
    found = [row.id for row in queries.orders(alice, desk.portfolio.pk)]
    assert found == [working.pk, newer.pk, older.pk]


@pytest.mark.parametrize(("status", "shown"), [("working", "QQQ"), ("FILLED", "SPY"), ("EXPIRED", None)])
def test_the_list_filters_by_status(desk, browser_of_alice, status, shown):
    desk.submit("QQQ", **FAR_BELOW)
    desk.buy("SPY", 1)
    answer = browser_of_alice.get(listing(desk), {"status": status})
    assert [row.symbol for row in answer.context["orders"]] == ([shown] if shown else [])
    assert ("No order matches" in text(answer)) is (shown is None)


def test_an_unknown_filter_shows_everything(desk, browser_of_alice):
    desk.buy("SPY", 1)
    assert len(browser_of_alice.get(listing(desk), {"status": "'; drop"}).context["orders"]) == 1


def test_the_list_costs_the_same_queries_for_two_orders_and_twelve(desk, alice, django_assert_num_queries):
    for _ in range(2):
        desk.submit("QQQ", **FAR_BELOW)
        desk.buy("SPY", 1)
    with django_assert_num_queries(4):
        queries.orders(alice, desk.portfolio.pk)
    for _ in range(4):
        desk.submit("QQQ", **FAR_BELOW)
    with django_assert_num_queries(4):
        assert len(queries.orders(alice, desk.portfolio.pk)) == 8


def test_a_filled_order_shows_evidence_bookings_and_journal(desk, browser_of_alice):
    order = desk.buy("SPY")
    answer = browser_of_alice.get(reverse("portfolio:order", args=[order.pk]))
    detail, page = answer.context["detail"], text(answer)
    assert "Buy 10 SPY at market" in page
    assert "Market seen" in page
    assert "As stored" in page
    assert sum(line.amount for booking in detail.bookings for line in booking.postings) == 0
    assert "order.submitted" in [entry.name for entry in detail.entries]
    assert "trade.opened" in [entry.name for entry in detail.entries]


def test_evidence_is_shown_in_money_not_in_stored_units(desk, browser_of_alice):
    order = desk.buy("SPY")
    fill = order.fills.get()
    bid = Decimal(fill.evidence["observation"]["bid"]) / 1_000_000
    assert f"bid {bid.normalize():,f}" in text(browser_of_alice.get(reverse("portfolio:order", args=[order.pk])))


def test_a_waiting_order_says_why_it_has_not_filled(desk, browser_of_alice):
    order = desk.submit("SPY", **FAR_BELOW)
    desk.catch_up()
    order.refresh_from_db()
    assert order.waiting_for
    page = text(browser_of_alice.get(reverse("portfolio:order", args=[order.pk])))
    assert "Not filled yet:" in page


def test_a_refused_order_keeps_its_reasons(desk, browser_of_alice):
    order = desk.submit("SPY", quantity=Decimal(5000))
    page = text(browser_of_alice.get(reverse("portfolio:order", args=[order.pk])))
    assert "The desk refused this order; nothing was sent." in page
    assert page.count(order.denials[0]["message"].replace("\u00a0", " ")) == 1


def test_canceling_ends_a_working_order(desk, browser_of_alice):
    order = desk.submit("SPY", **FAR_BELOW)
    answer = browser_of_alice.post(reverse("portfolio:cancel", args=[order.pk]), headers={"HX-Request": "true"})
    order.refresh_from_db()
    assert answer.status_code == 204
    assert "Canceled: Buy 5 SPY at 1.00 or better." in answer["HX-Trigger"]
    assert order.status == "CANCELED"


def test_canceling_a_finished_order_changes_nothing(desk, browser_of_alice):
    order = desk.buy("SPY")
    answer = browser_of_alice.post(reverse("portfolio:cancel", args=[order.pk]), headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "Filled at" in answer["HX-Trigger"]
    assert Order.objects.get(pk=order.pk).status == "FILLED"


def test_a_cancel_without_scripts_leads_to_the_order(desk, browser_of_alice):
    order = desk.submit("SPY", **FAR_BELOW)
    answer = browser_of_alice.post(reverse("portfolio:cancel", args=[order.pk]))
    assert answer["Location"] == reverse("portfolio:order", args=[order.pk])


@pytest.mark.parametrize(
    ("expected", "slippage", "bps"),
    [("200", "0.10", "5"), ("200", "-0.02", "-1"), (None, None, None), ("200", None, None)],
)
def test_slippage_is_measured_against_the_expected_price(desk, alice, expected, slippage, bps):
    desk.buy("SPY")
    row = queries.recent_fills(alice, desk.portfolio.pk)[0]
    given = {"expected_price": expected, "slippage": slippage}
    numbers = {name: None if value is None else Decimal(value) for name, value in given.items()}
    assert replace(row, **numbers).slippage_bps == (None if bps is None else Decimal(bps))


def test_a_cancel_before_the_venue_has_answered_is_remembered_in_words(desk, browser_of_alice, monkeypatch):
    monkeypatch.setattr(verbs, "send", lambda items, now: None)  # its sender died on the way
    order = desk.submit("SPY", quantity=Decimal(10))
    answer = browser_of_alice.post(reverse("portfolio:cancel", args=[order.pk]), follow=True)
    assert "The cancel is remembered" in text(answer)
    order.refresh_from_db()
    assert order.cancel_wanted_at is not None
