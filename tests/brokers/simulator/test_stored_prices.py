from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.enums import OrderStatus, Timeframe
from brokers.models import Bar, CorporateAction, LatestPrice
from brokers.simulator import venue
from brokers.simulator.stored_prices import StoredPrices

from .orders import fills, limit, order, report, send
from .scripted import OPEN

MINUTE = timedelta(minutes=1)


def store(instrument, at, bid="149.98", ask="150.02", last="150.00", *, quote_age=timedelta(0), **fields):
    values = {
        "bid": Decimal(bid),
        "ask": Decimal(ask),
        "bid_size": 500,
        "ask_size": 500,
        "last": Decimal(last),
        "quote_as_of": at - quote_age,
        "updated_at": at,
        "source": "test",
        **fields,
    }
    LatestPrice.objects.update_or_create(instrument=instrument, defaults=values)


def second(at):
    return int(at.timestamp())


def test_a_stored_price_is_one_observation_at_the_moment_it_was_stored(aapl):
    store(aapl, OPEN + MINUTE)
    market = StoredPrices()
    seen = market.observations("AAPL", after=second(OPEN), until=second(OPEN + MINUTE))
    assert (seen.at.tolist(), seen.ask.tolist()) == ([second(OPEN + MINUTE)], [150_020_000])
    assert not len(market.observations("AAPL", after=second(OPEN + MINUTE), until=second(OPEN + 2 * MINUTE)).at)


@pytest.mark.parametrize(("seconds", "is_there"), [(120, True), (121, False)])
def test_a_price_is_in_force_for_two_minutes(aapl, seconds, is_there):
    store(aapl, OPEN)
    found = StoredPrices().observation_at("AAPL", at=second(OPEN) + seconds)
    assert (found is not None) == is_there


def test_a_quote_that_was_old_when_it_came_has_no_sides(aapl):
    store(aapl, OPEN, quote_age=timedelta(seconds=121))
    seen = StoredPrices().observation_at("AAPL", at=second(OPEN))
    assert (seen.bid[0], seen.ask[0], seen.last[0]) == (0, 0, 150_000_000)


def test_a_quarantined_price_is_no_observation(aapl):
    store(aapl, OPEN, quarantined_at=OPEN, quarantined_price=Decimal("300"))
    assert StoredPrices().observation_at("AAPL", at=second(OPEN)) is None


def test_volume_statistics_and_closes_come_from_stored_bars(aapl):
    days = [date(2026, 11, 17), date(2026, 11, 18), date(2026, 11, 19)]
    for day, close in zip(days, ("100", "110", "121"), strict=True):
        prices = {name: Decimal(close) for name in ("open", "high", "low", "close")}
        at = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
        Bar.objects.create(
            instrument=aapl, timeframe=Timeframe.DAY, at=at, session_date=day, volume=1_000, source="t", **prices
        )
    market = StoredPrices()
    ordinal = (date(2026, 11, 20) - date(1970, 1, 1)).days
    deviation, volume = market.daily_statistics("AAPL", before_ordinal=ordinal)
    assert deviation == pytest.approx(0, abs=1e-12)  # ten percent each day
    assert volume == 1_000
    assert market.previous_close("AAPL", at=second(OPEN)) == 121_000_000
    assert market.volume_of_last_minute("AAPL", at=second(OPEN)) is None


def test_stored_splits_and_dividends_are_events(aapl):
    CorporateAction.objects.create(
        source="t", event_id="e1", instrument=aapl, kind="SPLIT", ex_date=date(2026, 11, 23), ratio_to=4
    )
    CorporateAction.objects.create(
        source="t", event_id="e2", instrument=aapl, kind="SPLIT", ex_date=date(2026, 11, 23), state="WITHDRAWN"
    )
    ordinal = (date(2026, 11, 23) - date(1970, 1, 1)).days
    (event,) = StoredPrices().events("AAPL", until_ordinal=ordinal)
    assert (event.kind, event.ratio_from, event.ratio_to, event.ex_ordinal) == ("SPLIT", 1, 4, ordinal)


def test_the_venue_trades_on_stored_prices(aapl, account):
    store(aapl, OPEN + MINUTE)
    send(account, StoredPrices(), order(), limit("149.90"), now=OPEN + MINUTE + timedelta(seconds=5))
    assert report(account, "one").status is OrderStatus.FILLED
    store(aapl, OPEN + 2 * MINUTE, bid="149.80", ask="149.85", last="149.82")
    venue.advance([account.account_id], now=OPEN + 2 * MINUTE - timedelta(seconds=5), market=StoredPrices())
    venue.advance([account.account_id], now=OPEN + 2 * MINUTE, market=StoredPrices())
    assert [fill.price for fill in fills(account)] == [Decimal("150.02"), Decimal("149.90")]
