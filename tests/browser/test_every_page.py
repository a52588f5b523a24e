"""What holds for every page: accessible, inside the phone's width, the right banner, a zone beside each time."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import DESKTOP, PHONE

pytestmark = pytest.mark.browser

PAGES = {
    "home": "/",
    "archived": "/?show=archived",
    "new portfolio": "/portfolios/new/",
    "display": "/settings/display/",
    "stop": "/stop/",
    "positions": "/portfolios/1/positions/",
    "by instrument": "/portfolios/1/positions/?by=instrument",
    "orders": "/portfolios/1/orders/",
    "no order matches": "/portfolios/1/orders/?status=EXPIRED",
    "ticket": "/portfolios/1/orders/new/?symbol=SPY",
    "filled order": "/orders/1/",
    "working order": "/orders/4/",
    "refused order": "/orders/5/",
    "close": "/trades/1/close/",
    "missing": "/portfolios/999/positions/",
}


def serious(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_no_serious_fault_of_access(open_page, path, dark):
    assert serious(open_page(path, dark=dark)) == []


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_phone_never_scrolls_sideways(open_page, path):
    page = open_page(path, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert serious(page) == []


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_banner_and_title_say_paper(open_page, path):
    page = open_page(path)
    assert page.locator(".environment").inner_text() == "PAPER"
    assert page.title().startswith("[PAPER] ")


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_every_time_names_its_zone(open_page, path):
    page = open_page(path)
    for element in page.locator("time").all():
        assert re.search(r" E[SD]T$", element.inner_text()), element.inner_text()


@pytest.mark.parametrize("name", ["positions", "ticket", "orders"])
def test_the_keyboard_reaches_every_control(open_page, name):
    page = open_page(PAGES[name], viewport=DESKTOP)
    visible = "a[href], button, input:not([type=hidden]), select, textarea, summary"
    wanted = page.locator(visible).evaluate_all(
        "all => all.filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled"
        " && !(e.type === 'radio' && !e.checked)).length"
    )
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.id || e.outerHTML.slice(0, 120) + [...document.querySelectorAll('*')].indexOf(e))"
                "(document.activeElement)"
            )
        )
    assert len(reached) >= wanted


def test_the_skip_link_comes_first(open_page):
    page = open_page("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_sign_in_page_has_no_serious_fault(browser, running_desk):
    for dark in ("light", "dark"):
        context = browser.new_context(viewport=PHONE, color_scheme=dark)
        page = context.new_page()
        page.goto(f"{running_desk.url}/accounts/login/")
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("path", "opener"),
    [
        ("/portfolios/1/positions/", "#stop"),
        ("/portfolios/1/positions/", "[data-close-trade]"),
        ("/portfolios/1/positions/", "header details.menu summary"),
        ("/portfolios/1/orders/new/?symbol=SPY", "#review"),
    ],
    ids=["stop", "close", "switcher", "review"],
)
def test_what_opens_over_a_page_has_no_serious_fault(open_page, path, opener, dark):
    page = open_page(path, dark=dark)
    page.locator(opener).first.click()
    if "summary" not in opener:
        page.locator("#dialog[open]").wait_for()
    assert serious(page) == []


LAYOUT_SHIFT = """new Promise(done => {
    let total = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) total += entry.value;
    }).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(total), 3000);
})"""


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["home", "positions", "ticket", "filled order"])
def test_nothing_jumps_while_a_page_loads_and_lives(open_page, running_desk, name, viewport):
    page = open_page(PAGES[name], viewport=viewport)
    assert page.evaluate(LAYOUT_SHIFT) < 0.02
