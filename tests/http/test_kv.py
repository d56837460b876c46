"""The key-value store (protocol: http#key-value-store)."""

import asyncio
from typing import Any

import pytest

from tests.support.api_client import ApiClient, b64


async def put(api: ApiClient, *mutations: tuple[str, str | None, int], expect: int = 200) -> Any:
    body = {
        "mutations": [dict(zip(("key", "value", "version"), change, strict=True)) for change in mutations]
    }
    return await api.post("/v1/kv", body, expect=expect)


async def keys(api: ApiClient, **query: Any) -> list[str]:
    return [item["key"] for item in (await api.get("/v1/kv", **query))["items"]]


async def test_a_batch_is_stored_announced_once_and_read_back(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        answer = await put(api, ("b", b64(b"two"), -1), ("a", b64(b"one"), -1))
        update = await phone.next_update("kv-batch-update")

    assert {
        "success": True,
        "results": [{"key": "b", "version": 0}, {"key": "a", "version": 0}],
    } == answer
    changes = [
        {"key": "b", "value": b64(b"two"), "version": 0},
        {"key": "a", "value": b64(b"one"), "version": 0},
    ]
    assert {"t": "kv-batch-update", "changes": changes} == update
    assert changes[1] == await api.get("/v1/kv/a")
    assert {"items": changes[::-1]} == await api.get("/v1/kv")


async def test_one_outdated_mutation_stops_the_whole_batch(api: ApiClient) -> None:
    await put(api, ("a", b64(b"one"), -1))

    answer = await put(api, ("b", b64(b"x"), -1), ("a", b64(b"x"), 3), ("c", b64(b"x"), 0), expect=409)

    assert {
        "success": False,
        "errors": [
            {"key": "a", "error": "version-mismatch", "version": 0, "value": b64(b"one")},
            {"key": "c", "error": "version-mismatch", "version": -1, "value": None},
        ],
    } == answer
    assert ["a"] == await keys(api)


@pytest.mark.parametrize("nothing", [None, ""])
async def test_a_deleted_key_keeps_its_version(api: ApiClient, nothing: str | None) -> None:
    await put(api, ("a", b64(b"one"), -1))
    async with api.user_socket() as phone:
        await put(api, ("a", nothing, 0))
        update = await phone.next_update("kv-batch-update")

    assert [{"key": "a", "value": None, "version": 1}] == update["changes"]
    assert {"error": "Key not found"} == await api.get("/v1/kv/a", expect=404)
    assert {"values": []} == await api.post("/v1/kv/bulk", {"keys": ["a"]})
    await put(api, ("a", b64(b"x"), -1), expect=409)
    assert 2 == (await put(api, ("a", b64(b"x"), 1)))["results"][0]["version"]


async def test_lists_ascend_by_code_point_and_stop_at_the_limit(api: ApiClient) -> None:
    names = ["Z", "a", "a.b", "é", "中", "😀"]
    await put(api, *((name, b64(b"x"), -1) for name in reversed(names)))

    assert names == await keys(api)
    assert ["Z", "a"] == await keys(api, limit=2)


async def test_pattern_characters_in_a_prefix_matched_anything(api: ApiClient) -> None:
    await put(api, *((name, b64(b"x"), -1) for name in ("p_1", "p%1", "pX1", "p\\1")))

    assert ["p_1"] == await keys(api, prefix="p_")
    assert ["p%1"] == await keys(api, prefix="p%")
    assert ["p\\1"] == await keys(api, prefix="p\\")


async def test_bulk_reads_leave_out_what_is_not_there_and_answer_duplicates_once(api: ApiClient) -> None:
    await put(api, ("a", b64(b"one"), -1))

    answer = await api.post("/v1/kv/bulk", {"keys": ["a", "none", "a"]})

    assert {"values": [{"key": "a", "value": b64(b"one"), "version": 0}]} == answer


async def test_accounts_do_not_see_each_other_s_keys(api: ApiClient, stranger: ApiClient) -> None:
    await put(api, ("a", b64(b"one"), -1))

    assert [] == await keys(stranger)
    await put(stranger, ("a", b64(b"two"), -1))
    assert b64(b"one") == (await api.get("/v1/kv/a"))["value"]


async def test_the_same_key_twice_was_a_server_error(api: ApiClient) -> None:
    await put(api, ("a", b64(b"1"), -1), ("a", b64(b"2"), -1), expect=400)

    assert [] == await keys(api)


@pytest.mark.parametrize("value", ["!!!!", "a-_b", "="])
async def test_bad_base64_was_stored_as_something_else(api: ApiClient, value: str) -> None:
    await put(api, ("a", value, -1), expect=400)


@pytest.mark.parametrize("version", [-2, 1.5, 2**31])
async def test_impossible_versions_are_refused(api: ApiClient, version: float) -> None:
    body = {"mutations": [{"key": "a", "value": None, "version": version}]}

    assert 400 == (await api.request("POST", "/v1/kv", json=body)).status_code


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/kv", {"mutations": []}),
        ("/v1/kv", {"mutations": [{"key": "a", "value": None, "version": -1}] * 101}),
        ("/v1/kv/bulk", {"keys": []}),
        ("/v1/kv/bulk", {"keys": ["a"] * 101}),
    ],
)
async def test_batches_hold_one_to_a_hundred(api: ApiClient, path: str, body: dict[str, Any]) -> None:
    await api.post(path, body, expect=400)


async def test_of_sixteen_writers_exactly_one_wins_each_version(api: ApiClient) -> None:
    for version in range(-1, 4):
        sent = {"mutations": [{"key": "a", "value": b64(b"x"), "version": version}]}
        answers = await asyncio.gather(*(api.request("POST", "/v1/kv", json=sent) for _ in range(16)))

        assert [200] + [409] * 15 == sorted(answer.status_code for answer in answers)


async def test_long_and_empty_keys_could_not_be_read(api: ApiClient) -> None:
    long = "k" * 500
    await put(api, (long, b64(b"long"), -1), ("", b64(b"empty"), -1))

    assert b64(b"long") == (await api.get(f"/v1/kv/{long}"))["value"]
    assert b64(b"empty") == (await api.get("/v1/kv/"))["value"]
