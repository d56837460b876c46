"""Rules of the domain as tables of cases."""

import tracemalloc
from typing import Any

import msgspec
import pytest

from happy.domain import events
from happy.domain.accounts import PairingRequest
from happy.domain.errors import HappyError, Invalid, NotFound, StartupError
from happy.domain.events import TO_USER, Audience, to_machine, to_session
from happy.domain.sessions import Message, content_as_sent, encrypted_content
from happy.domain.values import HOUR, MINUTE, AccountId, MachineId, MessageId, Millis, SessionId
from happy.services.heartbeats import clamp
from tests.support.factories import NOW, some_machine, some_session

OWNER = AccountId("owner")
SID, MID = SessionId("s"), MachineId("m")


# -- who receives what (protocol: realtime#recipient-filters) ----------------------------------


@pytest.mark.parametrize(
    ("audience", "scope", "target", "should_receive"),
    [
        (TO_USER, "user", "", True),
        (TO_USER, "session", "s", False),
        (TO_USER, "machine", "m", False),
        (to_session(SID), "user", "", True),
        (to_session(SID), "session", "s", True),
        (to_session(SID), "session", "other", False),
        (to_session(SID), "machine", "s", False),
        (to_machine(MID), "user", "", True),
        (to_machine(MID), "machine", "m", True),
        (to_machine(MID), "machine", "other", False),
        (to_machine(MID), "session", "m", False),
    ],
)
def test_an_audience_includes(audience: Audience, scope: Any, target: str, should_receive: bool) -> None:
    assert should_receive == audience.includes(scope, target)


# -- linking requests --------------------------------------------------------------------------------------


def request(
    response: str | None, account_id: AccountId | None, picked_up_at: Millis | None = None
) -> PairingRequest:
    return PairingRequest(
        "id",
        supports_v2=False,
        response=response,
        account_id=account_id,
        updated_at=NOW,
        picked_up_at=picked_up_at,
    )


@pytest.mark.parametrize(
    ("response", "account_id", "answered"),
    [(None, None, False), ("", OWNER, False), ("r", None, False), ("r", OWNER, True)],
)
def test_a_request_is_answered(response: str | None, account_id: AccountId | None, answered: bool) -> None:
    assert answered == request(response, account_id).answered


@pytest.mark.parametrize(
    ("response", "after", "expired"),
    [
        (None, 0, False),
        (None, 15 * MINUTE, False),
        (None, 15 * MINUTE + 1, True),
        ("", 11 * MINUTE, False),
        ("r", 10 * MINUTE, False),
        ("r", 10 * MINUTE + 1, True),
        ("r", -HOUR, False),  # the clock of another replica
        ("r", -HOUR - 1, True),  # made before the clock was set back
        (None, -HOUR - 1, True),
    ],
)
def test_a_request_expires(response: str | None, after: int, expired: bool) -> None:
    assert expired == request(response, OWNER).expired(Millis(NOW + after))


@pytest.mark.parametrize(("after", "expired"), [(14 * MINUTE, False), (14 * MINUTE + 1, True)])
def test_an_answer_expires_some_minutes_after_it_was_handed_out(after: int, expired: bool) -> None:
    handed_out = request("r", OWNER, Millis(NOW + 9 * MINUTE))

    assert expired == handed_out.expired(Millis(NOW + after))


# -- times that clients tell -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "believed"),
    [
        (0, 0),
        (-1, -1),
        (-10 * MINUTE, -10 * MINUTE),
        (-10 * MINUTE - 1, 0),  # docs/defects.md E3: a slow clock was ignored for ever
        (-NOW, 0),
        (1, 0),
        (10**30, 0),
    ],
)
def test_a_time_is_believed_within_ten_minutes(sent: int, believed: int) -> None:
    assert NOW + believed == clamp(Millis(NOW + sent), NOW)


# -- shapes on the wire ------------------------------------------------------------------------------------

SESSION = some_session(OWNER, seq=3, agent_state="busy", data_encryption_key=b"key", id=SID)
MACHINE = some_machine(OWNER, "m", data_encryption_key=None, daemon_state="up", daemon_state_version=1)
MESSAGE = Message(MessageId("i"), 4, msgspec.Raw(encrypted_content("c")), None, NOW, NOW)
VALUE = events.VersionedValue("v", 2)


