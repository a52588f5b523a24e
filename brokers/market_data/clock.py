"""
What time it is on this desk: real time, or the virtual time of the replay market.

Replay time follows anchors, append-only rows that say which virtual instant and which speed belong to a
real instant: virtual = anchor_virtual + speed x (real - anchor_real). Only edges may import this module;
everything else gets `now` as an argument.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from brokers.market_data import calendar, sources
from brokers.models import ReplayAnchor

SPEED_MAX = Decimal(600)
SPEED_STEP = Decimal("0.01")
SWITCH_AFTER = timedelta(seconds=5)  # longer than the age anchors may have, so that all processes switch at once
ANCHOR_AGE_SECONDS_MAX = 2.0
START_AFTER_OPEN = timedelta(minutes=30)
IMPORTED_START_SESSIONS = 252
WRITE_ATTEMPTS_MAX = 5
NEXT_OPEN = "next-open"

_MICROSECOND = timedelta(microseconds=1)
_wall_clock = datetime.now
_stopwatch = time.monotonic
_FROM_ENVIRONMENT = "REPLAY_SPEED is "


class ClockRefused(Exception):
    """The clock cannot be set like this; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """From `real` on, desk time is `virtual` + `speed` x (real time - `real`)."""

    number: int
    real: datetime
    virtual: datetime
    speed: Decimal
    market_identity: str
    reason: str

    def at(self, real: datetime) -> datetime:
        """Return the virtual time at a real instant, in whole microseconds, truncated."""
        elapsed = (real - self.real) // _MICROSECOND
        return self.virtual + int(elapsed * self.speed) * _MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStatus:
    """
    What a page says about the clock.

    `label` names the kind of prices in replay and is empty in real time. `switching_at` is the real time of
    an anchor that is written and not yet in force.
    """

    now: datetime
    real_now: datetime
    speed: Decimal
    is_replay: bool
    is_paused: bool
    label: str
    switching_at: datetime | None


def now() -> datetime:
    """Return the desk's time, aware UTC; within one process it never runs backwards."""
    real = real_now()
    if not is_replay():
        return real
    return _memory.forward(_in_force(anchors(), real).at(real))


def real_now() -> datetime:
    """Return the wall clock, aware UTC; after a step back it stands until real time has caught up."""
    return _memory.forward_real(_wall_clock(UTC))


def is_replay() -> bool:
    return settings.DESK_CLOCK == "replay"


def speed() -> Decimal:
    """Return how many desk seconds pass in a real second: 1 in real time, 0 while replay is paused."""
    return _in_force(anchors(), real_now()).speed if is_replay() else Decimal(1)


def status() -> ClockStatus:
    """Return what pages and health show about the clock."""
    real = real_now()
    known = anchors() if is_replay() else ()
    current_speed = _in_force(known, real).speed if known else Decimal(1)
    coming = known[-1].real if known and known[-1].real > real else None
    return ClockStatus(
        now=now(),
        real_now=real,
        speed=current_speed,
        is_replay=is_replay(),
        is_paused=current_speed == 0,
        label=sources.market_label() if is_replay() else "",
        switching_at=coming,
    )


def start() -> Anchor:
    """
    Begin replay time, or go on where it stands, and return the newest anchor.

    The first process writes anchor 1; the others, and every restart, find it. A REPLAY_SPEED that differs
    from the environment's last one is appended; a speed set by command survives restarts.
    """
    wanted = speed_setting()
    for _ in range(WRITE_ATTEMPTS_MAX):
        known = _read_anchors()
        if not known:
            _write(_first_anchor(wanted))
        elif _environment_speed(known) != wanted:
            _write(_next_anchor(known, speed=wanted, reason=_environment_reason(wanted)))
        else:
            return known[-1]
    raise ClockRefused(_crowded())


def set_speed(wanted: Decimal, *, reason: str) -> Anchor:
    """Append an anchor with another speed, 0 (paused) to 600, and return it; it holds from 5 s later on."""
    return _append(speed=checked_speed(wanted), reason=reason)


