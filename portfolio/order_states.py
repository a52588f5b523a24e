"""The order state machine: which status may follow which."""

from brokers.enums import OrderStatus as S

VENUE_STATES = frozenset(
    {S.ACCEPTED, S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED}
)
ALLOWED: dict[S, frozenset[S]] = {
    S.SUBMITTED: VENUE_STATES | {S.UNKNOWN},
    S.UNKNOWN: VENUE_STATES | {S.NEEDS_REVIEW},
    S.NEEDS_REVIEW: VENUE_STATES,
    S.ACCEPTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED, S.REJECTED}),
    S.PARTIALLY_FILLED: frozenset({S.FILLED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED}),
    S.PENDING_CANCEL: frozenset({S.CANCELED, S.FILLED, S.EXPIRED, S.ACCEPTED, S.PARTIALLY_FILLED}),
}


def may_follow(current: S, following: S) -> bool:
    """True when `following` is a listed transition; a final status is never left."""
    return following in ALLOWED.get(current, frozenset())
