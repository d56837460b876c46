"""Whatever a signed-in client sends, the server goes on, answers, and had nothing to log as its own fault."""

import logging

import msgspec
import pytest

from tests.gateway.harness import settle, unread
from tests.support.api_client import ApiClient
from tests.support.socket_client import SocketClient

EVENTS = [
    "access-key-get",
    "app-state",
    "artifact-create",
    "artifact-delete",
    "artifact-read",
    "artifact-update",
    "machine-alive",
    "machine-update-metadata",
    "machine-update-state",
    "message",
    "ping",
    "rpc-register",
    "rpc-unregister",
    "session-alive",
    "session-end",
    "update-metadata",
    "update-state",
    "usage-report",
    "no-such-event",
    "",
    "toString",
    "constructor",
]
FIELDS = [
    "sid",
    "machineId",
    "sessionId",
    "artifactId",
    "id",
    "method",
    "metadata",
    "agentState",
    "daemonState",
    "expectedVersion",
    "message",
    "localId",
    "time",
    "thinking",
    "state",
    "key",
    "tokens",
    "cost",
    "header",
    "body",
    "dataEncryptionKey",
]
VALUES = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e308",
    "9" * 400,
    '""',
    '"x"',
    r'"\u0000"',
    r'"\ud800"',
    '"' + "x" * 100_000 + '"',
    "[]",
    "{}",
    '{"data":null,"expectedVersion":{}}',
    '{"total":1e999}',
    "[" * 300 + "]" * 300,
]
ODD_PAYLOADS = ['{"sid":"a","sid":{},"__proto__":{"x":1}}', *VALUES]


def payloads() -> list[str]:
    """Every value instead of the payload, and in all of its fields at once."""
    everywhere = ["{" + ",".join(f'"{name}":{value}' for name in FIELDS) + "}" for value in VALUES]
    return [*ODD_PAYLOADS, *everywhere]


@pytest.fixture
def faults(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the server logs as errors: it runs in this process."""
    caplog.set_level(logging.ERROR)
    return caplog


@pytest.mark.parametrize("event", EVENTS)
async def test_no_payload_is_a_fault_of_the_server(
    api: ApiClient, event: str, faults: pytest.LogCaptureFixture
) -> None:
    name = msgspec.json.encode(event).decode()
    async with api.user_socket() as phone:
        for number, payload in enumerate(payloads(), start=1_000):
            await phone.send_raw(f"42[{name},{payload}]")
            await phone.send_raw(f"42{number}[{name},{payload},{{}},5]")
        await phone.send_raw(f"42[{name}]")
        await phone.send_raw(f"429999999999999999[{name}]")
        await settle(phone)

    assert [] == faults.messages


@pytest.mark.parametrize("event", EVENTS)
async def test_half_a_character_or_a_sender_that_leaves_is_no_fault(
    api: ApiClient, event: str, faults: pytest.LogCaptureFixture
) -> None:
    name = msgspec.json.encode(event).decode()
    leaving = api.user_socket()
    await leaving.connect()
    for number in range(5):
        await leaving.send_raw(f"42{number}[{name},{payloads()[number]}]")
    await leaving.drop()
    async with api.user_socket() as phone:
        await settle(phone)

    assert [] == faults.messages


@pytest.mark.parametrize(
    "packet",
    [
        '42["update-state",' + "[" * 100_000 + "]" * 100_000 + "]",
        "42[" + "[" * 100_000,
        "42[]",
        "42{}",
        "42[{}]",
        "42",
        "4",
        "49",
        "44{}",
        '42["connect"]',
        '40{"token":1}',
        '42/admin,["ping"]',
        '451-["message",{"_placeholder":true,"num":9}]',
        "43[]",
        "43x",
        "\x00",
        "2probe",
        "99",
    ],
)
async def test_a_packet_against_the_protocol_costs_its_sender_the_connection_at_most(
    api: ApiClient, packet: str, faults: pytest.LogCaptureFixture
) -> None:
    async with api.user_socket() as phone:
        offender = api.user_socket()
        await offender.connect()
        await offender.send_raw(packet)
        await offender.drop()

        assert [] == await unread(phone)
    assert [] == faults.messages


async def test_answers_to_requests_nobody_made_are_ignored(
    api: ApiClient, faults: pytest.LogCaptureFixture
) -> None:
    async with api.user_socket() as phone:
        for packet in ("431[]", '430["x"]', "439999999999[{}]", '431[{"a":[1]}]'):
            await phone.send_raw(packet)

        assert [] == await unread(phone)
    assert [] == faults.messages


async def test_a_second_response_of_a_target_is_ignored(
    api: ApiClient, faults: pytest.LogCaptureFixture
) -> None:
    async with api.user_socket() as phone, api.user_socket() as target:
        await target.emit("rpc-register", {"method": "m"})
        await target.next_event("rpc-registered")
        await phone.emit("rpc-call", {"method": "m"})
        await target.next_event("rpc-request")
        for _ in range(3):
            await target.send_raw('431["x"]')

        assert [] == await unread(phone, target)
    assert [] == faults.messages


async def test_many_methods_and_calls_at_once_are_bearable(
    api: ApiClient, faults: pytest.LogCaptureFixture
) -> None:
    async with api.user_socket() as phone, SocketClient(api.url, phone.auth) as target:
        target.answer("rpc-request", lambda payload: payload["method"])
        for number in range(300):
            await target.emit("rpc-register", {"method": f"m{number}"})
        await settle(target)
        answers = [await phone.call("rpc-call", {"method": f"m{number}"}) for number in range(0, 300, 50)]

    assert [f"m{number}" for number in range(0, 300, 50)] == [answer["result"] for answer in answers]
    assert [] == faults.messages
