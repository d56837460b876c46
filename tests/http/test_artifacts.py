"""Artifacts over HTTP and over sockets (protocol: http#artifacts, realtime#artifacts)."""

import asyncio
import uuid
from typing import Any

import pytest

from tests.support.api_client import ApiClient, b64

HEADER, BODY, KEY = b64(b"header"), b64(b"body"), b64(b"key")


def contents(artifact_id: str | None = None, **changed: Any) -> dict[str, Any]:
    fresh = {"id": artifact_id or str(uuid.uuid4()), "header": HEADER, "body": BODY, "dataEncryptionKey": KEY}
    return {**fresh, **changed}


async def create(api: ApiClient, **changed: Any) -> dict[str, Any]:
    artifact: dict[str, Any] = await api.post("/v1/artifacts", contents(**changed))
    return artifact


async def test_a_new_artifact_has_every_field_of_the_contract(api: ApiClient) -> None:
    sent = contents()
    async with api.user_socket() as phone:
        artifact = await api.post("/v1/artifacts", sent)
        update = await phone.next_update("new-artifact")

    times = {"createdAt": artifact["createdAt"], "updatedAt": artifact["updatedAt"]}
    assert artifact == {**sent, "headerVersion": 1, "bodyVersion": 1, "seq": 0, **times}
    assert update == {
        "t": "new-artifact",
        "artifactId": sent["id"],
        **{name: value for name, value in artifact.items() if name != "id"},
    }


async def test_creating_it_again_returns_the_stored_one_and_announces_nothing(api: ApiClient) -> None:
    first = await create(api)
    async with api.user_socket() as phone:
        again = await create(api, artifact_id=first["id"], header=b64(b"other"))
        await create(api)
        update = await phone.next_update("new-artifact")

    assert first == again
    assert first["id"] != update["artifactId"]


async def test_an_id_of_another_account_is_a_conflict(api: ApiClient, stranger: ApiClient) -> None:
    artifact = await create(api)

    answer = await stranger.post("/v1/artifacts", contents(artifact["id"]), expect=409)

    assert {"error": "Artifact with this ID already exists for another account"} == answer


