"""Linking GitHub users, and the webhook (protocol: http#connected-services)."""

import hmac
import itertools
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from happy.crypto import derive
from schema.tables import github_users, uploaded_files
from tests.support.api_client import ApiClient
from tests.support.environments import SECRET
from tests.support.outside_services import Answer, Upstream
from tests.support.pictures import jpeg, png
from tests.support.rows import Rows
from tests.support.server_thread import RunningServer

CALLBACK = "/v1/connect/github/callback"
WEBHOOK = "/v1/connect/github/webhook"
PICTURE = png(40, 20)
_numbers = itertools.count(1000)


@pytest.fixture
def server(outside_server: RunningServer) -> RunningServer:
    return outside_server


async def stored(rows: Rows, user: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Profile and token of a GitHub user, if there is one."""
    columns = github_users.c
    return await rows(sa.select(columns.profile, columns.token).where(columns.id == str(user["id"])))


class GithubSide:
    """What GitHub says of whoever comes next."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.exchange(Answer(json={"access_token": "gho_secret", "scope": "read:user"}))
        self.picture(Answer(body=PICTURE))

    def exchange(self, answer: Answer) -> None:
        self.upstream.on("POST", "/github/login/oauth/access_token", answer)

    def picture(self, answer: Answer) -> None:
        self.upstream.on("GET", "/avatars/u/1", answer)

    def answers_user(self, answer: Answer) -> None:
        self.upstream.on("GET", "/github-api/user", answer)

    def user(self, **fields: Any) -> dict[str, Any]:
        """A user nobody has met before, except for what is given."""
        number = next(_numbers)
        profile = {
            "id": number,
            "login": f"ada-{number}",
            "name": "  Ada   King Lovelace ",
            "email": "ada@example.org",
            "bio": "Analyst",
            "avatar_url": f"{self.upstream.url}/avatars/u/1?v={number}",
            **fields,
        }
        self.answers_user(Answer(json=profile))
        return profile


@pytest.fixture
def github(upstream: Upstream) -> GithubSide:
    return GithubSide(upstream)


async def new_state(api: ApiClient) -> str:
    url = (await api.get("/v1/connect/github/params"))["url"]
    return parse_qs(urlsplit(url).query)["state"][0]


async def come_back(api: ApiClient, state: str | None = None, code: str = "c0de") -> dict[str, str]:
    """Follow GitHub's redirect back to us; where we send the browser then."""
    state = await new_state(api) if state is None else state
    async with httpx.AsyncClient(base_url=api.url, trust_env=False, verify=False) as browser:
        response = await browser.get(CALLBACK, params={"code": code, "state": state})
    assert (302, b"") == (response.status_code, response.content)
    location = urlsplit(response.headers["location"])
    assert "https://app.happy.engineering" == f"{location.scheme}://{location.netloc}{location.path}"
    return dict(parse_qsl(location.query))


async def link(api: ApiClient) -> str:
    """Link to whom GitHub says; the login."""
    came_back = await come_back(api)
    assert "connected" == came_back["github"], came_back
    return came_back["user"]


async def profile_of(api: ApiClient) -> dict[str, Any]:
    profile: dict[str, Any] = await api.get("/v1/account/profile")
    return profile


# -- params


async def test_the_sign_in_page_is_named_with_everything_it_needs(api: ApiClient, upstream: Upstream) -> None:
    answer = await api.get("/v1/connect/github/params")
    state = parse_qs(urlsplit(answer["url"]).query)["state"][0]

    assert {
        "url": f"{upstream.url}/github/login/oauth/authorize?client_id=Iv1.client"
        "&redirect_uri=https%3A%2F%2Fhappy.example%2Fv1%2Fconnect%2Fgithub%2Fcallback"
        f"&scope=read%3Auser%2Cuser%3Aemail%2Cread%3Aorg%2Ccodespace&state={state}"
    } == answer


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/connect/github/params"), ("DELETE", "/v1/connect/github")]
)
async def test_strangers_are_refused(anonymous: ApiClient, method: str, path: str) -> None:
    assert 401 == (await anonymous.request(method, path)).status_code


# -- callback: what goes wrong


@pytest.mark.parametrize(
    "query", [{}, {"code": "c"}, {"state": "s"}, {"code": "a", "error": "access_denied"}]
)
async def test_both_parameters_are_required(anonymous: ApiClient, query: dict[str, str]) -> None:
    answer = await anonymous.get(CALLBACK, expect=400, **query)

    assert "Error" == answer["error"]


