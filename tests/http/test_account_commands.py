"""`happy-server accounts`: what whoever runs the server sees of the accounts, beside the running server."""

import sqlalchemy as sa

from schema.tables import accounts
from tests.http.test_accounts import account_id
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.rows import open_rows
from tests.support.server_thread import run_beside


async def test_accounts_are_listed_and_shown_beside_the_server(environment: Environment) -> None:
    async with (
        run_beside(environment) as server,
        ApiClient.signed_in(server.url) as api,
        ApiClient.signed_in(server.url) as other,
    ):
        mine, theirs = account_id(api), account_id(other)
        session = await api.create_session()
        await api.post_messages(session["id"], ["one", "two"])
        async with open_rows(server.settings) as rows:
            await rows(sa.update(accounts).where(accounts.c.id == mine).values(username="ada"))

        listed = (await command(environment, "accounts", "list", "--json")).json
        shown = (await command(environment, "accounts", "show", "@ada", "--json")).json
        by_key = await command(environment, "accounts", "show", shown["account"]["publicKey"].lower())
        table = await command(environment, "accounts", "list")

    assert sorted([mine, theirs]) == [record["id"] for record in listed]
    assert shown["account"] in listed
    belongings = {"sessions": 1, "messages": 2, "machines": 0, "artifacts": 0, "files": 0, "pushTokens": 0}
    assert (mine, belongings) == (shown["account"]["id"], shown["belongings"])
    assert f"account      {mine}\n" in by_key.out
    assert "1 session with 2 messages, 0 machines, 0 artifacts, 0 files" in by_key.out
    header, *lines = table.out.splitlines()
    assert ["ACCOUNT", "STATE", "NAME", "CREATED", "LAST", "CHANGE"] == header.split()
    assert sorted([mine, theirs]) == [line.split()[0] for line in lines]


async def test_an_account_that_is_not_there_is_one_line_and_exit_code_1(environment: Environment) -> None:
    await command(environment, "migrate")
    nobody = await command(environment, "accounts", "show", "nobody")

    assert (1, "") == (nobody.code, nobody.out)
    assert (
        "happy-server: there is no account 'nobody': `happy-server accounts list` shows them\n" == nobody.err
    )
    assert (0, "There are no accounts.\n", "") == await command(environment, "accounts", "list")
    assert (2, "") == (await command(environment, "accounts", "show"))[:2]
