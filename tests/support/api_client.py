"""An HTTP client that speaks the protocol as the installed clients do, for every test that goes over HTTP.

async with ApiClient.signed_in(url) as api:
    session = await api.create_session()
    await api.post_messages(session["id"], ["hello"])
    async with api.user_socket() as socket: ...
"""

import base64
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import httpx
from nacl.signing import SigningKey

from tests.support.socket_client import SocketClient


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def sign_in_body(key: SigningKey, challenge: bytes | None = None) -> dict[str, str]:
    """The body of `POST /v1/auth` for this key; the challenge is the client's choice."""
    challenge = os.urandom(32) if challenge is None else challenge
    signature = key.sign(challenge).signature
    return {"publicKey": b64(bytes(key.verify_key)), "challenge": b64(challenge), "signature": b64(signature)}


class ApiClient:
    """One client of the server, signed in once it has a token. `app` instead of a url runs it in process.

    `address` is one of this machine that it comes from, such as 127.0.0.2 on Linux.
    """

    def __init__(
        self,
        url: str = "http://test",
        *,
        token: str | None = None,
        app: Any = None,
        address: str | None = None,
    ) -> None:
        transport: httpx.AsyncBaseTransport | None = None
        if app is not None:
            transport = httpx.ASGITransport(app=app)
        elif address is not None:
            transport = httpx.AsyncHTTPTransport(verify=False, local_address=address)
        self.url = url
        self.token = token
        # The server is always on this machine: no proxy from the environment, and no certificates, whose
        # loading would take longer than most tests.
        self.http = httpx.AsyncClient(
            base_url=url, transport=transport, trust_env=False, verify=False, timeout=30
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def signed_in(
        cls, url: str = "http://test", *, key: SigningKey | None = None, app: Any = None
    ) -> AsyncIterator["ApiClient"]:
        """A client of a new account, or of the account of `key`."""
        async with cls(url, app=app) as api:
            await api.sign_in(key)
            yield api

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    # -- requests ------------------------------------------------------------------------------------

    async def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Any request, with the token if there is one; the answer is not judged."""
        sent = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        sent.update(headers or {})
        return await self.http.request(method, path, headers=sent, **arguments)

    async def get(self, path: str, *, expect: int = 200, **query: Any) -> Any:
        return self._judge(await self.request("GET", path, params=query), expect)

    async def post(self, path: str, body: Any = None, *, expect: int = 200) -> Any:
        return self._judge(await self.request("POST", path, json={} if body is None else body), expect)

    async def delete(self, path: str, *, expect: int = 200) -> Any:
        return self._judge(await self.request("DELETE", path), expect)

    @staticmethod
    def _judge(response: httpx.Response, expect: int) -> Any:
        assert response.status_code == expect, (
            f"{response.request.url}: {response.status_code} {response.text}"
        )
        return response.json() if response.content else None

    # -- what the clients do -------------------------------------------------------------------------

    async def sign_in(self, key: SigningKey | None = None) -> str:
        """Sign a challenge; a new key makes a new account. The token is kept for later requests."""
        answer = await self.post("/v1/auth", sign_in_body(key or SigningKey.generate()))
        self.token = answer["token"]
        return answer["token"]

    async def create_session(
        self,
        tag: str | None = None,
        metadata: str = "metadata",
        *,
        agent_state: str | None = None,
        data_encryption_key: str | None = None,
    ) -> dict[str, Any]:
        body = {
            "tag": tag or str(uuid.uuid4()),
            "metadata": metadata,
            "agentState": agent_state,
            "dataEncryptionKey": data_encryption_key,
        }
        session: dict[str, Any] = (await self.post("/v1/sessions", body))["session"]
        return session

    async def register_machine(
        self, machine_id: str | None = None, metadata: str = "metadata", daemon_state: str | None = None
    ) -> dict[str, Any]:
        body = {"id": machine_id or str(uuid.uuid4()), "metadata": metadata}
        if daemon_state is not None:
            body["daemonState"] = daemon_state
        machine: dict[str, Any] = (await self.post("/v1/machines", body))["machine"]
        return machine

    async def post_messages(
        self, session_id: str, contents: Sequence[str], local_ids: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """`POST /v3` of these texts; every message gets its own new local id unless they are given."""
        ids = local_ids or [str(uuid.uuid4()) for _ in contents]
        messages = [{"content": text, "localId": local} for text, local in zip(contents, ids, strict=True)]
        answer = await self.post(f"/v3/sessions/{session_id}/messages", {"messages": messages})
        return answer["messages"]

    async def messages(
        self, session_id: str, *, after_seq: int = 0, limit: int = 500
    ) -> list[dict[str, Any]]:
        """All messages after a number, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.get(f"/v3/sessions/{session_id}/messages", after_seq=after_seq, limit=limit)
            found += page["messages"]
            if not page["hasMore"]:
                return found
            after_seq = found[-1]["seq"]

    def user_socket(self, **more: Any) -> SocketClient:
        return SocketClient.open(self.url, token=self.token, client_type="user-scoped", **more)

    def session_socket(self, session_id: str, **more: Any) -> SocketClient:
        return SocketClient.open(
            self.url, token=self.token, client_type="session-scoped", session_id=session_id, **more
        )

    def machine_socket(self, machine_id: str, **more: Any) -> SocketClient:
        return SocketClient.open(
            self.url, token=self.token, client_type="machine-scoped", machine_id=machine_id, **more
        )
