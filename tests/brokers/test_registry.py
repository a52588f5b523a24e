"""The desk's door to its venues, over the replay market."""

import logging
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers import polling, registry
from brokers.enums import Environment, OrderStatus, OrderType, Side, Venue
from brokers.errors import AccountUnknown
from brokers.market_data import sources
from brokers.messages import AccountKey, NewOrder
from brokers.models import SimulatedOrder
from brokers.polling import PollRequest
from brokers.simulator.accounts import AccountRefused

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def listed(settings):
    settings.DESK_CLOCK, settings.REPLAY_BARS = "replay", "synthetic"
    sources.list_instruments()


def opened(name="a"):
    return registry.open_account(event_id=name, cash=Decimal(50_000), seed=1, now=NOW)


def buy(name="one", quantity="10"):
    return NewOrder(
        client_order_id=name,
        symbol="SPY",
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal(quantity),
    )


def test_an_order_sent_through_the_registry_fills_in_the_replay_market():
    key = opened()
    report = registry.adapter(key, now=NOW + timedelta(minutes=1)).submit(buy())
    assert report.status is OrderStatus.FILLED
    (fill,) = registry.adapter(key, now=NOW + timedelta(minutes=2)).fills(since=NOW)
    assert fill.evidence["observation"]["market_identity"] == sources.replay_market().identity


def test_an_account_that_was_never_opened_is_unknown():
    key = AccountKey(Venue.SIMULATOR, Environment.PAPER, str(uuid.uuid4()))
    with pytest.raises(AccountUnknown):
        registry.adapter(key, now=NOW)
    with pytest.raises(AccountUnknown):
        registry.adapter(AccountKey(Venue.SIMULATOR, Environment.PAPER, "not a uuid"), now=NOW)


def test_money_moves_through_the_registry_and_is_reported():
    key = opened()
    registry.deposit(key, amount=Decimal(100), event_id="d", now=NOW + timedelta(hours=1))
    registry.withdraw(key, amount=Decimal(30), event_id="w", now=NOW + timedelta(hours=2))
    broker = registry.adapter(key, now=NOW + timedelta(hours=3))
    assert broker.account().cash == Decimal(50_070)
    assert [each.amount for each in broker.activities(since=NOW)] == [50_000, 100, -30]
    with pytest.raises(AccountRefused):
        registry.withdraw(key, amount=Decimal(60_000), event_id="much", now=NOW + timedelta(hours=3))


def test_a_reset_hands_out_the_key_of_the_next_generation():
    key = opened()
    new = registry.reset(key, event_id="r", cash=Decimal(7), seed=2, now=NOW + timedelta(minutes=1))
    assert new.account_id != key.account_id
    assert registry.adapter(new, now=NOW + timedelta(minutes=2)).account().cash == 7
    assert registry.adapter(key, now=NOW + timedelta(minutes=2)).account().status == "ARCHIVED"


def test_settings_changed_through_the_registry_have_a_version():
    assert registry.change_settings(opened(), changes={"latency_ms": 5}, now=NOW) == 2


def test_polling_answers_each_account_in_order_and_an_unknown_one_with_its_error():
    keys = [opened("a"), opened("b")]
    stranger = AccountKey(Venue.SIMULATOR, Environment.PAPER, str(uuid.uuid4()))
    garbled = AccountKey(Venue.SIMULATOR, Environment.PAPER, "not a uuid")
    at = NOW + timedelta(minutes=1)
    for key in keys:
        registry.adapter(key, now=at).submit(buy())
    asked = [keys[1], stranger, garbled, keys[0]]
    found = polling.poll([PollRequest(key, NOW) for key in asked], now=at + timedelta(minutes=1))
    assert [each.account_id for each in found] == [key.account_id for key in asked]
    assert [len(each.fills) for each in found] == [1, 0, 0, 1]
    assert [bool(each.error) for each in found] == [False, True, True, False]
    assert found[0].caught_up_until == at + timedelta(minutes=1)
    assert found[1].caught_up_until == NOW


def test_an_account_that_cannot_be_read_is_answered_with_its_error_and_stops_no_other(caplog):
    keys = [opened(name) for name in "abc"]
    at = NOW + timedelta(minutes=1)
    for key in keys:
        registry.adapter(key, now=at).submit(buy())
    SimulatedOrder.objects.filter(account__account_id=keys[1].account_id).update(state="GARBLED")
    with caplog.at_level(logging.CRITICAL):
        found = polling.poll([PollRequest(key, NOW) for key in keys], now=at + timedelta(minutes=1))
    assert [each.account_id for each in found] == [key.account_id for key in keys]
    assert [len(each.fills) for each in found] == [1, 0, 1]
    assert "GARBLED" in found[1].error
    assert found[1].caught_up_until == NOW
    assert found[0].error == found[2].error == ""


def test_two_deposits_whose_keys_look_alike_are_two_events():
    key = opened()
    for event_id in ("abc", "DEPOSIT:abc"):
        registry.deposit(key, amount=Decimal(100), event_id=event_id, now=NOW)
    broker = registry.adapter(key, now=NOW + timedelta(hours=1))
    assert [each.event_id for each in broker.activities(since=NOW)] == ["opening", "abc", "DEPOSIT:abc"]
    assert broker.account().cash == Decimal(50_200)


def test_a_transfer_may_not_take_the_id_of_an_event_of_the_venue():
    with pytest.raises(AccountRefused, match="SPLIT:SPY"):
        registry.deposit(opened(), amount=Decimal(100), event_id="SPLIT:SPY", now=NOW)


def test_polling_costs_the_same_statements_for_two_accounts_as_for_eight():
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    keys = [opened(f"p{number}") for number in range(10)]
    for key in keys:
        registry.adapter(key, now=NOW + timedelta(minutes=1)).submit(buy())
    counts = []
    for some in (keys[:2], keys[2:]):
        with CaptureQueriesContext(connection) as queries:
            polling.poll([PollRequest(key, NOW) for key in some], now=NOW + timedelta(minutes=2))
        counts.append(len(queries))
    assert counts[0] == counts[1]
