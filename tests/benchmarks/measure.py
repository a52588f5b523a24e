"""Run several ways of one job in turn, compare what they answer, and judge the ratios. Knows no database."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

ROUNDS = 5


class WrongResult(AssertionError):
    """Two ways of one job disagree, so their times mean nothing. The message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """
    One way of doing a job.

    `run` is timed and gets what `prepare` returned for that round, which is not timed. `size` is how many
    units of work one run does: ways of different size are compared by the unit.
    """

    name: str
    size: int
    run: Callable[[Any], Any]
    prepare: Callable[[int], Any] = lambda number: number


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The runs of one way in seconds; `answers` is what each round returned."""

    name: str
    size: int
    runs: tuple[float, ...]
    answers: tuple[Any, ...] = ()

    @property
    def seconds(self) -> float:
        return median(self.runs)

    @property
    def seconds_a_unit(self) -> float:
        return self.seconds / self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what was measured; `at_least` says on which side of `limit` the promise is kept."""

    text: str
    measured: float
    limit: float
    at_least: bool

    @property
    def is_met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Everything one benchmark has to say. `equal` lists what was compared before time was."""

    name: str
    timings: list[Timing] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def must(self, holds: bool, text: str) -> None:
        """Note a comparison that held; raise WrongResult when it did not."""
        if not holds:
            raise WrongResult(f"{self.name}: not so: {text}.")
        self.equal.append(text)

    def must_equal(self, ours: Any, theirs: Any, text: str) -> None:
        if ours != theirs:
            raise WrongResult(f"{self.name}: {text} differ: {first_difference(ours, theirs)}")
        self.equal.append(text)

    def ratio_at_least(self, text: str, slow: Timing, fast: Timing, limit: float) -> None:
        """Promise that `fast` does a unit of work at least `limit` times as fast as `slow`."""
        ratio = slow.seconds_a_unit / fast.seconds_a_unit
        self.targets.append(Target(text=text, measured=ratio, limit=limit, at_least=True))

    def at_most(self, text: str, measured: float, limit: float) -> None:
        self.targets.append(Target(text=text, measured=measured, limit=limit, at_least=False))

    def at_least(self, text: str, measured: float, limit: float) -> None:
        self.targets.append(Target(text=text, measured=measured, limit=limit, at_least=True))


def interleave(ways: Sequence[Way], *, rounds: int = ROUNDS) -> dict[str, Timing]:
    """Run every way once a round, so that a busy moment of the machine falls on all of them."""
    runs: dict[str, list[float]] = {way.name: [] for way in ways}
    answers: dict[str, list[Any]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            given = way.prepare(number)
            seconds, answer = timed(way.run, given)
            runs[way.name].append(seconds)
            answers[way.name].append(answer)
    return {
        way.name: Timing(name=way.name, size=way.size, runs=tuple(runs[way.name]), answers=tuple(answers[way.name]))
        for way in ways
    }


def timed(run: Callable[[Any], Any], given: Any) -> tuple[float, Any]:
    """
    Return the seconds one run takes and its answer.

    What the benchmark itself has made is put out of the garbage collector's sight before.
    """
    gc.collect()
    gc.freeze()
    try:
        started = perf_counter()
        answer = run(given)
        return perf_counter() - started, answer
    finally:
        gc.unfreeze()


def first_difference(ours: Any, theirs: Any) -> str:
    """Say in a line where two results part."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        key = next(key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key))
        return f"at {key}: {first_difference(ours.get(key), theirs.get(key))}"
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{len(ours)} rows against {len(theirs)}"
        number = next(n for n, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        return f"at row {number}: {ours[number]} against {theirs[number]}"
    return f"{ours} against {theirs}"
