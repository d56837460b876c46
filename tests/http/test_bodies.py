"""Request bodies: limits, media types, decoding and validation (protocol: http#body-parsing)."""

import asyncio
import json
import logging
from typing import Any

import pytest

from happy.http.framework import pipeline
from happy.http.framework.limits import MAX_SMALL_BODY
from happy.telemetry import LimitedLog
from tests.http.conftest import Raw
from tests.support.api_client import ApiClient
from tests.support.raw_http import RawConnection
from tests.support.server_thread import RunningServer
from tests.support.until import until

JSON = {"Content-Type": "application/json"}
LIMIT = MAX_SMALL_BODY
TOKEN = b'{"token":"t"}'


def refused(error: str, message: str, status: int = 400) -> tuple[int, dict[str, Any]]:
    return status, {"error": error, "message": message, "statusCode": status}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/Json",
        "application/json; charset=utf-8",
        "application/json ;x=y",
        "application/json;",
    ],
)
async def test_json_is_recognised_in_any_case_and_with_parameters(raw: Raw, content_type: str) -> None:
    assert 200 == (await raw("POST", "/v1/push-tokens", {"Content-Type": content_type}, TOKEN)).status


@pytest.mark.parametrize(
    "content_type", ["application/vnd.api+json", "text/html", "application/x-www-form-urlencoded", "json"]
)
@pytest.mark.parametrize("method_and_path", [("POST", "/v1/push-tokens"), ("DELETE", "/v1/push-tokens/x")])
async def test_any_other_type_is_not_supported(
    raw: Raw, content_type: str, method_and_path: tuple[str, str]
) -> None:
    answer = await raw(*method_and_path, {"Content-Type": content_type}, TOKEN)

    expected = refused("FastifyError", f"Unsupported Media Type: {content_type}", 415)
    assert expected == (answer.status, answer.json())


@pytest.mark.parametrize("headers", [{"Content-Type": ""}, {}])
async def test_an_empty_or_missing_content_type_is_named_as_such(raw: Raw, headers: dict[str, str]) -> None:
    """06 F3."""
    answer = await raw("POST", "/v1/push-tokens", headers, TOKEN)

    expected = refused("FastifyError", "Unsupported Media Type: none declared", 415)
    assert expected == (answer.status, answer.json())


@pytest.mark.parametrize("body", [b"", b"  \r\n\t "])
async def test_empty_json_is_an_empty_object(raw: Raw, body: bytes) -> None:
    answer = await raw("POST", "/v1/push-tokens", JSON, body)

    assert (400, "Error") == (answer.status, answer.json()["error"])
    assert answer.json()["message"].startswith("body/token Invalid input: ")


async def test_no_body_and_no_type_is_a_null_body(raw: Raw) -> None:
    answer = await raw("POST", "/v1/push-tokens")

    expected = refused("Error", "body/ Invalid input: expected object, received null")
    assert expected == (answer.status, answer.json())


async def test_an_endpoint_without_a_schema_needs_no_body(api: ApiClient, raw: Raw) -> None:
    path = f"/v1/sessions/{(await api.create_session())['id']}/archive"

    for headers, body in [({}, None), (JSON, b""), (JSON, b"[1]"), ({"Content-Type": "text/plain"}, b"x")]:
        assert 200 == (await raw("POST", path, headers, body)).status
    assert "SyntaxError" == (await raw("POST", path, JSON, b"{")).json()["error"]


@pytest.mark.parametrize("body", [None, b"", b"{}", b" "])
async def test_delete_with_a_json_type_and_no_body_is_accepted(raw: Raw, body: bytes | None) -> None:
    assert 200 == (await raw("DELETE", "/v1/push-tokens/x", JSON, body)).status


async def test_a_malformed_body_of_a_delete_is_refused(raw: Raw) -> None:
    assert 400 == (await raw("DELETE", "/v1/push-tokens/x", JSON, b"{")).status


@pytest.mark.parametrize(
    "body", [b"{", b'{"token":}', b"\xef\xbb\xbf{}", b"{'token':1}", b"tru", b'{"token":"\x00"}', b"{} {}"]
)
async def test_a_body_that_is_not_json_is_a_syntax_error(raw: Raw, body: bytes) -> None:
    answer = await raw("POST", "/v1/push-tokens", JSON, body)

    assert (400, "SyntaxError", 400) == (
        answer.status,
        answer.json()["error"],
        answer.json()["statusCode"],
    )


