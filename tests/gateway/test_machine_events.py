"""Events about machines, and how their connections show.

protocol: realtime#connection-lifecycle-side-effects, realtime#machine-events
"""

from typing import Any

import pytest

from tests.gateway.harness import MINUTE, now, stored_machine, unread
from tests.support.api_client import ApiClient
from tests.support.socket_client import SocketClient

INVALID = {"result": "error", "message": "Invalid parameters"}
NOT_FOUND = {"result": "error", "message": "Machine not found"}
FAILED = {"result": "error", "message": "Internal error"}
PARTS = pytest.mark.parametrize(
    ("event", "part", "version"),
    [("machine-update-metadata", "metadata", 1), ("machine-update-state", "daemonState", 0)],
)


# -- metadata and state ------------------------------------------------------------------------------------


@PARTS
async def test_an_update_is_announced_and_then_acknowledged(
    api: ApiClient, mid: str, event: str, part: str, version: int
) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        answer = await daemon.call(event, {"machineId": mid, part: "new", "expectedVersion": version})
        arrived = [received.name for received in daemon.events]
        bodies = [await daemon.next_update(), await phone.next_update()]

    changed = {"value": "new", "version": version + 1}
    assert {"result": "success", "version": version + 1, part: "new"} == answer
    assert ["update"] == arrived
    assert [{"t": "update-machine", "machineId": mid, part: changed}] * 2 == bodies


async def test_a_machine_is_listed_active_from_its_connection_on(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon:
        payload = {"machineId": mid, "metadata": "new", "expectedVersion": 1}
        await daemon.call("machine-update-metadata", payload)
        before = await stored_machine(api, mid)
        at = now()
        payload = {"machineId": mid, "daemonState": "up", "expectedVersion": 0}
        await daemon.call("machine-update-state", payload)
    after = await stored_machine(api, mid)

    assert (True, True) == (before["active"], after["active"])
    assert at <= after["activeAt"]
    assert ("new", 2, "up", 1) == tuple(
        after[name] for name in ("metadata", "metadataVersion", "daemonState", "daemonStateVersion")
    )


@PARTS
async def test_another_version_brings_what_is_stored(
    api: ApiClient, mid: str, event: str, part: str, version: int
) -> None:
    async with api.machine_socket(mid) as daemon:
        answer = await daemon.call(event, {"machineId": mid, part: "new", "expectedVersion": version + 1})

        stored = {"metadata": "metadata", "daemonState": None}[part]
        assert {"result": "version-mismatch", "version": version, part: stored} == answer
        assert [] == await unread(daemon)


@PARTS
@pytest.mark.parametrize(
    "change",
    [
        {"machineId": ""},
        {"machineId": 5},
        {"machineId": None},
        {"part": None},
        {"part": 5},
        {"expectedVersion": "1"},
        {"expectedVersion": None},
        {"machineId": "unknown"},
    ],
)
async def test_an_invalid_update_is_answered_with_the_reason(
    api: ApiClient, mid: str, event: str, part: str, version: int, change: dict[str, Any]
) -> None:
    payload = {"machineId": mid, "part": "new", "expectedVersion": version, **change}
    payload[part] = payload.pop("part")
    async with api.machine_socket(mid) as daemon:
        wrong = NOT_FOUND if change.get("machineId") == "unknown" else INVALID
        assert wrong == await daemon.call(event, payload)
        assert [] == await unread(daemon)


@PARTS
@pytest.mark.parametrize(
    ("payload", "answer"),
    [((), FAILED), ((None,), FAILED), (({},), INVALID), ((5,), INVALID), (("text",), INVALID)],
)
async def test_no_payload_is_a_failure_and_an_odd_one_is_invalid(
    api: ApiClient,
    event: str,
    part: str,
    version: int,
    payload: tuple[Any, ...],
    answer: dict[str, Any],
) -> None:
    async with api.user_socket() as phone:
        assert answer == await phone.call(event, *payload)


@PARTS
async def test_a_foreign_machine_is_not_found(
    api: ApiClient, stranger: ApiClient, mid: str, event: str, part: str, version: int
) -> None:
    async with stranger.machine_socket(mid) as thief, api.user_socket() as phone:
        payload = {"machineId": mid, part: "stolen", "expectedVersion": version}
        assert NOT_FOUND == await thief.call(event, payload)
        assert [] == await unread(thief, phone)


# -- presence ----------------------------------------------------------------------------------------------


async def activity(phone: SocketClient) -> tuple[str, bool]:
    received = await phone.next_ephemeral("machine-activity")
    assert {"type", "id", "active", "activeAt"} == received.keys()
    assert now() - MINUTE < received["activeAt"] <= now()
    return received["id"], received["active"]


async def test_a_machine_is_shown_as_it_comes_and_goes(api: ApiClient, mid: str) -> None:
    async with api.user_socket() as phone:
        async with api.machine_socket(mid) as daemon:
            assert (mid, True) == await activity(phone)
            assert [] == await unread(daemon)
        assert (mid, False) == await activity(phone)
    assert not (await stored_machine(api, mid))["active"]


async def test_a_machine_that_is_cut_off_is_shown_as_gone(api: ApiClient, mid: str) -> None:
    async with api.user_socket() as phone, api.machine_socket(mid) as daemon:
        assert (mid, True) == await activity(phone)
        await daemon.drop()
        assert (mid, False) == await activity(phone)


async def test_sessions_and_users_come_and_go_unseen(api: ApiClient, sid: str) -> None:
    async with api.user_socket() as phone:
        async with api.session_socket(sid), api.user_socket():
            pass
        assert [] == await unread(phone)


async def test_a_heartbeat_is_shown_to_the_user_only(api: ApiClient, mid: str, sid: str) -> None:
    async with (
        api.machine_socket(mid) as daemon,
        api.user_socket() as phone,
        api.session_socket(sid) as session,
    ):
        at = now() - 1_000
        await daemon.emit("machine-alive", {"machineId": mid, "time": at})
        received = await phone.next_ephemeral()

        assert {"type": "machine-activity", "id": mid, "active": True, "activeAt": at} == received
        assert [] == await unread(daemon, session, phone)


@pytest.mark.parametrize(
    "change", [{"machineId": ""}, {"machineId": 5}, {"machineId": "unknown"}, {"time": "1"}, {"time": None}]
)
async def test_a_wrong_heartbeat_is_passed_over(api: ApiClient, mid: str, change: dict[str, Any]) -> None:
    async with api.user_socket() as phone:
        await phone.emit("machine-alive", {"machineId": mid, "time": now(), **change})
        await phone.emit("machine-alive", None)
        await phone.emit("machine-alive")

        assert [] == await unread(phone)


async def test_a_foreign_machine_does_not_beat(api: ApiClient, stranger: ApiClient, mid: str) -> None:
    async with stranger.user_socket() as thief, api.user_socket() as phone:
        await thief.emit("machine-alive", {"machineId": mid, "time": now()})

        assert [] == await unread(thief, phone)