@pytest.mark.parametrize(
    ("event", "wire"),
    [
        (
            events.NewMessage(SID, MESSAGE),
            {
                "t": "new-message",
                "sid": "s",
                "message": {
                    "id": "i",
                    "seq": 4,
                    "content": {"t": "encrypted", "c": "c"},
                    "localId": None,
                    "createdAt": NOW,
                    "updatedAt": NOW,
                },
            },
        ),
        (
            events.new_session(SESSION),
            {
                "t": "new-session",
                "id": "s",
                "seq": 3,
                "metadata": "metadata",
                "metadataVersion": 0,
                "agentState": "busy",
                "agentStateVersion": 0,
                "dataEncryptionKey": "a2V5",
                "active": True,
                "activeAt": NOW,
                "createdAt": NOW,
                "updatedAt": NOW,
            },
        ),
        (
            events.UpdateSession(SID, metadata=VALUE),
            {"t": "update-session", "id": "s", "metadata": {"value": "v", "version": 2}},
        ),
        (
            events.UpdateSession(SID, agent_state=events.VersionedValue(None, 2)),
            {"t": "update-session", "id": "s", "agentState": {"value": None, "version": 2}},
        ),
        (events.DeleteSession(SID), {"t": "delete-session", "sid": "s"}),
        (
            events.UpdateAccount(OWNER, settings=VALUE),
            {"t": "update-account", "id": "owner", "settings": {"value": "v", "version": 2}},
        ),
        (
            events.new_machine(MACHINE),
            {
                "t": "new-machine",
                "machineId": "m",
                "seq": 0,
                "metadata": "metadata",
                "metadataVersion": 1,
                "daemonState": "up",
                "daemonStateVersion": 1,
                "dataEncryptionKey": None,
                "active": False,
                "activeAt": NOW,
                "createdAt": NOW,
                "updatedAt": NOW,
            },
        ),
        (
            events.UpdateMachine(MID, metadata=VALUE),
            {"t": "update-machine", "machineId": "m", "metadata": {"value": "v", "version": 2}},
        ),
        (
            events.UpdateMachine(MID, daemon_state=VALUE),
            {"t": "update-machine", "machineId": "m", "daemonState": {"value": "v", "version": 2}},
        ),
        (events.DeleteMachine(MID), {"t": "delete-machine", "machineId": "m"}),
        (
            events.SessionActivity(SID, active=False, active_at=NOW),
            {"type": "activity", "id": "s", "active": False, "activeAt": NOW, "thinking": False},
        ),
        (
            events.MachineActivity(MID, active=True, active_at=NOW),
            {"type": "machine-activity", "id": "m", "active": True, "activeAt": NOW},
        ),
    ],
)
def test_an_event_reads(event: Any, wire: dict[str, Any]) -> None:
    assert wire == msgspec.json.decode(msgspec.json.encode(event))


def test_an_update_wraps_its_body() -> None:
    update = events.Update("id", 7, events.DeleteSession(SID), NOW)

    assert {
        "id": "id",
        "seq": 7,
        "body": {"t": "delete-session", "sid": "s"},
        "createdAt": NOW,
    } == msgspec.json.decode(msgspec.json.encode(update))


@pytest.mark.parametrize("text", ["", "plain", 'quote " and \\', "ä\u2028😀", "\n\t"])
def test_content_holds_the_text_untouched(text: str) -> None:
    assert {"t": "encrypted", "c": text} == msgspec.json.decode(encrypted_content(text))


def test_large_content_is_copied_once() -> None:
    sent = msgspec.Raw(b'"%b"' % (b"a" * 1_000_000))
    tracemalloc.start()
    try:
        content = content_as_sent(sent)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert encrypted_content("a" * 1_000_000) == content
    assert peak < 1.5 * len(content)


# -- errors ------------------------------------------------------------------------------------------------


def test_an_error_has_the_message_of_its_class_by_default() -> None:
    assert "Not found" == str(NotFound())
    assert "Session not found" == str(NotFound("Session not found"))
    assert "Invalid input" == str(Invalid())


def test_a_failed_start_is_no_answer_to_a_client() -> None:
    assert not issubclass(StartupError, HappyError)
