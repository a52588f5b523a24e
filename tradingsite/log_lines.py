"""Log lines: one shape for every process, with secrets masked, tracebacks included."""

import logging
import re
import time

MASK = "••••"
_SECRETS = (
    # Headers and fields: Authorization: Bearer x, APCA-API-SECRET-KEY: x, token=x, "password": "x"
    re.compile(
        r"""(?ix)
            ( \b [\w-]* (?:authorization|api[-_]?key(?:-id)?|secret(?:[-_]key)?|password|token|cookie)
              ["']? \s* [:=] \s* (?:b?["'])? (?: (?:bearer|basic|token) \s+ )? )
            [^\s"'&,;)}\]]+ """
    ),
    # A bare credential after its scheme word.
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"),
    # https://name:password@host
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"),
    # Telegram puts the token into the path: /bot123456:AAAA/sendMessage
    re.compile(r"(/bot)\d+:[\w-]+"),
)


def redact(text: str) -> str:
    """Return `text` with the values of known secret headers, fields and addresses masked."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\1{MASK}", text)
    return text


class RedactingFormatter(logging.Formatter):
    """
    Write `time level logger message`, in UTC, masked.

    Masking happens on the finished text because a traceback repeats what the message left out.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
