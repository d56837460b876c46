"""Which requests reach an endpoint (protocol: http#routing-details)."""

import pytest

from tests.http.conftest import Raw
from tests.support.api_client import ApiClient


def unknown(method: str, path: str) -> dict[str, str]:
    return {"error": "Not found", "path": path, "method": method}


async def test_leading_slashes_mean_one(raw: Raw) -> None:
    """An address that ends in a slash makes clients request such paths."""
    for path in ("//v1/sessions", "///v1/sessions"):
        assert 200 == (await raw("GET", path)).status


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/v1/sessions/",
        "/v1/machines/",
        "/v1//sessions",
        "/V1/sessions",
        "/v1/Sessions",
        "/health/",
        "/v1",
        "/v1/voice/token",
        "/v1/sessions//messages",
        "/v1/session?x=1&y",
        "/nowhere?a=%20b&c=d",
    ],
)
async def test_a_path_that_differs_in_any_way_is_an_unknown_route(raw: Raw, path: str) -> None:
    answer = await raw("GET", path)

    assert (404, unknown("GET", path)) == (answer.status, answer.json())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/sessions"),
        ("DELETE", "/v1/sessions"),
        ("PATCH", "/v1/sessions"),
        ("POST", "/health"),
        ("GET", "/v1/auth"),
        ("GET", "/v1/version"),
        ("POST", "/"),
        ("TRACE", "/"),
    ],
)
async def test_a_known_path_with_another_method_is_an_unknown_route_and_never_405(
    raw: Raw, method: str, path: str
) -> None:
    answer = await raw(method, path)

    assert (404, unknown(method, path)) == (answer.status, answer.json())
    assert "allow" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/", "/health", "/v1/sessions", "/v1/account/settings", "/v2/sessions?limit=1"]
)
async def test_every_get_route_answers_head_with_the_same_headers_and_no_body(raw: Raw, path: str) -> None:
    get = await raw("GET", path)
    head = await raw("HEAD", path)

    assert b"" == head.body
    assert get.status == head.status
    assert {**get.headers, "date": ""} == {**head.headers, "date": ""}


async def test_head_of_an_unknown_route_has_no_body_either(raw: Raw) -> None:
    assert (404, b"") == (await raw("HEAD", "/nowhere"))[::2]


async def test_a_post_route_does_not_answer_head(raw: Raw) -> None:
    assert 404 == (await raw("HEAD", "/v1/version")).status


async def test_percent_encoded_characters_in_fixed_parts_are_decoded_before_matching(raw: Raw) -> None:
    assert 200 == (await raw("GET", "/v1/%73essions")).status
    assert 200 == (await raw("GET", "/%68ealth")).status


async def test_an_encoded_slash_does_not_separate_fixed_parts(raw: Raw) -> None:
    assert unknown("GET", "/v1%2Fsessions") == (await raw("GET", "/v1%2Fsessions")).json()


async def test_an_encoded_slash_stays_inside_a_parameter(api: ApiClient, raw: Raw) -> None:
    await api.register_machine("rack/1 ü%")

    answer = await raw("GET", "/v1/machines/rack%2F1%20%C3%BC%25")

    assert "rack/1 ü%" == answer.json()["machine"]["id"]


@pytest.mark.parametrize("url", ["/nowhere%zz", "/%", "/v1/sess%ions?x=1", "/v1/%ff/x", "/v1/nowhere/%1"])
async def test_a_malformed_escape_outside_a_parameter_is_a_bad_url_without_cors_header(
    raw: Raw, url: str
) -> None:
    answer = await raw("GET", url)

    expected = {
        "error": "Bad Request",
        "code": "FST_ERR_BAD_URL",
        "message": f"'{url}' is not a valid url component",
        "statusCode": 400,
    }
    assert (400, expected) == (answer.status, answer.json())
    assert "access-control-allow-origin" not in answer.headers


async def test_a_malformed_escape_inside_a_parameter_is_passed_through(api: ApiClient, raw: Raw) -> None:
    await api.register_machine("odd%zzname")

    assert "odd%zzname" == (await raw("GET", "/v1/machines/odd%zzname")).json()["machine"]["id"]


async def test_a_parameter_of_100_characters_matches(api: ApiClient, raw: Raw) -> None:
    name = "ü" * 98 + "😀"  # 98 + 2 UTF-16 code units
    await api.register_machine(name)

    answer = await raw("GET", f"/v1/machines/{'%C3%BC' * 98}%F0%9F%98%80")

    assert name == answer.json()["machine"]["id"]


@pytest.mark.parametrize("parameter", ["a" * 101, "%C3%BC" * 101, "%F0%9F%98%80" * 51])
async def test_a_parameter_of_more_than_100_utf16_units_is_an_unknown_route(raw: Raw, parameter: str) -> None:
    path = f"/v1/machines/{parameter}"

    answer = await raw("GET", path)

    assert (404, unknown("GET", path)) == (answer.status, answer.json())


async def test_fixed_parts_win_over_parameters(raw: Raw) -> None:
    assert {"sessions"} == set((await raw("GET", "/v2/sessions/active")).json())


async def test_a_nul_in_a_parameter_is_refused_rather_than_sent_to_the_database(raw: Raw) -> None:
    for method, path in [("GET", "/v1/machines/a%00b"), ("DELETE", "/v1/push-tokens/%00")]:
        answer = await raw(method, path)

        assert (400, "Error") == (answer.status, answer.json()["error"])
