"""What holds for every request: authentication, CORS, headers.

protocol: http#pipeline-and-conventions, http#cors
"""

import pytest

from happy.crypto import derive
from tests.http.conftest import Raw
from tests.support.api_client import ApiClient
from tests.support.environments import SECRET
from tests.support.raw_http import RawConnection
from tests.support.server_thread import RunningServer

MISSING = {"error": "Missing authorization header"}
INVALID = {"error": "Invalid token"}
NEEDS_TOKEN = [
    ("POST", "/v1/auth/response"),
    ("POST", "/v1/auth/account/response"),
    ("GET", "/v1/sessions"),
    ("GET", "/v2/sessions/active"),
    ("GET", "/v2/sessions"),
    ("POST", "/v1/sessions"),
    ("POST", "/v1/sessions/x/archive"),
    ("DELETE", "/v1/sessions/x"),
    ("GET", "/v1/sessions/x/messages"),
    ("GET", "/v3/sessions/x/messages"),
    ("POST", "/v3/sessions/x/messages"),
    ("POST", "/v1/machines"),
    ("GET", "/v1/machines"),
    ("GET", "/v1/machines/x"),
    ("DELETE", "/v1/machines/x"),
    ("GET", "/v1/account/profile"),
    ("GET", "/v1/account/settings"),
    ("POST", "/v1/account/settings"),
    ("POST", "/v1/push-tokens"),
    ("GET", "/v1/push-tokens"),
    ("DELETE", "/v1/push-tokens/x"),
]


@pytest.mark.parametrize(("method", "path"), NEEDS_TOKEN)
async def test_everything_but_sign_in_needs_a_token(anonymous: ApiClient, method: str, path: str) -> None:
    answer = await anonymous.request(method, path, json={} if method == "POST" else None)

    assert (401, MISSING) == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    "value", ["Basic abc", "bearer {token}", "BEARER {token}", "{token}", "Bearer", "Bearer "]
)
async def test_another_scheme_or_nothing_after_it_counts_as_no_token(raw: Raw, value: str) -> None:
    header = value.format(token=raw.token)

    answer = await raw("GET", "/v1/sessions", {"Authorization": header})

    assert (401, MISSING) == (answer.status, answer.json())


@pytest.mark.parametrize(
    "value", ["Bearer  {token}", "Bearer x", "Bearer {token}x", "Bearer {token} {token}"]
)
async def test_a_token_that_does_not_verify_is_invalid(raw: Raw, value: str) -> None:
    header = value.format(token=raw.token)

    answer = await raw("GET", "/v1/sessions", {"Authorization": header})

    assert (401, INVALID) == (answer.status, answer.json())


@pytest.mark.parametrize(
    "path", ["/v1/sessions", "/v1/account/profile", "/v1/account/settings", "/v1/push-tokens"]
)
async def test_a_token_of_a_missing_account_is_refused_instead_of_reading_empty_lists_or_failing(
    raw: Raw, path: str
) -> None:
    """06 B4."""
    token = derive(SECRET).tokens.issue("cmissing00000000000000001", 1_700_000_000_000)

    answer = await raw("GET", path, {"Authorization": f"Bearer {token}"})

    assert (401, INVALID) == (answer.status, answer.json())


async def test_a_stranger_cannot_probe_schemas_because_the_token_is_checked_first(
    anonymous: ApiClient,
) -> None:
    """06 F1."""
    for arguments in ({"json": {"tag": 5}}, {"content": b"{"}, {"content": b"x"}):
        answer = await anonymous.request("POST", "/v1/sessions", **arguments)

        assert 401 == answer.status_code


async def test_a_response_is_json_with_its_charset_and_length(raw: Raw) -> None:
    for path in ("/v1/sessions", "/nowhere", "/v1/machines/unknown", "/v2/sessions?limit=x"):
        answer = await raw("GET", path)

        assert "application/json; charset=utf-8" == answer.headers["content-type"]
        assert len(answer.body) == int(answer.headers["content-length"])


async def test_every_response_allows_any_origin(raw: Raw) -> None:
    answers = [
        await raw("GET", "/"),
        await raw("GET", "/health"),
        await raw("GET", "/nowhere"),
        await raw("GET", "/v1/sessions", {"Authorization": "x"}),
        await raw("POST", "/v1/sessions", {"Content-Type": "application/json"}, b"{"),
        await raw("GET", "/files/public/none.png"),
    ]

    assert ["*"] * 6 == [answer.headers["access-control-allow-origin"] for answer in answers]
    assert not any("access-control-allow-credentials" in answer.headers for answer in answers)


@pytest.mark.parametrize("path", ["/v1/sessions", "/nowhere", "/v1/sessions%zz"])
async def test_a_preflight_echoes_the_requested_headers(raw: Raw, path: str) -> None:
    """06 B19: the wildcard of the reference does not cover `Authorization`."""
    asked = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-happy-client",
    }

    answer = await raw("OPTIONS", path, asked)

    assert (204, b"") == (answer.status, answer.body)
    assert "*" == answer.headers["access-control-allow-origin"]
    assert "GET, POST, PUT, DELETE" == answer.headers["access-control-allow-methods"]
    assert "authorization,content-type,x-happy-client" == answer.headers["access-control-allow-headers"]


async def test_a_preflight_without_requested_headers_allows_all(raw: Raw) -> None:
    answer = await raw("OPTIONS", "/v1/sessions", {"Origin": "x", "Access-Control-Request-Method": "GET"})

    assert (204, "*") == (answer.status, answer.headers["access-control-allow-headers"])


async def test_an_options_request_that_names_no_method_is_no_preflight(raw: Raw) -> None:
    answer = await raw("OPTIONS", "/v1/sessions", {"Origin": "x"})

    assert (400, b"Invalid Preflight Request") == (answer.status, answer.body)
    assert answer.headers["content-type"].startswith("text/plain")
    assert "*" == answer.headers["access-control-allow-origin"]


async def test_an_open_connection_is_announced_for_72_seconds(raw: Raw) -> None:
    for path in ("/health", "/nowhere"):
        answer = await raw("GET", path)

        assert "keep-alive" == answer.headers["connection"]
        assert "timeout=72" == answer.headers["keep-alive"]


async def test_a_connection_that_the_client_closes_is_not_announced_as_open(raw: Raw) -> None:
    answer = await raw("GET", "/health", {"Connection": "close"})

    assert "close" == answer.headers["connection"]
    assert "keep-alive" not in answer.headers


async def test_one_connection_serves_many_requests(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as connection:
        statuses = [(await connection.request("GET", "/health")).status for _ in range(5)]

    assert [200] * 5 == statuses
