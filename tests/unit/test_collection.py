"""The processes of a run share the tests out by number: each has to find the same tests in the same order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def start_collecting(hash_seed: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_every_process_finds_the_tests_in_the_same_order() -> None:
    """A set that parameters are made of has another order in every process."""
    collecting = [start_collecting(hash_seed) for hash_seed in (1, 2)]
    (first, second) = [process.communicate()[0].split("\n\n")[0].splitlines() for process in collecting]

    assert len(first) > 1_000
    assert [] == [(one, other) for one, other in zip(first, second, strict=True) if one != other]
