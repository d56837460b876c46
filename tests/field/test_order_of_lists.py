"""Lists that the app sorts by time are in the same order before and after a reload."""

import pytest

from tests.e2e.conftest import Account
from tests.field.presence import heartbeat, until_announced_active, until_announced_inactive, until_listed
from tests.support.api_client import ApiClient
from tests.support.official_client import OfficialSocket

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def listed(api: ApiClient) -> list[tuple[str, int]]:
    """Sessions as an app draws them that is opened now: the latest change first."""
    rows = [(row["id"], row["updatedAt"]) for row in (await api.get("/v1/sessions"))["sessions"]]
    return sorted(rows, key=lambda row: -row[1])


def moved(rows: list[tuple[str, int]], phone: OfficialSocket) -> list[tuple[str, int]]:
    """As an app draws them that read `rows` before all those updates: each moves its session."""
    times = dict(rows)
    for event in phone.events:
        if event.name == "update":
            body = event.payload["body"]
            times[body.get("sid") or body["id"]] = event.payload["createdAt"]
    return sorted(times.items(), key=lambda row: -row[1])


async def test_sessions_are_listed_in_the_same_order_before_and_after_a_reload(account: Account) -> None:
    api = account.api
    ended, written, renamed, revived = [str((await api.create_session())["id"]) for _ in range(4)]
    before = await listed(api)
    async with account.user() as phone:
        await api.post_messages(written, ["one", "two"])
        change = {"sid": renamed, "metadata": "new", "expectedVersion": 0}
        assert (await phone.call("update-metadata", change))["result"] == "success"
        for session in (ended, revived):
            await phone.emit("session-end", {"sid": session, "time": heartbeat(session)["time"]})
            await until_announced_inactive(phone, session)
        async with account.session(revived) as process:
            await process.emit("session-alive", heartbeat(revived))
            await until_announced_active(phone, revived)
            await until_listed(api, revived, active=True)
            drawn = moved(before, phone)

            assert drawn == await listed(api)
            assert [renamed, written] == [session for session, _ in drawn[:2]]


@pytest.mark.slow
async def test_sessions_that_end_together_keep_their_order(account: Account) -> None:
    """A laptop is closed: its sessions move to the inactive ones, the one that was used last on top."""
    sessions = [str((await account.api.create_session())["id"]) for _ in range(4)]
    for session in sessions[1:] + sessions[:1]:
        await account.api.post_messages(session, ["work"])
    before = await listed(account.api)
    async with account.user() as phone:
        for session in sessions:
            async with account.session(session) as process:
                await process.emit("session-alive", heartbeat(session))
        for session in sessions:
            await until_announced_inactive(phone, session)

    assert before == await listed(account.api)
    assert sessions[0] == before[0][0]
