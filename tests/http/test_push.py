"""Push events of sessions (protocol: http#push, realtime#push-suppression, operations#push-delivery)."""

import time
from typing import Any

import pytest

from tests.support.api_client import ApiClient
from tests.support.outside_services import Answer, Upstream
from tests.support.server_thread import RunningServer
from tests.support.until import until

EXPO = "/expo/--/api/v2/push/send"
OK = {"status": "ok", "id": "t"}
EVENT = {"kind": "done", "title": "Done", "body": "All tests pass"}


@pytest.fixture
def server(outside_server: RunningServer) -> RunningServer:
    return outside_server


@pytest.fixture
async def sid(api: ApiClient) -> str:
    return str((await api.create_session())["id"])


async def push(api: ApiClient, sid: str, *, expect: int = 200, **fields: Any) -> Any:
    return await api.post(f"/v1/sessions/{sid}/push-event", {**EVENT, **fields}, expect=expect)


async def add_devices(api: ApiClient, *tokens: str) -> None:
    for token in tokens:
        await api.post("/v1/push-tokens", {"token": token})


async def devices(api: ApiClient) -> set[str]:
    return {entry["token"] for entry in (await api.get("/v1/push-tokens"))["tokens"]}


def refusal(error: str) -> dict[str, Any]:
    return {"status": "error", "message": "no", "details": {"error": error}}


async def test_without_devices_nothing_is_sent(api: ApiClient, sid: str, upstream: Upstream) -> None:
    assert {"success": True, "result": "no_tokens"} == await push(api, sid)
    assert [] == upstream.asked()


async def test_every_device_of_the_account_is_addressed(
    api: ApiClient, stranger: ApiClient, sid: str, upstream: Upstream
) -> None:
    upstream.on("POST", EXPO, Answer(json={"data": [OK, OK]}))
    await add_devices(api, "every-1", "every-2")
    await add_devices(stranger, "every-3")

    assert {"success": True, "result": "sent", "tokens": 2} == await push(api, sid)
    (asked,) = upstream.asked(EXPO)
    assert {"every-1", "every-2"} == {message["to"] for message in asked.json}
    assert {("Done", "All tests pass", "default", "messages")} == {
        (each["title"], each["body"], each["sound"], each["channelId"]) for each in asked.json
    }
    assert [{"sessionId": sid, "kind": "done"}] * 2 == [message["data"] for message in asked.json]


async def test_data_of_the_client_goes_along_and_may_name_another_session_but_no_other_kind(
    api: ApiClient, sid: str, upstream: Upstream
) -> None:
    upstream.on("POST", EXPO, Answer(json={"data": [OK]}))
    await add_devices(api, "data-1")
    await push(api, sid, kind="question", data={"sessionId": "other", "kind": "done", "deep": {"a": [1.5]}})

    (asked,) = upstream.asked(EXPO)
    assert {"sessionId": "other", "kind": "question", "deep": {"a": [1.5]}} == asked.json[0]["data"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(json={"data": [OK, OK]}), {"result": "sent", "tokens": 2}),
        (
            Answer(json={"data": [OK, refusal("MessageRateExceeded")]}),
            {"result": "partial", "tokens": 2, "delivered": 1, "reason": "MessageRateExceeded"},
        ),
        (
            Answer(json={"data": [refusal("MessageTooBig"), {"status": "error", "message": "why"}]}),
            {"result": "failed", "reason": "MessageTooBig, why"},
        ),
        (
            Answer(json={"data": [OK]}),
            {"result": "partial", "tokens": 2, "delivered": 1, "reason": "unknown"},
        ),
        (Answer(json={"data": []}), {"result": "failed", "reason": "unknown, unknown"}),
        (Answer(500), {"result": "failed", "reason": "HTTP 500, HTTP 500"}),
        (Answer(json={}), {"result": "failed", "reason": "Network error, Network error"}),
        (
            Answer(json={"data": [OK, OK]}, cut=7),
            {"result": "failed", "reason": "Network error, Network error"},
        ),
    ],
)
async def test_the_response_reports_the_result_of_the_push(
    api: ApiClient, sid: str, upstream: Upstream, answer: Answer, outcome: dict[str, Any]
) -> None:
    upstream.on("POST", EXPO, answer)
    await add_devices(api, "outcome-1", "outcome-2")

    assert {"success": True, **outcome} == await push(api, sid)


async def test_a_device_that_is_gone_is_forgotten(api: ApiClient, sid: str, upstream: Upstream) -> None:
    await add_devices(api, "gone-1", "gone-2")
    listed = [entry["token"] for entry in (await api.get("/v1/push-tokens"))["tokens"]]
    upstream.on(
        "POST", EXPO, Answer(json={"data": [refusal("DeviceNotRegistered"), refusal("MessageTooBig")]})
    )
    outcome = await push(api, sid)

    assert "DeviceNotRegistered, MessageTooBig" == outcome["reason"]
    assert {listed[1]} == await devices(api)


async def test_a_device_belongs_to_the_account_it_signed_in_to_last(
    api: ApiClient, stranger: ApiClient, sid: str, upstream: Upstream
) -> None:
    upstream.on("POST", EXPO, Answer(json={"data": [OK]}))
    await add_devices(api, "moves-1", "moves-2")
    await add_devices(stranger, "moves-1")
    await push(api, sid)

    assert ({"moves-2"}, {"moves-1"}) == (await devices(api), await devices(stranger))
    (asked,) = upstream.asked(EXPO)
    assert ["moves-2"] == [message["to"] for message in asked.json]


