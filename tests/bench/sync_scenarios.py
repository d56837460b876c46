"""What a phone keeps in step with: artifacts, the key-value store, signs of life, and files."""

import itertools
import time
import uuid
from collections.abc import Iterator

from tests.api_client import ApiClient
from tests.bench.figures import Figure
from tests.bench.http_caller import connect, request
from tests.bench.http_scenarios import READERS, session, token
from tests.bench.load import Load
from tests.bench.raw_socket import RawSocket, frame
from tests.bench.raw_socket import connect as connect_socket
from tests.bench.server import fresh_server

ARTIFACTS = 100
KEYS = 100
BEATING = 100
FILE_MB = 5
UPLOADERS = 4
ID = b'"id":"'


async def list_artifacts(seconds: float) -> list[Figure]:
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        for _ in range(ARTIFACTS):
            artifact = {"id": str(uuid.uuid4()), "header": "h" * 400, "body": "b" * 4000}
            await api.post("/v1/artifacts", {**artifact, "dataEncryptionKey": "k" * 140})
        load = Load(server, seconds)
        requests = itertools.repeat(request("GET", "/v1/artifacts", token(api)))
        callers = [await connect(load, server.port, requests) for _ in range(READERS)]
        name = f"list of {ARTIFACTS} artifacts, {READERS} readers"
        return [await load.run(name, callers, unit="lists/s")]


async def kv_batches(seconds: float) -> list[Figure]:
    """All keys are written again and again by one client, and read by others from a server of their own."""
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        load = Load(server, seconds)
        writer = await connect(load, server.port, mutations(token(api)))
        name = f"key-value batch of {KEYS}, 1 writer"
        written = await load.run(name, [writer], unit="calls/s")
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        await api.post("/v1/kv", {"mutations": [mutation(number, -1) for number in range(KEYS)]})
        load = Load(server, seconds)
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


class Beating:
    """A session that says it is alive again as soon as the phone has heard it."""

    def __init__(self, load: Load, socket: RawSocket, session_id: str) -> None:
        now = time.time_ns() // 10**6
        payload = f'{{"sid":"{session_id}","time":{now},"thinking":true,"mode":"remote"}}'
        self._frame = frame(b'2["session-alive",' + payload.encode() + b"]")
        self._load = load
        self._socket = socket
        self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()
        self._socket.write(self._frame)

    def heard(self) -> None:
        self._load.done(self._began)
        if not self._load.over:
            self.start()


async def session_alive(seconds: float) -> list[Figure]:
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        load = Load(server, seconds)
        by_session: dict[bytes, Beating] = {}
        for _ in range(BEATING):
            session_id = await session(api)
            socket = await connect_socket(
                server.port, token=token(api), clientType="session-scoped", sessionId=session_id
            )
            by_session[session_id.encode()] = Beating(load, socket, session_id)
        phone = await connect_socket(server.port, token=token(api), clientType="user-scoped")

        def on_packet(packet: bytes) -> None:
            if packet.startswith(b'2["ephemeral"'):
                by_session[packet.partition(ID)[2].partition(b'"')[0]].heard()

        phone.on_packet = on_packet
        name = f"session-alive of {BEATING} sessions at a phone"
        return [await load.run(name, list(by_session.values()), unit="events/s")]


async def upload(seconds: float) -> list[Figure]:
    """Every uploader writes the one file that it was given a name for, again and again."""
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        load = Load(server, seconds)
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
