"""Numbers and times as every page shows them; a template builtin of every app."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from brokers.enums import FINAL_STATUSES
from portfolio.pages import evidence as evidences
from portfolio.pages import figures, sentences

register = template.Library()

for figure in (
    figures.money,
    figures.signed,
    figures.price,
    figures.quantity,
    figures.signed_quantity,
    figures.percent,
    figures.signed_percent,
    figures.bps,
    figures.clock_face,
):
    register.filter(figure.__name__, figure)
register.filter("wish", sentences.order_wish)
register.filter("price_basis", sentences.price_basis)
register.filter("time_in_force", sentences.time_in_force)


@register.filter
def change(value: Decimal | None) -> SafeString | str:
    """Write a profit or loss with sign, arrow and colour, so that colour is never alone."""
    if value is None:
        return figures.UNKNOWN
    return format_html(
        '<span class="{}"><span class="arrow" aria-hidden="true">{}</span>{}</span>',
        direction(value),
        {"gain": "▲", "loss": "▼"}.get(direction(value), ""),
        figures.signed(value),
    )


@register.filter
def direction(value: Decimal | None) -> str:
    """Return the class of a change as it is shown, to the cent: gain, loss or flat."""
    shown = figures.rounded(value, 2) if value is not None else 0
    if shown > 0:
        return "gain"
    return "loss" if shown < 0 else "flat"


@register.filter
def words(value: str) -> str:
    """Write a code as words: PARTIALLY_FILLED is “Partially filled”."""
    return str(value).replace("_", " ").capitalize()


@register.filter
def status_class(status: str) -> str:
    """Return the class of an order's badge: its own status, and working while it is not finished."""
    return f"badge-{status.lower()}{'' if status in FINAL_STATUSES else ' badge-working'}"


@register.simple_tag(takes_context=True)
def evidence(context: Mapping[str, Any], stored: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a fill's evidence as (name, value) lines, times in the reader's zone."""
    return evidences.lines(stored, zone=_reader(context)[0])


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


@register.simple_tag(takes_context=True)
def moment(context: Mapping[str, Any], at: datetime | None) -> SafeString | str:
    """Write a time in the reader's zone with its abbreviation; the other zones stand in the title."""
    if at is None:
        return figures.UNKNOWN
    zone, now = _reader(context)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.astimezone(UTC).isoformat(),
        figures.in_other_zones(at, zone=zone),
        figures.moment(at, zone=zone, now=now),
    )


@register.simple_tag(takes_context=True)
def age(context: Mapping[str, Any], at: datetime | None) -> SafeString | str:
    """Write how old something is on the desk's clock; the page lets it tick."""
    now = _reader(context)[1]
    if at is None or now is None:
        return figures.UNKNOWN
    return format_html(
        '<span class="age" data-as-of="{}">{}</span>',
        int(at.timestamp() * 1000),
        figures.duration(now - at),
    )


def _reader(context: Mapping[str, Any]) -> tuple[ZoneInfo, datetime | None]:
    frame = context.get("frame")
    return (frame.zone, frame.now) if frame else (figures.EXCHANGE_ZONE, None)
