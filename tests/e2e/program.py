"""What the programs of this folder share: a seed that repeats a run, and how they end."""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

MAX_SHOWN = 50


def options(description: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with `--seed`, which is random unless given."""
    first_line = (description or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=first_line)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="repeat a run")
    return parser


def verdict(problems: Sequence[str], logs: Path | None = None) -> int:
    """Print what went wrong; the exit status."""
    for problem in problems[:MAX_SHOWN]:
        print(f"  WRONG: {problem}")
    if problems and logs is not None:
        print(f"the logs are in {logs}")
    return 1 if problems else 0
