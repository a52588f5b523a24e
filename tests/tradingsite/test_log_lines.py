"""No secret reaches a log line, not even inside a traceback."""

import logging
import sys

import pytest

from tradingsite.log_lines import RedactingFormatter, redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /v2?token=abc123&limit=5", "GET /v2?token=••••&limit=5"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ••••"),
        ("{'APCA-API-KEY-ID': 'PK1', 'APCA-API-SECRET-KEY': 's3'}", None),
        ('{"password": "hunter2", "user": "bob"}', '{"password": "••••", "user": "bob"}'),
        ("redis://:geheim@127.0.0.1:6379/0", "redis://:••••@127.0.0.1:6379/0"),
        ("postgres://desk:geheim@db/desk", "postgres://desk:••••@db/desk"),
        ("POST /bot123456:AAE-xyz/sendMessage", "POST /bot••••/sendMessage"),
        ("Order 17 of portfolio 3 is FILLED at 12.50", "Order 17 of portfolio 3 is FILLED at 12.50"),
    ],
)
def test_secrets_are_masked(text, expected):
    if expected is None:
        expected = "{'APCA-API-KEY-ID': '••••', 'APCA-API-SECRET-KEY': '••••'}"
    assert redact(text) == expected


def test_a_secret_inside_a_traceback_is_masked():
    try:
        raise ValueError("could not reach https://desk:geheim@example.test/")
    except ValueError:
        record = logging.LogRecord("desk", logging.ERROR, "file", 1, "Failed %s", ("token=xyz",), sys.exc_info())
    line = RedactingFormatter().format(record)
    assert "geheim" not in line
    assert "xyz" not in line
    assert "ValueError: could not reach https://desk:••••@example.test/" in line
