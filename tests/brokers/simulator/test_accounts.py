from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.enums import AccountKind, AccountStatus, ActivityKind, OrderStatus
from brokers.models import SimulatedAccount, SimulatedActivity
from brokers.simulator import accounts, venue
from brokers.simulator.accounts import AccountRefused
from brokers.simulator.presets import SettingsRefused

from .orders import limit, report, send
from .scripted import OPEN

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def opened(cash="1000", event_id="a", **fields):
    return accounts.open(event_id=event_id, cash=Decimal(cash), seed=1, now=NOW, **fields)


def cash_of(account):
    return venue.account_report(account.account_id).cash


def test_opening_twice_gives_one_account_with_one_deposit():
    first, again = opened(), opened()
    assert first.pk == again.pk
    assert again.cash_units == 1_000_000_000
    (deposit,) = first.activities.all()
    assert (deposit.kind, deposit.amount_units) == (ActivityKind.DEPOSIT, 1_000_000_000)


def test_an_account_opened_without_money_has_no_deposit():
    assert not opened(cash="0").activities.exists()


def test_a_new_account_has_the_settings_of_its_preset():
    account = opened(preset="IBKR_TIERED")
    assert account.settings["preset"] == account.preset == "IBKR_TIERED"
    assert account.settings_version == account.generation == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"preset": "LUCKY"}, "There is no preset LUCKY"),
        ({"kind": AccountKind.MARGIN}, "lends no money"),
        ({"cash": "-1"}, "above 0"),
        ({"cash": "0.001"}, "whole cents"),
        ({"cash": "1e30"}, "too large"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_words(fields, text):
    with pytest.raises(AccountRefused, match=text):
        opened(**fields)
    assert not SimulatedAccount.objects.exists()


def test_a_deposit_is_booked_once_whatever_the_number_of_calls():
    account = opened()
    first = accounts.deposit(account.account_id, amount=Decimal("50.25"), event_id="d", now=NOW)
    again = accounts.deposit(account.account_id, amount=Decimal("50.25"), event_id="d", now=NOW)
    assert first.activity_id == again.activity_id
    assert cash_of(account) == Decimal("1050.25")


def test_one_event_id_cannot_stand_for_two_amounts():
    account = opened()
    accounts.deposit(account.account_id, amount=Decimal(50), event_id="d", now=NOW)
    with pytest.raises(AccountRefused, match=r"already booked with 50\.00"):
        accounts.deposit(account.account_id, amount=Decimal(51), event_id="d", now=NOW)
    with pytest.raises(AccountRefused):
        accounts.withdraw(account.account_id, amount=Decimal(50), event_id="d", now=NOW)


@pytest.mark.parametrize("amount", ["0", "-5", "0.005"])
def test_amounts_are_above_zero_and_in_cents(amount):
    with pytest.raises(AccountRefused):
        accounts.deposit(opened().account_id, amount=Decimal(amount), event_id="d", now=NOW)


def test_a_withdrawal_takes_the_last_free_cent_and_not_one_more(account, market):
    send(account, market, limit("100.00", quantity="100"))
    with pytest.raises(AccountRefused, match=r"Only 90,000\.00 can be withdrawn"):
        accounts.withdraw(account.account_id, amount=Decimal("90000.01"), event_id="w", now=OPEN)
    taken = accounts.withdraw(account.account_id, amount=Decimal("90000.00"), event_id="w", now=OPEN)
    assert taken.amount_units == -90_000_000_000
    assert venue.account_report(account.account_id).buying_power == 0


def test_a_transfer_never_lies_before_what_the_venue_has_seen(account, market):
    send(account, market, limit("100.00"))
    booked = accounts.deposit(account.account_id, amount=Decimal(1), event_id="early", now=OPEN)
    account.refresh_from_db()
    assert booked.occurred_at == account.matched_until > OPEN


def test_changed_settings_get_the_next_version_and_equal_ones_none():
    account = opened()
    changed = accounts.change_settings(account.account_id, changes={"participation": "0.05"})
    assert (changed.settings_version, changed.settings["participation"]) == (2, "0.05")
    again = accounts.change_settings(account.account_id, changes={"participation": "0.05"})
    assert again.settings_version == 2
    other = accounts.change_settings(account.account_id, changes={}, preset="FRICTIONLESS")
    assert (other.settings_version, other.preset) == (3, "FRICTIONLESS")


def test_a_setting_nobody_knows_is_refused():
    with pytest.raises(SettingsRefused, match="no setting called luck"):
        accounts.change_settings(opened().account_id, changes={"luck": "1"})


def test_a_reset_cancels_what_works_archives_and_opens_the_next_generation(account, market):
    send(account, market, limit("100.00"))
    new = accounts.reset(
        account.account_id, event_id="again", cash=Decimal(5_000), preset="ALPACA_LIKE", seed=9, now=OPEN
    )
    account.refresh_from_db()
    assert account.status == AccountStatus.ARCHIVED
    found = report(account, "limit")
    assert (found.status, found.reason_code) == (OrderStatus.CANCELED, "RESET")
    assert venue.account_report(account.account_id).reserved == 0
    assert (new.generation, new.preset, cash_of(new)) == (2, "ALPACA_LIKE", Decimal(5_000))


def test_a_repeated_reset_returns_the_same_successor(account):
    first = accounts.reset(account.account_id, event_id="again", cash=Decimal(1), seed=9, now=OPEN)
    second = accounts.reset(account.account_id, event_id="again", cash=Decimal(1), seed=9, now=OPEN)
    assert first.pk == second.pk
    assert SimulatedActivity.objects.filter(account=first).count() == 1


def test_an_archived_account_takes_no_money_and_no_settings(account):
    accounts.archive(account.account_id, now=OPEN)
    with pytest.raises(AccountRefused, match="archived"):
        accounts.deposit(account.account_id, amount=Decimal(1), event_id="d", now=OPEN)
    with pytest.raises(AccountRefused, match="archived"):
        accounts.change_settings(account.account_id, changes={"participation": "0.05"})
