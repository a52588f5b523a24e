"""Every address of the pages refuses strangers, and answers another user's objects like missing ones."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from portfolio import queries, urls

NO_OBJECT = ("home", "clock", "display", "stop", "new", "replay")
STAFF_ONLY = ("replay",)
POST_ONLY = ("state", "estimate", "review", "cancel")


def addresses(desk) -> list[tuple[str, str]]:
    """Return (name, address) of every page, filled with alice's objects."""
    order = desk.buy("SPY")
    known = {"portfolio_id": desk.portfolio.pk, "trade_id": order.trade_id, "order_id": order.pk}
    found = []
    for pattern in urls.urlpatterns:
        names = pattern.pattern.converters
        assert set(names) <= set(known), f"{pattern.name} takes an object this test does not know"
        arguments = {name: known[name] for name in names}
        found.append((pattern.name, reverse(f"portfolio:{pattern.name}", kwargs=arguments)))
    return found


def ask(browser: Client, name: str, address: str, **extra):
    return browser.post(address, **extra) if name in POST_ONLY else browser.get(address, **extra)


def test_every_page_of_an_object_is_missing_for_another_user(desk, browser_of_bob):
    walked = [(name, address) for name, address in addresses(desk) if name not in NO_OBJECT]
    assert len(walked) >= 10
    answers = {name: ask(browser_of_bob, name, address).status_code for name, address in walked}
    assert answers == {name: 404 for name, _ in walked}


def test_posting_to_another_users_objects_is_missing_too(desk, browser_of_bob):
    for name, address in addresses(desk):
        if name not in NO_OBJECT:
            assert browser_of_bob.post(address).status_code in (404, 405), name


def test_owner_sees_every_page(desk, browser_of_alice):
    for name, address in addresses(desk):
        if name not in POST_ONLY + STAFF_ONLY:
            assert browser_of_alice.get(address, follow=True).status_code == 200, name


def test_another_users_page_looks_exactly_like_a_missing_one(desk, browser_of_bob):
    foreign = browser_of_bob.get(reverse("portfolio:positions", args=[desk.portfolio.pk]))
    missing = browser_of_bob.get(reverse("portfolio:positions", args=[999_999]))
    assert foreign.status_code == missing.status_code == 404
    assert b"There is nothing here" in foreign.content
    assert len(foreign.content) == len(missing.content)


def test_strangers_are_sent_to_sign_in(desk):
    for name, address in addresses(desk):
        answer = ask(Client(), name, address)
        assert answer.status_code == 302, name
        assert answer["Location"].startswith("/accounts/login/?next="), name


def test_fragments_tell_an_ended_session_instead_of_showing_a_form(desk):
    for name, address in addresses(desk):
        assert ask(Client(), name, address, headers={"HX-Request": "true"}).status_code == 401, name


@pytest.mark.parametrize("name", POST_ONLY)
def test_acts_cannot_be_caused_by_a_link(desk, browser_of_alice, name):
    address = dict(addresses(desk))[name]
    assert browser_of_alice.get(address).status_code == 405


def test_posts_need_the_token_of_the_page(desk, alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = strict.post(reverse("portfolio:state", args=[desk.portfolio.pk]), {"action": "halt"})
    desk.portfolio.refresh_from_db()
    assert answer.status_code == 403
    assert desk.portfolio.trading_state == "ACTIVE"


def test_an_archived_portfolio_can_be_read_but_not_acted_on(desk, browser_of_alice):
    pages = dict(addresses(desk))
    desk.portfolio.archived_at = desk.time.at
    desk.portfolio.save(update_fields=["archived_at"])
    for name in ("positions", "orders", "order"):
        assert browser_of_alice.get(pages[name]).status_code == 200, name
    for name in ("ticket", "quote", "close"):
        assert browser_of_alice.get(pages[name]).status_code == 404, name
    for name in ("state", "estimate", "review"):
        assert browser_of_alice.post(pages[name]).status_code == 404, name


def test_a_failure_of_the_desk_is_told_with_an_id_that_stands_in_the_log(desk, alice, monkeypatch, caplog):
    def break_down(*_, **__):
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(queries, "working_orders", break_down)
    browser = Client(raise_request_exception=False)
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = browser.get(reverse("portfolio:positions", args=[desk.portfolio.pk]))
    assert answer.status_code == 500
    request_id = re.search(r"Request ([0-9a-f]{8})", answer.content.decode())[1]
    assert f"Request {request_id} failed" in caplog.text
    assert "the disk is gone" not in answer.content.decode()
