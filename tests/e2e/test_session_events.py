"""What a session process and a phone say about a session, with the official client on both ends."""

import time
from typing import Any

import pytest

from tests.e2e.conftest import Account

pytestmark = pytest.mark.asyncio(loop_scope="session")


def now() -> int:
    return int(time.time() * 1000)


# -- versioned values ------------------------------------------------------------------------------------


async def test_metadata_and_state_are_compared_and_set(account: Account) -> None:
    sid = (await account.api.create_session(metadata="first"))["id"]
    async with account.session(sid) as session, account.user() as phone:
        stored = await session.call(
            "update-metadata", {"sid": sid, "metadata": "second", "expectedVersion": 0}
        )
        late = await session.call("update-metadata", {"sid": sid, "metadata": "third", "expectedVersion": 0})
        state = await phone.call("update-state", {"sid": sid, "agentState": "busy", "expectedVersion": 0})
        cleared = await phone.call("update-state", {"sid": sid, "agentState": None, "expectedVersion": 1})
        bodies = [await session.next_update() for _ in range(3)]
        same = [await phone.next_update() for _ in range(3)]

    assert stored == {"result": "success", "version": 1, "metadata": "second"}
    assert late == {"result": "version-mismatch", "version": 1, "metadata": "second"}
    assert state == {"result": "success", "version": 1, "agentState": "busy"}
    assert cleared == {"result": "success", "version": 2, "agentState": None}
    assert bodies == same
    assert bodies == [
        {"t": "update-session", "id": sid, "metadata": {"value": "second", "version": 1}},
        {"t": "update-session", "id": sid, "agentState": {"value": "busy", "version": 1}},
        {"t": "update-session", "id": sid, "agentState": {"value": None, "version": 2}},
    ]


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        ("update-metadata", {"metadata": 5, "expectedVersion": 0}),
        ("update-metadata", {"metadata": None, "expectedVersion": 0}),
        ("update-metadata", {"metadata": "m", "expectedVersion": "0"}),
        ("update-metadata", {"sid": "", "metadata": "m", "expectedVersion": 0}),
        ("update-metadata", {"sid": "unknown", "metadata": "m", "expectedVersion": 0}),
        ("update-state", {"expectedVersion": 0}),
        ("update-state", {"agentState": 5, "expectedVersion": 0}),
        ("update-state", {"sid": "unknown", "agentState": "s", "expectedVersion": 0}),
        ("update-metadata", None),
        ("update-state", None),
    ],
)
async def test_a_wrong_update_is_answered_with_an_error(account: Account, event: str, wrong: Any) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session:
        answer = await session.call(event, None if wrong is None else {"sid": sid, **wrong})

        assert answer == {"result": "error"}
        assert await session.unread() == []


