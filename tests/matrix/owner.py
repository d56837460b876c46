"""Somebody who has one of everything that others must not get."""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from happy.domain.values import Millis
from tests.http.test_accounts import account_id
from tests.support.api_client import ApiClient, b64
from tests.support.server_thread import RunningServer
from tests.support.socket_client import SocketClient


def now() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


class Person:
    """An account with one of everything, and a socket in every scope."""

    def __init__(self, api: ApiClient, ids: dict[str, str], sockets: list[SocketClient], secret: str) -> None:
        self.api = api
        self.ids = ids
        self.sockets = sockets
        self._secret = secret

    def is_in(self, answer: str) -> bool:
        """Whether the answer holds anything that only the owner may see."""
        return self._secret in answer or b64(self._secret.encode()) in answer

    async def view(self) -> Any:
        """All that the owner sees of what was stored."""
        session = self.ids["session_id"]
        paths = ["/v1/sessions", f"/v3/sessions/{session}/messages", "/v1/machines", "/v1/artifacts"]
        paths += [f"/v1/artifacts/{self.ids['artifact_id']}", "/v1/kv?prefix=", "/v1/account/settings"]
        paths += [
            f"/v1/access-keys/{session}/{self.ids['machine_id']}",
            "/v1/push-tokens",
            "/v1/connect/tokens",
        ]
        return {path: (await self.api.request("GET", path)).json() for path in paths}


@asynccontextmanager
async def person(server: RunningServer) -> AsyncIterator[Person]:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(ApiClient.signed_in(server.url))
        secret = f"secret of {account_id(api)}"
        session = (await api.create_session(metadata=secret, agent_state=secret))["id"]
        machine = (await api.register_machine(metadata=secret, daemon_state=secret))["id"]
        ids = {
            "session_id": session,
            "sid": session,
            "machine_id": machine,
            "artifact_id": str(uuid.uuid4()),
            "id": session,
            "user_id": account_id(api),
            "uid": account_id(api),
            "vendor": "openai",
            "key": "known",
            "method": f"{machine}:bash",
        }
        await api.post_messages(session, [secret])
        ids["ref"] = await attach(api, session, secret.encode())
        ids["name"] = ids["ref"].rpartition("/")[2]
        blob = b64(secret.encode())
        artifact = {"id": ids["artifact_id"], "header": blob, "body": blob, "dataEncryptionKey": blob}
        await api.post("/v1/artifacts", artifact)
        await api.post("/v1/kv", {"mutations": [{"key": "known", "value": blob, "version": -1}]})
        await api.post(f"/v1/access-keys/{session}/{machine}", {"data": secret})
        await api.post("/v1/push-tokens", {"token": secret})
        await api.post("/v1/connect/openai/register", {"token": secret})
        sockets = [api.user_socket(), api.session_socket(session), api.machine_socket(machine)]
        for socket in sockets:
            await stack.enter_async_context(socket)
        await sockets[2].emit("rpc-register", {"method": ids["method"]})
        await sockets[2].call("ping")
        yield Person(api, ids, sockets, secret)


async def attach(api: ApiClient, session: str, content: bytes) -> str:
    """Store a file with a session; its reference."""
    path = f"/v1/sessions/{session}/attachments/request-upload"
    offer = await api.post(path, {"filename": "f", "size": len(content)})
    octets = {"Content-Type": "application/octet-stream"}
    sent = await api.request("PUT", offer["uploadUrl"], content=content, headers=octets)
    assert sent.status_code == 200, sent.text
    return str(offer["ref"])
