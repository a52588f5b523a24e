"""Start-up checks: a desk that could lose or bend its books does not start."""

import pytest
from django.db import connection

from brokers import append_only
from portfolio import owner_keys
from tradingsite import checks


def ids(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize(
    ("engine", "is_live", "is_meant", "expected"),
    [
        ("sqlite3", True, False, ["tradingsite.E001"]),
        ("sqlite3", True, True, []),
        ("sqlite3", False, False, []),
        ("postgresql", True, False, []),
    ],
)
def test_live_trading_on_sqlite_must_be_meant(settings, monkeypatch, engine, is_live, is_meant, expected):
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", f"django.db.backends.{engine}")
    settings.LIVE_TRADING_ENABLED, settings.LIVE_TRADING_ON_SQLITE = is_live, is_meant
    assert ids(checks.live_trading_needs_postgresql()) == expected


@pytest.mark.django_db
def test_the_database_of_the_tests_keeps_its_promises():
    found = checks.database_keeps_its_promises(databases=["default"])
    assert [message for message in found if message.is_serious()] == []


@pytest.mark.django_db
def test_without_a_database_asked_for_nothing_is_read(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert checks.database_keeps_its_promises(databases=None) == []


@pytest.mark.parametrize(
    ("journal_mode", "recursive_triggers", "expected"),
    [
        ("wal", 1, []),
        ("memory", 1, []),
        ("delete", 1, ["tradingsite.E002"]),
        ("wal", 0, ["tradingsite.E003"]),
        ("delete", 0, ["tradingsite.E002", "tradingsite.E003"]),
    ],
)
def test_sqlite_must_log_ahead_and_see_replaced_rows(monkeypatch, journal_mode, recursive_triggers, expected):
    answers = {"PRAGMA journal_mode": journal_mode, "PRAGMA recursive_triggers": recursive_triggers}
    monkeypatch.setattr(checks, "_value", lambda _connection, statement: answers[statement])
    assert ids(checks._sqlite_messages(connection)) == expected


def test_a_missing_trigger_is_an_error_that_names_it(monkeypatch):
    names = ["portfolio_fill_append_only_rows"]
    monkeypatch.setattr(append_only, "missing_triggers", lambda _connection: names)
    monkeypatch.setattr(owner_keys, "absent", lambda _connection: [])
    [message] = checks._trigger_messages(connection)
    assert message.id == "tradingsite.E005"
    assert "portfolio_fill_append_only_rows" in message.msg


@pytest.mark.parametrize(
    ("desk_clock", "began", "expected"),
    [
        ("replay", "replay", []),
        ("real", "real", []),
        ("real", "replay", ["tradingsite.E008"]),
        ("replay", "real", ["tradingsite.E008"]),
    ],
)
def test_a_book_with_fills_keeps_the_clock_it_began_with(desk_clock, began, expected):
    assert ids(checks.clock_switch(desk_clock, began=began)) == expected


@pytest.mark.django_db
def test_another_replay_market_than_that_of_the_book_is_an_error(monkeypatch):
    monkeypatch.setattr("brokers.market_data.clock.identity_problem", lambda: "Another market.")
    assert [(message.id, message.msg) for message in checks._clock_messages()] == [
        ("tradingsite.E007", "Another market.")
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(("command", "expected"), [("migrate", []), ("check", ["tradingsite.E005"])])
def test_migrate_may_start_without_the_triggers_that_it_restores(monkeypatch, command, expected):
    monkeypatch.setattr(append_only, "missing_triggers", lambda _connection: ["lost"])
    monkeypatch.setattr("sys.argv", ["manage.py", command])
    found = checks.database_keeps_its_promises(databases=["default"])
    assert ids(message for message in found if message.is_serious()) == expected


def test_a_process_ends_with_the_sentence_of_an_error(monkeypatch):
    error = checks.Error("The books are bent.", hint="Straighten them.")
    warning = checks.Warning("It rains.")
    monkeypatch.setattr(checks, "run_checks", lambda databases: [warning, error])
    with pytest.raises(SystemExit, match=r"^Paperdesk cannot start: The books are bent\. Straighten them\.$"):
        checks.stop_unless_sound()


def test_a_process_starts_when_there_are_only_warnings_and_logs_them(monkeypatch, caplog):
    monkeypatch.setattr(checks, "run_checks", lambda databases: [checks.Warning("It rains.")])
    checks.stop_unless_sound()
    assert caplog.messages == ["It rains."]