def pause(*, reason: str) -> Anchor:
    """Stop replay time; raises `ClockRefused` when it stands already."""
    if _newest().speed == 0:
        raise ClockRefused("The replay clock is paused already.")
    return _append(speed=Decimal(0), reason=reason)


def resume(*, reason: str) -> Anchor:
    """Let replay time run again at the speed it had before the pause."""
    if _newest().speed != 0:
        raise ClockRefused(f"The replay clock is running, at speed {_newest().speed.normalize():f}.")
    earlier = [anchor.speed for anchor in anchors() if anchor.speed != 0]
    return _append(speed=earlier[-1] if earlier else Decimal(1), reason=reason)


def jump(target: datetime | str, *, reason: str) -> Anchor:
    """
    Move replay time forward to an aware instant, or to the next session's open with `next-open`.

    Time never runs backwards: a target that is not later than desk time at the switch is refused.
    """
    return _append(target=target, reason=reason)


def anchors() -> tuple[Anchor, ...]:
    """Return every anchor, oldest first, at most 2 s old; the first call of a new desk writes anchor 1."""
    found = _memory.recent_anchors()
    if found is None:
        found = _read_anchors()
        if not found:
            start()
            found = _read_anchors()
        _memory.keep(found)
    return found


def identity_problem() -> str | None:
    """Return why this process must not run on this database's replay market, or None when it may."""
    if not is_replay() or ReplayAnchor._meta.db_table not in connection.introspection.table_names():
        return None
    known = _read_anchors()
    mine = sources.market_identity()
    if not known or known[-1].market_identity == mine:
        return None
    return (
        f"This desk's replay market began as “{known[-1].market_identity}”, but this process would show "
        f"“{mine}”: earlier fills would not fit its prices. Restore the earlier settings and versions, or "
        "start a fresh database."
    )


def forget() -> None:
    """Drop what this process remembers of the clock, as a new process would find it."""
    _memory.clear()


# ------------------------------------------------------------------ speeds and starts


def speed_setting() -> Decimal:
    """Return REPLAY_SPEED as an exact number with at most two decimals."""
    return checked_speed(Decimal(str(settings.REPLAY_SPEED)))


def checked_speed(wanted: Decimal) -> Decimal:
    """Return a speed that can be stored, or raise `ClockRefused` with what is allowed."""
    if not wanted.is_finite() or not 0 <= wanted <= SPEED_MAX:
        raise ClockRefused(f"The replay speed is {wanted}, but must be from 0 (paused) to {SPEED_MAX}.")
    if wanted != wanted.quantize(SPEED_STEP):
        raise ClockRefused(f"The replay speed is {wanted}, but may have at most two decimals.")
    return wanted.quantize(SPEED_STEP)


def default_start(real: datetime) -> datetime:
    """
    Return where replay begins without REPLAY_START: 30 minutes into the last session that is that far.

    So a newcomer's first order meets an open market. Imported bars that end earlier begin a year of sessions
    before their end instead.
    """
    recent = calendar.latest_open(real - START_AFTER_OPEN).open + START_AFTER_OPEN
    last_stored = sources.last_imported_session()
    if last_stored is None or calendar.new_york_date(recent) <= last_stored:
        return recent
    stored = calendar.sessions(calendar.FIRST_DAY, last_stored)[-IMPORTED_START_SESSIONS:]
    return stored[0].open + START_AFTER_OPEN


def _environment_reason(wanted: Decimal) -> str:
    return f"{_FROM_ENVIRONMENT}{wanted}"


def _environment_speed(known: tuple[Anchor, ...]) -> Decimal:
    """Return the speed the environment asked for when it was last obeyed."""
    obeyed = [anchor.speed for anchor in known if anchor.reason.startswith(_FROM_ENVIRONMENT)]
    return obeyed[-1] if obeyed else known[0].speed


# ------------------------------------------------------------------ anchors


def _first_anchor(wanted: Decimal) -> Anchor:
    real = real_now()
    virtual = settings.REPLAY_START or default_start(real)
    return Anchor(1, real, virtual.astimezone(UTC), wanted, sources.market_identity(), _environment_reason(wanted))


