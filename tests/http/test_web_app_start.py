"""The web app's start: every response and event, field by field.

protocol: clients#who-sends-what
"""

import base64
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from schema.tables import accounts, github_users
from tests.gateway.harness import now, settle
from tests.support import event_schemas
from tests.support.api_client import ApiClient, b64
from tests.support.event_schemas import boolean, integer, maybe, ms, null, text
from tests.support.rows import Rows
from tests.support.server_thread import RunningServer
from tests.support.socket_client import SocketClient

CLIENT = "web/1.6.2"
GITHUB = {"id": 583231, "login": "ada", "name": None, "email": None, "avatar_url": "https://x.example/a.png"}
PROFILE = {
    "id": text,
    "timestamp": ms,
    "firstName": maybe(text),
    "lastName": maybe(text),
    "username": maybe(text),
    "avatar": maybe({"path": text, "url": text, "width": integer, "height": integer, "thumbhash": text}),
    "github": maybe({"id": integer, "login": text, "name": text, "email?": text, "avatar_url": text}),
    "connectedServices": [text],
}
ARTIFACT = {
    "id": text,
    "header": event_schemas.b64,
    "headerVersion": integer,
    "dataEncryptionKey": event_schemas.b64,
    "seq": integer,
    "createdAt": ms,
    "updatedAt": ms,
}
START: dict[str, Any] = {
    "/v1/sessions": {"sessions": [{**event_schemas.SESSION, "lastMessage": null}]},
    "/v1/machines": [{"id": text, "seq": integer, **event_schemas.MACHINE_STATE}],
    "/v1/account/settings": {"settings": maybe(text), "settingsVersion": integer},
    "/v1/account/profile": PROFILE,
    "/v1/friends": {"friends": [event_schemas.USER]},
    "/v1/artifacts": [ARTIFACT],
    "/v1/feed?limit=100": {"items": [event_schemas.FEED_ITEM], "hasMore": boolean},
}


class WebApp:
    """What the app does by itself, in its order."""

    def __init__(self, url: str, token: str) -> None:
        self.token = token
        self.account_id = self._subject(token)
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url,
            trust_env=False,
            verify=False,
            headers={
                "Authorization": f"Bearer {token}",
                "X-Happy-Client": CLIENT,
                "Origin": "https://web.example",
            },
        )

    @staticmethod
    def _subject(token: str) -> str:
        """It knows plain base64 only, and insists on a text."""
        payload = token.split(".")[1]
        claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True))
        assert isinstance(claims["sub"], str)
        return claims["sub"]

    async def read(self) -> dict[str, Any]:
        """Every list, each held to the contract."""
        answers: dict[str, Any] = {}
        for path, shape in START.items():
            answer = await self._http.get(path)
            assert 200 == answer.status_code, answer.text
            assert ("*", "application/json; charset=utf-8") == (
                answer.headers["access-control-allow-origin"],
                answer.headers["content-type"],
            )
            event_schemas.check(answer.json(), shape, path)
            answers[path] = answer.json()
        return answers

    def socket(self) -> SocketClient:
        """Its connection: events are held to their schemas (protocol: realtime#events-to-clients)."""
        return SocketClient.open(
            self._url, token=self.token, client_type="user-scoped", app_state="active", happy_client=CLIENT
        )

    async def close(self) -> None:
        await self._http.aclose()


@pytest.fixture
async def app(server: RunningServer, api: ApiClient) -> AsyncIterator[WebApp]:
    assert api.token is not None
    app = WebApp(server.url, api.token)
    yield app
    await app.close()


async def test_a_new_account_starts_with_nothing(app: WebApp) -> None:
    answers = await app.read()

    assert {"sessions": []} == answers["/v1/sessions"]
    assert [] == answers["/v1/machines"] == answers["/v1/artifacts"]
    assert {"settings": None, "settingsVersion": 0} == answers["/v1/account/settings"]
    assert {"friends": []} == answers["/v1/friends"]
    assert {"items": [], "hasMore": False} == answers["/v1/feed?limit=100"]
    assert app.account_id == answers["/v1/account/profile"]["id"]


async def test_an_account_in_use_starts_with_everything(
    app: WebApp, api: ApiClient, stranger: ApiClient, rows: Rows
) -> None:
    ids = await furnish(api, stranger)
    await link_github(rows, app.account_id)
    answers = await app.read()

    found = {session["id"]: session for session in answers["/v1/sessions"]["sessions"]}
    assert (True, False) == (found[ids["session"]]["active"], found[ids["archived"]]["active"])
    assert (b64(b"key"), None) == tuple(
        found[ids[name]]["dataEncryptionKey"] for name in ("session", "archived")
    )
    assert {ids["machine"], ids["other machine"]} == {machine["id"] for machine in answers["/v1/machines"]}
    assert [ids["artifact"]] == [artifact["id"] for artifact in answers["/v1/artifacts"]]
    assert {"settings": "dark", "settingsVersion": 1} == answers["/v1/account/settings"]
    assert ["friend"] == [friend["status"] for friend in answers["/v1/friends"]["friends"]]
    assert (
        {"friend_request", "friend_accepted"}
        >= {item["body"]["kind"] for item in answers["/v1/feed?limit=100"]["items"]}
        != set()
    )
    profile = answers["/v1/account/profile"]
    assert ("ada", ["openai"]) == (profile["github"]["name"], profile["connectedServices"])


