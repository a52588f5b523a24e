"""Staff move everybody's clock, forward only, and the desk's own journal says who."""

import pytest

from brokers.models import ReplayAnchor
from portfolio.models import JournalEntry

ADDRESS = "/replay/"


@pytest.fixture
def browser_of_staff(client, staff):
    client.force_login(staff)
    return client


def test_for_everybody_else_the_page_does_not_exist(browser_of_alice):
    assert browser_of_alice.get(ADDRESS).status_code == 404
    assert browser_of_alice.post(ADDRESS, {"speed": "60"}).status_code == 404
    assert not ReplayAnchor.objects.exists()


def test_another_speed_is_a_new_anchor_and_an_entry(browser_of_staff, staff):
    assert browser_of_staff.get(ADDRESS).status_code == 200
    answer = browser_of_staff.post(ADDRESS, {"speed": "60"}, follow=True)
    assert "speed 60" in answer.content.decode()
    assert ReplayAnchor.objects.order_by("-number")[0].speed == 60
    entry = JournalEntry.objects.get(name="clock.moved")
    assert (entry.user_id, entry.actor) == (None, f"user:{staff.pk}")


def test_a_jump_goes_to_the_next_open(browser_of_staff):
    browser_of_staff.post(ADDRESS, {"act": "next-open"})
    virtual = ReplayAnchor.objects.order_by("-number")[0].anchor_virtual
    assert virtual.minute == 30
    assert virtual.hour in (13, 14)  # 09:30 in New York, in summer and in winter


@pytest.mark.parametrize("speed", ["", "7", "-1", "1e9", "fast"])
def test_a_speed_that_is_not_offered_is_refused_in_words(browser_of_staff, speed):
    answer = browser_of_staff.post(ADDRESS, {"speed": speed})
    assert answer.status_code == 422
    assert "not one of the speeds" in answer.content.decode()
    assert not JournalEntry.objects.filter(name="clock.moved").exists()
