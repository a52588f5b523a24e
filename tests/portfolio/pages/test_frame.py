"""What stands around every page: the market's phase in words, and which environment the banner names."""

from datetime import UTC, datetime

import pytest

from portfolio.pages import frame


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (datetime(2026, 11, 13, 16, 0, tzinfo=UTC), "open, closes in 5 h 0 min"),
        (datetime(2026, 11, 13, 20, 59, 30, tzinfo=UTC), "open, closes in 1 min"),
        (datetime(2026, 11, 13, 14, 29, tzinfo=UTC), "pre-market, opens in 1 min"),
        (datetime(2026, 11, 13, 21, 0, tzinfo=UTC), "after hours, closed until Mon 09:30 EST"),
        (datetime(2026, 11, 14, 16, 0, tzinfo=UTC), "closed until Mon 09:30 EST"),
        (datetime(2026, 11, 27, 17, 30, tzinfo=UTC), "open, closes in 30 min, early close 13:00 EST"),
        (datetime(2026, 7, 3, 14, 0, tzinfo=UTC), "closed until Mon 09:30 EDT"),  # the holiday's Friday
    ],
)
def test_the_phase_in_words(now, words):
    assert frame.phase_words(now) == words


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "../etc"])
def test_an_unknown_zone_shows_the_exchanges(alice, name):
    alice.time_zone = name
    assert frame.zone_of(alice) == frame.EXCHANGE_ZONE


def test_the_chosen_zone_is_used_and_named(desk, alice, browser_of_alice):
    alice.time_zone = "Europe/Berlin"
    alice.save()
    page = browser_of_alice.get("/").content.decode()
    assert "Fri Nov 13 17:00:00 CET" in page
    assert 'data-zone="Europe/Berlin"' in page


def test_the_clock_names_invented_prices(desk, browser_of_alice):
    page = browser_of_alice.get("/clock/").content.decode()
    assert "Fri Nov 13 11:00:00 EST" in page
    assert "SYNTHETIC" in page


def test_display_settings_are_kept(alice, browser_of_alice):
    given = {"theme": "dark", "red_up": "on", "time_zone": "Asia/Tokyo"}
    assert browser_of_alice.post("/settings/display/", given).status_code == 302
    page = browser_of_alice.get("/").content.decode()
    assert 'data-theme="dark"' in page
    assert 'data-colors="red-up"' in page
