"""Every event with what no client sends: the server goes on, answers, and finds no fault with itself."""

import asyncio
import json
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.harness import register
from tests.support.api_client import ApiClient
from tests.support.environments import OpenEnvironment
from tests.support.server_thread import RunningServer, run_server

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("HAPPY_FUZZ_EXAMPLES", "60"))
SESSION, MACHINE, ARTIFACT = (str(uuid.UUID(int=number, version=4)) for number in (1, 2, 3))
"""Stand for the account's own ids until something is sent."""

NOW = int(time.time() * 1000)
USAGE = {"tokens": {"total": 1, "input": 1}, "cost": {"total": 0.5}}
PART = {"data": "AAAA", "expectedVersion": 1}
VALID: dict[str, Any] = {
    "ping": None,
    "app-state": {"state": "active"},
    "update-metadata": {"sid": SESSION, "metadata": "m", "expectedVersion": 0},
    "update-state": {"sid": SESSION, "agentState": "s", "expectedVersion": 0},
    "message": {"sid": SESSION, "message": "m", "localId": "l"},
    "session-alive": {"sid": SESSION, "time": NOW, "thinking": True},
    "session-end": {"sid": SESSION, "time": NOW},
    "machine-alive": {"machineId": MACHINE, "time": NOW},
    "machine-update-metadata": {"machineId": MACHINE, "metadata": "m", "expectedVersion": 1},
    "machine-update-state": {"machineId": MACHINE, "daemonState": "d", "expectedVersion": 0},
    "usage-report": {"key": "k", "sessionId": SESSION, **USAGE},
    "artifact-read": {"artifactId": ARTIFACT},
    "artifact-create": {"id": "new", "header": "", "body": "", "dataEncryptionKey": ""},
    "artifact-update": {"artifactId": ARTIFACT, "header": PART, "body": PART},
    "artifact-delete": {"artifactId": "new"},
    "access-key-get": {"sessionId": SESSION, "machineId": MACHINE},
    "rpc-register": {"method": "m"},
    "rpc-unregister": {"method": "m"},
    "rpc-call": {"method": "m", "params": "p"},
    "no-such-event": {},
}
ANSWERED = [
    name
    for name in VALID
    if name.startswith(("update-", "machine-update", "artifact", "access", "usage", "rpc-call"))
]

fuzz = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
numbers = st.sampled_from([0, -1, 1, 0.5, 2**31 - 1, 2**31, 2**53, 2**63, 2**64, 10**30, -(2**63), 1e308])
texts = st.text(max_size=20) | st.sampled_from(["", "\0", "a\0b", "\ud83d", "%", "x" * 5000, "AAA", "!!!!"])
scalars = st.none() | st.booleans() | numbers | texts | st.sampled_from([SESSION, MACHINE, ARTIFACT])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def emits(draw: st.DrawFn) -> tuple[str, list[Any], int | None]:
    """An event with arguments that are right but for something, or altogether wrong."""
    name = draw(st.sampled_from(sorted(VALID)))
    payload: Any = draw(values)
    if isinstance(VALID[name], dict) and draw(st.integers(0, 4)):
        changed = draw(st.dictionaries(st.sampled_from([*VALID[name], "other"]), values, max_size=3))
        payload = {**VALID[name], **changed}
        for key in draw(st.sets(st.sampled_from([*VALID[name], "other"]), max_size=1)):
            payload.pop(key, None)
    arguments = draw(
        st.just([payload]) | st.just([]) | st.lists(values, max_size=2).map(lambda more: [payload, *more])
    )
    return name, arguments, draw(st.none() | st.integers(1000, 10**9))


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    with open_environment() as environment, run_server(environment, grace_seconds=0.01) as running:
        yield running


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[ApiClient]:
    async with ApiClient.signed_in(server.url) as api:
        yield api


@pytest.fixture(autouse=True)
def no_surprises(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that nobody expected reaches the log."""
    yield
    assert [] == [
        record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR
    ]


async def own_ids(api: ApiClient) -> dict[str, str]:
    artifact = {"id": str(uuid.uuid4()), "header": "", "body": "", "dataEncryptionKey": ""}
    await api.post("/v1/artifacts", artifact)
    return {
        SESSION: (await api.create_session())["id"],
        MACHINE: (await api.register_machine())["id"],
        ARTIFACT: artifact["id"],
    }


def packet(emit: tuple[str, list[Any], int | None], ids: dict[str, str]) -> str:
    name, arguments, ack = emit
    text = json.dumps([name, *arguments])
    for placeholder, own in ids.items():
        text = text.replace(placeholder, own)
    return f"42{'' if ack is None else ack}{text}"


@fuzz
@given(sent=st.lists(emits(), min_size=5, max_size=25))
async def test_whatever_is_sent_the_server_goes_on(
    api: ApiClient, sent: list[tuple[str, list[Any], int | None]]
) -> None:
    ids = await own_ids(api)
    async with api.session_socket(ids[SESSION]) as socket, api.user_socket() as phone:
        for emit in sent:
            await socket.send_raw(packet(emit, ids))
        assert {} == await socket.call("ping")
        assert {} == await phone.call("ping")
    await read_everything(api, ids)


async def read_everything(api: ApiClient, ids: dict[str, str]) -> None:
    """What was stored must be readable, whatever it is."""
    for path in ("/v1/sessions", "/v2/sessions", "/v1/machines", "/v1/artifacts", "/v1/account/profile"):
        await api.get(path)
    await api.messages(ids[SESSION])
    await api.post("/v1/usage/query", {})


@pytest.mark.parametrize("event", ANSWERED)
@settings(fuzz, max_examples=10)
@given(payload=values, more=st.lists(values, max_size=2))
async def test_an_event_with_a_callback_is_always_answered(
    api: ApiClient, event: str, payload: Any, more: list[Any]
) -> None:
    """Clients wait for some of these without a time-out, holding a lock.

    protocol: clients#rules-a-server-must-respect
    """
    async with api.user_socket() as socket:
        answer = socket._acks[77] = asyncio.get_running_loop().create_future()
        await socket.send_raw(f"4277{json.dumps([event, payload, *more])}")
        (content,) = await asyncio.wait_for(answer, 5)

    assert isinstance(content, dict)


@pytest.mark.parametrize("depth", [100, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("event", sorted(VALID))
async def test_deep_values(api: ApiClient, event: str, depth: int) -> None:
    """A value that nobody can decode may cost the connection, never more."""
    ids = await own_ids(api)
    deep = "[" * depth + "]" * depth
    payload = json.dumps({**(VALID[event] or {}), "other": 0, "params": 0, "thinking": 0, "tokens": 0})
    async with api.user_socket() as phone:
        async with api.session_socket(ids[SESSION]) as socket:
            await register(phone, "deep")
            for text in (f'["{event}",{deep}]', f'["{event}",{payload.replace(": 0", ": " + deep)}]'):
                await socket.send_raw(f"427{text}")
        assert {} == await phone.call("ping")
    await read_everything(api, ids)


@pytest.mark.parametrize("event", sorted(VALID))
async def test_large_values(api: ApiClient, event: str) -> None:
    ids = await own_ids(api)
    large = {
        key: "x" * 300_000 if isinstance(value, str) else value for key, value in (VALID[event] or {}).items()
    }
    own = {key: ids.get(str(value), value) for key, value in (VALID[event] or {}).items()}
    async with api.session_socket(ids[SESSION]) as socket:
        await socket.emit(event, large)
        await socket.emit(
            event, {**large, **{key: value for key, value in own.items() if value in ids.values()}}
        )
        assert {} == await socket.call("ping")
    await read_everything(api, ids)
