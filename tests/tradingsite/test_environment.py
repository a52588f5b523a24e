"""Settings from the environment: a wrong value is one sentence that says what is allowed."""

import os
import re
import runpy
import stat
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from tradingsite import environment

SETTINGS = environment.ROOT / "tradingsite" / "settings.py"


def load(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DESK_CLOCK", "fast", "DESK_CLOCK is 'fast', but must be one of replay, real."),
        (
            "REPLAY_SPEED",
            "601",
            "REPLAY_SPEED is '601', but must be a number from 0 to 600 with at most two decimals.",
        ),
        (
            "REPLAY_SPEED",
            "0.125",
            "REPLAY_SPEED is '0.125', but must be a number from 0 to 600 with at most two decimals.",
        ),
        (
            "REPLAY_SPEED",
            "-0.1",
            "REPLAY_SPEED is '-0.1', but must be a number from 0 to 600 with at most two decimals.",
        ),
        (
            "REPLAY_SPEED",
            "nan",
            "REPLAY_SPEED is 'nan', but must be a number from 0 to 600 with at most two decimals.",
        ),
        (
            "REPLAY_SEED",
            "4.2",
            "REPLAY_SEED is '4.2', but must be a whole number from 0 to 9223372036854775807.",
        ),
        ("REPLAY_BARS", "real", "REPLAY_BARS is 'real', but must be one of synthetic, imported."),
        (
            "REPLAY_START",
            "2024-03-11T09:15:00",
            "REPLAY_START is '2024-03-11T09:15:00', but must be a time with its zone, "
            "such as 2024-03-11T13:15:00+00:00.",
        ),
        ("LIVE_TRADING_ENABLED", "maybe", "LIVE_TRADING_ENABLED is 'maybe', but must be true or false."),
        ("DESK_PORT", "0", "DESK_PORT is '0', but must be a whole number from 1 to 65535."),
        ("DESK_PORT", "65536", "DESK_PORT is '65536', but must be a whole number from 1 to 65535."),
        ("TICK_SECONDS", "61", "TICK_SECONDS is '61', but must be a whole number from 1 to 60."),
        ("SWEEP_SECONDS", "121", "SWEEP_SECONDS is '121', but must be a whole number from 1 to 120."),
        ("SECRET_KEY", "short", "SECRET_KEY has 5 characters, but must be at least 50 long."),
        ("ANCHOR_KEY", "c2hvcnQ=", "ANCHOR_KEY must be the base64 form of exactly 32 bytes."),
        (
            "DATABASE_URL",
            "mysql://root:geheim@db/desk",
            "DATABASE_URL is 'mysql:…', but must be an address that starts with "
            "sqlite:// or postgres:// or postgresql://.",
        ),
        (
            "REDIS_URL",
            "127.0.0.1",
            "REDIS_URL is '127.0.0.1', but must be an address that starts with redis:// or rediss://.",
        ),
        (
            "REDIS_URL",
            "redis://:geheim@127.0.0.1:99999/0",
            "REDIS_URL is 'redis://…', but must be an address with a port from 0 to 65535.",
        ),
    ],
)
def test_a_wrong_value_is_answered_with_a_sentence(monkeypatch, name, value, sentence):
    with pytest.raises(ImproperlyConfigured) as caught:
        load(monkeypatch, **{name: value})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "value",
    ["", "1:c2hvcnQ=", "one:" + "A" * 43 + "=", "A" * 43 + "=", "1:" + "A" * 43 + "=,1:" + "A" * 43 + "="],
)
def test_wrong_encryption_keys_are_refused_without_showing_them(monkeypatch, value):
    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS") as caught:
        load(monkeypatch, FIELD_ENCRYPTION_KEYS=value)
    assert "AAAA" not in str(caught.value)


def test_boundaries_of_the_replay_speed_are_allowed(monkeypatch):
    assert load(monkeypatch, REPLAY_SPEED="0")["REPLAY_SPEED"] == 0
    assert load(monkeypatch, REPLAY_SPEED="600")["REPLAY_SPEED"] == 600


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    found = load(monkeypatch, DESK_PORT="", DESK_CLOCK="", DATABASE_URL="", REPLAY_START="")
    assert (found["DESK_PORT"], found["DESK_CLOCK"], found["REPLAY_START"]) == (8000, "replay", None)
    assert found["DATABASES"]["default"]["NAME"] == found["DATA_FOLDER"] / "paperdesk.sqlite3"


