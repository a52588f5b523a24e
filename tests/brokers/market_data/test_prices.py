"""What an instrument is worth: the order of sources, their ages, the gate, the cache."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from brokers.enums import PriceSource
from brokers.market_data import prices, sources
from brokers.market_data.feeds import DayFigures, FeedEvent, QuoteLook, ReplayFeed, SymbolNotQuoted, TradeLook
from brokers.market_data.prices import Price, PriceUnavailable
from brokers.models import Instrument, LatestPrice

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 13, 16, 0, tzinfo=UTC)  # a Friday, 11:00 in New York: open
CLOSE = datetime(2026, 11, 12, 21, 0, tzinfo=UTC)  # of the session before
EVENING = datetime(2026, 11, 13, 23, 0, tzinfo=UTC)
FRIDAYS_CLOSE = datetime(2026, 11, 13, 21, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def quote(bid="99.99", ask="100.01", *, at=NOW):
    as_decimal = lambda text: None if text is None else Decimal(text)  # noqa: E731
    return QuoteLook(
        as_of=at, bid=as_decimal(bid), ask=as_decimal(ask), bid_size=300, ask_size=200, last=Decimal("100")
    )


def trade(price="100.02", *, at=NOW):
    return TradeLook(as_of=at, price=Decimal(price))


@dataclass
class WrittenFeed:
    """A source that says what the test wrote down."""

    name: str = "written"
    quote_look: QuoteLook | None = None
    trade_look: TradeLook | None = None
    minute_look: TradeLook | None = None
    daily_look: TradeLook | None = None
    known_events: tuple[FeedEvent, ...] = ()
    asked_at: list = field(default_factory=list)

    def quote(self, symbol, *, at):
        self.asked_at.append(at)
        return self.quote_look

    def trade(self, symbol, *, at):
        return self.trade_look

    def minute_bar(self, symbol, *, at):
        return self.minute_look

    def daily_bar(self, symbol, *, at):
        return self.daily_look

    def day(self, symbol, *, at):
        return DayFigures(volume=1234, previous_close=Decimal("99"))

    def events(self, symbol, *, after, until):
        return tuple(event for event in self.known_events if after < event.ex_date <= until)


@pytest.fixture
def spy(db):
    return Instrument.objects.create(symbol="SPY", kind="ETF", is_fractionable=True)


def ask(feed, now=NOW, **options):
    return prices.latest(["SPY"], now, feed=feed, **options)["SPY"]


# ------------------------------------------------------------------ the order of sources


def test_a_quote_is_worth_its_middle(spy):
    price = ask(WrittenFeed(quote_look=quote("100.00", "100.01", at=NOW - 3 * SECOND)))
    assert price == Price(
        symbol="SPY",
        instrument_id=spy.pk,
        value=Decimal("100.005000"),
        bid=Decimal("100.00"),
        ask=Decimal("100.01"),
        bid_size=300,
        ask_size=200,
        last=Decimal("100"),
        source=PriceSource.QUOTE,
        as_of=NOW - 3 * SECOND,
        age_seconds=Decimal(3),
        is_stale=False,
        is_previous_close=False,
    )


def test_half_a_unit_in_the_middle_is_rounded_up(spy):
    assert ask(WrittenFeed(quote_look=quote("0.000100", "0.000101"))).value == Decimal("0.000101")


FULL = {
    "quote_look": quote(),
    "trade_look": trade("100.02"),
    "minute_look": trade("100.03"),
    "daily_look": trade("99.00", at=CLOSE),
}


@pytest.mark.parametrize(
    ("missing", "source", "value", "tried"),
    [
        ((), PriceSource.QUOTE, "100.00", 0),
        (("quote_look",), PriceSource.TRADE, "100.02", 1),
        (("quote_look", "trade_look"), PriceSource.MINUTE_BAR, "100.03", 2),
        (("trade_look", "minute_look"), PriceSource.QUOTE, "100.00", 0),
    ],
)
def test_each_source_stands_in_for_the_ones_before(spy, missing, source, value, tried):
    price = ask(WrittenFeed(**{name: look for name, look in FULL.items() if name not in missing}))
    assert (price.source, price.value, len(price.tried)) == (source, Decimal(value), tried)


def test_in_an_open_market_the_last_close_is_no_price(spy):
    answer = ask(WrittenFeed(daily_look=trade("99.00", at=CLOSE)))
    assert isinstance(answer, PriceUnavailable)
    assert str(answer) == (
        "There is no price of SPY. No quote. No last trade. No minute bar. The daily bar is the last close, "
        "which does not count while the market is open."
    )
    assert not LatestPrice.objects.exists()


def test_nothing_at_all_is_unavailable_and_never_zero(spy):
    answer = ask(WrittenFeed())
    assert isinstance(answer, PriceUnavailable)
    assert len(answer.tried) == 4


@pytest.mark.parametrize(
    ("name", "limit", "source"),
    [
        ("quote_look", 120, PriceSource.QUOTE),
        ("trade_look", 300, PriceSource.TRADE),
        ("minute_look", 180, PriceSource.MINUTE_BAR),
    ],
)
def test_exactly_the_limit_is_fresh_and_a_microsecond_more_is_not(spy, name, limit, source):
    at_limit = NOW - limit * SECOND
    look = quote(at=at_limit) if name == "quote_look" else trade(at=at_limit)
    assert ask(WrittenFeed(**{name: look})).source is source
    late = ask(WrittenFeed(**{name: look}), now=NOW + timedelta(microseconds=1))
    assert isinstance(late, PriceUnavailable)
    assert f"{limit} s old, more than {limit} s" in str(late)


@pytest.mark.parametrize(
    ("bid", "ask_price"),
    [(None, "100"), ("100", None), ("0", "100"), ("-1", "100"), ("NaN", "100"), ("100.01", "100"), ("94", "100")],
)
def test_an_unusable_quote_counts_as_missing(spy, bid, ask_price):
    price = ask(WrittenFeed(quote_look=quote(bid, ask_price), trade_look=trade()))
    assert (price.source, price.bid, price.ask) == (PriceSource.TRADE, None, None)
    assert len(price.tried) == 1


def test_a_price_from_the_future_is_passed_over(spy):
    price = ask(WrittenFeed(quote_look=quote(at=NOW + 3 * SECOND), trade_look=trade()))
    assert price.source is PriceSource.TRADE
    assert ask(WrittenFeed(quote_look=quote(at=NOW + 2 * SECOND))).source is PriceSource.QUOTE


def test_a_symbol_that_is_not_listed_says_so(spy):
    found = prices.latest(["SPY", "NOPE"], NOW, feed=WrittenFeed(quote_look=quote()))
    assert isinstance(found["SPY"], Price)
    assert str(found["NOPE"]) == "There is no price of NOPE. NOPE is not listed at this desk."


def test_a_symbol_the_source_does_not_know_leaves_the_others_valid(spy):
    Instrument.objects.create(symbol="ZZZ", kind="EQUITY")

    class Choosy(WrittenFeed):
        def quote(self, symbol, *, at):
            if symbol == "ZZZ":
                raise SymbolNotQuoted("written does not know ZZZ.")
            return super().quote(symbol, at=at)

    found = prices.latest(["ZZZ", "SPY"], NOW, feed=Choosy(quote_look=quote()))
    assert isinstance(found["SPY"], Price)
    assert "does not know ZZZ" in str(found["ZZZ"])


# ------------------------------------------------------------------ outside regular hours


@pytest.mark.parametrize(
    ("before_close", "source"),
    [(timedelta(minutes=5), PriceSource.QUOTE), (timedelta(minutes=5, microseconds=1), PriceSource.DAILY_BAR)],
)
def test_after_the_close_a_quote_of_its_last_five_minutes_holds(spy, before_close, source):
    feed = WrittenFeed(quote_look=quote(at=FRIDAYS_CLOSE - before_close), daily_look=trade("99.5", at=FRIDAYS_CLOSE))
    for now in (EVENING, datetime(2026, 11, 16, 14, 29, 59, tzinfo=UTC)):  # until Monday's open
        price = ask(feed, now=now)
        assert price.source is source
        assert price.is_previous_close is (source is PriceSource.DAILY_BAR)
    assert isinstance(ask(feed, now=datetime(2026, 11, 16, 14, 30, tzinfo=UTC)), PriceUnavailable)


def test_after_the_close_the_feed_is_asked_about_the_close(spy):
    feed = WrittenFeed(quote_look=quote(at=FRIDAYS_CLOSE))
    ask(feed, now=EVENING)
    assert feed.asked_at == [FRIDAYS_CLOSE]


# ------------------------------------------------------------------ splits and dividends


def friday_split(ratio=Fraction(4), dividend="0"):
    return FeedEvent(ex_date=date(2026, 11, 13), split=ratio, dividend=Decimal(dividend))


def test_a_known_split_is_no_jump(spy):
    before = CLOSE - 10 * SECOND
    ask(WrittenFeed(quote_look=quote("400", "400.02", at=before)), now=CLOSE)
    price = ask(WrittenFeed(quote_look=quote("100", "100.02"), known_events=(friday_split(),)))
    assert price.value == Decimal("100.01")


def test_an_unknown_split_is_quarantined(spy):
    ask(WrittenFeed(quote_look=quote("400", "400.02", at=CLOSE)), now=CLOSE)
    assert isinstance(ask(WrittenFeed(quote_look=quote("100", "100.02"))), PriceUnavailable)


def test_before_our_books_have_the_split_there_is_no_price(spy):
    feed = WrittenFeed(quote_look=quote(), known_events=(friday_split(),))
    answer = ask(feed, unadjusted={spy.pk})
    assert "not booked here yet" in str(answer)
    assert isinstance(ask(feed), Price)


@pytest.mark.parametrize(
    ("now", "value"),
    [
        (datetime(2026, 11, 13, 8, 59, 59, tzinfo=UTC), "400.01"),  # 03:59:59 in New York
        (datetime(2026, 11, 13, 9, 0, tzinfo=UTC), "99.5025"),  # 04:00: 400.01 / 4 - 0.5
        (datetime(2026, 11, 13, 14, 29, 59, tzinfo=UTC), "99.5025"),
    ],
)
def test_before_the_open_of_an_ex_date_the_close_is_restated(spy, now, value):
    feed = WrittenFeed(quote_look=quote("400", "400.02", at=CLOSE), known_events=(friday_split(dividend="0.5"),))
    for _ in range(2):  # the second time from a cache that has the restated price
        price = ask(feed, now=now)
        assert price.value == Decimal(value)
    assert prices.stored(["SPY"], now)["SPY"].value == Decimal(value)


# ------------------------------------------------------------------ quarantine


def jump(seconds, middle="125"):
    at = NOW + seconds * SECOND
    bid, offer = Decimal(middle) - Decimal("0.01"), Decimal(middle) + Decimal("0.01")
    return WrittenFeed(quote_look=quote(str(bid), str(offer), at=at)), at


def ask_jump(seconds, middle="125"):
    feed, at = jump(seconds, middle)
    return ask(feed, now=at)


def test_a_quarantined_price_is_released_by_the_second_reading(spy):
    ask(WrittenFeed(quote_look=quote()))
    assert isinstance(ask_jump(10), PriceUnavailable)
    row = LatestPrice.objects.get()
    assert (row.quarantined_price, row.quarantined_at, row.quarantined_source) == (
        Decimal(125),
        NOW + 10 * SECOND,
        "written",
    )
    assert (row.bid, row.ask) == (Decimal("99.99"), Decimal("100.01"))  # the accepted one stays
    assert isinstance(prices.stored(["SPY"], NOW + 10 * SECOND)["SPY"], PriceUnavailable)

    assert isinstance(ask_jump(39.999), PriceUnavailable)
    assert LatestPrice.objects.get().quarantined_at == NOW + 10 * SECOND
    released = ask_jump(40)
    assert released.value == 125
    assert "is confirmed by" in released.tried[0]
    assert LatestPrice.objects.get().quarantined_price is None
    assert prices.stored(["SPY"], NOW + 40 * SECOND)["SPY"].value == 125


def test_a_second_source_releases_it_at_once(spy):
    ask(WrittenFeed(quote_look=quote()))
    assert isinstance(ask_jump(10), PriceUnavailable)
    feed, at = jump(11)
    feed.name = "other"
    assert ask(feed, now=at).value == 125


def test_the_last_trade_of_the_same_source_does_not_release_it(spy):
    ask(WrittenFeed(quote_look=quote()))
    feed, at = jump(10)
    feed.trade_look = trade("125", at=at)
    assert isinstance(ask(feed, now=at), PriceUnavailable)


def test_a_price_that_comes_back_ends_the_quarantine(spy):
    ask(WrittenFeed(quote_look=quote()))
    ask_jump(10)
    assert ask_jump(20, middle="101").value == 101
    assert LatestPrice.objects.get().quarantined_price is None


def test_twenty_percent_is_no_jump(spy):
    ask(WrittenFeed(quote_look=quote()))
    assert ask_jump(10, middle="120").value == 120


# ------------------------------------------------------------------ the cache


def test_every_accepted_price_is_stored_and_can_be_read_without_a_source(spy, django_assert_num_queries):
    ask(WrittenFeed(quote_look=quote()))
    row = LatestPrice.objects.get()
    assert (row.instrument, row.source, row.updated_at) == (spy, "written:QUOTE", NOW)
    assert (row.day_volume, row.previous_close, row.last) == (1234, 99, 100)
    with django_assert_num_queries(2):
        by_symbol = prices.stored(["SPY"], NOW)["SPY"]
        by_id = prices.stored([spy.pk], NOW)[spy.pk]
    assert by_symbol == by_id == ask(WrittenFeed(quote_look=quote()))


def test_a_stored_price_says_when_it_is_too_old(spy):
    ask(WrittenFeed(trade_look=trade()))
    assert prices.stored(["SPY"], NOW + 300 * SECOND)["SPY"].is_stale is False
    stale = prices.stored(["SPY"], NOW + 301 * SECOND)["SPY"]
    assert (stale.is_stale, stale.age_seconds, stale.value) == (True, 301, Decimal("100.02"))


def test_an_instrument_never_priced_is_unavailable(spy):
    assert "not been priced" in str(prices.stored(["SPY"], NOW)["SPY"])
    assert "not listed" in str(prices.stored([spy.pk + 1], NOW)[spy.pk + 1])


def test_the_same_reading_again_writes_nothing(spy, django_assert_num_queries):
    feed = WrittenFeed(quote_look=quote())
    ask(feed)
    with django_assert_num_queries(1):
        ask(feed, now=NOW + SECOND)


# ------------------------------------------------------------------ the replay market


def test_sixty_symbols_cost_as_many_queries_as_one(settings, django_assert_num_queries):
    settings.REPLAY_BARS = "synthetic"
    sources.list_instruments()
    symbols = sources.replay_market().symbols
    with django_assert_num_queries(2):
        prices.latest(symbols[:1], NOW)
    with django_assert_num_queries(2):
        found = prices.latest(symbols, NOW + 5 * SECOND)
    assert len(found) == 60
    usable = [price for price in found.values() if isinstance(price, Price)]
    assert len(usable) >= 58  # now and then one is halted
    assert all(price.bid < price.ask for price in usable if price.source is PriceSource.QUOTE)


def test_the_replay_feed_knows_nothing_after_the_instant_asked_about(settings):
    settings.REPLAY_BARS = "synthetic"
    feed = ReplayFeed()
    for look in (feed.quote("SPY", at=NOW), feed.trade("SPY", at=NOW), feed.minute_bar("SPY", at=NOW)):
        assert NOW - timedelta(minutes=1) <= look.as_of <= NOW
    assert feed.daily_bar("SPY", at=NOW).as_of == CLOSE
    assert feed.daily_bar("SPY", at=FRIDAYS_CLOSE).as_of == FRIDAYS_CLOSE
    with pytest.raises(SymbolNotQuoted):
        feed.quote("ZZZ", at=NOW)