async def test_a_body_that_is_both_malformed_and_of_the_wrong_type_is_malformed(raw: Raw) -> None:
    assert "SyntaxError" == (await raw("POST", "/v1/push-tokens", JSON, b"[1,")).json()["error"]


async def test_too_deep_nesting_is_refused_like_any_malformed_body(raw: Raw) -> None:
    answer = await raw("POST", "/v1/push-tokens", JSON, b'{"x":' + b"[" * 50_000)

    assert (400, "SyntaxError") == (answer.status, answer.json()["error"])


async def test_prototype_keys_are_plain_data(raw: Raw) -> None:
    body = b'{"__proto__":{"x":1},"constructor":{"prototype":{}},"token":"t"}'

    assert 200 == (await raw("POST", "/v1/push-tokens", JSON, body)).status


@pytest.mark.parametrize(
    ("content_type", "received"), [("text/plain", "string"), ("application/octet-stream", "bytes")]
)
async def test_text_and_bytes_are_no_objects(raw: Raw, content_type: str, received: str) -> None:
    answer = await raw("POST", "/v1/push-tokens", {"Content-Type": content_type}, TOKEN)

    expected = refused("Error", f"body/ Invalid input: expected object, received {received}")
    assert expected == (answer.status, answer.json())


async def test_a_body_of_a_get_is_ignored_whatever_its_type(raw: Raw) -> None:
    assert 200 == (await raw("GET", "/v1/sessions", {"Content-Type": "text/html"}, b"<")).status


@pytest.mark.parametrize(
    ("headers", "body"), [(JSON, b"{"), (JSON, b"{}"), ({"Content-Type": "text/html"}, b"x")]
)
async def test_the_body_of_an_unknown_route_is_not_read(
    raw: Raw, headers: dict[str, str], body: bytes
) -> None:
    answer = await raw("POST", "/nowhere", headers, body)

    assert (404, "Not found") == (answer.status, answer.json()["error"])


async def test_a_content_encoding_is_ignored(raw: Raw) -> None:
    assert 200 == (await raw("POST", "/v1/push-tokens", {**JSON, "Content-Encoding": "gzip"}, TOKEN)).status


async def test_responses_are_never_compressed(raw: Raw) -> None:
    answer = await raw("GET", "/v1/sessions", {"Accept-Encoding": "gzip, br"})

    assert "content-encoding" not in answer.headers


async def test_half_a_surrogate_pair_is_stored_as_a_replacement_character(api: ApiClient, raw: Raw) -> None:
    """JavaScript clients cut texts in the middle of an emoji."""
    body = rb'{"tag":"cut \ud83d","metadata":"\\ud83d \ud83d\ude00 \ude00 \u00e9"}'

    session = (await raw("POST", "/v1/sessions", JSON, body)).json()["session"]

    assert "\\ud83d 😀 \ufffd é" == session["metadata"]
    assert [session["id"]] == [found["id"] for found in (await api.get("/v1/sessions"))["sessions"]]


async def test_bytes_that_are_no_utf8_are_stored_as_replacement_characters(raw: Raw) -> None:
    body = b'{"tag":"t","metadata":"\xff\xc3\xa9"}'

    assert "\ufffdé" == (await raw("POST", "/v1/sessions", JSON, body)).json()["session"]["metadata"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/sessions", {"tag": "a\0", "metadata": "m"}),
        ("/v1/machines", {"id": "m", "metadata": "\0"}),
        ("/v1/push-tokens", {"token": "\0"}),
        ("/v1/account/settings", {"settings": "\0", "expectedVersion": 0}),
    ],
)
async def test_a_nul_in_stored_text_is_refused_instead_of_failing_in_the_database(
    api: ApiClient, path: str, body: dict[str, Any]
) -> None:
    """06 F12."""
    answer = await api.post(path, body, expect=400)

    assert "body/ Invalid input: the character U+0000 is not allowed" == answer["message"]


async def test_a_text_that_looks_like_a_nul_escape_is_fine(api: ApiClient) -> None:
    assert "\\u0000" == (await api.create_session(metadata="\\u0000"))["metadata"]


