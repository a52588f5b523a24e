"""`python -m tests.benchmarks <name>|all [--size small|full] [--json FILE]`: what is fast must stay fast."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .database import own_database
from .measure import Outcome, WrongResult
from .report import document, machine, shown

NAMES = ("matching", "fills", "marks", "venue", "orders")


def main(arguments: Sequence[str]) -> int:
    """Run the named benchmark, each in a database of its own; return 1 when a result was wrong, else 0."""
    chosen = parsed(arguments)
    names = NAMES if chosen.name == "all" else (chosen.name,)
    outcomes: list[Outcome] = []
    with own_database() as engine:
        about = machine(engine=engine, size=chosen.size)
        print("\n".join(f"{name:10} {value}" for name, value in about.items()))
        for name in names:
            try:
                outcome = measured(name, chosen.size)
            except WrongResult as error:
                print(f"\nWRONG RESULT: {error}", file=sys.stderr)
                return 1
            print(shown(outcome))
            outcomes.append(outcome)
    if chosen.json:
        chosen.json.write_text(json.dumps(document(about, outcomes), indent=1) + "\n", encoding="utf-8")
    return 0


def measured(name: str, size: str) -> Outcome:
    # Imported late: the modules import models, which need the settings of the database just made.
    return importlib.import_module(f"tests.benchmarks.{name}").run(size)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
