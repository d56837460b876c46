"""`happy-server stats`: how much a server stores, beside it while it runs."""

from datetime import UTC, datetime

import pytest

from happy.domain import ids, statistics
from schema import expressions
from schema.tables import metadata
from tests.http.test_accounts import account_id
from tests.http.test_purge_command import write
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.server_thread import run_beside


def test_numbers_are_called_estimates_where_the_database_estimates_them() -> None:
    assert expressions.EXACT_ROWS == statistics.EXACT_ROWS


async def test_tables_days_accounts_and_files_are_counted(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ids never go back in time, and other tests of this process have made some in the future.
    monkeypatch.setattr(ids, "_IDS", ids.Ids())
    async with (
        run_beside(environment) as server,
        ApiClient.signed_in(server.url) as api,
        ApiClient.signed_in(server.url) as other,
    ):
        today = datetime.now(UTC).date().isoformat()
        session = (await api.create_session())["id"]
        await api.post_messages(session, ["x" * 1_000] * 3)
        await other.create_session()
        await write(server, f"sessions/{session}/attachments/a", f"sessions/{session}/attachments/b")

        found = (await command(environment, "stats", "--all", "--json")).json
        shown = await command(environment, "stats")

    tables = {table["table"]: table for table in found["tables"]}
    assert {table.name for table in metadata.sorted_tables} == tables.keys()
    assert (2, False) == (tables["Session"]["rows"], tables["Session"]["estimated"])
    messages = tables["SessionMessage"]
    assert (3, True) == (messages["rows"], messages["bytes"] >= 3_000)
    assert found["databaseBytes"] > 100_000
    assert {"count": 2, "bytes": 8} == found["files"]
    assert 7 == len(found["messagesPerDay"])
    days = {day["day"]: day["messages"] for day in found["messagesPerDay"]}
    assert 3 == sum(number for day, number in days.items() if day >= today)
    largest = found["largestAccounts"]
    assert [(account_id(api), 1, 3), (account_id(other), 1, 0)] == [
        (account["accountId"], account["sessions"], account["messages"]) for account in largest
    ]
    assert {"sessions": 2, "machines": 0} == found["active"]
    assert "files     not counted without --all\n" in shown.out
    assert "\nMessages per day (UTC)\n" in shown.out