def _append(*, reason: str, speed: Decimal | None = None, target: datetime | str | None = None) -> Anchor:
    if not is_replay():
        raise ClockRefused("The desk runs in real time (DESK_CLOCK=real); only replay time can be set.")
    start()
    problem = identity_problem()
    if problem is not None:
        raise ClockRefused(problem)
    for _ in range(WRITE_ATTEMPTS_MAX):
        anchor = _next_anchor(_read_anchors(), speed=speed, target=target, reason=reason)
        if _write(anchor):
            return anchor
    raise ClockRefused(_crowded())


def _next_anchor(
    known: tuple[Anchor, ...],
    *,
    reason: str,
    speed: Decimal | None = None,
    target: datetime | str | None = None,
) -> Anchor:
    last = known[-1]
    real = max(real_now() + SWITCH_AFTER, last.real + _MICROSECOND)
    virtual = last.at(real)
    if target is not None:
        virtual = _jump_target(target, before=virtual)
    return Anchor(last.number + 1, real, virtual, last.speed if speed is None else speed, last.market_identity, reason)


def _jump_target(target: datetime | str, *, before: datetime) -> datetime:
    try:
        found = _next_open(before) if isinstance(target, str) else target.astimezone(UTC)
        calendar.phase(found)
    except calendar.BeyondCalendar as error:
        raise ClockRefused(f"The clock cannot jump there. {error}") from error
    if found <= before:
        raise ClockRefused(
            f"Replay time never runs backwards: it will be {before:%Y-%m-%d %H:%M:%S} UTC at the switch, and "
            f"the target is {found:%Y-%m-%d %H:%M:%S} UTC. To see earlier days, start a fresh database with "
            "REPLAY_START."
        )
    return found


def _next_open(after: datetime) -> datetime:
    coming = calendar.current_or_next_session(after)
    return coming.open if coming.open > after else calendar.next_session(coming.date).open


def _write(anchor: Anchor) -> bool:
    """Insert an anchor; False when another process wrote its number first."""
    row = ReplayAnchor(
        number=anchor.number,
        anchor_real=anchor.real,
        anchor_virtual=anchor.virtual,
        speed=anchor.speed,
        market_identity=anchor.market_identity,
        reason=anchor.reason,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    _memory.drop_anchors()
    return True


def _read_anchors() -> tuple[Anchor, ...]:
    rows = ReplayAnchor.objects.order_by("number").values_list(
        "number", "anchor_real", "anchor_virtual", "speed", "market_identity", "reason"
    )
    return tuple(Anchor(*row) for row in rows)


def _newest() -> Anchor:
    if not is_replay():
        raise ClockRefused("The desk runs in real time (DESK_CLOCK=real); only replay time can be set.")
    return anchors()[-1]


def _in_force(known: tuple[Anchor, ...], real: datetime) -> Anchor:
    """Return the newest anchor whose real time has come; the first one when none has."""
    return known[max(0, bisect_right(known, real, key=lambda anchor: anchor.real) - 1)]


def _crowded() -> str:
    return f"Other processes set the replay clock {WRITE_ATTEMPTS_MAX} times in a row meanwhile. Try again."


class _Memory:
    """What one process remembers: its anchors for 2 s, and the latest times it has told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self._anchors: tuple[Anchor, ...] = ()
        self._read_at = 0.0
        self._latest: datetime | None = None
        self._latest_real: datetime | None = None

    def recent_anchors(self) -> tuple[Anchor, ...] | None:
        is_recent = _stopwatch() - self._read_at < ANCHOR_AGE_SECONDS_MAX
        return self._anchors if self._anchors and is_recent else None

    def keep(self, found: tuple[Anchor, ...]) -> None:
        self._read_at = _stopwatch()
        self._anchors = found

    def drop_anchors(self) -> None:
        self._anchors = ()

    def forward(self, virtual: datetime) -> datetime:
        with self._lock:
            self._latest = max(virtual, self._latest or virtual)
            return self._latest

    def forward_real(self, real: datetime) -> datetime:
        with self._lock:
            self._latest_real = max(real, self._latest_real or real)
            return self._latest_real


_memory = _Memory()
