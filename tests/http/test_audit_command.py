"""`happy-server audit`, beside a running server."""

import time
from functools import partial
from pathlib import Path

import pytest

from happy.adapters.flavors import open_store_beside
from happy.domain.ports.store import Transaction
from happy.domain.values import HOUR, Millis
from happy.services.audit import record
from tests.http.test_accounts import account_id
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.server_thread import run_beside


async def _revoked(when: Millis, tx: Transaction) -> None:
    await record(tx, when, "system", "token.revoke", f"{when}")


async def test_the_audit_log_is_shown_beside_the_server(environment: Environment) -> None:
    now = Millis(time.time_ns() // 1_000_000)
    async with run_beside(environment) as server:
        assert (0, "Nothing was recorded.\n", "") == await command(environment, "audit")
        async with open_store_beside(server.settings) as store:
            for hours in (50, 1):
                await store.write(partial(_revoked, Millis(now - hours * HOUR)))
        everything = (await command(environment, "audit", "--json")).json
        recent = (await command(environment, "audit", "--json", "--since", "2d")).json
        table = await command(environment, "audit", "--since", "2000-01-01")

    assert [now - 50 * HOUR, now - HOUR] == [entry["time"] for entry in everything]
    assert everything[1:] == recent
    assert ["id", "time", "actor", "action", "subject", "detail"] == list(recent[0])
    header, *lines = table.out.splitlines()
    assert ["TIME", "BY", "WHAT", "TO", "DETAIL"] == header.split()
    assert [f"{now - hours * HOUR}" for hours in (50, 1)] == [line.split()[-1] for line in lines]


@pytest.mark.parametrize("since", ["yesterday", "7", "d", "-1d", "2026-13-01"])
async def test_another_time_is_a_usage_error(environment: Environment, since: str) -> None:
    ended = await command(environment, "audit", "--since", since)

    assert (2, "") == ended[:2]
    assert "is no span such as 7d and no day such as 2026-11-28" in ended.err


async def test_what_left_with_an_export_and_came_by_an_import_was_in_no_audit_log(
    environment: Environment, tmp_path: Path
) -> None:
    async with run_beside(environment) as server, ApiClient.signed_in(server.url) as api:
        account = account_id(api)
        one = (await command(environment, "export", account, str(tmp_path), "--json")).json["path"]
        everything = str(tmp_path / "all.tar.zst")
        assert 0 == (await command(environment, "export", "--all", everything)).code
        for source in (one, everything):
            assert 0 == (await command(environment, "import", source, "--dry-run")).code
        assert 0 == (await command(environment, "import", one, "--yes")).code
        entries = (await command(environment, "audit", "--json")).json

    assert [
        ("account.export", account, f"to {Path(one).name}"),
        ("database.backup", "all.tar.zst", "without the master secret"),
        ("database.import", Path(one).name, "0 accounts, 0 conflicts"),
    ] == [(entry["action"], entry["subject"], entry["detail"]) for entry in entries]
    assert {"command line"} == {entry["actor"] for entry in entries}