@pytest.mark.parametrize("state", ["", "nonsense", "a.b.c", "ü", "x" * 5000])
async def test_a_state_that_we_have_not_signed_is_invalid(api: ApiClient, state: str) -> None:
    assert {"error": "invalid_state"} == await come_back(api, state)


async def test_a_bearer_token_is_no_state_and_a_state_no_bearer_token(api: ApiClient) -> None:
    assert {"error": "invalid_state"} == await come_back(api, api.token)

    state = await new_state(api)
    response = await api.request("GET", "/v1/account/profile", headers={"Authorization": f"Bearer {state}"})
    assert 401 == response.status_code


async def test_a_state_works_once(api: ApiClient, github: GithubSide) -> None:
    github.user()
    state = await new_state(api)
    first = await come_back(api, state)
    second = await come_back(api, state)

    assert ("connected", {"error": "invalid_state"}) == (first["github"], second)


async def test_a_state_is_used_up_by_a_failure_and_in_every_spelling(
    api: ApiClient, github: GithubSide
) -> None:
    github.exchange(Answer(json={"error": "bad_verification_code"}))
    state = await new_state(api)
    await come_back(api, state)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    again = state[:-1] + alphabet[alphabet.index(state[-1]) ^ 1]  # the same signature

    assert {"error": "invalid_state"} == await come_back(api, state)
    assert {"error": "invalid_state"} == await come_back(api, again)


async def test_the_reason_github_gives_is_passed_on(api: ApiClient, github: GithubSide) -> None:
    github.exchange(Answer(json={"error": "bad code & more=1"}))

    assert {"error": "bad code & more=1"} == await come_back(api)


@pytest.mark.parametrize("status", [401, 500, 302])
async def test_a_user_that_cannot_be_fetched_is_called_that(
    api: ApiClient, github: GithubSide, status: int
) -> None:
    github.answers_user(Answer(status, json={"message": "Bad credentials"}))

    assert {"error": "github_user_fetch_failed"} == await come_back(api)


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("exchange", Answer(500, body=b"oops")),
        ("exchange", Answer(json={})),
        ("exchange", Answer(json={"access_token": "gho_1"}, cut=5)),
        ("answers_user", Answer(body=b"<html>")),
        ("answers_user", Answer(json={"login": "nobody"})),
        ("picture", Answer(404)),
        ("picture", Answer(body=b"GIF89a")),
        ("picture", Answer(body=PICTURE, cut=9)),
        ("picture", Answer(body=b"x" * (5 * 1024 * 1024 + 1))),
    ],
)
async def test_anything_else_that_fails_is_a_server_error_and_changes_nothing(
    api: ApiClient, github: GithubSide, part: str, answer: Answer
) -> None:
    github.user()
    getattr(github, part)(answer)
    before = await profile_of(api)

    assert {"error": "server_error"} == await come_back(api)
    assert {**before, "timestamp": 0} == {**await profile_of(api), "timestamp": 0}


# -- callback: linking


async def test_linking_takes_over_the_profile(
    api: ApiClient, anonymous: ApiClient, github: GithubSide
) -> None:
    user = github.user()

    assert user["login"] == await link(api)
    profile = await profile_of(api)
    assert (user["login"], "Ada", "King Lovelace") == tuple(
        profile[name] for name in ("username", "firstName", "lastName")
    )
    assert user == profile["github"]
    avatar = profile["avatar"]
    assert {"path", "url", "width", "height", "thumbhash"} == set(avatar)
    assert (40, 20) == (avatar["width"], avatar["height"])
    assert avatar["path"].startswith(f"public/users/{profile['id']}/avatars/github_")
    assert avatar["path"].endswith(".png")
    served = await anonymous.request("GET", f"/files/{avatar['path']}")
    assert (200, PICTURE, "image/png") == (
        served.status_code,
        served.content,
        served.headers["content-type"],
    )


async def test_a_jpeg_keeps_its_name(api: ApiClient, github: GithubSide) -> None:
    github.user()
    github.picture(Answer(body=jpeg(9, 9)))
    await link(api)

    assert (await profile_of(api))["avatar"]["path"].endswith(".jpg")


async def test_others_see_who_is_linked(api: ApiClient, stranger: ApiClient, github: GithubSide) -> None:
    user = github.user()
    await link(api)
    account_id = (await profile_of(api))["id"]
    seen = (await stranger.get(f"/v1/user/{account_id}"))["user"]

    assert (user["login"], "Ada", "Analyst") == (seen["username"], seen["firstName"], seen["bio"])
    found = (await stranger.get("/v1/user/search", query=user["login"].upper()))["users"]
    assert [account_id] == [person["id"] for person in found]


