"""The folders that the examples of docs/commands.md are about, below one that the document calls `/srv`.

`happy` is the data directory of the server that runs, `old` one of an earlier release, `home` one whose
secret is in a file, `lost` one whose secret is gone, `other` another server's, `backups` and `new` are empty.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from click.testing import CliRunner

from happy.cli.main import run
from happy.crypto import Keyring, key_id_of
from happy.domain.sealed import vendor_token_path
from happy.domain.values import AccountId
from happy.settings import DATABASE_NAME, Full, Light, load
from schema import migrate, tables
from schema.revisions import REVISIONS
from tests.support.environments import Environment
from tests.support.example_server import account, fill, session
from tests.support.rows import Rows, open_rows
from tests.support.server_thread import run_server

DATA_DIR = "HAPPY_SERVER_LIGHT_DATA_DIR"
SECRET = "the secret of the examples"
SECRET_OF_HOME = "the secret in a file of the examples"
OLD = REVISIONS[-4]
"""The revision of `old`."""

LINUS, MARGARET = "cmf9x2b4k000001jx5t7r3w1q", "cmfa0c8d2000001jx8m6n4b2v"
OF_LINUS = "cmfa1e7h3000001jx2k9p5s8d"
IN_FILES = ("home", "lost")
"""Places whose secret is no variable."""


def environ_of(root: Path, place: str) -> dict[str, str]:
    variables = {
        DATA_DIR: str(root / place),
        "PUBLIC_URL": "https://happy.example.org",
        "HOME": "/home/ada",
    }
    return variables if place in IN_FILES else {**variables, "HANDY_MASTER_SECRET": SECRET}


def known_key_ids() -> set[str]:
    """The beginnings of fingerprints that are the same in every run."""
    return {key_id_of(Keyring(secret).fingerprint) for secret in (SECRET, SECRET_OF_HOME)}


def prepare(root: Path, now: int) -> None:
    """Fill all of them."""
    for place in ("backups", "image/etc"):
        (root / place).mkdir(parents=True)
    _at_revision(root / "old" / DATABASE_NAME, OLD)
    for place in ("happy", "home", "lost", "other"):
        with CliRunner().isolation():
            run(["migrate"], environ_of(root, place))
    (root / "home" / "handy-master-secret.txt").write_text(SECRET_OF_HOME)
    asyncio.run(_fill_all(root, now))
    with run_server(Environment("light", environ_of(root, "other"))):
        pass  # it writes down which secret it has
    file = root / "other" / "files" / "sessions" / OF_LINUS / "attachments" / "photo"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"encrypted" * 1000)


def _at_revision(database: Path, revision: str) -> None:
    database.parent.mkdir()
    with migrate.sqlite_connection(database) as connection:
        migrate.upgrade(connection, revision)


async def _fill_all(root: Path, now: int) -> None:
    async with open_rows(_settings(environ_of(root, "happy"))) as rows:
        await fill(rows, now)
    for place in IN_FILES:
        async with open_rows(_settings(environ_of(root, place))) as rows:
            await _add(rows, tables.accounts, account(now, LINUS, "11F0", 90, username="linus"))
            await _seal(rows, now)
    async with open_rows(_settings(environ_of(root, "other"))) as rows:
        await _add(rows, tables.accounts, account(now, LINUS, "11F0", 90, username="linus"))
        await _add(rows, tables.accounts, account(now, MARGARET, "3A6E", 60, username="margaret"))
        await _add(rows, tables.sessions, {**session(now, OF_LINUS, 30, 0, 60), "account_id": LINUS})


def _settings(environ: Mapping[str, str]) -> Light | Full:
    return load(environ, flavor="light")


async def _seal(rows: Rows, now: int) -> None:
    """Two tokens of other services, sealed with the secret of `home`."""
    keys = Keyring(SECRET_OF_HOME)
    for vendor in ("openai", "anthropic"):
        sealed = keys.at_rest.seal(vendor_token_path(AccountId(LINUS), vendor), "a token")
        times = {"created_at": now, "updated_at": now}
        row = {"id": vendor, "account_id": LINUS, "vendor": vendor, "token": sealed.blob, **times}
        await _add(rows, tables.service_account_tokens, {**row, "token_key": sealed.key_id})


async def _add(rows: Rows, table: sa.Table, row: Mapping[str, object]) -> None:
    await rows(sa.insert(table).values(**row))
