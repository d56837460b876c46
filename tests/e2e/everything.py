"""People who use all that the protocol has, by requests, events and commands, and all that they see of it."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from nacl.signing import SigningKey

from tests.e2e.test_backup import Person
from tests.http.test_github import GithubSide, link
from tests.matrix.tables import OPERATIONS, request
from tests.support.api_client import ApiClient, b64, sign_in_body
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.outside_services import Upstream
from tests.support.server_process import Server
from tests.support.until import until

REPORT = {"key": "claude", "tokens": {"total": 12, "input": 5}, "cost": {"total": 0.5}}
CHANGING = {
    "/health": "the time",
    "/invite/{code}": "only where accounts need an invite",
    "/v1/connect/github/callback": "a state counts once",
    "/v1/connect/github/params": "a new state each time",
    "/v1/sessions/{session_id}/attachments/{name}": "its address is signed for some minutes: fetched below",
    "/v1/voice/usage": "kept by another company",
}
"""What is read and never the same twice, and why."""

TIME = re.compile(rb'"timestamp":\d+')
NO_TIME = b'"timestamp":0'
Seen = dict[str, tuple[int, bytes]]


class Everything:
    """Two friends with something of everything; somebody whose token was revoked; three who wait."""

    def __init__(self, ada: ApiClient, bob: ApiClient) -> None:
        self.ada = ada
        self.bob = bob
        self.person = Person(ada)
        self.ids: dict[str, str] = {}

    # -- filling -------------------------------------------------------------------------------------

    async def fill(self, upstream: Upstream, environment: Environment) -> None:
        await self.person.fill()
        ids = [(await each.get("/v1/account/profile"))["id"] for each in (self.ada, self.bob)]
        (machine,) = await self.ada.get("/v1/machines")
        (artifact,) = await self.ada.get("/v1/artifacts")
        self.ids = {
            "session_id": self.person.session,
            "machine_id": machine["id"],
            "artifact_id": artifact["id"],
            "user_id": ids[0],
            "vendor": "openai",
            "key": "one",
        }
        await self._befriend(ids)
        await self._use_sockets()
        await self._link_devices()
        GithubSide(upstream).user()
        self.ids["query"] = await link(self.ada)
        self.ids["avatar"] = (await self.ada.get("/v1/account/profile"))["avatar"]["path"]
        await self._sign_somebody_out(environment)
        await until(self._is_quiet, 120)

    async def _is_quiet(self) -> bool:
        """Agent and daemon have left, and are shown as such."""
        sessions = (await self.ada.get("/v1/sessions"))["sessions"]
        return not any(row["active"] for row in [*sessions, *await self.ada.get("/v1/machines")])

    async def _befriend(self, ids: list[str]) -> None:
        await self.ada.post("/v1/friends/add", {"uid": ids[1]})
        await self.bob.post("/v1/friends/add", {"uid": ids[0]})

    async def _use_sockets(self) -> None:
        """Each event that stores something, from a socket of its scope."""
        sid, mid = self.ids["session_id"], self.ids["machine_id"]
        async with self.ada.session_socket(sid) as agent, self.ada.machine_socket(mid) as daemon:
            await agent.call("message", {"sid": sid, "message": "by socket", "localId": "by socket"})
            change = {"sid": sid, "metadata": "changed \u00fc", "expectedVersion": 0}
            assert (await agent.call("update-metadata", change))["result"] == "success"
            change = {"sid": sid, "agentState": None, "expectedVersion": 0}
            assert (await agent.call("update-state", change))["result"] == "success"
            assert (await agent.call("usage-report", {**REPORT, "sessionId": sid}))["success"]
            change = {"machineId": mid, "metadata": "changed", "expectedVersion": 1}
            assert (await daemon.call("machine-update-metadata", change))["result"] == "success"
        async with self.ada.user_socket() as phone:
            edit = {"data": b64(b"edited"), "expectedVersion": 1}
            payload = {"artifactId": self.ids["artifact_id"], "header": edit, "body": edit}
            assert (await phone.call("artifact-update", payload))["result"] == "success"

    async def _link_devices(self) -> None:
        """One of each kind waits, one was answered."""
        waiting, answered = (b64(name.encode() * 4) for name in ("waiting ", "answered"))
        for path in ("/v1/auth/request", "/v1/auth/account/request"):
            for key in (waiting, answered):
                await self.ada.post(path, {"publicKey": key})
            answer = {"publicKey": answered, "response": b64(b"sealed")}
            await self.ada.post(path.replace("request", "response"), answer)
        self.ids["public_key"] = waiting

    async def _sign_somebody_out(self, environment: Environment) -> None:
        async with ApiClient.signed_in(self.ada.url) as other:
            account = (await other.get("/v1/account/profile"))["id"]
            assert 0 == (await command(environment, "accounts", "sign-out", account, "--yes")).code

    # -- seeing --------------------------------------------------------------------------------------

    async def seen(self) -> Seen:
        """Every answer to every GET request of the documented ones, to the last byte."""
        found: Seen = {}
        for name, api in (("ada", self.ada), ("bob", self.bob)):
            for operation in OPERATIONS:
                if operation.method == "GET" and operation.path not in CHANGING:
                    ids = {**self.ids, "key": self.ids["avatar"]} if "files" in operation.path else self.ids
                    asked = request(operation, ids)
                    answer = await api.request("GET", **asked)
                    found[f"{name}: {asked['path']}"] = answer.status_code, TIME.sub(NO_TIME, answer.content)
            usage = await api.request("POST", "/v1/usage/query", json={"groupBy": "hour"})
            found[f"{name}: usage"] = usage.status_code, usage.content
        found["file"] = 200, (await self.person.seen())["file"]
        found["tokens"] = 200, repr(await self.ada.get("/v1/connect/openai/token")).encode()
        return found


def require_answers(seen: Seen) -> None:
    """Each kind of object was really there: Ada's requests succeed."""
    missing = [path for path, (status, _) in seen.items() if path.startswith("ada") and status != 200]
    assert not missing, missing


