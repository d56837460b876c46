"""The data of an embedded PostgreSQL get in by the commands that the import prints."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_import import assert_goes_on, filled
from tests.support.commands import command
from tests.support.environments import light_environment
from tests.support.nodejs import node

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(600)]
FILL = """
import {PGlite} from "@electric-sql/pglite"; import {readFileSync} from "node:fs";
const [folder, file] = process.argv.slice(1);
const pg = await PGlite.create(folder);
await pg.exec(readFileSync(file, "utf8")); await pg.close()
"""


def shell(line: str) -> None:
    done = subprocess.run(line, shell=True, check=False, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr


def embedded_database(folder: Path, packages: Path, dump: Path) -> None:
    """As the other server's embedded database has it: made of what its PostgreSQL would have held."""
    statements = [line for line in dump.read_text().splitlines() if not line.startswith(("\\", "SET "))]
    dump.write_text("\n".join(statements))
    made = subprocess.run(
        [node(), "--input-type=module", "-e", FILL, "--", str(folder), str(dump)],
        cwd=packages,
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == made.returncode, made.stderr


async def test_the_printed_commands_get_everything_out_of_a_real_one(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    node()
    here, folder = light_environment(tmp_path / "here"), tmp_path / "server data" / "pglite"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("17\n")
    install = (await command(here, "import", str(folder.parent))).out.splitlines()[0]
    shell(install)
    (folder / "PG_VERSION").unlink()
    packages = folder.with_name("pglite-export")
    names = json.loads((packages / "package.json").read_text())["dependencies"]
    assert ["@electric-sql/pglite", "@electric-sql/pglite-tools"] == sorted(names)

    async with filled("a dump with INSERT", tmp_path / "other", request) as other:
        embedded_database(folder, packages, Path(other.source))
        refused = await command(here, "import", str(folder.parent))
        shell(refused.out.splitlines()[1])
        other.source = str(folder.parent / "pglite.sql")
        taken = await other.taken_by(here, "--yes", "--json")

    assert 30 == taken.json["tables"]["SessionMessage"]["new"]
    await assert_goes_on(here, tmp_path / "home", other)
