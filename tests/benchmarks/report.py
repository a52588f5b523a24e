"""Results for people, as a table, and for machines, as JSON."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from .measure import Outcome, Target, Timing

PACKAGES = ("django", "numpy", "psycopg", "backtrader", "nautilus_trader")


def machine(*, engine: str, size: str) -> dict[str, str]:
    """Say what the numbers depend on: engine, versions, cores and how busy the machine is."""
    versions = [f"{name} {version}" for name in PACKAGES if (version := version_of(name))]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "engine": engine,
        "size": size,
        "python": f"{platform.python_version()} with {', '.join(versions)}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {load}",
    }


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def shown(outcome: Outcome) -> str:
    """Return a benchmark as text: each way with its median, the comparisons, the targets, the notes."""
    lines = [f"\n{outcome.name}", "-" * len(outcome.name)]
    ours = outcome.timings[0]
    for timing in outcome.timings:
        ours = timing if timing.name.startswith("ours") else ours
        lines.append(row(timing, ours))
    lines += [f"  equal   {text}" for text in outcome.equal]
    lines += [f"  {'pass' if target.is_met else 'SHORT':7} {sentence(target)}" for target in outcome.targets]
    lines += [f"  note    {text}" for text in outcome.notes]
    return "\n".join(lines)


def row(timing: Timing, ours: Timing) -> str:
    """Return one way's line; the ratio at its end is to ours of the same job, by the unit of work."""
    spread = f"{min(timing.runs):.4f} to {max(timing.runs):.4f}"
    return (
        f"  {timing.name:48} {timing.seconds:10.4f} s ({spread}, {len(timing.runs)} runs) for {timing.size:>9,}"
        f" = {timing.seconds_a_unit * 1e6:10.2f} us each, {timing.seconds_a_unit / ours.seconds_a_unit:8.1f}x"
    )


def sentence(target: Target) -> str:
    words = "at least" if target.at_least else "at most"
    return f"{target.text}: {target.measured:,.4g}, promised {words} {target.limit:,.4g}"


def document(about: dict[str, str], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return a run as plain data."""
    return {
        **about,
        "benchmarks": {
            outcome.name: {
                "ways": [
                    {
                        "name": timing.name,
                        "size": timing.size,
                        "median_seconds": round(timing.seconds, 6),
                        "runs": [round(seconds, 6) for seconds in timing.runs],
                    }
                    for timing in outcome.timings
                ],
                "equal": outcome.equal,
                "targets": [
                    {
                        "text": target.text,
                        "measured": round(target.measured, 4),
                        "at_least" if target.at_least else "at_most": target.limit,
                        "result": "pass" if target.is_met else "short",
                    }
                    for target in outcome.targets
                ],
                "notes": outcome.notes,
            }
            for outcome in outcomes
        },
    }
