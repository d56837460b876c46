"""The master secret is replaced while devices are signed in, and a rotation is killed on its way."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from nacl.signing import SigningKey

from happy.crypto import Keyring
from happy.domain.sealed import vendor_token_path
from happy.domain.values import AccountId
from happy.settings import load
from schema.tables import service_account_tokens as tokens
from tests.http.test_accounts import account_id
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import SECRET, Environment
from tests.support.rows import Rows, open_rows
from tests.support.server_process import REPOSITORY, Server
from tests.support.until import until

pytestmark = pytest.mark.slow

NEW_SECRET = "another secret for tests"
MANY = 1_500


async def restart(server: Server, **variables: str | None) -> None:
    await server.stop()
    for name, value in variables.items():
        server.variables.pop(name, None)
        if value is not None:
            server.variables[name] = value
    await server.start()


def at(server: Server) -> Environment:
    return Environment(server.flavor, {"HOME": str(server.home), **server.variables})


@asynccontextmanager
async def rows_of(server: Server) -> AsyncIterator[Rows]:
    async with open_rows(load(at(server).variables, flavor=server.flavor)) as rows:
        yield rows


async def status(server: Server, token: str | None) -> int:
    async with ApiClient(server.url, token=token) as api:
        return (await api.request("GET", "/v1/account/profile")).status_code


async def stored(api: ApiClient) -> dict[str, str]:
    return {each["vendor"]: each["token"] for each in (await api.get("/v1/connect/tokens"))["tokens"]}


async def seal_many(server: Server, owner: AccountId) -> None:
    """Values that an earlier start of this server may have sealed, of vendors that it does not know."""
    keys, now = Keyring(SECRET), int(time.time() * 1000)
    values = [
        {
            "id": f"{vendor}",
            "account_id": owner,
            "vendor": vendor,
            "token": keys.at_rest.seal(vendor_token_path(owner, vendor), f"of {vendor}").blob,
            "token_key": keys.key_ids[0],
            "created_at": now,
            "updated_at": now,
        }
        for vendor in (f"vendor-{number:04}" for number in range(MANY))
    ]
    async with rows_of(server) as rows:
        for start in range(0, MANY, 500):
            await rows(sa.insert(tokens).values(values[start : start + 500]))


async def sealed_with(rows: Rows, key_id: str) -> int:
    ((count,),) = await rows(sa.select(sa.func.count()).where(tokens.c.token_key == key_id))
    return int(count)


async def kill_a_rotation(server: Server) -> None:
    """`kill -9` as soon as it has stored something."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "happy", "--flavor", server.flavor, "secret", "rotate"),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **at(server).variables},
        stdout=asyncio.subprocess.DEVNULL,
    )
    new_key = Keyring(NEW_SECRET).key_ids[0]
    async with rows_of(server) as rows:
        await until(lambda: sealed_with(rows, new_key), timeout=60)
    process.kill()
    assert -9 == await process.wait()


async def test_nobody_notices_that_the_master_secret_was_replaced(own_server: Server) -> None:
    key = SigningKey.generate()
    async with ApiClient.signed_in(own_server.url, key=key) as old:
        await old.post("/v1/connect/openai/register", {"token": "sk-first"})
        await seal_many(own_server, AccountId(account_id(old)))
        await restart(own_server, HANDY_MASTER_SECRET=NEW_SECRET, HANDY_MASTER_SECRET_PREVIOUS=SECRET)
        assert MANY + 1 == len(await stored(old))
        async with old.user_socket(), ApiClient.signed_in(own_server.url) as other:
            await other.post("/v1/connect/openai/register", {"token": "sk-of-another"})
        await old.post("/v1/connect/anthropic/register", {"token": "sk-second"})

        await kill_a_rotation(own_server)
        killed = (await command(at(own_server), "secret", "status", "--json")).json
        assert MANY + 2 == len(await stored(old))
        rotated = await command(at(own_server), "secret", "rotate")
        after = (await command(at(own_server), "secret", "status", "--json")).json
        await restart(own_server, HANDY_MASTER_SECRET_PREVIOUS=None)
        assert 401 == await status(own_server, old.token)
        assert 200 == await status(own_server, other.token)
        await old.sign_in(key)
        kept = await stored(old)

    assert {f"vendor-{number:04}": f"of vendor-{number:04}" for number in range(MANY)}.items() <= kept.items()
    assert ("sk-first", "sk-second", MANY + 2) == (kept["openai"], kept["anthropic"], len(kept))
    old_key, new_key = (Keyring(secret).key_ids[0] for secret in (SECRET, NEW_SECRET))
    assert (new_key, [old_key], new_key) == (killed["current"], killed["previous"], killed["database"])
    partly, (whole, github) = killed["sealed"][0], after["sealed"]
    assert partly["previous"] > 0
    assert (MANY + 3, 0) == (partly["current"] + partly["previous"], partly["unmarked"] + partly["unknown"])
    assert {"kind": "vendor token", "current": MANY + 3, "previous": 0, "unmarked": 0, "unknown": 0} == whole
    assert {"kind": "GitHub token", "current": 0, "previous": 0, "unmarked": 0, "unknown": 0} == github
    assert f"Sealed {partly['previous']:,} vendor tokens with the current secret" in rotated.out
    await acts_are_recorded(own_server, new_key)


