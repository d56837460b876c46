"""Two replicas behind the reverse proxies that are installed, set up as the documentation says."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.api_client import ApiClient
from tests.support.cluster import Replica, cluster
from tests.support.official_client import NodeClient
from tests.support.reverse_proxies import PROXIES, own_proxy

CONNECTIONS = 8
"""Proxies that break one answer of thousands, as Caddy told to flush at once, break it under load."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Replica]]:
    variables = {"HAPPY_SHUTDOWN_SECONDS": "16"}  # proxies that ask every 2 s have to see it coming
    async with cluster(tmp_path_factory.mktemp("proxies"), 2, variables=variables) as running:
        yield running


class Caller:
    """Somebody who asks and writes all the time on several connections, and what he was told."""

    def __init__(self, url: str, token: str | None, session: str) -> None:
        self.answers: Counter[str] = Counter()
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._path = f"/v3/sessions/{session}/messages"

    async def run(self, stopped: asyncio.Event) -> None:
        async with self._http, asyncio.TaskGroup() as connections:
            for number in range(CONNECTIONS):
                connections.create_task(self._write(number, stopped))

    async def _write(self, number: int, stopped: asyncio.Event) -> None:
        for count in itertools.count():
            if stopped.is_set():
                return
            body = {"messages": [{"content": "text", "localId": f"{number}-{count}"}]}
            await self._ask(self._http.post(self._path, json=body))
            await self._ask(self._http.get("/v1/account/settings"))
            await asyncio.sleep(0.02)

    async def _ask(self, request: Awaitable[httpx.Response]) -> None:
        try:
            self.answers[str((await request).status_code)] += 1
        except httpx.TransportError as error:
            self.answers[repr(error)] += 1


@pytest.mark.parametrize("name", PROXIES)
async def test_replicas_are_one_server_that_never_ends(
    name: str, replicas: list[Replica], client: NodeClient, tmp_path: Path
) -> None:
    async with (
        own_proxy(name, tmp_path / name, [replica.port for replica in replicas]) as url,
        ApiClient.signed_in(url) as api,
        client.socket(url, token=api.token, clientType="user-scoped") as phone,
    ):
        session = str((await api.create_session())["id"])
        caller, stopped = Caller(url, api.token, session), asyncio.Event()
        calling = asyncio.create_task(caller.run(stopped))
        await phone.next_update("new-message")
        for replica in replicas:
            assert 0 == await replica.stop()
            await replica.start()
            await asyncio.sleep(2.5)  # until every proxy has seen that it is back
        stopped.set()
        await calling
        await api.post_messages(session, ["after all of it"], ["last"])
        while (last := (await phone.next_update("new-message"))["message"])["localId"] != "last":
            pass

        assert {"200"} == set(caller.answers), caller.answers
        assert caller.answers["200"] // 2 + 1 == last["seq"]
