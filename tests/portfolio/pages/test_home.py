"""The first page: what is owned, in which environment, and a new portfolio."""

from decimal import Decimal

from django.urls import reverse
from django.utils import timezone

from portfolio import portfolios, queries
from portfolio.models import Portfolio, Position

HOME = "/"


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_without_a_portfolio_the_page_says_what_to_do(browser_of_alice):
    page = text(browser_of_alice.get(HOME))
    assert "No portfolio yet" in page
    assert "Create a paper portfolio with $100,000" in page


def test_a_fresh_portfolio_shows_its_cash_as_equity(desk, browser_of_alice):
    page = text(browser_of_alice.get(HOME))
    assert "Swing desk" in page
    assert "100,000.00 USD" in page
    assert "[PAPER] Portfolios" in page


def test_paper_and_live_are_never_added(desk, alice, now, browser_of_alice):
    portfolios.open(user=alice, name="Second", cash=Decimal(5_000), actor="user:1", now=now)
    Portfolio.objects.filter(name="Second").update(environment="LIVE")
    cards = queries.cards(alice, now=now)
    found = {(total.environment, total.equity) for total in queries.totals(cards)}
    assert found == {("PAPER", Decimal(100_000)), ("LIVE", Decimal(5_000))}
    page = text(browser_of_alice.get(HOME))
    assert "[MIXED] Portfolios" in page
    assert "105,000.00" not in page


def test_currencies_are_not_added(desk, alice, now):
    portfolios.open(user=alice, name="Second", cash=Decimal(5_000), actor="user:1", now=now)
    Portfolio.objects.filter(name="Second").update(currency="EUR")
    found = {total.currency: total.equity for total in queries.totals(queries.cards(alice, now=now))}
    assert found == {"USD": Decimal(100_000), "EUR": Decimal(5_000)}


def test_equity_is_cash_plus_marked_positions(desk, alice):
    desk.buy("SPY")
    card = queries.cards(alice, now=desk.time.at)[0]
    position = Position.objects.get(portfolio=desk.portfolio)
    assert card.equity == desk.portfolio.cash + position.market_value
    assert card.today == card.equity - 100_000
    assert card.open_trades == 1


def test_a_missing_price_leaves_no_false_sum(desk, alice, browser_of_alice):
    desk.buy("SPY")
    Position.objects.filter(portfolio=desk.portfolio).update(
        mark=None, market_value=None, unrealized_pnl=None, mark_reason="No quote for 6 minutes."
    )
    card = queries.cards(alice, now=desk.time.at)[0]
    assert (card.equity, card.today, card.drawdown, card.unpriced) == (None, None, None, 1)
    page = text(browser_of_alice.get(HOME))
    assert "1 price missing" in page
    assert "no total until it is there" in page


def test_the_cards_cost_the_same_queries_for_one_portfolio_and_five(desk, alice, now, django_assert_num_queries):
    with django_assert_num_queries(3):
        queries.cards(alice, now=now)
    for number in range(4):
        portfolios.open(user=alice, name=f"Desk {number}", cash=Decimal(1_000), actor="user:1", now=now)
    with django_assert_num_queries(3):
        assert len(queries.cards(alice, now=now)) == 5


def test_only_own_portfolios_are_listed(desk, browser_of_bob):
    assert "Swing desk" not in text(browser_of_bob.get(HOME))


def test_an_unchanged_page_is_answered_with_nothing(desk, browser_of_alice):
    version = browser_of_alice.get(HOME).context["version"]
    assert browser_of_alice.get(HOME, {"v": version}).status_code == 204
    assert browser_of_alice.get(HOME, {"v": "older"}).status_code == 200


def test_archived_portfolios_are_shown_apart(desk, browser_of_alice):
    Portfolio.objects.update(archived_at=timezone.now())
    assert "No portfolio yet" in text(browser_of_alice.get(HOME))
    page = text(browser_of_alice.get(HOME, {"show": "archived"}))
    assert "Swing desk" in page
    assert "ARCHIVED" in page


def open_portfolio(browser, **changed):
    given = {"name": "Swing desk", "cash": "100,000", "preset": "CONSERVATIVE", **changed}
    return browser.post(reverse("portfolio:new"), given)


def test_opening_a_portfolio_leads_to_its_positions(listed, alice, browser_of_alice):
    answer = open_portfolio(browser_of_alice)
    opened = Portfolio.objects.get(user=alice)
    assert answer["Location"] == reverse("portfolio:positions", args=[opened.pk])
    assert (opened.initial_cash, opened.cash) == (Decimal(100_000), Decimal(100_000))


def test_a_taken_name_is_told_beside_the_field_and_input_is_kept(desk, browser_of_alice):
    answer = open_portfolio(browser_of_alice, cash="2500.50")
    assert answer.status_code == 422
    assert "You already have a portfolio called Swing desk." in text(answer)
    assert 'value="2500.50"' in text(answer)


def test_impossible_cash_is_refused_in_words(listed, browser_of_alice):
    for cash, sentence in [
        ("", "Say how much cash it starts with."),
        ("0", "This must be above zero"),
        ("many", "Write the cash as a number"),
        ("1.005", "at most 2"),
    ]:
        answer = open_portfolio(browser_of_alice, cash=cash)
        assert answer.status_code == 422
        assert sentence in text(answer), cash
    assert not Portfolio.objects.exists()