async def test_while_it_is_open_it_understands_every_event_and_reads_again_after_a_drop(
    app: WebApp, api: ApiClient, stranger: ApiClient
) -> None:
    await app.read()
    async with app.socket() as socket:
        ids = await furnish(api, stranger)
        await live(api, ids)
        await take_away(api, ids)
        await settle(socket)
        updates = [event.payload for event in socket.events if event.name == "update"]
        ephemerals = {event.payload["type"] for event in socket.events if event.name == "ephemeral"}
        await socket.drop()
    after = await app.read()
    async with app.socket() as again:
        await settle(again)

    assert event_schemas.BODIES.keys() == {update["body"]["t"] for update in updates}
    assert event_schemas.EPHEMERALS.keys() == ephemerals
    assert len(updates) == len({update["id"] for update in updates})
    assert sorted(update["seq"] for update in updates) == [update["seq"] for update in updates]
    assert [ids["archived"]] == [session["id"] for session in after["/v1/sessions"]["sessions"]]
    assert [ids["other machine"]] == [machine["id"] for machine in after["/v1/machines"]]
    assert [] == after["/v1/artifacts"]


async def furnish(api: ApiClient, stranger: ApiClient) -> dict[str, str]:
    """One of everything the lists show, in both states where there are two."""
    artifact = {"id": str(uuid.uuid4()), "header": "AAAA", "body": "AAAA", "dataEncryptionKey": "AAAA"}
    session = await api.create_session(data_encryption_key=b64(b"key"))
    archived = await api.create_session()
    machine = await api.register_machine(daemon_state="running")
    other_machine = await api.register_machine()
    await api.post(f"/v1/sessions/{archived['id']}/archive")
    await api.post("/v1/artifacts", artifact)
    await api.post("/v1/account/settings", {"settings": "dark", "expectedVersion": 0})
    await api.post("/v1/connect/openai/register", {"token": "{}"})
    me, other = [(await one.get("/v1/account/profile"))["id"] for one in (api, stranger)]
    await api.post("/v1/friends/add", {"uid": other})
    await stranger.post("/v1/friends/add", {"uid": me})
    return {
        "session": session["id"],
        "archived": archived["id"],
        "machine": machine["id"],
        "other machine": other_machine["id"],
        "artifact": artifact["id"],
    }


async def live(api: ApiClient, ids: dict[str, str]) -> None:
    """What a terminal and its daemon tell in the course of a day."""
    sid, mid = ids["session"], ids["machine"]
    async with api.session_socket(sid) as terminal, api.machine_socket(mid) as daemon:
        await terminal.emit("session-alive", {"sid": sid, "time": now(), "thinking": True, "mode": "remote"})
        await terminal.emit("message", {"sid": sid, "message": "m"})
        await terminal.call("update-metadata", {"sid": sid, "metadata": "m", "expectedVersion": 0})
        await terminal.call("update-state", {"sid": sid, "agentState": None, "expectedVersion": 0})
        await terminal.call("update-state", {"sid": sid, "agentState": "s", "expectedVersion": 1})
        tokens = {"total": 3, "input": 1, "output": 1, "cache_creation": 1, "cache_read": 0}
        cost = {"total": 0.5, "input": 0.25, "output": 0.25}
        await terminal.call("usage-report", {"key": "k", "sessionId": sid, "tokens": tokens, "cost": cost})
        await daemon.emit("machine-alive", {"machineId": mid, "time": now()})
        state = {"machineId": mid, "daemonState": "d", "expectedVersion": 1}
        assert "success" == (await daemon.call("machine-update-state", state))["result"]
        await api.post_messages(sid, ["hello", ""])
        await api.post(f"/v1/sessions/{sid}/push-event", {"kind": "done", "title": "t", "body": "b"})
        await terminal.emit("session-end", {"sid": sid, "time": now()})
        await settle(terminal, daemon)
    part = {"header": "BBBB", "expectedHeaderVersion": 1}
    await api.post(f"/v1/artifacts/{ids['artifact']}", part)
    await api.post("/v1/kv", {"mutations": [{"key": "k", "value": "AAAA", "version": -1}]})
    await api.post("/v1/kv", {"mutations": [{"key": "k", "value": None, "version": 0}]})


async def take_away(api: ApiClient, ids: dict[str, str]) -> None:
    await api.delete(f"/v1/sessions/{ids['session']}")
    await api.delete(f"/v1/machines/{ids['machine']}")
    await api.delete(f"/v1/artifacts/{ids['artifact']}")


async def link_github(rows: Rows, account_id: str) -> None:
    """A profile as GitHub gives it of somebody who tells neither name nor email (docs/defects.md D16)."""
    await rows(
        sa.insert(github_users).values(id=account_id, profile=json.dumps(GITHUB), created_at=0, updated_at=0)
    )
    mine = sa.update(accounts).where(accounts.c.id == account_id)
    await rows(mine.values(github_user_id=account_id, username=account_id))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"t": "delete-session", "sid": "s"}, False),
        ({"t": "delete-session"}, True),
        ({"t": "delete-session", "sid": "s", "more": 1}, True),
        ({"t": "update-session", "id": "s", "metadata": {"value": "m", "version": 1}}, False),
        ({"t": "update-session", "id": "s", "metadata": {"value": "m", "version": True}}, True),
        ({"t": "update-session", "id": "s", "metadata": {"value": None, "version": 1}}, True),
        ({"t": "update-session", "id": "s"}, True),
        ({"t": "unknown"}, True),
        (None, True),
    ],
)
def test_what_the_app_would_drop_is_noticed(body: Any, problem: bool) -> None:
    assert problem == bool(list(event_schemas.problems(body, event_schemas.UPDATES)))