async def test_an_argument_where_the_acknowledgement_belongs_does_no_harm(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    metadata = {"sid": sid, "metadata": "m", "expectedVersion": 0}
    async with account.session(sid) as session:
        await session.emit("update-metadata", metadata, "no function")
        await session.emit("update-metadata", {}, "no function")
        await session.emit("update-state", None, 5)

        assert await session.call("ping") == {}
        assert (await session.next_update())["metadata"] == {"value": "m", "version": 1}


# -- messages --------------------------------------------------------------------------------------------


async def test_a_message_reaches_everybody_but_its_sender(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.session(sid) as other, account.user() as phone:
        await session.emit("message", {"sid": sid, "message": "hello", "localId": "l-1"})
        body, same = await phone.next_update(), await other.next_update()
        own = await session.unread()
    (stored,) = await account.api.messages(sid)

    assert own == []
    assert body == same
    assert body == {"t": "new-message", "sid": sid, "message": stored}
    assert (stored["seq"], stored["localId"]) == (1, "l-1")
    assert stored["content"] == {"t": "encrypted", "c": "hello"}


async def test_a_posted_message_reaches_its_sender_too(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        await account.api.post_messages(sid, ["one", "two"], ["a", "b"])
        bodies = [await session.next_update() for _ in range(2)]
        same = [await phone.next_update() for _ in range(2)]

    assert bodies == same
    assert [(body["message"]["seq"], body["message"]["localId"]) for body in bodies] == [(1, "a"), (2, "b")]


async def test_the_same_local_id_is_one_message_and_burns_no_number(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        for _ in range(2):
            await session.emit("message", {"sid": sid, "message": "once", "localId": "same"})
        await session.emit("message", {"sid": sid, "message": "next", "localId": "other"})
        first, second = await phone.next_update(), await phone.next_update()
        posted = await account.api.post_messages(sid, ["once"], ["same"])
        silent = await phone.unread()

    assert [first["message"]["seq"], second["message"]["seq"]] == [1, 2]
    assert [message["seq"] for message in posted] == [1]
    assert silent == []


@pytest.mark.parametrize("local", [{}, {"localId": None}, {"localId": ""}, {"localId": 5}])
async def test_without_a_local_id_every_message_counts(account: Account, local: dict[str, Any]) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        for _ in range(2):
            await session.emit("message", {"sid": sid, "message": "again", **local})
        bodies = [await phone.next_update() for _ in range(2)]

    assert [(body["message"]["seq"], body["message"]["localId"]) for body in bodies] == [(1, None), (2, None)]


async def test_what_is_no_message_is_passed_over_in_silence(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    wrong = [
        None,
        {},
        {"sid": sid},
        {"sid": sid, "message": None},
        {"sid": sid, "message": {"a": 1}},
        "text",
        5,
    ]
    async with account.session(sid) as session, account.user() as phone:
        for payload in wrong:
            await session.emit("message", payload)
        await session.emit("message")
        await session.emit("message", {"sid": sid, "message": "hello"})
        body = await phone.next_update()

    assert body["message"]["content"]["c"] == "hello"
    assert body["message"]["seq"] == 1


async def test_bytes_become_their_base64_text(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        await session.emit("message", {"sid": sid, "message": b"bytes"})
        body = await phone.next_update()

    assert body["message"]["content"] == {"t": "encrypted", "c": "Ynl0ZXM="}


async def test_a_message_is_acknowledged_when_a_callback_is_there(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session:
        stored = await session.call("message", {"sid": sid, "message": "hello", "localId": "l"})
        again = await session.call("message", {"sid": sid, "message": "hello", "localId": "l"})
        foreign = await session.call("message", {"sid": "unknown", "message": "hello"})

    assert stored["ok"] is True
    assert again["ok"] is True
    assert foreign["ok"] is False


# -- presence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [({}, False), ({"thinking": True}, True), ({"thinking": 0}, False), ({"thinking": 1}, True)],
)
async def test_a_heartbeat_is_shown_to_the_phone(
    account: Account, thinking: dict[str, Any], shown: bool
) -> None:
    sid = (await account.api.create_session())["id"]
    at = now()
    async with account.session(sid) as session, account.user() as phone:
        await session.emit("session-alive", {"sid": sid, "time": at, "mode": "remote", **thinking})
        seen = await phone.next_ephemeral()
        own = await session.unread()

    assert seen == {"type": "activity", "id": sid, "active": True, "activeAt": at, "thinking": shown}
    assert own == []


async def test_a_heartbeat_from_the_future_is_clamped_to_now(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        await session.emit("session-alive", {"sid": sid, "time": now() + 3_600_000})
        seen = await phone.next_ephemeral()

    assert abs(seen["activeAt"] - now()) < 10_000


async def test_an_invalid_heartbeat_is_ignored_without_an_error(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    wrong = [
        None,
        {},
        {"sid": sid},
        {"sid": sid, "time": "now"},
        {"sid": "unknown", "time": now()},
        {"time": now()},
    ]
    async with account.session(sid) as session, account.user() as phone:
        for payload in wrong:
            await session.emit("session-alive", payload)
            await session.emit("session-end", payload)
        await session.call("ping")

        assert await phone.unread() == []


async def test_a_late_heartbeat_does_not_revive_an_ended_session(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        at = now()
        await session.emit("session-end", {"sid": sid, "time": at})
        ended = await phone.next_ephemeral()
        await session.emit("session-alive", {"sid": sid, "time": now()})
        await session.call("ping")
        silent = await phone.unread()
    (listed,) = (await account.api.get("/v1/sessions"))["sessions"]

    assert ended == {"type": "activity", "id": sid, "active": False, "activeAt": at, "thinking": False}
    assert silent == []
    assert listed["active"] is False


async def test_a_session_that_ends_and_hangs_up_at_once_is_ended(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.user() as phone:
        session = account.session(sid)
        await session.connect()
        await session.emit("session-end", {"sid": sid, "time": now()})
        await session.close()

        assert (await phone.next_ephemeral("activity"))["active"] is False


async def test_archiving_shows_the_session_as_stopped(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        answer = await account.api.post(f"/v1/sessions/{sid}/archive")
        seen = await phone.next_ephemeral()
        await session.emit("session-alive", {"sid": sid, "time": now()})
        await session.call("ping")
        silent = await phone.unread()

    assert answer == {"success": True}
    assert (seen["type"], seen["active"], seen["thinking"]) == ("activity", False, False)
    assert silent == []


async def test_heartbeats_of_a_resumed_session_count_again(account: Account) -> None:
    """`resume-happy-session` does not create the session anew: its socket, or its update, lifts the mute."""
    sid = (await account.api.create_session())["id"]
    async with account.user() as phone:
        await account.api.post(f"/v1/sessions/{sid}/archive")
        await phone.next_ephemeral()
        async with account.session(sid) as resumed:
            await resumed.call("update-metadata", {"sid": sid, "metadata": "m", "expectedVersion": 0})
            await resumed.emit("session-alive", {"sid": sid, "time": now()})

            assert (await phone.next_ephemeral())["active"] is True


async def test_the_rest_of_the_general_events(account: Account) -> None:
    """`ping` answers an empty object, `app-state` nothing, an unknown event nothing."""
    async with account.user(appState="active") as phone:
        for payload in ({"state": "background"}, {"state": "active"}, {}, None, "text"):
            await phone.emit("app-state", payload)
        await phone.emit("no-such-event", {"a": 1})

        assert await phone.call("ping") == {}
        assert await phone.unread() == []


async def test_a_push_event_is_shown_in_the_session_and_on_the_phone(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    sent = {"kind": "done", "title": "It's ready!", "body": "ä"}
    async with account.session(sid) as session, account.user() as phone, account.machine("m") as daemon:
        answer = await account.api.post(f"/v1/sessions/{sid}/push-event", sent)
        seen, same = await phone.next_ephemeral(), await session.next_ephemeral()
        silent = await daemon.unread()

    assert answer == {"success": True, "result": "no_tokens"}
    assert seen == same
    assert abs(seen.pop("timestamp") - now()) < 10_000
    assert seen == {"type": "session-event", "sessionId": sid, **sent}
    assert silent == []
