"""The order ticket: one ticket is one order, and every refusal stands there at once, in words."""

from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from portfolio.models import Order, Portfolio

WISH = {
    "symbol": "SPY",
    "side": "BUY",
    "quantity": "10",
    "order_type": "MARKET",
    "time_in_force": "DAY",
}


def text(answer) -> str:
    return " ".join(answer.content.decode().replace("\u00a0", " ").split())


def opened(desk, browser) -> str:
    """Open a ticket and return its address, which carries its key."""
    return browser.get(reverse("portfolio:ticket", args=[desk.portfolio.pk]))["Location"]


def send(browser, address, **changed):
    given = {name: value for name, value in {**WISH, **changed}.items() if value is not None}
    return browser.post(address, given)


def fragment(desk, browser, name, **changed):
    given = {name: value for name, value in {**WISH, **changed}.items() if value is not None}
    return browser.post(reverse(f"portfolio:{name}", args=[desk.portfolio.pk]), given, headers={"HX-Request": "true"})


def test_each_opened_ticket_has_a_key_of_its_own_and_keeps_what_was_asked(desk, browser_of_alice):
    page = reverse("portfolio:ticket", args=[desk.portfolio.pk])
    first, second = (
        parse_qs(urlsplit(browser_of_alice.get(page, {"symbol": "QQQ", "side": "SELL"})["Location"]).query)
        for _ in range(2)
    )
    assert first["key"] != second["key"]
    assert (first["symbol"], first["side"]) == (["QQQ"], ["SELL"])


def test_sending_leads_to_the_order(desk, browser_of_alice):
    answer = send(browser_of_alice, opened(desk, browser_of_alice), tags="breakout, gap", note="half size")
    order = Order.objects.get()
    assert answer["Location"] == reverse("portfolio:order", args=[order.pk])
    assert (order.quantity, order.origin) == (Decimal(10), "MANUAL")
    assert (order.plan["tags"], order.plan["note"]) == (["breakout", "gap"], "half size")


def test_a_double_press_gives_the_first_order(desk, browser_of_alice):
    address = opened(desk, browser_of_alice)
    first, second = send(browser_of_alice, address), send(browser_of_alice, address)
    assert first["Location"] == second["Location"]
    assert Order.objects.count() == 1


def test_reloading_a_sent_ticket_shows_its_order(desk, browser_of_alice):
    address = opened(desk, browser_of_alice)
    first = send(browser_of_alice, address)
    assert browser_of_alice.get(address)["Location"] == first["Location"]


def test_going_back_and_changing_the_ticket_sends_nothing_and_says_so(desk, browser_of_alice):
    address = opened(desk, browser_of_alice)
    send(browser_of_alice, address)
    answer = send(browser_of_alice, address, quantity="11")
    assert answer.status_code == 409
    assert 'role="alert"' in text(answer)
    assert Order.objects.count() == 1


def test_refusals_stand_there_all_at_once_and_input_is_kept(desk, browser_of_alice):
    address = opened(desk, browser_of_alice)
    answer = send(browser_of_alice, address, symbol="AMZN", quantity="5000", note="too much")
    assert answer.status_code == 422
    denied = Order.objects.get()
    assert denied.status == "DENIED"
    assert len(denied.denials) >= 2
    shown = text(answer)
    for denial in denied.denials:
        assert denial["message"].replace("\u00a0", " ") in shown
    assert 'value="5000"' in shown
    assert "too much" in shown


