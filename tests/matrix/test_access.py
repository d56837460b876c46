"""Revoked, signed-out, disabled, deleted, expired and foreign identities get the documented answers, no more.

protocol: http#authentication, cryptography#revocation, realtime#handshake
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from happy.adapters.flavors import open_store_beside
from happy.crypto import Keyring
from happy.domain.revocations import TokenUse
from happy.domain.values import AccountId
from happy.services.account_access import AccountAccess
from tests.http.test_accounts import account_id
from tests.http.test_pairing import claims
from tests.matrix.owner import Person, now, person
from tests.matrix.tables import EVENTS, OPERATIONS, Operation, payloads, request
from tests.support.api_client import ApiClient
from tests.support.environments import SECRET, OpenEnvironment
from tests.support.server_thread import RunningServer, run_server
from tests.support.socket_client import ConnectRefused, Disconnected, Event, SocketClient

BAD_TOKEN = "Invalid authentication token"
UNCONFIGURED = "http://127.0.0.1:9"
ABOUT_BOTH = ("/v1/friends", "/v1/user")
"""Whoever is named there is meant to be: a request to be friends, a profile."""


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    variables = {"HAPPY_EXPO_URL": UNCONFIGURED, "HAPPY_TOKEN_DAYS": "30", "HAPPY_RATE_LIMITS": "off"}
    with open_environment() as environment, run_server(environment, variables, grace_seconds=0.2) as running:
        yield running


# -- identities that are refused ---------------------------------------------------------------------------

Act = Callable[[AccountAccess, Person], Awaitable[Any]]


async def revoke(access: AccountAccess, person: Person) -> None:
    found = claims(str(person.api.token))
    use = TokenUse(str(found["jti"]), AccountId(account_id(person.api)), None, "", "", now(), now())
    await access.revoke(use)


ACTS: dict[str, Act] = {
    "revoked": revoke,
    "signed out": lambda access, person: access.sign_out(AccountId(account_id(person.api))),
    "disabled": lambda access, person: access.disable(AccountId(account_id(person.api))),
    "deleted": lambda access, person: access.delete(AccountId(account_id(person.api))),
}


@pytest.mark.parametrize("kind", ACTS)
async def test_nothing_is_answered_to_an_identity_that_was_shut_out(server: RunningServer, kind: str) -> None:
    async with person(server) as victim, open_store_beside(server.settings) as store:
        assert 200 == (await victim.api.request("GET", "/v1/sessions")).status_code
        await ACTS[kind](AccountAccess(store, now), victim)
        for socket in victim.sockets:
            await socket.wait_closed()
            assert not socket.disconnected_by_server

        await every_endpoint_refuses(victim, victim.api.token)
        await no_event_is_taken(victim, victim.api.token)


async def test_nothing_is_answered_to_an_expired_token(server: RunningServer) -> None:
    async with person(server) as owner:
        tokens, day = Keyring(SECRET).tokens, 24 * 3_600_000
        fresh, old = (tokens.issue(account_id(owner.api), now() - days * day) for days in (29, 31))
        async with ApiClient(server.url, token=fresh) as api:
            assert 200 == (await api.request("GET", "/v1/sessions")).status_code
        await every_endpoint_refuses(owner, old)
        with pytest.raises(ConnectRefused, match=BAD_TOKEN):
            await SocketClient(server.url, {"token": old}).connect()


async def test_nothing_is_answered_without_a_token(server: RunningServer) -> None:
    async with person(server) as owner:
        before = await owner.view()
        await every_endpoint_refuses(owner, None, "Missing authorization header")
        await every_endpoint_refuses(owner, "no token")
        for auth in ({}, {"token": "no token"}):
            with pytest.raises(ConnectRefused):
                await SocketClient(server.url, auth).connect()
        assert before == await owner.view()


async def every_endpoint_refuses(person: Person, token: str | None, error: str = "Invalid token") -> None:
    async with ApiClient(person.api.url, token=token) as api:
        for operation in OPERATIONS:
            answer = await send(api, operation, person.ids)
            if operation.public:
                assert_documented(operation, answer)
                assert not person.is_in(answer.text), operation
            else:
                assert (401, {"error": error}) == (answer.status_code, answer.json()), operation


async def no_event_is_taken(person: Person, token: str | None) -> None:
    """In no scope a new socket is let in, and those that were open are closed."""
    ids, url = person.ids, person.api.url
    for auth in (
        {"clientType": "user-scoped"},
        {"clientType": "session-scoped", "sessionId": ids["session_id"]},
        {"clientType": "machine-scoped", "machineId": ids["machine_id"]},
        {},
    ):
        with pytest.raises(ConnectRefused, match=BAD_TOKEN):
            await SocketClient(url, {"token": token, **auth}).connect()
    for socket in person.sockets:
        for event in EVENTS:
            with pytest.raises(Disconnected):
                await socket.call(event, payloads(ids)[0])


async def send(api: ApiClient, operation: Operation, ids: dict[str, str]) -> Any:
    arguments = request(operation, ids)
    return await api.request(operation.method, arguments.pop("path"), **arguments)


def assert_documented(operation: Operation, answer: Any) -> None:
    assert answer.status_code in operation.statuses, (operation, answer.status_code, answer.text)


# -- an identity that is fine, but somebody else's ---------------------------------------------------------


async def received(person: Person) -> list[Event]:
    events = [event for socket in person.sockets for event in await socket.unread()]
    return [event for event in events if not _is_repeated(event)]


def _is_repeated(event: Event) -> bool:
    """Some seconds after the person's own sessions and machines became active, that is announced again."""
    payload = event.payload if event.name == "ephemeral" else {}
    return str(payload.get("type")).endswith("activity") and payload["active"] and not payload.get("thinking")