def test_the_data_folder_must_not_be_a_file(monkeypatch, tmp_path):
    file = tmp_path / "var"
    file.write_text("")
    with pytest.raises(ImproperlyConfigured, match="a folder, not a file"):
        load(monkeypatch, DATA_FOLDER=str(file))


def test_sqlite_waits_for_the_write_lock_and_sees_replaced_rows(monkeypatch):
    options = load(monkeypatch, DATABASE_URL="")["DATABASES"]["default"]["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]
    assert "recursive_triggers=ON" in options["init_command"]


@pytest.mark.parametrize(("process", "timeout"), [("web", "30s"), ("worker", "120s"), ("command", "0")])
def test_each_process_has_its_own_statement_timeout_on_postgresql(monkeypatch, process, timeout):
    found = load(monkeypatch, DESK_PROCESS=process, DATABASE_URL="postgres://desk:geheim@db:5433/desk?sslmode=require")[
        "DATABASES"
    ]["default"]
    assert (found["HOST"], found["PORT"], found["USER"], found["NAME"]) == ("db", 5433, "desk", "desk")
    assert found["OPTIONS"]["sslmode"] == "require"
    assert found["OPTIONS"]["pool"]["max_size"] >= 1
    assert f"-c statement_timeout={timeout}" in found["OPTIONS"]["options"]
    assert "-c lock_timeout=3s" in found["OPTIONS"]["options"]


def test_redis_turns_the_file_queue_off(monkeypatch):
    found = load(monkeypatch, REDIS_URL="redis://127.0.0.1:6379/3")
    assert found["CELERY_BROKER_URL"] == "redis://127.0.0.1:6379/3"
    assert found["CELERY_BROKER_TRANSPORT_OPTIONS"]["visibility_timeout"] == 300


def test_https_makes_cookies_secure_and_plain_http_keeps_sign_in_working(monkeypatch):
    assert load(monkeypatch, DESK_HTTPS="true")["SESSION_COOKIE_SECURE"] is True
    assert load(monkeypatch, DESK_HTTPS="false")["SESSION_COOKIE_SECURE"] is False


def test_first_start_writes_keys_only_their_owner_can_read(monkeypatch, tmp_path):
    path = tmp_path / "env"
    monkeypatch.setenv("DESK_ENV_FILE", str(path))
    assert environment.create_file_if_missing() is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "ANCHOR_KEY", "DESK_ID"):
        monkeypatch.delenv(name, raising=False)
    environment.read_file()
    assert len(bytes.fromhex(os.environ["DESK_ID"])) == 16
    load(monkeypatch)  # the fresh keys pass every check


def test_an_existing_environment_file_is_never_rewritten(monkeypatch, tmp_path):
    path = tmp_path / "env"
    path.write_text("SECRET_KEY=kept\n")
    monkeypatch.setenv("DESK_ENV_FILE", str(path))
    assert environment.create_file_if_missing() is False
    assert path.read_text() == "SECRET_KEY=kept\n"


def test_a_variable_of_the_shell_wins_over_the_file(monkeypatch, tmp_path):
    path = tmp_path / "env"
    path.write_text("DESK_PORT=8001\n")
    monkeypatch.setenv("DESK_ENV_FILE", str(path))
    assert load(monkeypatch, DESK_PORT="8002")["DESK_PORT"] == 8002


def test_the_example_file_names_every_variable_the_settings_read():
    source = SETTINGS.read_text() + SETTINGS.with_name("databases.py").read_text()
    example = (environment.ROOT / ".env.example").read_text()
    read = set(re.findall(r'environment\.\w+\("([A-Z_]+)"', source))
    assert len(read) > 20
    assert {name for name in read if f"\n{name}=" not in example} == {"DESK_PROCESS"}


def test_a_wrong_value_ends_the_desk_command_without_a_traceback(tmp_path):
    result = subprocess.run(
        [sys.executable, "manage.py", "desk"],
        cwd=environment.ROOT,
        env={**os.environ, "DESK_CLOCK": "fast", "DESK_ENV_FILE": str(tmp_path / "env")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == ("Paperdesk cannot start: DESK_CLOCK is 'fast', but must be one of replay, real.\n")
