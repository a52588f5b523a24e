"""Django choices from the plain StrEnums that rows and calculations share."""

from enum import StrEnum


def choices(enum: type[StrEnum]) -> list[tuple[str, str]]:
    """Return (value, readable label) pairs for a model field."""
    return [(member.value, member.value.replace("_", " ").capitalize()) for member in enum]