async def test_a_stranger_gets_nothing_of_mine_from_any_endpoint(server: RunningServer) -> None:
    async with person(server) as owner, person(server) as stranger:
        before = await owner.view()
        await received(owner)
        for operation in OPERATIONS:
            answer = await send(stranger.api, operation, owner.ids)
            assert_documented(operation, answer)
            assert not owner.is_in(answer.text), (operation, answer.text)
            events = await received(owner)
            assert [] == events or operation.path.startswith(ABOUT_BOTH), (operation, events)
        assert before == await owner.view()


MIXED = [("session_id", "sid", "id"), ("machine_id",), ("artifact_id", "id"), ("ref", "name"), ("method",)]


@pytest.mark.parametrize("foreign", MIXED, ids="+".join)
async def test_one_id_of_mine_among_those_of_a_stranger_gives_him_nothing(
    server: RunningServer, foreign: tuple[str, ...]
) -> None:
    """Such as a file of mine with a session of his."""
    async with person(server) as owner, person(server) as stranger:
        before = await owner.view()
        await received(owner)
        ids = {**stranger.ids, **{name: owner.ids[name] for name in foreign}}
        for operation in OPERATIONS:
            if operation.method == "DELETE":  # what is his has to be there
                continue
            answer = await send(stranger.api, operation, ids)
            assert_documented(operation, answer)
            assert not owner.is_in(answer.text), (operation, answer.text)
        for event in EVENTS:
            for payload in payloads(ids):
                answer = await acknowledgement(stranger.sockets[0], event, payload)
                assert not owner.is_in(repr(answer)), (event, answer)
        assert [] == await received(owner)
        assert before == await owner.view()


async def test_in_the_scope_of_what_is_mine_a_stranger_receives_and_serves_nothing(
    server: RunningServer,
) -> None:
    async with person(server) as owner, person(server) as stranger, AsyncExitStack() as stack:
        session, machine, method = (owner.ids[name] for name in ("session_id", "machine_id", "method"))
        inside = [stranger.api.session_socket(session), stranger.api.machine_socket(machine)]
        for socket in inside:
            await stack.enter_async_context(socket)
            socket.answer("rpc-request", lambda _: "his")
            await socket.emit("rpc-register", {"method": method})
            await socket.unread()
        owner.sockets[2].answer("rpc-request", lambda _: "mine")
        await owner.api.post_messages(session, ["another"])
        await owner.sockets[1].emit("session-alive", {"sid": session, "time": now(), "thinking": True})
        called = await owner.sockets[0].call("rpc-call", {"method": method, "params": "x"})

        assert {"ok": True, "result": "mine"} == called
        assert [] == [event for socket in inside for event in await socket.unread()]


async def test_a_stranger_gets_nothing_of_mine_from_any_event(server: RunningServer) -> None:
    async with person(server) as owner, person(server) as stranger:
        before = await owner.view()
        await received(owner)
        for event in EVENTS:
            for payload in payloads(owner.ids):
                for socket in stranger.sockets:
                    answer = await acknowledgement(socket, event, payload)
                    assert not owner.is_in(repr(answer)), (event, answer)
                events = await received(owner)
                assert [] == events, (event, events)
        assert before == await owner.view()


async def test_these_payloads_do_something_for_their_owner(server: RunningServer) -> None:
    """Else a stranger's events would be refused for their shape alone."""
    async with person(server) as owner:
        before = await owner.view()
        answers = {
            event: [
                await acknowledgement(owner.sockets[0], event, payload) for payload in payloads(owner.ids)
            ]
            for event in EVENTS
            if event not in {"artifact-delete", "session-end"}
        }
        after = await owner.view()

    assert [] == [path for path in ("/v1/sessions", "/v1/machines") if before[path] == after[path]]
    done = {event for event, given in answers.items() if any(map(_succeeded, given))}
    assert {
        "access-key-get",
        "artifact-create",
        "artifact-read",
        "artifact-update",
        "machine-update-metadata",
        "message",
        "update-metadata",
        "update-state",
        "usage-report",
    } <= done


async def acknowledgement(socket: SocketClient, event: str, payload: dict[str, Any]) -> Any:
    """What the event is acknowledged with; None if it is not, which the next ping tells."""
    asked = asyncio.create_task(socket.call(event, payload))
    if event == "rpc-call":
        return await asked
    await asyncio.sleep(0)  # it is sent first
    await socket.call("ping")
    if not asked.done():
        asked.cancel()
        return None
    return asked.result()


def _succeeded(answer: Any) -> bool:
    return isinstance(answer, dict) and (
        answer.get("result") == "success" or answer.get("ok") is True or answer.get("success") is True
    )
