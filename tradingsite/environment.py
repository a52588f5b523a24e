"""Read the desk's environment variables; a wrong value is one sentence that says what is allowed."""

import base64
import binascii
import os
import re
import secrets
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
TRUE_WORDS = ("true", "yes", "on", "1")
FALSE_WORDS = ("false", "no", "off", "0")
KEY_BYTES = 32


class WrongSetting(ImproperlyConfigured):
    """A variable of the environment that the desk cannot use; the text is meant for the operator."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name} is {value!r}, but must be {allowed}.")


def file_path() -> Path | None:
    """Return the environment file: DESK_ENV_FILE, or .env beside manage.py; an empty variable means none."""
    name = os.environ.get("DESK_ENV_FILE", str(ROOT / ".env"))
    return Path(name) if name else None


def read_file() -> None:
    """Take what the environment file says for every variable that is not set already."""
    path = file_path()
    if path is not None and path.is_file():
        environ.Env.read_env(str(path))


def create_file_if_missing() -> bool:
    """
    Write an environment file with fresh keys, readable by its owner only, and say whether it was written.

    An existing file is left alone: its keys open what is already encrypted.
    """
    path = file_path()
    if path is None or path.exists():
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ImproperlyConfigured(f"The keys cannot be written to {path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(_fresh_keys())
    return True


def _fresh_keys() -> str:
    return (
        "# The keys of this desk, made at its first start. Keep a copy somewhere safe:\n"
        "# without FIELD_ENCRYPTION_KEYS the stored broker credentials are lost.\n"
        "# .env.example lists what else can be set.\n"
        f"SECRET_KEY={secrets.token_urlsafe(48)}\n"
        f"FIELD_ENCRYPTION_KEYS=1:{_random_key()}\n"
        f"ANCHOR_KEY={_random_key()}\n"
        f"DESK_ID={secrets.token_hex(16)}\n"
    )


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def text(name: str, default: str = "") -> str:
    """Return the variable without surrounding blanks; an empty one counts as not set."""
    return os.environ.get(name, "").strip() or default


def required(name: str, *, minimum_length: int = 1) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. `python manage.py desk` makes one in .env at its first start; "
            ".env.example says what it is for."
        )
    if len(value) < minimum_length:
        raise ImproperlyConfigured(f"{name} has {len(value)} characters, but must be at least {minimum_length} long.")
    return value


def flag(name: str, *, default: bool) -> bool:
    value = text(name)
    if not value:
        return default
    if value.lower() not in TRUE_WORDS + FALSE_WORDS:
        raise WrongSetting(name, value, "true or false")
    return value.lower() in TRUE_WORDS


def whole(name: str, *, default: int, minimum: int, maximum: int) -> int:
    value = text(name, str(default))
    if not re.fullmatch(r"-?\d{1,18}", value) or not minimum <= int(value) <= maximum:
        raise WrongSetting(name, value, f"a whole number from {minimum} to {maximum}")
    return int(value)


def number(name: str, *, default: str, minimum: int, maximum: int) -> Decimal:
    value = text(name, default)
    if not re.fullmatch(r"-?\d{1,9}(\.\d{1,2})?", value) or not minimum <= Decimal(value) <= maximum:
        raise WrongSetting(name, value, f"a number from {minimum} to {maximum} with at most two decimals")
    return Decimal(value)


def choice(name: str, *, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise WrongSetting(name, value, "one of " + ", ".join(allowed))
    return value


def names(name: str, *, default: str = "") -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def moment(name: str) -> datetime | None:
    """Read an aware ISO 8601 time; None when the variable is empty."""
    value = text(name)
    if not value:
        return None
    allowed = "a time with its zone, such as 2024-03-11T13:15:00+00:00"
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise WrongSetting(name, value, allowed) from error
    if found.tzinfo is None:
        raise WrongSetting(name, value, allowed)
    return found


def folder(name: str, *, default: str) -> Path:
    """Read a folder; a relative one starts beside manage.py."""
    path = (ROOT / Path(text(name, default)).expanduser()).resolve()
    if path.exists() and not path.is_dir():
        raise WrongSetting(name, str(path), "a folder, not a file")
    return path


def key(name: str) -> str:
    """Read a key: base64 of exactly 32 bytes. The value never appears in the error."""
    value = required(name)
    if not _is_key(value):
        raise ImproperlyConfigured(f"{name} must be the base64 form of exactly {KEY_BYTES} bytes.")
    return value


def versioned_keys(name: str) -> str:
    """Read ``2:<base64>,1:<base64>``; the first encrypts, all decrypt. Values never appear in the error."""
    value = required(name)
    versions = []
    for part in value.split(","):
        version, _, encoded = part.strip().partition(":")
        if not version.isdecimal() or int(version) < 1 or not _is_key(encoded):
            raise ImproperlyConfigured(
                f"{name} must look like 2:<base64>,1:<base64>, each key the base64 form of exactly {KEY_BYTES} bytes."
            )
        versions.append(int(version))
    if len(set(versions)) != len(versions):
        raise ImproperlyConfigured(f"{name} names the same version twice: {versions}.")
    return value


def _is_key(encoded: str) -> bool:
    try:
        return len(base64.b64decode(encoded, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def address(name: str, *, schemes: tuple[str, ...]) -> str:
    """Read a URL or an empty text. Only its scheme appears in the error, for the rest may hold a password."""
    value = text(name)
    if not value:
        return ""
    scheme = value.partition(":")[0]
    allowed = "an address that starts with " + " or ".join(f"{each}://" for each in schemes)
    if scheme not in schemes or "://" not in value:
        raise WrongSetting(name, f"{scheme}:…" if ":" in value else value, allowed)
    try:
        urlsplit(value).port  # noqa: B018 - reading it is the check
    except ValueError as error:
        raise WrongSetting(name, f"{scheme}://…", "an address with a port from 0 to 65535") from error
    return value
