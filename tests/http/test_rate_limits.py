"""What clients see that ask too often (protocol: http#rate-limits), behind a proxy of this machine."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from nacl.signing import SigningKey

from tests.support.api_client import ApiClient, b64, sign_in_body
from tests.support.environments import OpenEnvironment
from tests.support.server_thread import RunningServer, run_server

RATES = (
    "sign-ins=10/h,accounts=2/h,links=3/h,polls=20/h,messages=5/h,bytes=100k/h,calls=3/h,searches=2/h,"
    "heartbeats=3/h,uploads=2/h,pushes=2/h,friends=2/h"
)


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    with open_environment() as environment, run_server(environment, {"HAPPY_RATE_LIMITS": RATES}) as running:
        yield running


def forwarded(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": f"1.2.3.4, {address}"}


class Somewhere:
    """A client whose requests a proxy passes on, from an address of the test's own."""

    def __init__(self, server: RunningServer) -> None:
        self.address = f"2001:db8:{os.urandom(2).hex()}:{os.urandom(2).hex()}::1"
        self.http = httpx.AsyncClient(
            base_url=server.url, headers=forwarded(self.address), trust_env=False, verify=False
        )

    async def sign_in(self, key: SigningKey | None = None) -> httpx.Response:
        return await self.http.post("/v1/auth", json=sign_in_body(key or SigningKey.generate()))

    async def ask(self, key: str) -> httpx.Response:
        return await self.http.post("/v1/auth/request", json={"publicKey": key})


@pytest.fixture
async def somewhere(server: RunningServer) -> AsyncIterator[Somewhere]:
    client = Somewhere(server)
    async with client.http:
        yield client


@pytest.fixture
async def account(server: RunningServer, somewhere: Somewhere) -> AsyncIterator[ApiClient]:
    """A client of a new account at that address."""
    async with ApiClient(server.url) as api:
        api.http.headers.update(forwarded(somewhere.address))
        await api.sign_in()
        yield api


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["error"], answer.headers["retry-after"]


def shape(answer: httpx.Response, text: str, most: int) -> None:
    status, error, seconds = refusal(answer)
    assert 429 == status
    assert 0 < int(seconds) <= most
    assert error == text.replace("N", seconds)


async def test_free_accounts_could_be_made_as_fast_as_the_machine_allows(somewhere: Somewhere) -> None:
    key = SigningKey.generate()
    assert [200, 200] == [
        (await somewhere.sign_in(each)).status_code for each in (key, SigningKey.generate())
    ]

    shape(await somewhere.sign_in(), "Too many accounts. Try again in N s.", 1800)
    assert 200 == (await somewhere.sign_in(key)).status_code  # who has an account can sign in


async def test_sign_ins_of_an_address_are_bounded_and_those_of_another_go_on(
    somewhere: Somewhere, server: RunningServer
) -> None:
    key = SigningKey.generate()
    assert {200} == {(await somewhere.sign_in(key)).status_code for _ in range(10)}

    shape(await somewhere.sign_in(key), "Too many sign ins. Try again in N s.", 360)
    async with (other := Somewhere(server)).http:
        assert 200 == (await other.sign_in(key)).status_code


async def test_linking_requests_are_bounded_and_a_device_that_waits_goes_on_asking(
    somewhere: Somewhere,
) -> None:
    keys = [b64(os.urandom(32)) for _ in range(4)]
    assert [200] * 3 == [(await somewhere.ask(key)).status_code for key in keys[:3]]

    shape(await somewhere.ask(keys[3]), "Too many links. Try again in N s.", 1200)
    assert {200} == {(await somewhere.ask(keys[0])).status_code for _ in range(10)}


async def test_addresses_of_one_household_count_as_one(somewhere: Somewhere) -> None:
    for number in range(2, 4):
        answer = await somewhere.http.post(
            "/v1/auth",
            json=sign_in_body(SigningKey.generate()),
            headers=forwarded(f"{somewhere.address[:-1]}abcd:{number}"),
        )
        assert 200 == answer.status_code

    assert 429 == (await somewhere.sign_in()).status_code


async def test_processes_of_this_machine_are_not_limited(server: RunningServer) -> None:
    async with ApiClient(server.url) as api:
        for _ in range(15):
            await api.sign_in(SigningKey.generate())
        session = str((await api.create_session())["id"])
        for number in range(10):
            await api.post_messages(session, [f"message {number}"])


async def test_messages_of_an_account_are_bounded_over_http(account: ApiClient) -> None:
    session = str((await account.create_session())["id"])
    await account.post_messages(session, ["a", "b", "c", "d"])
    body = {"messages": [{"content": "e", "localId": "e"}, {"content": "f", "localId": "f"}]}

    answer = await account.request("POST", f"/v3/sessions/{session}/messages", json=body)

    shape(answer, "Too many messages. Try again in N s.", 720)
    await account.post_messages(session, ["e"])