def differences(before: Seen, after: Seen, *, same_flavor: bool) -> list[str]:
    """Answers that are not the same to the last byte.

    PostgreSQL orders the names of JSON documents in its own way, so that on another flavor their order does
    not count.
    """
    found = []
    for path, (status, content) in before.items():
        other_status, other = after[path]
        same = content == other or (not same_flavor and _without_order(content) == _without_order(other))
        if status != other_status or not same:
            found.append(path)
    return found


def _without_order(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content


@asynccontextmanager
async def everything(url: str, tokens: list[str] | None = None) -> AsyncIterator[Everything]:
    """The two people, with new accounts unless they have tokens."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(ApiClient(url)) for _ in range(2)]
        for number, client in enumerate(clients):
            if tokens is None:
                await client.sign_in()
            else:
                client.token = tokens[number]
        yield Everything(*clients)


async def ask_to_come_in(server: Server, environment: Environment) -> None:
    """While accounts need an invite, and while they need approval."""
    server.variables["HAPPY_REGISTRATION"] = "invite"
    async with server, httpx.AsyncClient(base_url=server.url, trust_env=False, verify=False) as browser:
        made = (await command(environment, "invites", "create", "--uses", "2", "--json")).json
        path = urlsplit(made["link"]).path
        page = await browser.post(path, headers={"Content-Type": "text/plain", "Origin": "null"})
        assert page.status_code == 200, page.text
        async with ApiClient.signed_in(server.url):
            pass
        assert await server.stop() == 0
    server.variables["HAPPY_REGISTRATION"] = "approve"
    async with server, ApiClient(server.url) as stranger:
        await stranger.post("/v1/auth", sign_in_body(SigningKey.generate()), expect=403)
        assert await server.stop() == 0
    server.variables["HAPPY_REGISTRATION"] = "open"
