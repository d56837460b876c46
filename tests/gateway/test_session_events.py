"""Events about sessions, to the field (protocol: realtime#session-events)."""

from typing import Any

import pytest

from tests.gateway.harness import MINUTE, now, settle, stored_session, unread
from tests.support.api_client import ApiClient
from tests.support.socket_client import SocketClient

ERROR = {"result": "error"}
PARTS = pytest.mark.parametrize(
    ("event", "part"), [("update-metadata", "metadata"), ("update-state", "agentState")]
)


# -- metadata and state ------------------------------------------------------------------------------------


@PARTS
async def test_an_update_is_announced_and_then_acknowledged(
    api: ApiClient, sid: str, event: str, part: str
) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone:
        before = now()
        answer = await session.call(event, {"sid": sid, part: "new", "expectedVersion": 0})
        arrived = [received.name for received in session.events]  # the update came before the acknowledgement
        mine, theirs = await session.next_event("update"), await phone.next_event("update")

    update = mine.payload
    assert {"result": "success", "version": 1, part: "new"} == answer
    assert ["update"] == arrived
    assert mine == theirs
    assert {"id", "seq", "body", "createdAt"} == update.keys()
    assert {"t": "update-session", "id": sid, part: {"value": "new", "version": 1}} == update["body"]
    assert len(update["id"]) == 12
    assert before <= update["createdAt"] <= now()


async def test_update_numbers_count_up_for_the_account(api: ApiClient, sid: str) -> None:
    async with api.user_socket() as phone:
        for expected in range(3):
            await phone.call("update-state", {"sid": sid, "agentState": None, "expectedVersion": expected})
        seqs = [(await phone.next_event("update")).payload["seq"] for _ in range(3)]

    assert [2, 3, 4] == seqs  # the first told of the session itself


@PARTS
@pytest.mark.parametrize("expected", [1, -1, 0.5, 2**31, 10**30])
async def test_another_version_brings_what_is_stored(
    api: ApiClient, sid: str, event: str, part: str, expected: float
) -> None:
    async with api.session_socket(sid) as socket:
        answer = await socket.call(event, {"sid": sid, part: "new", "expectedVersion": expected})

        stored = "metadata" if part == "metadata" else None
        assert {"result": "version-mismatch", "version": 0, part: stored} == answer
        assert [] == await unread(socket)


async def test_the_state_can_be_cleared(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as socket:
        answer = await socket.call("update-state", {"sid": sid, "agentState": None, "expectedVersion": 0})
        body = await socket.next_update()

    assert {"result": "success", "version": 1, "agentState": None} == answer
    assert {"value": None, "version": 1} == body["agentState"]


@PARTS
@pytest.mark.parametrize(
    "change",
    [
        {"sid": ""},
        {"sid": None},
        {"sid": 5},
        {"sid": "unknown"},
        {"part": 5},
        {"part": {}},
        {"expectedVersion": None},
        {"expectedVersion": "0"},
        {"expectedVersion": True},
    ],
)
async def test_a_wrong_update_is_an_error(
    api: ApiClient, sid: str, event: str, part: str, change: dict[str, Any]
) -> None:
    payload = {"sid": sid, "part": "new", "expectedVersion": 0, **change}
    payload[part] = payload.pop("part")
    async with api.session_socket(sid) as socket:
        assert ERROR == await socket.call(event, payload)
        assert [] == await unread(socket)


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("update-metadata", (None,)),
        ("update-metadata", ()),
        ("update-state", (None,)),
        ("update-state", ({"expectedVersion": 0},)),
    ],
)
async def test_a_missing_payload_or_part_is_an_error(
    api: ApiClient, sid: str, event: str, payload: tuple[Any, ...]
) -> None:
    sent = tuple({"sid": sid, **item} if isinstance(item, dict) else item for item in payload)
    async with api.session_socket(sid) as socket:
        assert ERROR == await socket.call(event, *sent)


