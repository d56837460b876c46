"""The data folder of a server with an embedded PostgreSQL, which only that database itself can read."""

import shlex
from pathlib import Path
from typing import Final

from happy.adapters.imports.errors import SourceRefused

VERSION_FILE: Final = "PG_VERSION"
EMBEDDED: Final = "pglite"
PACKAGES: Final = {"16": ("0.2.17", "0.2.2"), "17": ("0.3.16", "0.2.21"), "18": ("0.5.8", "0.4.8")}
"""Releases of the embedded database and of its tools that read folders of a version of PostgreSQL."""

SCRIPT: Final = (
    'import {PGlite} from "@electric-sql/pglite";'
    ' import {pgDump} from "@electric-sql/pglite-tools/pg_dump";'
    ' import {writeFileSync} from "node:fs";'
    " const [folder, file] = process.argv.slice(1);"
    " const pg = await PGlite.create(folder);"
    " writeFileSync(file, Buffer.from(await (await pgDump({pg})).arrayBuffer()));"
    " await pg.close()"
)


def folder_of_postgres(folder: Path) -> Path | None:
    """This folder, or `pglite` in it, if it is the data folder of PostgreSQL."""
    return next((each for each in (folder, folder / EMBEDDED) if (each / VERSION_FILE).is_file()), None)


def refusal(folder: Path) -> SourceRefused:
    """Names the commands that make a dump of the folder."""
    folder = folder.absolute()
    version = (folder / VERSION_FILE).read_text("ascii", errors="replace").strip()
    if version not in PACKAGES:
        return SourceRefused(
            f"it is the data folder of PostgreSQL {version}, which only that program reads:"
            " start it, and name its postgresql://..."
        )
    database, tools = PACKAGES[version]
    work, dump = folder.with_name(f"{folder.name}-export"), folder.with_name(f"{folder.name}.sql")
    packages = f"@electric-sql/pglite@{database} @electric-sql/pglite-tools@{tools}"
    script = f"node --input-type=module -e {shlex.quote(SCRIPT)}"
    return SourceRefused(
        f"it is the data folder of an embedded PostgreSQL {version}, which cannot be read from outside:"
        f" stop that server, run these two commands (they need Node.js), then import {dump}",
        (
            f"npm install --prefix {quoted(work)} {packages}",
            f"cd {quoted(work)} && {script} -- {quoted(folder)} {quoted(dump)}",
        ),
    )


def quoted(path: Path) -> str:
    """For a shell."""
    return shlex.quote(str(path))
