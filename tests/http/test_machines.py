"""Machines (protocol: http#machines)."""

import asyncio
import time
from typing import Any

import pytest

from schema.tables import machines
from tests.support.api_client import ApiClient, b64
from tests.support.rows import Rows, move

MISSING = {"error": "Machine not found"}
REGISTERED = {
    "id",
    "metadata",
    "metadataVersion",
    "daemonState",
    "daemonStateVersion",
    "dataEncryptionKey",
    "active",
    "activeAt",
    "createdAt",
    "updatedAt",
}


async def test_a_new_machine_has_every_field_but_seq(api: ApiClient) -> None:
    before = time.time_ns() // 1_000_000
    body = {"id": "machine", "metadata": "m", "daemonState": "s", "dataEncryptionKey": b64(b"key")}

    machine = (await api.post("/v1/machines", body))["machine"]

    assert REGISTERED == set(machine)
    expected = {
        **body,
        "metadataVersion": 1,
        "daemonStateVersion": 1,
        "active": False,
    }
    assert expected == {name: machine[name] for name in expected}
    assert before <= machine["activeAt"] == machine["createdAt"] == machine["updatedAt"]


@pytest.mark.parametrize("state", [{}, {"daemonState": ""}])
async def test_a_machine_without_daemon_state_begins_at_version_0(
    api: ApiClient, state: dict[str, str]
) -> None:
    body = {"id": f"{api.token}"[-40:], "metadata": "m", **state}

    machine = (await api.post("/v1/machines", body))["machine"]

    assert (None, 0) == (machine["daemonState"], machine["daemonStateVersion"])


async def test_the_other_reads_add_seq(api: ApiClient) -> None:
    registered = await api.register_machine()
    listed = {**registered, "seq": 0}

    assert [listed] == await api.get("/v1/machines")
    assert {"machine": listed} == await api.get(f"/v1/machines/{registered['id']}")


async def test_a_known_machine_is_returned_unchanged(api: ApiClient) -> None:
    first = await api.register_machine(metadata="old", daemon_state="old")

    assert first == await api.register_machine(first["id"], "new", "new")


async def test_a_new_machine_is_announced_twice_in_order_and_a_known_one_not_at_all(api: ApiClient) -> None:
    async with api.user_socket() as socket:
        machine = await api.register_machine(metadata="m")
        await api.register_machine(machine["id"])

        first, second = [(await socket.next_event("update")).payload for _ in range(2)]
        assert ["new-machine", "update-machine"] == [first["body"]["t"], second["body"]["t"]]
        assert first["seq"] + 1 == second["seq"]
        assert {"value": "m", "version": 1} == second["body"]["metadata"]
        assert [] == await socket.unread()


async def test_a_machine_of_another_account_is_a_conflict_instead_of_a_500(
    api: ApiClient, stranger: ApiClient
) -> None:
    """06 B13: clients have a text for 409."""
    machine_id = (await stranger.register_machine())["id"]

    await api.post("/v1/machines", {"id": machine_id, "metadata": "m"}, expect=409)

    assert [] == await api.get("/v1/machines")


async def test_simultaneous_first_calls_all_get_the_one_machine_instead_of_a_500(api: ApiClient) -> None:
    """06 C15."""
    machines = await asyncio.gather(
        *[api.register_machine("same " + str(api.token)[-20:]) for _ in range(16)]
    )

    assert [machines[0]] * 16 == machines


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 5},
        {"metadata": None},
        {"daemonState": None},
        {"daemonState": 5},
        {"dataEncryptionKey": 5},
    ],
)
async def test_a_machine_with_a_field_of_the_wrong_type_is_refused(
    api: ApiClient, change: dict[str, Any]
) -> None:
    await api.post("/v1/machines", {"id": "i", "metadata": "m", **change}, expect=400)


@pytest.mark.parametrize("key", [None, ""])
async def test_a_machine_may_have_no_key(api: ApiClient, key: str | None) -> None:
    body = {"id": str(api.token)[-30:], "metadata": "m", "dataEncryptionKey": key}

    assert (await api.post("/v1/machines", body))["machine"]["dataEncryptionKey"] is None


async def test_the_list_is_a_bare_array_with_the_last_active_first(api: ApiClient, rows: Rows) -> None:
    ids = [(await api.register_machine())["id"] for _ in range(3)]
    for minutes, machine_id in enumerate([ids[1], ids[2], ids[0]]):
        await move(rows, machines.c.last_active_at, -minutes * 60_000, machines.c.id == machine_id)

    assert [ids[1], ids[2], ids[0]] == [machine["id"] for machine in await api.get("/v1/machines")]


async def test_machines_of_others_do_not_exist(api: ApiClient, stranger: ApiClient) -> None:
    path = f"/v1/machines/{(await stranger.register_machine())['id']}"

    assert [] == await api.get("/v1/machines")
    for missing in (path, "/v1/machines/unknown"):
        assert MISSING == await api.get(missing, expect=404)
        assert MISSING == await api.delete(missing, expect=404)
    await stranger.get(path)


async def test_a_machine_is_deleted_once_and_the_deletion_is_announced(api: ApiClient) -> None:
    machine_id = (await api.register_machine())["id"]
    session = await api.create_session()
    async with api.user_socket() as socket:
        assert {"success": True} == await api.delete(f"/v1/machines/{machine_id}")

        assert machine_id == (await socket.next_update("delete-machine"))["machineId"]
    assert MISSING == await api.delete(f"/v1/machines/{machine_id}", expect=404)
    assert [session["id"]] == [found["id"] for found in (await api.get("/v1/sessions"))["sessions"]]
