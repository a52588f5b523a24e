"""Which instrument a ticker means when several have it: the same for orders, prices and the market."""

import pytest

from brokers.enums import InstrumentKind
from brokers.market_data import sources
from brokers.market_data.listings import tradable, tradable_shares
from brokers.models import Instrument


def listed(kind, *, symbol="AAPL", **fields):
    return Instrument.objects.create(symbol=symbol, kind=kind, **fields)


@pytest.mark.django_db
def test_a_share_goes_before_other_kinds_whoever_was_listed_first():
    listed(InstrumentKind.CFD)
    share = listed(InstrumentKind.EQUITY)
    listed(InstrumentKind.FOREX)
    assert tradable(["AAPL"]) == {"AAPL": share}


@pytest.mark.django_db
def test_of_two_shares_the_one_listed_first_counts():
    fund = listed(InstrumentKind.ETF)
    listed(InstrumentKind.EQUITY)
    assert tradable(["AAPL"]) == tradable_shares(["AAPL"]) == {"AAPL": fund}


@pytest.mark.django_db
def test_of_other_kinds_the_oldest_active_counts():
    listed(InstrumentKind.FOREX, is_active=False)
    oldest = listed(InstrumentKind.CFD)
    listed(InstrumentKind.OPTION)
    assert tradable(["AAPL", "NONE"]) == {"AAPL": oldest}
    assert tradable_shares(["AAPL", "NONE"]) == {}


@pytest.mark.django_db
def test_all_symbols_are_one_query(django_assert_num_queries):
    for symbol in ("A", "B", "C"):
        listed(InstrumentKind.EQUITY, symbol=symbol)
    with django_assert_num_queries(1):
        assert set(tradable("ABC")) == {"A", "B", "C"}


@pytest.mark.django_db
def test_the_replay_market_lists_no_second_fund_beside_the_first(settings):
    settings.REPLAY_BARS = "synthetic"
    listed(InstrumentKind.CFD, symbol="SPY")
    sources.list_instruments()
    assert tradable(["SPY"])["SPY"].kind == InstrumentKind.ETF
    assert sources.list_instruments() == 0
