"""Access keys over HTTP and over sockets (protocol: http#access-keys, realtime#access-keys)."""

import asyncio
from typing import NamedTuple

import pytest

from tests.support.api_client import ApiClient

MISSING = {"error": "Session or machine not found"}


class Pair(NamedTuple):
    session: str
    machine: str

    @property
    def path(self) -> str:
        return f"/v1/access-keys/{self.session}/{self.machine}"

    @property
    def payload(self) -> dict[str, str]:
        return {"sessionId": self.session, "machineId": self.machine}


@pytest.fixture
async def pair(api: ApiClient) -> Pair:
    return Pair((await api.create_session())["id"], (await api.register_machine())["id"])


async def test_a_key_is_created_read_and_updated(api: ApiClient, pair: Pair) -> None:
    assert {"accessKey": None} == await api.get(pair.path)

    created = await api.post(pair.path, {"data": "opaque"})

    key = created["accessKey"]
    assert {"success": True, "accessKey": {**key, "data": "opaque", "dataVersion": 1}} == created
    assert {"accessKey": key} == await api.get(pair.path)
    update = await api.request("PUT", pair.path, json={"data": "new", "expectedVersion": 1})
    assert {"success": True, "version": 2} == update.json()


async def test_a_second_key_is_a_conflict(api: ApiClient, pair: Pair) -> None:
    answers = await asyncio.gather(
        *(api.request("POST", pair.path, json={"data": str(number)}) for number in range(16))
    )

    assert [200] + [409] * 15 == sorted(answer.status_code for answer in answers)
    assert {"error": "Access key already exists"} == next(
        answer.json() for answer in answers if answer.status_code == 409
    )


async def test_an_outdated_update_learns_what_is_stored(api: ApiClient, pair: Pair) -> None:
    await api.post(pair.path, {"data": "opaque"})

    answer = await api.request("PUT", pair.path, json={"data": "new", "expectedVersion": 4})

    assert 200 == answer.status_code
    assert {
        "success": False,
        "error": "version-mismatch",
        "currentVersion": 1,
        "currentData": "opaque",
    } == answer.json()


async def test_only_the_owner_of_both_reaches_a_key(api: ApiClient, stranger: ApiClient, pair: Pair) -> None:
    assert MISSING == await stranger.get(pair.path, expect=404)
    assert MISSING == await stranger.post(pair.path, {"data": "x"}, expect=404)
    assert MISSING == await api.get(f"/v1/access-keys/{pair.session}/none", expect=404)
    update = await api.request("PUT", pair.path, json={"data": "x", "expectedVersion": 1})
    assert (404, {"error": "Access key not found"}) == (update.status_code, update.json())


async def test_sockets_read_keys_too(api: ApiClient, pair: Pair) -> None:
    async with api.user_socket() as phone:
        assert {"ok": True, "accessKey": None} == await phone.call("access-key-get", pair.payload)
        key = (await api.post(pair.path, {"data": "opaque"}))["accessKey"]

        assert {"ok": True, "accessKey": key} == await phone.call("access-key-get", pair.payload)
        invalid = {"ok": False, "error": "Invalid parameters: sessionId and machineId are required"}
        assert invalid == await phone.call("access-key-get", {"sessionId": pair.session})
        foreign = {**pair.payload, "machineId": "none"}
        assert {"ok": False, **MISSING} == await phone.call("access-key-get", foreign)


async def test_a_session_takes_its_keys_with_it(api: ApiClient, pair: Pair) -> None:
    await api.post(pair.path, {"data": "opaque"})

    await api.delete(f"/v1/sessions/{pair.session}")

    assert MISSING == await api.get(pair.path, expect=404)
