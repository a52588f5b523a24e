"""Only edges read a clock, and nobody draws luck outside the seeded generator."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("brokers", "portfolio", "monitoring", "analytics")
EDGES = re.compile(r"(/pages/|/management/|/migrations/|/admin\.py|/tasks\.py|market_data/clock\.py)")
CLOCK = re.compile(r"datetime\.now\(|timezone\.now\(|time\.time\(|date\.today\(|utcnow\(")
LUCK = re.compile(r"^\s*(import random|from random|import secrets|from secrets)|uuid4\(", re.MULTILINE)


def sources():
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if not EDGES.search(path.as_posix()):
                yield path


def test_no_clock_is_read_outside_the_edges():
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in sources()
        for line in path.read_text().splitlines()
        if CLOCK.search(line)
    ]
    assert found == []


def test_no_luck_outside_the_seeded_draws():
    assert [str(path.relative_to(ROOT)) for path in sources() if LUCK.search(path.read_text())] == []
