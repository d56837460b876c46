"""Small events that are answered with much: a few of an account at once, and honest clients do not notice.

protocol: realtime#ordering-guarantees
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from happy.gateway.events.large_answers import MAX_EVENTS
from happy.services.artifacts import ArtifactService
from happy.services.sessions import SessionService
from tests.support.api_client import ApiClient
from tests.support.socket_client import SocketClient

SOCKETS = 20
EVENTS = 3
LARGE = "A" * 400_000


class Watch:
    """Counts how many calls of methods run at once, in the server's thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._running = self.most = self.calls = 0

    def over(self, service: type, name: str) -> None:
        method = getattr(service, name)

        async def watched(*args: Any) -> Any:
            self._running += 1
            self.most, self.calls = max(self.most, self._running), self.calls + 1
            try:
                return await method(*args)
            finally:
                self._running -= 1

        self._patch.setattr(service, name, watched)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


@pytest.fixture
async def sockets(api: ApiClient) -> AsyncIterator[list[SocketClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(api.user_socket()) for _ in range(SOCKETS)]


async def create(api: ApiClient, body: str = LARGE) -> str:
    artifact = {"id": str(uuid.uuid4()), "header": "", "body": body, "dataEncryptionKey": ""}
    return str((await api.post("/v1/artifacts", artifact))["id"])


async def test_small_events_over_many_sockets_were_answered_with_megabytes_at_once(
    api: ApiClient, sid: str, sockets: list[SocketClient], watch: Watch
) -> None:
    artifact = {"artifactId": await create(api)}
    edit = {**artifact, "body": {"data": "", "expectedVersion": 7}}
    change = {"sid": sid, "expectedVersion": 7}
    for service, name in (
        (ArtifactService, "get"),
        (ArtifactService, "edit"),
        (SessionService, "update_metadata"),
        (SessionService, "update_agent_state"),
    ):
        watch.over(service, name)

    answers = await asyncio.gather(
        *(socket.call("artifact-read", artifact) for socket in sockets for _ in range(EVENTS)),
        *(socket.call("artifact-update", edit) for socket in sockets),
        *(socket.call("update-metadata", {**change, "metadata": "m"}) for socket in sockets),
        *(socket.call("update-state", {**change, "agentState": "s"}) for socket in sockets),
    )

    assert (len(answers), MAX_EVENTS) == (watch.calls, watch.most)
    assert {"success": SOCKETS * EVENTS, "version-mismatch": 3 * SOCKETS} == Counter(
        answer["result"] for answer in answers
    )


async def test_an_app_that_reads_twenty_artifacts_at_its_start_gets_them_all(api: ApiClient) -> None:
    bodies = {await create(api, body): body for body in (f"{number:04}" + LARGE for number in range(20))}
    async with api.user_socket() as app:
        answers = await asyncio.gather(
            *(app.call("artifact-read", {"artifactId": artifact}) for artifact in bodies)
        )

    assert list(bodies.items()) == [(each["artifact"]["id"], each["artifact"]["body"]) for each in answers]


async def test_a_session_with_several_updates_in_flight_has_them_all_in_their_order(
    api: ApiClient, sid: str
) -> None:
    async with api.session_socket(sid) as agent:
        answers = await asyncio.gather(
            *(
                agent.call(
                    "update-state", {"sid": sid, "agentState": str(version), "expectedVersion": version}
                )
                for version in range(2 * MAX_EVENTS)
            ),
            *(agent.call("message", {"sid": sid, "message": str(number)}) for number in range(5)),
            agent.call("update-metadata", {"sid": sid, "metadata": LARGE, "expectedVersion": 0}),
            agent.call("update-metadata", {"sid": sid, "metadata": "m", "expectedVersion": 1}),
        )

    states, messages, metadata = answers[: 2 * MAX_EVENTS], answers[2 * MAX_EVENTS : -2], answers[-2:]
    assert [("success", version + 1, str(version)) for version in range(2 * MAX_EVENTS)] == [
        (answer["result"], answer["version"], answer["agentState"]) for answer in states
    ]
    assert [1, 2, 3, 4, 5] == [answer["seq"] for answer in messages]
    assert [("success", LARGE), ("success", "m")] == [(each["result"], each["metadata"]) for each in metadata]