async def test_linking_is_announced_to_the_account(api: ApiClient, github: GithubSide) -> None:
    user = github.user()
    async with api.user_socket() as socket:
        await link(api)
        body = await socket.next_update("update-account")

    profile = await profile_of(api)
    assert {
        "t": "update-account",
        "id": profile["id"],
        "github": user,
        "username": user["login"],
        "firstName": "Ada",
        "lastName": "King Lovelace",
        "avatar": profile["avatar"],
    } == body


async def test_linking_is_announced_to_no_other_account(
    api: ApiClient, stranger: ApiClient, github: GithubSide
) -> None:
    github.user()
    session = await api.create_session()
    async with api.session_socket(session["id"]) as own, stranger.user_socket() as other:
        await link(api)

        assert ([], []) == (await own.unread(), await other.unread())


async def test_the_access_token_is_sealed_for_this_account(
    api: ApiClient, github: GithubSide, rows: Rows
) -> None:
    user = github.user()
    await link(api)
    account_id = (await profile_of(api))["id"]
    ((profile, token),) = await stored(rows, user)

    assert user == json.loads(profile)
    assert "gho_secret" == derive(SECRET).at_rest.unseal(("user", account_id, "github", "token"), token)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": None}, {"name": "LOGIN"}),
        ({"email": None}, {"name": "Ada"}),
        ({"name": None, "email": None}, {"name": "LOGIN"}),
        ({"name": "", "email": ""}, {"name": "", "email": ""}),
    ],
)
async def test_a_profile_is_sent_as_the_app_accepts_it(
    api: ApiClient, github: GithubSide, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    user = github.user(**{"name": "Ada", **fields})
    async with api.user_socket() as socket:
        await link(api)
        announced = (await socket.next_update("update-account"))["github"]

    stored = (await profile_of(api))["github"]
    rest = {key: value for key, value in user.items() if key not in fields and key != "name"}
    expected = {key: user["login"] if value == "LOGIN" else value for key, value in expected.items()}
    assert {**rest, **expected} == announced == stored


async def test_whoever_has_no_name_and_no_picture_is_linked_without(
    api: ApiClient, github: GithubSide
) -> None:
    github.user(name=None, avatar_url=None)
    async with api.user_socket() as socket:
        await link(api)
        body = await socket.next_update("update-account")

    profile = await profile_of(api)
    assert (None, None, None) == (profile["firstName"], profile["lastName"], profile["avatar"])
    assert (None, None) == (body["firstName"], body["lastName"])
    assert "avatar" not in body


async def test_a_picture_is_fetched_once_for_everybody(
    api: ApiClient, stranger: ApiClient, github: GithubSide, rows: Rows
) -> None:
    url = github.user()["avatar_url"]
    await link(api)
    github.user(avatar_url=url)
    await link(stranger)

    assert 1 == len(github.upstream.asked("/avatars/u/1"))
    assert (await profile_of(api))["avatar"] == (await profile_of(stranger))["avatar"]
    file = uploaded_files.c
    same = file.reuse_key == f"image-url:{url}"
    assert [(40, 20)] == await rows(sa.select(file.width, file.height).where(same))


async def test_linking_again_refreshes_everything(api: ApiClient, github: GithubSide, rows: Rows) -> None:
    user = github.user()
    await link(api)
    renamed = github.user(id=user["id"], login=user["login"] + "-new", name="Countess")
    github.exchange(Answer(json={"access_token": "gho_new"}))
    await link(api)

    profile = await profile_of(api)
    assert (renamed["login"], "Countess", None) == (
        profile["username"],
        profile["firstName"],
        profile["lastName"],
    )
    assert renamed == profile["github"]
    ((_, token),) = await stored(rows, user)
    path = ("user", profile["id"], "github", "token")
    assert "gho_new" == derive(SECRET).at_rest.unseal(path, token)


async def test_another_github_user_replaces_the_first(api: ApiClient, github: GithubSide, rows: Rows) -> None:
    first = github.user()
    await link(api)
    second = github.user()
    await link(api)

    assert second == (await profile_of(api))["github"]
    assert [] == await stored(rows, first)


async def test_a_github_user_moves_to_the_account_that_signs_in_last(
    api: ApiClient, stranger: ApiClient, github: GithubSide
) -> None:
    user = github.user()
    await link(api)
    before = await profile_of(api)
    async with api.user_socket() as socket:
        await link(stranger)
        body = await socket.next_update("update-account")

    assert {"t": "update-account", "id": before["id"], "github": None, "username": None} == body
    after = await profile_of(api)
    assert {**before, "github": None, "username": None, "timestamp": 0} == {**after, "timestamp": 0}
    assert user == (await profile_of(stranger))["github"]


async def test_nobody_loses_a_link_to_a_sign_in_that_fails(
    api: ApiClient, stranger: ApiClient, github: GithubSide
) -> None:
    user = github.user()
    await link(api)
    github.user(**{**user, "avatar_url": user["avatar_url"] + "&another"})
    github.picture(Answer(500))
    async with api.user_socket() as socket:
        assert {"error": "server_error"} == await come_back(stranger)
        assert [] == await socket.unread()

    assert user == (await profile_of(api))["github"]


async def test_a_login_that_somebody_still_has_by_mistake_moves_too(
    api: ApiClient, stranger: ApiClient, github: GithubSide
) -> None:
    """GitHub has given the login to another user since."""
    user = github.user()
    await link(api)
    github.user(login=user["login"])
    async with api.user_socket() as socket:
        await link(stranger)
        body = await socket.next_update("update-account")

    profile = await profile_of(api)
    assert {"t": "update-account", "id": profile["id"], "github": user, "username": None} == body
    assert (None, user) == (profile["username"], profile["github"])
    assert user["login"] == (await profile_of(stranger))["username"]


# -- unlinking


async def test_unlinking_keeps_names_and_picture(api: ApiClient, github: GithubSide, rows: Rows) -> None:
    user = github.user()
    await link(api)
    before = await profile_of(api)
    async with api.user_socket() as socket:
        assert {"success": True} == await api.delete("/v1/connect/github")
        body = await socket.next_update("update-account")

    assert {"t": "update-account", "id": before["id"], "github": None, "username": None} == body
    after = await profile_of(api)
    assert {**before, "github": None, "username": None, "timestamp": 0} == {**after, "timestamp": 0}
    assert [] == await stored(rows, user)


async def test_unlinking_what_is_not_linked_is_fine_and_silent(api: ApiClient) -> None:
    async with api.user_socket() as socket:
        assert {"success": True} == await api.delete("/v1/connect/github")

        assert [] == await socket.unread()


# -- webhook


def signed(body: bytes, secret: str = "w3bhook") -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return {
        "Content-Type": "application/json",
        "x-hub-signature-256": f"sha256={digest}",
        "x-github-event": "push",
        "x-github-delivery": "d1",
    }


EVENT = b'{ "action":"created","repository":{"full_name":"ada/engine"} }'


@pytest.mark.parametrize("body", [EVENT, b"{}", b"[1]", b'"text"', '{"ü":"☃"}'.encode()])
async def test_what_github_has_signed_is_received(anonymous: ApiClient, body: bytes) -> None:
    response = await anonymous.request("POST", WEBHOOK, headers=signed(body), content=body)

    assert (200, {"received": True}) == (response.status_code, response.json())


@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha256=00", "ü", signed(EVENT, "other")["x-hub-signature-256"]]
)
async def test_what_github_has_not_signed_is_refused(
    anonymous: ApiClient, signature: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers: dict[str, Any] = {**signed(EVENT), "x-hub-signature-256": signature.encode()}
    response = await anonymous.request("POST", WEBHOOK, headers=headers, content=EVENT)

    assert (401, {"error": "Invalid signature"}) == (response.status_code, response.json())
    assert "refused a GitHub webhook with a wrong signature" in caplog.text


async def test_a_signature_is_for_the_text_as_it_was_sent(anonymous: ApiClient) -> None:
    response = await anonymous.request("POST", WEBHOOK, headers=signed(EVENT), content=EVENT + b" ")

    assert 401 == response.status_code


@pytest.mark.parametrize("missing", ["x-hub-signature-256", "x-github-event"])
async def test_both_headers_are_required(anonymous: ApiClient, missing: str) -> None:
    headers = signed(EVENT)
    del headers[missing]
    response = await anonymous.request("POST", WEBHOOK, headers=headers, content=EVENT)

    assert 400 == response.status_code
    assert (
        f"headers/{missing} Invalid input: expected string, received undefined" == response.json()["message"]
    )


@pytest.mark.parametrize(
    ("media_type", "body"),
    [("application/json", b""), ("text/plain", EVENT), ("application/octet-stream", EVENT), (None, b"")],
)
async def test_nothing_to_verify_is_a_configuration_error(
    anonymous: ApiClient, media_type: str | None, body: bytes
) -> None:
    headers = signed(body)
    headers.pop("Content-Type")
    if media_type is not None:
        headers["Content-Type"] = media_type
    response = await anonymous.request("POST", WEBHOOK, headers=headers, content=body)

    assert (500, {"error": "Server configuration error"}) == (response.status_code, response.json())
