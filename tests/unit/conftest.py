"""A light server's folder for commands that run in the process of the tests."""

from pathlib import Path

import pytest

from happy.cli.main import run


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables of a light server's folder, in which no server runs."""
    variables = {
        "HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path / "data"),
        "HANDY_MASTER_SECRET": "a secret for tests of commands",
    }
    assert 0 == run(["migrate"], variables)
    return variables
