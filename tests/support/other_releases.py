"""The code of a later release, invented, and of an earlier one, out of the history, each in a folder."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from schema.revisions import HEAD, REVISIONS
from tests.support.environments import Environment
from tests.support.server_process import REPOSITORY, Server

LATER = f"{int(HEAD) + 1:04}"
MIGRATION = '''"""A nullable column and a table that this version does not know."""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect

revision = "{revision}"
down_revision = "{before}"

effect = Effect(does="a column and a table", oldest="{oldest}", tables=("Session",), waits="a moment")


def upgrade() -> None:
    online.add_column("Session", sa.Column("happy_invented", sa.Text))
    op.create_table("happy_Invented", sa.Column("id", sa.Text, primary_key=True))
    op.execute("""UPDATE "Session" SET "happy_invented" = 'by the later release'""")
'''


def later_release(folder: Path, oldest: str) -> Path:
    """This version with one more migration, which code of the revision `oldest` or later may go on with."""
    for package in ("happy", "schema"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, folder / package, ignore=ignored)
    migration = MIGRATION.format(revision=LATER, before=HEAD, oldest=oldest)
    (folder / "schema" / "migrations" / "versions" / f"{LATER}_invented.py").write_text(migration)
    subprocess.run(
        [sys.executable, "-m", "schema.ddl"], cwd=folder, env={"PYTHONPATH": str(folder)}, check=True
    )
    return folder


def earlier_release(folder: Path, *, migrations: int) -> Path:
    """The code from before so many of the last migrations. Skips the test where there is no history."""
    revision = REVISIONS[-migrations]
    added = ("--diff-filter=A", "--format=%H", "--", f"schema/migrations/versions/{revision}_*.py")
    commit = _git("log", "-1", *added).decode().strip()
    archive = _git("archive", f"{commit}^", "happy", "schema")
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> bytes:
    ended = subprocess.run(["git", *arguments], cwd=REPOSITORY, check=False, capture_output=True)
    if ended.returncode != 0 or not ended.stdout:
        pytest.skip("the history is not here")
    return ended.stdout


def server_of(release: Path, environment: Environment, home: Path) -> Server:
    """A server of that release."""
    variables = {**environment.variables, "PYTHONPATH": str(release)}
    return Server(home, flavor=environment.flavor, variables=variables, folder=release)
