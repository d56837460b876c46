"""Messages and lists over HTTP."""

import itertools
from collections.abc import Iterator

from tests.bench.figures import Aim, Figure
from tests.bench.http_caller import connect, request
from tests.bench.load import Load
from tests.bench.server import Run
from tests.support.api_client import ApiClient

CONTENT = "x" * 1024
BATCH = 50
PAGE = 100
SESSIONS = 150
READERS = 8


async def append_one_writer(run: Run) -> list[Figure]:
    aim = Aim(2.0, at_least=False, of="p50") if run.light else None
    return [await append(run, "append 1 KB, 1 writer", writers=1, aim=aim)]


async def append_many_writers(run: Run) -> list[Figure]:
    aim = Aim(2500 if run.light else 2000)
    return [await append(run, "append 1 KB, 32 writers", writers=32, aim=aim)]


async def append_batches(run: Run) -> list[Figure]:
    return [await append(run, f"append batches of {BATCH} x 1 KB, 4 writers", writers=4, batch=BATCH)]


async def append(run: Run, name: str, *, writers: int, batch: int = 1, aim: Aim | None = None) -> Figure:
    """Every writer has a session of its own, all in one account."""
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        load = Load(server, run.seconds)
        callers = []
        for _ in range(writers):
            requests = posts(await session(api), token(api), batch)
            callers.append(await connect(load, server.port, requests))
        return await load.run(name, callers, unit="msg/s", of_each=batch, aim=aim)


async def page(run: Run) -> list[Figure]:
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        session_id = await session(api)
        for _ in range(5):
            await api.post_messages(session_id, [CONTENT] * PAGE)
        load = Load(server, run.seconds)
        path = f"/v3/sessions/{session_id}/messages?after_seq={{}}&limit={PAGE}"
        requests = [request("GET", path.format(seq), token(api)) for seq in range(0, 4 * PAGE, PAGE)]
        callers = [await connect(load, server.port, itertools.cycle(requests)) for _ in range(READERS)]
        aim = Aim(1200) if run.light else None
        name = f"page of {PAGE} x 1 KB, {READERS} readers"
        return [await load.run(name, callers, unit="pages/s", aim=aim)]


async def list_sessions(run: Run) -> list[Figure]:
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        for number in range(SESSIONS):
            await api.create_session(f"tag-{number}", "m" * 300, data_encryption_key="k" * 140)
        load = Load(server, run.seconds)
        requests = itertools.repeat(request("GET", "/v1/sessions", token(api)))
        callers = [await connect(load, server.port, requests) for _ in range(READERS)]
        return [await load.run(f"list of {SESSIONS} sessions, {READERS} readers", callers, unit="lists/s")]


def posts(session_id: str, token: str, batch: int) -> Iterator[bytes]:
    """Requests that differ in nothing but the local ids of their messages."""
    message = b'{"content":"' + CONTENT.encode() + b'","localId":"%032d"}'
    body = b'{"messages":[' + b",".join([message] * batch) + b"]}"
    blank = body % ((0,) * batch)
    head = request("POST", f"/v3/sessions/{session_id}/messages", token, blank).removesuffix(blank)
    for first in itertools.count(step=batch):
        yield head + body % tuple(range(first, first + batch))


async def session(api: ApiClient) -> str:
    session_id: str = (await api.create_session())["id"]
    return session_id


def token(api: ApiClient) -> str:
    assert api.token is not None
    return api.token