async def test_a_nul_that_nobody_stores_is_fine(raw: Raw) -> None:
    body = rb'{"token":"t","unknown":"\u0000"}'

    assert 200 == (await raw("POST", "/v1/push-tokens", JSON, body)).status


async def test_a_body_announced_as_too_large_is_refused_before_it_is_sent(
    server: RunningServer, api: ApiClient
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {api.token}", "Content-Length": str(LIMIT + 1)}

    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/push-tokens", headers, b"{")
        answer = await asyncio.wait_for(connection.answer("POST"), 5)

    assert refused("FastifyError", "Request body is too large", 413) == (answer.status, answer.json())


async def test_a_body_that_grows_too_large_is_refused_while_it_arrives(
    server: RunningServer, api: ApiClient
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {api.token}", "Transfer-Encoding": "chunked"}
    piece = b"1000\r\n" + b" " * 0x1000 + b"\r\n"

    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/push-tokens", headers, b"")
        for _ in range(LIMIT // 0x1000):
            connection.writer.write(piece)
            await connection.writer.drain()
        connection.writer.write(b"1\r\n \r\n")
        answer = await asyncio.wait_for(connection.answer("POST"), 10)

    assert 413 == answer.status


async def test_a_body_of_exactly_the_limit_is_read(raw: Raw) -> None:
    body = b'{"token":"t","padding":"' + b" " * (LIMIT - len(b'{"token":"t","padding":""}')) + b'"}'

    assert 200 == (await raw("POST", "/v1/push-tokens", JSON, body)).status


async def test_the_connection_stays_usable_after_a_refused_body(
    server: RunningServer, api: ApiClient
) -> None:
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "text/html"}

    async with await RawConnection.open(server.port) as connection:
        first = await connection.request("POST", "/v1/push-tokens", headers, b"x" * 50_000)
        second = await connection.request("POST", "/v1/push-tokens", {**headers, **JSON}, TOKEN)

    assert [415, 200] == [first.status, second.status]


async def test_a_disconnect_in_the_middle_of_a_body_does_no_harm(
    server: RunningServer, api: ApiClient
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {api.token}", "Content-Length": "1000"}

    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/push-tokens", headers, b"{")
        await connection.writer.drain()

    assert [] == (await api.get("/v1/push-tokens"))["tokens"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "body/messages Invalid input: "),
        ({"messages": "x"}, "body/messages Invalid input: expected array, received string"),
        ({"messages": []}, "body/messages Too small: expected array to have >=1 items"),
        ({"messages": [{}] * 101}, "body/messages"),
        ({"messages": [{"localId": "a"}]}, "body/messages/0/content Invalid input: "),
        (
            {"messages": [{"content": "c", "localId": "a"}, {"content": 5, "localId": "b"}]},
            "body/messages/1/content Invalid input: expected string, received number",
        ),
        (
            {"messages": [{"content": "c", "localId": ""}]},
            "body/messages/0/localId Too small: expected string to have >=1 characters",
        ),
        ([], "body/ Invalid input: expected object, received array"),
        ("x", "body/ Invalid input: expected object, received string"),
        (5, "body/ Invalid input: expected object, received number"),
    ],
)
async def test_a_validation_message_names_the_field_and_the_problem(
    api: ApiClient, body: Any, problem: str
) -> None:
    session_id = (await api.create_session())["id"]

    answer = await api.request(
        "POST", f"/v3/sessions/{session_id}/messages", content=json.dumps(body), headers=JSON
    )

    assert (400, "Error", 400) == (answer.status_code, answer.json()["error"], answer.json()["statusCode"])
    assert answer.json()["message"].startswith(problem)


async def test_a_refused_body_is_a_line_in_the_log(
    raw: Raw, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tests may have had all lines of this minute."""
    text = "refused a request that is too large"
    monkeypatch.setattr(pipeline, "_log_too_large", LimitedLog(pipeline.log, text, level=logging.INFO))

    with caplog.at_level("INFO", "happy"):
        assert 413 == (await raw("POST", "/v1/push-tokens", JSON, b" " * (LIMIT + 1))).status

        await until(lambda: f"{text}: POST /v1/push-tokens" in caplog.messages)  # after the answer
