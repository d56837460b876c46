"""Calls to GitHub (protocol: operations#other-outbound-calls)."""

from typing import Any

import pytest

from happy.adapters.outbound.github import GithubClient
from happy.adapters.outbound.http_client import HttpClient
from happy.domain.errors import HappyError
from happy.domain.github import GithubApp
from happy.domain.ports.outbound import GithubRefused, GithubUserUnknown
from tests.support.outside_services import Answer, Upstream

TOKEN_PATH = "/login/oauth/access_token"
ADA = {"id": 583231, "login": "ada", "name": "Ada Lovelace", "avatar_url": "https://a.example/1", "bio": None}
APP = GithubApp(client_id="Iv1.c", client_secret="s3cret", redirect_url="https://h.example/cb?x=1")


@pytest.fixture
def github(web: HttpClient, upstream: Upstream) -> GithubClient:
    return GithubClient(web, APP, upstream.url, upstream.url + "/api")


def test_the_address_to_sign_in_at_is_form_encoded_in_the_order_of_the_contract(web: HttpClient) -> None:
    github = GithubClient(web, APP, "https://github.com", "https://api.github.com")

    assert (
        "https://github.com/login/oauth/authorize?client_id=Iv1.c"
        "&redirect_uri=https%3A%2F%2Fh.example%2Fcb%3Fx%3D1"
        "&scope=read%3Auser%2Cuser%3Aemail%2Cread%3Aorg%2Ccodespace&state=a.b-c_d"
    ) == github.authorize_url("a.b-c_d")


async def test_a_code_becomes_an_access_token(github: GithubClient, upstream: Upstream) -> None:
    upstream.on(
        "POST", TOKEN_PATH, Answer(json={"access_token": "gho_1", "scope": "", "token_type": "bearer"})
    )

    assert "gho_1" == await github.exchange("c0de")
    (asked,) = upstream.asked()
    assert {"client_id": "Iv1.c", "client_secret": "s3cret", "code": "c0de"} == asked.json
    assert ("application/json", "application/json") == (
        asked.headers["accept"],
        asked.headers["content-type"],
    )


@pytest.mark.parametrize("status", [200, 400])
async def test_a_refused_code_is_named_as_github_names_it(
    github: GithubClient, upstream: Upstream, status: int
) -> None:
    answer = {"error": "bad_verification_code", "error_description": "expired"}
    upstream.on("POST", TOKEN_PATH, Answer(status, json=answer))

    with pytest.raises(GithubRefused, match=r"^bad_verification_code$"):
        await github.exchange("c0de")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(json={}),
        Answer(json={"access_token": ""}),
        Answer(json={"access_token": 5}),
        Answer(json=[]),
        Answer(body=b"access_token=gho_1"),
        Answer(500, body=b""),
        Answer(json={"access_token": "gho_1"}, cut=5),
        Answer(body=b"x" * 5_000_000),
        Answer(hang=True),
    ],
)
async def test_an_exchange_that_makes_no_sense_fails(
    github: GithubClient, upstream: Upstream, answer: Answer
) -> None:
    upstream.on("POST", TOKEN_PATH, answer)

    with pytest.raises(HappyError):
        await github.exchange("c0de")


async def test_a_profile_is_kept_as_it_is(github: GithubClient, upstream: Upstream) -> None:
    body = b'{ "login":"ada","id":583231,\n"name":"Ada","big":1e400,"avatar_url":"https://a.example/1" }'
    upstream.on("GET", "/api/user", Answer(body=body))
    user = await github.user("gho_1")

    assert ("583231", "ada", "Ada", "https://a.example/1") == (
        user.id,
        user.login,
        user.name,
        user.avatar_url,
    )
    assert body == bytes(user.profile)
    (asked,) = upstream.asked()
    assert "Bearer gho_1" == asked.headers["authorization"]
    assert "application/vnd.github.v3+json" == asked.headers["accept"]


@pytest.mark.parametrize("status", [301, 401, 403, 500])
async def test_a_failed_user_request_is_an_unknown_user(
    github: GithubClient, upstream: Upstream, status: int
) -> None:
    upstream.on("GET", "/api/user", Answer(status, json=ADA))

    with pytest.raises(GithubUserUnknown):
        await github.user("gho_1")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(json={**ADA, "id": "583231"}),
        Answer(json={**ADA, "login": ""}),
        Answer(json={"id": 1}),
        Answer(json=None),
        Answer(body=b"<html>"),
        Answer(json=ADA, cut=20),
        Answer(hang=True),
    ],
)
async def test_a_profile_that_makes_no_sense_fails(
    github: GithubClient, upstream: Upstream, answer: Answer
) -> None:
    upstream.on("GET", "/api/user", answer)

    with pytest.raises(HappyError):
        await github.user("gho_1")


@pytest.mark.parametrize("token", ["gho_ä", "gho\n1"])
async def test_a_token_that_no_header_can_hold_fails(github: GithubClient, token: Any) -> None:
    with pytest.raises(HappyError):
        await github.user(token)
