"""What a daemon and a phone say about a machine, with the official client on both ends."""

import time
import uuid
from typing import Any

import pytest

from tests.e2e.conftest import Account

pytestmark = pytest.mark.asyncio(loop_scope="session")


def now() -> int:
    return int(time.time() * 1000)


async def test_a_registered_machine_is_announced(account: Account) -> None:
    machine_id = str(uuid.uuid4())
    async with account.user() as phone, account.machine(machine_id) as daemon:
        await account.api.register_machine(machine_id, metadata="m", daemon_state="d")
        created, changed = await phone.next_update(), await phone.next_update()
        own = await daemon.next_update()
        again = await account.api.register_machine(machine_id, metadata="other")
        silent = [event.name for event in await phone.unread()]

    assert (created["t"], created["machineId"], created["metadata"]) == ("new-machine", machine_id, "m")
    assert (created["metadataVersion"], created["daemonState"], created["daemonStateVersion"]) == (1, "d", 1)
    assert changed == {
        "t": "update-machine",
        "machineId": machine_id,
        "metadata": {"value": "m", "version": 1},
    }
    assert own == changed
    assert again["metadata"] == "m"
    assert "update" not in silent


async def test_metadata_and_state_are_compared_and_set(account: Account) -> None:
    mid = (await account.api.register_machine(metadata="first"))["id"]
    state = {"machineId": mid, "daemonState": "running", "expectedVersion": 0}
    metadata = {"machineId": mid, "metadata": "second", "expectedVersion": 1}
    async with account.machine(mid) as daemon, account.user() as phone:
        answers = [
            await daemon.call("machine-update-state", state),
            await daemon.call("machine-update-state", state),
            await daemon.call("machine-update-metadata", metadata),
            await phone.call("machine-update-metadata", metadata),
        ]
        bodies = [await daemon.next_update() for _ in range(2)]
        same = [await phone.next_update() for _ in range(2)]
    listed = await account.api.get(f"/v1/machines/{mid}")

    assert answers == [
        {"result": "success", "version": 1, "daemonState": "running"},
        {"result": "version-mismatch", "version": 1, "daemonState": "running"},
        {"result": "success", "version": 2, "metadata": "second"},
        {"result": "version-mismatch", "version": 2, "metadata": "second"},
    ]
    assert bodies == same
    assert bodies == [
        {"t": "update-machine", "machineId": mid, "daemonState": {"value": "running", "version": 1}},
        {"t": "update-machine", "machineId": mid, "metadata": {"value": "second", "version": 2}},
    ]
    assert listed["machine"]["active"] is True


@pytest.mark.parametrize("event", ["machine-update-metadata", "machine-update-state"])
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({}, "Invalid parameters"),
        ({"machineId": "", "metadata": "m", "daemonState": "d", "expectedVersion": 0}, "Invalid parameters"),
        (
            {"machineId": "m", "metadata": None, "daemonState": None, "expectedVersion": 0},
            "Invalid parameters",
        ),
        (
            {"machineId": "m", "metadata": "m", "daemonState": "d", "expectedVersion": "0"},
            "Invalid parameters",
        ),
        (
            {"machineId": "unknown", "metadata": "m", "daemonState": "d", "expectedVersion": 0},
            "Machine not found",
        ),
    ],
)
async def test_an_invalid_update_is_answered_with_the_reason(
    account: Account, event: str, wrong: dict[str, Any], text: str
) -> None:
    async with account.user() as phone:
        assert await phone.call(event, wrong) == {"result": "error", "message": text}


@pytest.mark.slow
async def test_a_machine_is_shown_as_it_comes_and_goes(account: Account) -> None:
    mid = (await account.api.register_machine())["id"]
    async with account.user() as phone:
        async with account.machine(mid):
            online = await phone.next_ephemeral()
        offline = await phone.next_ephemeral()

    assert (online["type"], online["id"], online["active"]) == ("machine-activity", mid, True)
    assert (offline["type"], offline["id"], offline["active"]) == ("machine-activity", mid, False)
    assert abs(online["activeAt"] - now()) < 10_000


async def test_a_machine_that_is_not_the_accounts_is_not_shown(account: Account, stranger: Account) -> None:
    theirs = (await stranger.api.register_machine())["id"]
    async with account.user() as phone, account.machine("invented"), account.machine(theirs):
        assert await phone.unread() == []


@pytest.mark.slow
async def test_the_first_of_two_sockets_leaving_does_not_show_the_machine_as_gone(account: Account) -> None:
    mid = (await account.api.register_machine())["id"]
    async with account.user() as phone, account.machine(mid) as old:
        async with account.machine(mid):
            await old.close()
            came = [event.payload["active"] for event in await phone.unread()]
        gone = await phone.next_ephemeral()

    assert False not in came
    assert gone["active"] is False


async def test_a_daemons_heartbeat_is_shown_to_the_phone(account: Account) -> None:
    mid = (await account.api.register_machine())["id"]
    async with account.machine(mid) as daemon, account.user() as phone:
        at = now()
        await daemon.emit("machine-alive", {"machineId": "unknown", "time": at})
        await daemon.emit("machine-alive", {"machineId": mid, "time": "now"})
        await daemon.emit("machine-alive", None)
        await daemon.emit("machine-alive", {"machineId": mid, "time": at})
        seen = await phone.next_ephemeral()

    assert seen == {"type": "machine-activity", "id": mid, "active": True, "activeAt": at}


async def test_a_deleted_machine_is_announced_and_its_events_are_ignored(account: Account) -> None:
    mid = (await account.api.register_machine())["id"]
    async with account.machine(mid) as daemon, account.user() as phone:
        await daemon.emit("machine-alive", {"machineId": mid, "time": now()})
        await phone.next_ephemeral()
        await account.api.delete(f"/v1/machines/{mid}")
        body = await phone.next_update()
        await daemon.emit("machine-alive", {"machineId": mid, "time": now()})
        await daemon.call("ping")
        silent = await phone.unread()

    assert body == {"t": "delete-machine", "machineId": mid}
    assert silent == []