async def test_bytes_of_an_account_are_bounded_before_they_are_read(account: ApiClient) -> None:
    session = str((await account.create_session())["id"])
    await account.post_messages(session, ["x" * 95_000])

    answer = await account.request("POST", "/v1/account/settings", json={"settings": "x" * 50_000})

    shape(answer, "Too many bytes. Try again in N s.", 3600)
    await account.get("/v1/account/settings")


async def test_searches_keep_the_text_of_the_protocol(account: ApiClient) -> None:
    for _ in range(2):
        await account.get("/v1/user/search", query="a")

    answer = await account.request("GET", "/v1/user/search", params={"query": "a"})

    assert (429, "Too many searches. Try again in a minute.") == refusal(answer)[:2]
    assert 0 < int(answer.headers["retry-after"]) <= 1800


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/v1/friends/add", {"uid": "nobody"}, "Too many changes of friendships. Try again in a minute."),
        ("/v1/friends/remove", {"uid": "nobody"}, "Too many changes of friendships. Try again in a minute."),
        (
            "/v1/sessions/{session}/push-event",
            {"kind": "done", "title": "t", "body": "b"},
            "Too many push notifications. Try again in a minute.",
        ),
    ],
)
async def test_what_others_receive_could_be_sent_without_end(
    account: ApiClient, path: str, body: dict[str, str], text: str
) -> None:
    path = path.format(session=(await account.create_session())["id"])
    for _ in range(2):
        await account.post(path, body)

    answer = await account.request("POST", path, json=body)

    assert (429, text) == refusal(answer)[:2]


async def test_one_upload_that_was_asked_for_could_be_stored_without_end(account: ApiClient) -> None:
    session = str((await account.create_session())["id"])
    offer = await account.post(
        f"/v1/sessions/{session}/attachments/request-upload", {"filename": "a", "size": 1}
    )
    path, headers = httpx.URL(offer["uploadUrl"]).path, {"Content-Type": "application/octet-stream"}

    answers = [await account.request("PUT", path, content=b"x", headers=headers) for _ in range(3)]

    assert [200, 200, 429] == [answer.status_code for answer in answers]
    assert (429, "Too many upload requests. Try again in a minute.") == refusal(answers[-1])[:2]


async def test_a_message_too_many_is_refused_in_its_acknowledgement(
    server: RunningServer, account: ApiClient, somewhere: Somewhere
) -> None:
    session = str((await account.create_session())["id"])
    headers = forwarded(somewhere.address)
    async with account.user_socket(headers=headers) as socket:
        sent = {"sid": session, "message": "hello"}
        assert [True] * 5 == [(await socket.call("message", sent))["ok"] for _ in range(5)]
        refused = await socket.call("message", sent)
        assert not refused["ok"]
        assert refused["error"].startswith("Too many messages. Try again in ")

        await socket.emit("message", {"sid": session, "message": "without an acknowledgement"})
        await socket.call("ping")
    page = await account.get(f"/v3/sessions/{session}/messages")

    assert 6 == len(page["messages"]), "one that cannot be refused is stored later"


async def test_calls_too_many_are_refused(account: ApiClient, somewhere: Somewhere) -> None:
    headers = forwarded(somewhere.address)
    async with account.user_socket(headers=headers) as phone, account.user_socket(headers=headers) as daemon:
        daemon.answer("rpc-request", lambda request: request["params"])
        await daemon.emit("rpc-register", {"method": "echo"})
        await daemon.next_event("rpc-registered")
        request = {"method": "echo", "params": "x"}
        assert [True] * 3 == [(await phone.call("rpc-call", request))["ok"] for _ in range(3)]

        assert {"ok": False, "error": "Too many calls"} == await phone.call("rpc-call", request)


async def test_heartbeats_too_many_are_ignored(account: ApiClient, somewhere: Somewhere) -> None:
    session, machine = await account.create_session(), await account.register_machine()
    headers = forwarded(somewhere.address)
    async with account.user_socket(headers=headers) as phone, account.user_socket(headers=headers) as daemon:
        for _ in range(2):
            await daemon.emit("session-alive", {"sid": session["id"], "time": 1})
        for _ in range(2):
            await daemon.emit("machine-alive", {"machineId": machine["id"], "time": 1})
        await daemon.emit("session-alive", {"sid": session["id"], "time": 1})
        await daemon.call("ping")
        announced = [event.payload["type"] for event in await phone.unread() if event.name == "ephemeral"]

    assert ["activity", "activity", "machine-activity"] == announced