def test_a_corrected_ticket_is_a_new_order(desk, browser_of_alice):
    refused = send(browser_of_alice, opened(desk, browser_of_alice), quantity="5000")
    again = f"{reverse('portfolio:ticket', args=[desk.portfolio.pk])}?key={refused.context['key']}"
    assert send(browser_of_alice, again, quantity="5").status_code == 302
    statuses = list(Order.objects.order_by("pk").values_list("status", flat=True))
    assert statuses[0] == "DENIED"
    assert len(statuses) == 2
    assert statuses[1] != "DENIED"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"symbol": ""}, "Name what to trade"),
        ({"symbol": "NOPE"}, "“NOPE” is not a share or fund this desk can trade."),
        ({"quantity": None}, "Give a quantity, or an amount in dollars."),
        ({"notional": "500"}, "Not both."),
        ({"quantity": "0"}, "This must be above zero; you wrote 0."),
        ({"quantity": "ten"}, "Write the quantity as a number"),
        ({"order_type": "LIMIT"}, "This order needs a limit price."),
        ({"order_type": "STOP_LIMIT", "limit_price": "400"}, "This order needs a stop price."),
        ({"limit_price": "400"}, "This order does not use a limit price"),
        ({"order_type": "TRAILING_STOP"}, "Give the distance in dollars, or in percent."),
        ({"time_in_force": "GTD"}, "This order needs a date."),
    ],
)
def test_an_incomplete_ticket_names_what_is_missing(desk, browser_of_alice, changed, sentence):
    answer = send(browser_of_alice, opened(desk, browser_of_alice), **changed)
    assert answer.status_code == 422
    assert sentence in text(answer)
    assert not Order.objects.exists()


def test_numbers_may_carry_thousands_commas(desk, browser_of_alice):
    send(browser_of_alice, opened(desk, browser_of_alice), quantity=None, notional="1,250.50")
    assert Order.objects.get().notional == Decimal("1250.50")


def test_the_estimate_shows_price_value_and_buying_power(desk, browser_of_alice):
    shown = text(fragment(desk, browser_of_alice, "estimate"))
    assert "Nothing speaks against this order." in shown
    for line in ("Price, about", "Value", "Commission", "Buying power after"):
        assert line in shown
    assert not Order.objects.exists()


def test_the_estimate_refuses_with_the_sentences_of_sending(desk, browser_of_alice):
    shown = text(fragment(desk, browser_of_alice, "estimate", quantity="5000"))
    sent = send(browser_of_alice, opened(desk, browser_of_alice), quantity="5000")
    assert "Would be refused" in shown
    for sentence in sent.context["refused"]:
        assert sentence.replace("\u00a0", " ") in shown


def test_an_incomplete_ticket_has_no_estimate_yet(desk, browser_of_alice):
    shown = text(fragment(desk, browser_of_alice, "estimate", quantity=None))
    assert "The estimate appears once" in shown


def test_the_quote_line_lives(desk, browser_of_alice):
    page = reverse("portfolio:quote", args=[desk.portfolio.pk])
    answer = browser_of_alice.get(page, {"symbol": "spy"})
    assert "Bid" in text(answer)
    assert browser_of_alice.get(page, {"symbol": "spy", "v": answer.context["version"]}).status_code == 204
    assert "No quote for “NOPE”." in text(browser_of_alice.get(page, {"symbol": "nope"}))


def test_the_review_repeats_the_order_in_words(desk, browser_of_alice):
    shown = text(fragment(desk, browser_of_alice, "review", order_type="LIMIT", limit_price="400", quantity="2"))
    assert "Buy 2 SPY at 400.00 or better" in shown
    assert "Send order" in shown


def test_a_live_order_needs_its_review(desk, browser_of_alice):
    Portfolio.objects.update(environment="LIVE")
    answer = send(browser_of_alice, opened(desk, browser_of_alice))
    assert answer.status_code == 422
    assert "A live order is sent from its review" in text(answer)
    assert "Send LIVE order" in text(fragment(desk, browser_of_alice, "review"))
    assert not Order.objects.exists()


def test_notes_are_escaped(desk, browser_of_alice):
    address = opened(desk, browser_of_alice)
    order_page = send(browser_of_alice, address, note="<script>alert(1)</script>")["Location"]
    shown = text(browser_of_alice.get(order_page))
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown
