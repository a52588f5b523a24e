"""`python -m tests.benchmarks <name>|all [--size small|full] [--json FILE]`: what is fast must stay fast."""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .database import own_database
from .measure import WrongResult
from .report import document, machine, shown

NAMES = ("matching", "fills", "marks", "venue", "orders")


def main(arguments: Sequence[str]) -> int:
    """Run a benchmark in a database of its own; return 1 when a result was wrong, 0 however slow it was."""
    chosen = parsed(arguments)
    if chosen.name == "all":
        return run_all(chosen)
    with own_database() as engine:
        about = machine(engine=engine, size=chosen.size)
        print("\n".join(f"{name:10} {value}" for name, value in about.items()), flush=True)
        # Imported here: the modules import models, which need the settings of the database just made.
        module = importlib.import_module(f"tests.benchmarks.{chosen.name}")
        try:
            outcome = module.run(chosen.size)
        except WrongResult as error:
            print(f"\nWRONG RESULT: {error}", file=sys.stderr)
            return 1
        print(shown(outcome), flush=True)
    keep(chosen.json, document(about, [outcome]))
    return 0


def run_all(chosen: argparse.Namespace) -> int:
    """Run every benchmark in a process of its own, so that none meets what another left; 1 if any was wrong."""
    codes, found = [], {}
    with tempfile.TemporaryDirectory(prefix="paperdesk-bench-") as folder:
        for name in NAMES:
            part = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", "tests.benchmarks", name, "--size", chosen.size, "--json", str(part)]
            print(f"{'' if name == NAMES[0] else chr(10)}== {name}", flush=True)
            codes.append(subprocess.run(command, check=False).returncode)
            if part.exists():
                found[name] = json.loads(part.read_text(encoding="utf-8"))
    keep(chosen.json, merged(found))
    return max(codes)


def merged(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put the documents of several runs into one; each benchmark keeps the load it ran under."""
    result: dict[str, Any] = {}
    for name, part in found.items():
        benchmark = {"machine": part["machine"], **part["benchmarks"][name]}
        result |= {key: value for key, value in part.items() if key not in ("machine", "benchmarks")}
        result.setdefault("benchmarks", {})[name] = benchmark
    return result


def keep(file: Path | None, results: dict[str, Any]) -> None:
    if file is not None:
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
