"""What a phone keeps in step with: artifacts, the key-value store, and files."""

import itertools
import uuid
from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.http_caller import connect, request
from tests.bench.http_scenarios import READERS, session, token
from tests.bench.load import Load
from tests.bench.server import Run
from tests.support.api_client import ApiClient

ARTIFACTS = 100
KEYS = 100
FILE_MB = 5
UPLOADERS = 4


async def list_artifacts(run: Run) -> list[Figure]:
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        for _ in range(ARTIFACTS):
            artifact = {"id": str(uuid.uuid4()), "header": "h" * 400, "body": "b" * 4000}
            await api.post("/v1/artifacts", {**artifact, "dataEncryptionKey": "k" * 140})
        load = Load(server, run.seconds)
        requests = itertools.repeat(request("GET", "/v1/artifacts", token(api)))
        callers = [await connect(load, server.port, requests) for _ in range(READERS)]
        name = f"list of {ARTIFACTS} artifacts, {READERS} readers"
        return [await load.run(name, callers, unit="lists/s")]


async def kv_batches(run: Run) -> list[Figure]:
    """All keys are written again and again by one client, and read by others from a server of their own."""
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        load = Load(server, run.seconds)
        writer = await connect(load, server.port, mutations(token(api)))
        name = f"key-value batch of {KEYS}, 1 writer"
        written = await load.run(name, [writer], unit="calls/s")
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        await api.post("/v1/kv", {"mutations": [mutation(number, -1) for number in range(KEYS)]})
        load = Load(server, run.seconds)
        keys = ",".join(f'"key-{number}"' for number in range(KEYS))
        requests = itertools.repeat(
            request("POST", "/v1/kv/bulk", token(api), f'{{"keys":[{keys}]}}'.encode())
        )
        readers = [await connect(load, server.port, requests) for _ in range(READERS)]
        name = f"key-value read of {KEYS}, {READERS} readers"
        return [written, await load.run(name, readers, unit="calls/s")]


def mutation(number: int, version: int) -> dict[str, object]:
    return {"key": f"key-{number}", "value": "v" * 200, "version": version}


def mutations(token: str) -> Iterator[bytes]:
    for version in itertools.count(-1):
        parts = ",".join(
            f'{{"key":"key-{number}","value":"{"v" * 200}","version":{version}}}' for number in range(KEYS)
        )
        yield request("POST", "/v1/kv", token, f'{{"mutations":[{parts}]}}'.encode())


async def upload(run: Run) -> list[Figure]:
    """Every uploader writes the one file that it was given a name for, again and again."""
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        load = Load(server, run.seconds)
        session_id = await session(api)
        content = bytes(FILE_MB * 1024 * 1024)
        callers = []
        for _ in range(UPLOADERS):
            asked = {"filename": "f", "size": len(content)}
            offer = await api.post(f"/v1/sessions/{session_id}/attachments/request-upload", asked)
            path = offer["uploadUrl"].removeprefix(server.url)
            put = request("PUT", path, token(api), content).replace(
                b"application/json", b"application/octet-stream", 1
            )
            callers.append(await connect(load, server.port, itertools.repeat(put)))
        name = f"upload of {FILE_MB} MB, {UPLOADERS} at once"
        return [await load.run(name, callers, unit="MB/s", of_each=FILE_MB)]