async def test_sixteen_first_calls_have_one_winner_and_no_failure(api: ApiClient) -> None:
    sent = contents()

    answers = await asyncio.gather(*(api.post("/v1/artifacts", sent) for _ in range(16)))

    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    "artifact_id",
    [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
async def test_the_two_special_uuids_are_accepted(stranger: ApiClient, artifact_id: str) -> None:
    response = await stranger.request("POST", "/v1/artifacts", json=contents(artifact_id))

    assert response.status_code in {200, 409}


@pytest.mark.parametrize(
    "artifact_id",
    [
        "",
        "x",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        " 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8\n",
        "6ba7b8109dad11d180b400c04fd430c8",
        "6ba7b810-9dad-91d1-80b4-00c04fd430c8",
        "6ba7b810-9dad-11d1-c0b4-00c04fd430c8",
    ],
)
async def test_only_uuids_are_ids(api: ApiClient, artifact_id: str) -> None:
    sent = {**contents(), "id": artifact_id}

    assert 400 == (await api.request("POST", "/v1/artifacts", json=sent)).status_code


@pytest.mark.parametrize("name", ["header", "body", "dataEncryptionKey"])
async def test_malformed_base64_was_a_server_error(api: ApiClient, name: str) -> None:
    await api.post("/v1/artifacts", contents(**{name: "a-_b"}), expect=400)


async def test_lists_leave_out_the_bodies_and_begin_with_the_latest_change(api: ApiClient) -> None:
    first, second = await create(api), await create(api)
    await api.post(f"/v1/artifacts/{first['id']}", {"header": HEADER, "expectedHeaderVersion": 1})

    listed = await api.get("/v1/artifacts")

    assert [first["id"], second["id"]] == [artifact["id"] for artifact in listed]
    expected = {name: value for name, value in second.items() if name not in {"body", "bodyVersion"}}
    assert expected == listed[1]


async def test_lists_were_silently_cut_at_200(api: ApiClient) -> None:
    for _ in range(21):
        await asyncio.gather(*(create(api) for _ in range(10)))

    assert 210 == len(await api.get("/v1/artifacts"))


async def test_foreign_and_missing_artifacts_are_not_found(api: ApiClient, stranger: ApiClient) -> None:
    path = f"/v1/artifacts/{(await create(api))['id']}"
    missing = {"error": "Artifact not found"}

    assert missing == await stranger.get(path, expect=404)
    assert missing == await stranger.delete(path, expect=404)
    assert missing == await stranger.post(path, {"header": HEADER, "expectedHeaderVersion": 1}, expect=404)
    assert missing == await api.get("/v1/artifacts/none", expect=404)
    assert [] == await stranger.get("/v1/artifacts")


async def test_an_edit_of_one_part_leaves_the_other(api: ApiClient) -> None:
    artifact = await create(api)
    path, edited = f"/v1/artifacts/{artifact['id']}", b64(b"edited")
    async with api.user_socket() as phone:
        answer = await api.post(path, {"body": edited, "expectedBodyVersion": 1})
        update = await phone.next_update("update-artifact")

    assert {"success": True, "bodyVersion": 2} == answer
    assert {
        "t": "update-artifact",
        "artifactId": artifact["id"],
        "body": {"value": edited, "version": 2},
    } == update
    stored = await api.get(path)
    assert (HEADER, 1, edited, 2, 1) == tuple(
        stored[name] for name in ("header", "headerVersion", "body", "bodyVersion", "seq")
    )


async def test_a_mismatch_names_only_the_parts_that_differ_and_writes_nothing(api: ApiClient) -> None:
    artifact = await create(api)
    path = f"/v1/artifacts/{artifact['id']}"
    both = {"header": b64(b"h"), "expectedHeaderVersion": 1, "body": b64(b"b"), "expectedBodyVersion": 7}

    answer = await api.post(path, both)

    assert {
        "success": False,
        "error": "version-mismatch",
        "currentBodyVersion": 1,
        "currentBody": BODY,
    } == answer
    assert artifact == await api.get(path)


async def test_an_edit_without_a_part_was_announced(api: ApiClient) -> None:
    artifact = await create(api)
    path = f"/v1/artifacts/{artifact['id']}"
    async with api.user_socket() as phone:
        assert {"success": True} == await api.post(path, {"header": HEADER})
        await api.delete(path)
        first = await phone.next_update()

    assert "delete-artifact" == first["t"]


async def test_several_of_sixteen_equal_edits_succeeded(api: ApiClient) -> None:
    artifact = await create(api)
    path, edit = f"/v1/artifacts/{artifact['id']}", {"header": HEADER, "expectedHeaderVersion": 1}

    answers = await asyncio.gather(*(api.post(path, edit) for _ in range(16)))

    assert 1 == sum(answer["success"] for answer in answers)
    assert 1 == (await api.get(path))["seq"]


async def test_deleting_is_announced_once_and_then_not_found(api: ApiClient) -> None:
    artifact = await create(api)
    async with api.user_socket() as phone:
        assert {"success": True} == await api.delete(f"/v1/artifacts/{artifact['id']}")
        update = await phone.next_update("delete-artifact")

    assert {"t": "delete-artifact", "artifactId": artifact["id"]} == update
    await api.delete(f"/v1/artifacts/{artifact['id']}", expect=404)


# Over sockets


async def test_artifacts_on_sockets_come_without_their_key(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        created = await phone.call("artifact-create", contents("any text"))
        read = await phone.call("artifact-read", {"artifactId": "any text"})

    artifact = created["artifact"]
    assert "success" == created["result"]
    assert created == read
    assert {"id", "header", "headerVersion", "body", "bodyVersion", "seq", "createdAt", "updatedAt"} == set(
        artifact
    )


async def test_both_parts_are_edited_at_once_or_not_at_all(api: ApiClient) -> None:
    artifact = await create(api)
    edit = {
        "artifactId": artifact["id"],
        "header": {"data": b64(b"h"), "expectedVersion": 1},
        "body": {"data": b64(b"b"), "expectedVersion": 1},
    }
    async with api.user_socket() as phone:
        written = await phone.call("artifact-update", edit)
        again = await phone.call("artifact-update", edit)

    assert {
        "result": "success",
        "header": {"version": 2, "data": b64(b"h")},
        "body": {"version": 2, "data": b64(b"b")},
    } == written
    assert {
        "result": "version-mismatch",
        "header": {"currentVersion": 2, "currentData": b64(b"h")},
        "body": {"currentVersion": 2, "currentData": b64(b"b")},
    } == again


@pytest.mark.parametrize(
    ("event", "payload", "message"),
    [
        ("artifact-read", {}, "Invalid parameters"),
        ("artifact-read", {"artifactId": "none"}, "Artifact not found"),
        ("artifact-delete", {"artifactId": 5}, "Invalid parameters"),
        ("artifact-delete", {"artifactId": "none"}, "Artifact not found"),
        ("artifact-create", {"id": "x"}, "Invalid parameters"),
        ("artifact-create", contents("bad base64", header="-"), "Internal error"),
        ("artifact-update", {}, "Invalid parameters"),
        ("artifact-update", {"artifactId": "none"}, "No updates provided"),
        ("artifact-update", {"artifactId": "none", "header": {"data": 1}}, "Invalid header parameters"),
        ("artifact-update", {"artifactId": "none", "body": "x"}, "Invalid body parameters"),
        (
            "artifact-update",
            {"artifactId": "none", "body": {"data": BODY, "expectedVersion": 1}},
            "Artifact not found",
        ),
    ],
)
async def test_what_is_wrong_is_said_in_the_contract_s_words(
    api: ApiClient, event: str, payload: dict[str, Any], message: str
) -> None:
    async with api.user_socket() as phone:
        answer = await phone.call(event, payload)

    assert {"result": "error", "message": message} == answer


async def test_deleting_over_a_socket_is_announced(api: ApiClient) -> None:
    artifact = await create(api)
    async with api.user_socket() as phone, api.user_socket() as tablet:
        assert {"result": "success"} == await phone.call("artifact-delete", {"artifactId": artifact["id"]})

        assert artifact["id"] == (await tablet.next_update("delete-artifact"))["artifactId"]
