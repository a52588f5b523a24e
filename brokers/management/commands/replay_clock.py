"""Set the replay clock: its speed, a pause, a jump forward. Without an option it says what time it is."""

from argparse import ArgumentParser
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers.market_data import clock


class Command(BaseCommand):
    help = "Show the replay clock, or set its speed, pause, resume it, or jump forward."

    def add_arguments(self, parser: ArgumentParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--speed", metavar="N", help="desk seconds in a real second: 0 (paused) to 600")
        choice.add_argument("--pause", action="store_true", help="stop desk time")
        choice.add_argument("--resume", action="store_true", help="go on at the speed before the pause")
        choice.add_argument("--jump", metavar="next-open|TIME", help="move forward, to the next open or to an ISO time")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            anchor = _set(options)
        except clock.ClockRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_describe(anchor) if anchor else _describe_now())


def _set(options: dict[str, Any]) -> clock.Anchor | None:
    if options["speed"] is not None:
        return clock.set_speed(_speed(options["speed"]), reason="replay_clock --speed")
    if options["pause"]:
        return clock.pause(reason="replay_clock --pause")
    if options["resume"]:
        return clock.resume(reason="replay_clock --resume")
    if options["jump"] is not None:
        return clock.jump(_target(options["jump"]), reason=f"replay_clock --jump {options['jump']}"[:200])
    return None


def _speed(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise CommandError(f"--speed {text!r} is not a number from 0 (paused) to 600.") from error


def _target(text: str) -> datetime | str:
    if text == clock.NEXT_OPEN:
        return text
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--jump {text!r} is neither next-open nor a time such as 2026-11-23T14:30:00+00:00."
        ) from error
    if found.tzinfo is None:
        raise CommandError(f"--jump {text!r} has no time zone; write it as {text}+00:00 if you mean UTC.")
    return found


def _describe(anchor: clock.Anchor) -> str:
    pace = "paused" if anchor.speed == 0 else f"at speed {anchor.speed.normalize():f}"
    return (
        f"From {anchor.real:%Y-%m-%d %H:%M:%S} UTC real time on, every process shows "
        f"{anchor.virtual:%Y-%m-%d %H:%M:%S} UTC, {pace}."
    )


def _describe_now() -> str:
    found = clock.status()
    if not found.is_replay:
        return f"The desk runs in real time: {found.now:%Y-%m-%d %H:%M:%S} UTC."
    pace = "paused" if found.is_paused else f"speed {found.speed.normalize():f}"
    return f"Replay time is {found.now:%Y-%m-%d %H:%M:%S} UTC, {pace}, prices {found.label}."
