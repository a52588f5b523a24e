"""Signing in by e-mail, being refused in one sentence, being locked out for a while."""

import re

import pytest
from django.test import Client

from tests.conftest import PASSWORD

LOGIN = "/accounts/login/"


def sign_in(browser: Client, email: str, password: str):
    return browser.post(LOGIN, {"username": email, "password": password})


def test_the_right_password_leads_home(alice):
    browser = Client()
    answer = sign_in(browser, alice.email, PASSWORD)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    assert browser.get("/").status_code == 200


def test_the_address_may_be_written_in_capitals(alice):
    assert sign_in(Client(), alice.email.upper(), PASSWORD).status_code == 302


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_wrong_name_and_wrong_password_get_the_same_sentence(alice, email):
    answer = sign_in(Client(), email, "not the password")
    assert answer.status_code == 200
    assert "E-mail address and password do not belong to an account here." in answer.content.decode()
    assert f'value="{email}"' in answer.content.decode()


def test_the_sixth_try_is_refused_also_with_the_right_password(alice):
    browser = Client()
    answers = [sign_in(browser, alice.email, "not the password").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    locked = sign_in(browser, alice.email, PASSWORD)
    assert locked.status_code == 429
    assert re.search(r"Too many attempts\. Try again after \d\d:\d\d E[SD]T\.", locked.content.decode())


def test_another_way_to_write_the_name_is_no_way_around_the_lock(alice):
    browser = Client()
    for name in ("alice", "Alice", "ALICE", "aLice", "alIce"):
        sign_in(browser, f"{name}@example.com", "not the password")
    assert sign_in(browser, alice.email, PASSWORD).status_code == 429


def test_a_lock_of_one_name_leaves_others_alone(alice, bob):
    for _ in range(6):
        sign_in(Client(), alice.email, "not the password")
    assert sign_in(Client(), bob.email, PASSWORD).status_code == 302


def test_signing_out_is_a_post(browser_of_alice):
    assert browser_of_alice.get("/accounts/logout/").status_code == 405
    assert browser_of_alice.post("/accounts/logout/")["Location"] == LOGIN
    assert browser_of_alice.get("/").status_code == 302


def test_pages_carry_the_strict_policy(browser_of_alice):
    policy = browser_of_alice.get("/")["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
