"""Write generated files, or report which of the committed ones are stale."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

Artifact = tuple[Path, str]


def stale(artifacts: Iterable[Artifact]) -> list[Path]:
    return [path for path, text in artifacts if not path.exists() or path.read_text("utf-8") != text]


def main(artifacts: Iterable[Artifact], arguments: Sequence[str]) -> int:
    """Write the files, or with `--check` report the stale ones and return 1."""
    if "--check" not in arguments:
        for path, text in artifacts:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        return 0
    found = stale(artifacts)
    for path in found:
        print(f"{path} is stale: run `make schema`", file=sys.stderr)
    return 1 if found else 0