@pytest.mark.slow
async def test_a_service_that_does_not_answer_costs_eight_seconds(
    api: ApiClient, sid: str, upstream: Upstream
) -> None:
    upstream.on("POST", EXPO, Answer(hang=True))
    await add_devices(api, "slow-1")
    started = time.monotonic()
    response = await api.http.post(
        f"/v1/sessions/{sid}/push-event",
        json=EVENT,
        headers={"Authorization": f"Bearer {api.token}"},
        timeout=15,
    )

    assert {"success": True, "result": "failed", "reason": "Network error"} == response.json()
    assert 7.5 < time.monotonic() - started < 10


# -- the event


@pytest.mark.parametrize("kind", ["done", "permission", "question"])
async def test_the_event_reaches_the_session_and_everybody_who_sees_all(
    api: ApiClient, sid: str, upstream: Upstream, kind: str
) -> None:
    other = (await api.create_session())["id"]
    async with (
        api.user_socket() as user,
        api.session_socket(sid) as session,
        api.session_socket(other) as another,
        api.machine_socket("m1") as machine,
    ):
        await push(api, sid, kind=kind, title="Tïtle", body="☃", data={"private": "?"})
        received = [await socket.next_ephemeral("session-event") for socket in (user, session)]

        assert [] == [event for event in await another.unread() if event.payload["type"] == "session-event"]
        assert [] == [event for event in await machine.unread() if event.payload["type"] == "session-event"]

    for event in received:
        timestamp = event.pop("timestamp")
        assert abs(time.time() * 1000 - timestamp) < 10_000
        assert {
            "type": "session-event",
            "sessionId": sid,
            "kind": kind,
            "title": "Tïtle",
            "body": "☃",
        } == event


# -- suppression


@pytest.mark.parametrize("how", ["handshake", "app-state"])
async def test_nothing_is_pushed_while_somebody_looks(
    api: ApiClient, sid: str, upstream: Upstream, how: str
) -> None:
    await add_devices(api, "looks-1")
    state = "active" if how == "handshake" else None
    async with api.user_socket(app_state=state) as socket:
        if how == "app-state":
            await socket.emit("app-state", {"state": "active"})
            await socket.call("ping")
        outcome = await push(api, sid)

        assert {"success": True, "result": "suppressed", "reason": "active-ui-client"} == outcome
        assert "done" == (await socket.next_ephemeral("session-event"))["kind"]
    assert [] == upstream.asked()


async def test_a_device_is_pushed_to_when_nobody_looks_any_more(
    api: ApiClient, sid: str, upstream: Upstream
) -> None:
    upstream.on("POST", EXPO, Answer(json={"data": [OK]}))
    await add_devices(api, "left-1")
    async with api.user_socket(app_state="active") as socket:
        await socket.emit("app-state", {"state": "background"})
        await socket.call("ping")
        assert "sent" == (await push(api, sid))["result"]
        await socket.emit("app-state", {"state": "active"})
        await socket.call("ping")
        assert "suppressed" == (await push(api, sid))["result"]

    async def is_sent() -> bool:
        return bool((await push(api, sid))["result"] == "sent")

    await until(is_sent)


async def test_only_a_client_that_calls_itself_user_scoped_suppresses(
    api: ApiClient, stranger: ApiClient, sid: str, upstream: Upstream
) -> None:
    upstream.on("POST", EXPO, Answer(json={"data": [OK]}))
    await add_devices(api, "scope-1")
    async with (
        api.session_socket(sid, app_state="active") as session,
        api.machine_socket("m1", app_state="active"),
        api.user_socket(),
        stranger.user_socket(app_state="active"),
    ):
        await session.emit("app-state", {"state": "active"})
        await session.call("ping")

        assert "sent" == (await push(api, sid))["result"]


# -- what is refused


@pytest.mark.parametrize("session_id", ["unknown", "theirs"])
async def test_a_session_that_is_not_the_callers_is_not_found(
    api: ApiClient, stranger: ApiClient, session_id: str
) -> None:
    if session_id == "theirs":
        session_id = (await stranger.create_session())["id"]
    async with stranger.user_socket() as socket:
        assert {"error": "Session not found"} == await push(api, session_id, expect=404)
        assert [] == await socket.unread()


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "other"},
        {"kind": None},
        {"title": ""},
        {"title": "x" * 201},
        {"title": "🙂" * 101},
        {"body": ""},
        {"body": "x" * 501},
        {"body": None},
        {"data": None},
        {"data": []},
        {"data": "text"},
    ],
)
async def test_an_event_has_bounds(api: ApiClient, sid: str, fields: dict[str, Any]) -> None:
    assert "Error" == (await push(api, sid, expect=400, **fields))["error"]


@pytest.mark.parametrize(
    "fields", [{"title": "x" * 200, "body": "y" * 500}, {"title": "🙂" * 100}, {"data": {}}]
)
async def test_the_bounds_themselves_are_fine(api: ApiClient, sid: str, fields: dict[str, Any]) -> None:
    assert "no_tokens" == (await push(api, sid, **fields))["result"]


async def test_strangers_are_refused(anonymous: ApiClient, sid: str) -> None:
    assert 401 == (await anonymous.request("POST", f"/v1/sessions/{sid}/push-event", json=EVENT)).status_code
