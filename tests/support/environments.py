"""The environment of a server of either flavor: empty at first, and dropped after the tests that use it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import databases
from tests.support.services import REDIS, result_of

FLAVORS = ("light", pytest.param("full", marks=pytest.mark.services))
SECRET = "a secret for tests"


@dataclass(frozen=True)
class Environment:
    """`variables` configure a server of the flavor; when it is started again, its data is still there."""

    flavor: str
    variables: dict[str, str]


OpenEnvironment = Callable[[], AbstractContextManager[Environment]]
"""A new environment of the flavor that the test is about."""


def light_environment(folder: Path) -> Environment:
    return Environment("light", {"HAPPY_SERVER_LIGHT_DATA_DIR": str(folder), "HANDY_MASTER_SECRET": SECRET})


@contextmanager
def full_environment(folder: Path, template: str) -> Iterator[Environment]:
    """On a copy of that database, with files in the folder; Redis is shared by all, as accounts are not."""
    url = result_of(databases.create(template))
    try:
        yield Environment("full", full_variables(url, folder))
    finally:
        result_of(databases.drop(url))


def full_variables(database_url: str, folder: Path, **others: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": REDIS,
        "DATA_DIR": str(folder),
        "HANDY_MASTER_SECRET": SECRET,
        "HAPPY_SHUTDOWN_SECONDS": "3",
        **others,
    }