async def acts_are_recorded(server: Server, new_key: str) -> None:
    """In the audit log, without a secret in it or in the log."""
    acts = (await command(at(server), "audit", "--json")).json
    assert [("secret.replace", new_key), ("secret.rotate", new_key)] == [
        (act["action"], act["subject"]) for act in acts
    ]
    for shown in (str(acts), server.log_text()):
        assert SECRET not in shown
        assert NEW_SECRET not in shown


async def test_values_are_not_sealed_with_a_secret_that_no_server_knows_yet(own_server: Server) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        await api.post("/v1/connect/openai/register", {"token": "sk-first"})
        new = Environment(
            own_server.flavor,
            {
                **own_server.variables,
                "HANDY_MASTER_SECRET": NEW_SECRET,
                "HANDY_MASTER_SECRET_PREVIOUS": SECRET,
            },
        )
        refused = await command(new, "secret", "rotate")
        assert {"openai": "sk-first"} == await stored(api)

        await own_server.stop()
        rotated = await command(new, "secret", "rotate", "--stopped")
        own_server.variables["HANDY_MASTER_SECRET"] = NEW_SECRET
        await own_server.start()
        assert 401 == await status(own_server, api.token)

    assert (1, "") == refused[:2]
    assert "restart them with both secrets first" in refused.err
    assert "Sealed 1 vendor token with the current secret" in rotated.out


async def test_the_secret_in_a_data_directory_is_replaced_by_commands(tmp_path: Path) -> None:
    async with Server(tmp_path) as server, ApiClient.signed_in(server.url) as api:
        await api.post("/v1/connect/openai/register", {"token": "sk-first"})
        replaced = await command(at(server), "secret", "replace", "--json")
        (entry,) = (await command(at(server), "audit", "--json")).json
        assert 200 == await status(server, api.token)
        await restart(server)
        assert {"openai": "sk-first"} == await stored(api)
        too_early = await command(at(server), "secret", "forget", "--yes")
        await command(at(server), "secret", "rotate")
        asked = await command(at(server), "secret", "forget")
        forgotten = await command(at(server), "secret", "forget", "--yes", "--json")
        assert 200 == await status(server, api.token)
        await restart(server)
        assert 401 == await status(server, api.token)
        shown = await command(at(server), "secret", "status")

    secret = server.database.with_name("handy-master-secret.txt").read_text()
    assert "they may be needed for 1 value: run `happy-server secret rotate` first" in too_early.err
    assert "nothing was done: add --yes" in asked.err
    assert replaced.json["previous"] == forgotten.json["forgotten"]
    assert ("command line", "secret.replace", replaced.json["current"]) == (
        entry["actor"],
        entry["action"],
        entry["subject"],
    )
    assert replaced.json["current"] in shown.out
    assert "vendor tokens  1 current" in shown.out
    assert secret not in shown.out + replaced.out + forgotten.out + server.log_text()


@pytest.mark.parametrize("weak", ["hunter2", "your-super-secret-key-for-local-development"])
async def test_a_secret_that_can_be_guessed_is_refused_and_there_is_a_way_on(
    environment: Environment, weak: str
) -> None:
    variables = {**environment.variables, "HANDY_MASTER_SECRET": weak}
    refused = await command(Environment(environment.flavor, variables), "serve")
    assert (1, 1) == (refused.code, refused.err.count("\n"))
    assert "whoever guesses it can sign in as anybody: use a new one" in refused.err
    assert weak not in refused.err


async def test_an_installation_with_a_weak_secret_goes_on_by_a_setting_or_by_rotation(
    own_server: Server,
) -> None:
    await restart(own_server, HAPPY_ALLOW_WEAK_SECRET="true")
    weak = "hunter2"
    assert 0 == (await command(at(own_server), "audit")).code
    await own_server.stop()
    own_server.variables.update(HANDY_MASTER_SECRET=weak, HANDY_MASTER_SECRET_PREVIOUS=SECRET)
    await own_server.start()
    async with ApiClient.signed_in(own_server.url) as api:
        await restart(
            own_server,
            HANDY_MASTER_SECRET=NEW_SECRET,
            HANDY_MASTER_SECRET_PREVIOUS=weak,
            HAPPY_ALLOW_WEAK_SECRET=None,
        )
        assert 200 == await status(own_server, api.token)
    log = own_server.log_text()
    assert "HANDY_MASTER_SECRET is shorter than 16 bytes: whoever guesses it" in log
    assert "a previous master secret is shorter than 16 bytes: as long as it is named" in log
    assert weak not in log