async def test_metadata_cannot_be_null(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as socket:
        payload = {"sid": sid, "metadata": None, "expectedVersion": 0}
        assert ERROR == await socket.call("update-metadata", payload)


@PARTS
async def test_a_foreign_session_is_an_error(
    api: ApiClient, stranger: ApiClient, sid: str, event: str, part: str
) -> None:
    async with stranger.session_socket(sid) as thief, api.user_socket() as phone:
        assert ERROR == await thief.call(event, {"sid": sid, part: "stolen", "expectedVersion": 0})
        assert [] == await unread(phone, thief)


@PARTS
async def test_an_update_without_callback_is_made_all_the_same(
    api: ApiClient, sid: str, event: str, part: str
) -> None:
    async with api.user_socket() as phone:
        await phone.emit(event, {"sid": sid, part: "new", "expectedVersion": 0})

        assert {"value": "new", "version": 1} == (await phone.next_update())[part]


# -- messages ----------------------------------------------------------------------------------------------


async def test_a_message_reaches_everybody_of_the_session_but_its_sender(api: ApiClient, sid: str) -> None:
    async with (
        api.session_socket(sid) as sender,
        api.session_socket(sid) as other,
        api.user_socket() as phone,
    ):
        before = now()
        await sender.emit("message", {"sid": sid, "message": "cipher"})
        received = [await socket.next_event("update") for socket in (other, phone)]
        silent = await unread(sender)

    message = received[0].payload["body"]["message"]
    assert received[0] == received[1]
    assert [] == silent
    assert {"t": "new-message", "sid": sid, "message": message} == received[0].payload["body"]
    assert {"id", "seq", "content", "localId", "createdAt", "updatedAt"} == message.keys()
    assert (1, {"t": "encrypted", "c": "cipher"}, None) == (
        message["seq"],
        message["content"],
        message["localId"],
    )
    assert before <= message["createdAt"] == message["updatedAt"] <= now()
    assert [message] == await api.messages(sid)


async def test_a_message_of_the_user_reaches_the_session(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone, api.user_socket() as other:
        await phone.emit("message", {"sid": sid, "message": "cipher", "localId": "local"})
        received = [await socket.next_update("new-message") for socket in (session, other)]

        assert [] == await unread(phone)
    assert received[0] == received[1]
    assert "local" == received[0]["message"]["localId"]


@pytest.mark.parametrize("local_id", [5, True, {}, ["a"], None, ""])
async def test_a_local_id_that_is_no_text_or_empty_is_none(api: ApiClient, sid: str, local_id: Any) -> None:
    async with api.user_socket() as phone, api.session_socket(sid) as session:
        for _ in range(2):
            await phone.emit("message", {"sid": sid, "message": "cipher", "localId": local_id})
        received = [(await session.next_update())["message"] for _ in range(2)]

    assert [(1, None), (2, None)] == [(message["seq"], message["localId"]) for message in received]


@pytest.mark.parametrize(
    "change", [{"message": None}, {"message": 5}, {"message": {"a": 1}}, {"sid": "unknown"}, {"sid": 5}]
)
async def test_what_is_no_message_is_passed_over(
    api: ApiClient, stranger: ApiClient, sid: str, change: dict[str, Any]
) -> None:
    async with api.user_socket() as phone, api.session_socket(sid) as session:
        await phone.emit("message", {"sid": sid, "message": "cipher", **change})
        await phone.emit("message", {"sid": sid})
        await phone.emit("message", None)
        await phone.emit("message")

        assert [] == await unread(phone, session)
        await phone.emit("message", {"sid": sid, "message": "next"})
        update = (await session.next_event("update")).payload
    assert (2, 1) == (update["seq"], update["body"]["message"]["seq"])  # no number was burnt


async def test_a_foreign_session_takes_no_message(api: ApiClient, stranger: ApiClient, sid: str) -> None:
    async with stranger.session_socket(sid) as thief, api.session_socket(sid) as session:
        answer = await thief.call("message", {"sid": sid, "message": "stolen"})

        assert {"ok": False, "error": "Session not found"} == answer
        assert [] == await unread(thief, session)
    assert [] == await api.messages(sid)


async def test_messages_of_one_socket_keep_their_order(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as sender, api.user_socket() as phone:
        for number in range(100):
            await sender.emit("message", {"sid": sid, "message": str(number)})
        received = [(await phone.next_update())["message"] for _ in range(100)]

    assert [(number + 1, str(number)) for number in range(100)] == [
        (message["seq"], message["content"]["c"]) for message in received
    ]


async def test_a_posted_message_reaches_its_sender_too_and_before_the_answer(
    api: ApiClient, sid: str
) -> None:
    async with api.session_socket(sid) as session:
        posted = await api.post_messages(sid, ["one", "", "three"])
        await settle(session)
        received = [body["message"] for body in session.updates("new-message")]

    assert [(1, "one"), (2, ""), (3, "three")] == [(m["seq"], m["content"]["c"]) for m in received]
    assert [message["id"] for message in posted] == [message["id"] for message in received]


# -- presence ----------------------------------------------------------------------------------------------


async def beat(socket: SocketClient, sid: str, **fields: Any) -> None:
    await socket.emit("session-alive", {"sid": sid, "time": now(), "mode": "remote", **fields})


async def test_a_heartbeat_is_shown_to_the_user_only(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone:
        at = now() - 1_000
        await beat(session, sid, time=at, thinking=True)
        event = await phone.next_event()

        assert "ephemeral" == event.name
        assert {
            "type": "activity",
            "id": sid,
            "active": True,
            "activeAt": at,
            "thinking": True,
        } == event.payload
        assert [] == await unread(session, phone)


@pytest.mark.parametrize("ahead", [5 * MINUTE, 10**18, 10**300])
async def test_a_heartbeat_from_the_future_is_one_of_now(api: ApiClient, sid: str, ahead: int) -> None:
    async with api.user_socket() as phone:
        before = now()
        await beat(phone, sid, time=before + ahead)

        assert before <= (await phone.next_ephemeral())["activeAt"] <= now()


@pytest.mark.parametrize(
    "change",
    [
        {"sid": ""},
        {"sid": 5},
        {"sid": "unknown"},
        {"time": "now"},
        {"time": None},
        {"time": True},
        {"time": []},
    ],
)
@pytest.mark.parametrize("event", ["session-alive", "session-end"])
async def test_a_wrong_heartbeat_or_end_is_passed_over(
    api: ApiClient, sid: str, event: str, change: dict[str, Any]
) -> None:
    async with api.user_socket() as phone:
        await phone.emit(event, {"sid": sid, "time": now(), **change})
        await phone.emit(event, {"sid": sid})
        await phone.emit(event, None)
        await phone.emit(event)

        assert [] == await unread(phone)
    assert (await stored_session(api, sid))["active"]


@pytest.mark.parametrize("event", ["session-alive", "session-end"])
async def test_a_foreign_session_neither_lives_nor_ends(
    api: ApiClient, stranger: ApiClient, sid: str, event: str
) -> None:
    async with stranger.user_socket() as thief, api.user_socket() as phone:
        await thief.emit(event, {"sid": sid, "time": now()})

        assert [] == await unread(thief, phone)
    assert (await stored_session(api, sid))["active"]


async def test_an_ended_session_is_inactive_and_ignores_late_heartbeats(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone:
        at = now() - 500
        await session.emit("session-end", {"sid": sid, "time": at})
        ended = await phone.next_ephemeral()
        await beat(session, sid)

        assert [] == await unread(session, phone)
    stored = await stored_session(api, sid)
    assert {"type": "activity", "id": sid, "active": False, "activeAt": at, "thinking": False} == ended
    assert (False, at) == (stored["active"], stored["activeAt"])


@pytest.mark.parametrize("politely", [True, False])
async def test_an_end_that_is_followed_by_a_disconnect_is_processed(
    api: ApiClient, sid: str, politely: bool
) -> None:
    # What a session does at its exit (protocol: clients#rules-a-server-must-respect).
    async with api.user_socket() as phone:
        session = api.session_socket(sid)
        await session.connect()
        await session.emit("session-end", {"sid": sid, "time": now()})
        await (session.close() if politely else session._close_transport())

        assert not (await phone.next_ephemeral("activity"))["active"]


@pytest.mark.parametrize("how", ["load", "update-metadata", "update-state", "connect"])
async def test_heartbeats_of_a_stopped_session_count_again_when_it_is_resumed(
    api: ApiClient, how: str
) -> None:
    session = await api.create_session("tag")
    sid = session["id"]
    async with api.user_socket() as phone:
        await api.post(f"/v1/sessions/{sid}/archive")
        if how == "load":
            await api.create_session("tag")
        elif how == "connect":
            async with api.session_socket(sid):
                pass
        else:
            parts = {"metadata": "m", "agentState": "s"}
            await phone.call(how, {"sid": sid, **parts, "expectedVersion": 0})
        await unread(phone)
        await beat(phone, sid)

        assert (await phone.next_ephemeral())["active"]


async def test_socket_messages_and_posts_of_one_session_have_growing_times(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as agent, api.user_socket() as phone:
        for turn in range(5):
            await agent.emit("message", {"sid": sid, "message": f"{turn}"})
            await agent.emit("message", {"sid": sid, "message": f"{turn}", "localId": f"{turn}"})
            await api.post_messages(sid, ["x", "y"])
        await settle(agent)
        pushed = [(await phone.next_update("new-message"))["message"] for _ in range(20)]

    moments = [message["createdAt"] for message in pushed]
    assert sorted(set(moments)) == moments
    assert pushed == await api.messages(sid)
