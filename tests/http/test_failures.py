"""Error responses and logs when something behind the endpoints fails.

protocol: http#authentication, http#common-answers
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

import httpx
import pytest

from happy.crypto import Claims
from happy.domain.errors import Conflict, Invalid, TooLarge, TooMany, Unavailable
from happy.http.app import Services, build_app
from happy.services.rate_limit import RateLimits
from happy.services.readiness import Readiness
from happy.services.token_uses import TokenUses
from tests.support.factories import NOW

GENERIC = {
    "error": "Internal Server Error",
    "message": "An unexpected error occurred",
    "statusCode": 500,
}


class Broken:
    """Every service at once; whatever is asked of it raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def fail(*_: object, **__: object) -> Any:
            raise self._error

        return fail


class Anybody:
    uses = TokenUses(None, lambda: NOW)  # type: ignore[arg-type] # nothing is written

    async def identify(self, token: str, _: Any) -> Claims:
        return Claims(token, {}, token_id=token)

    def require_accepted(self, claims: Claims) -> None:
        """All are."""


def client(error: BaseException, identity: object | None = None) -> httpx.AsyncClient:
    """A client of an application in which everything but the identity service fails."""
    broken = Broken(error)
    services: dict[str, Any] = {field.name: broken for field in fields(Services)}
    services["identity"] = identity or Anybody()
    services["link_state"] = None
    services["limits"] = RateLimits()
    services["readiness"] = Readiness(broken.ping, broken.ping_files)
    app = build_app(Services(**services))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://test",
        verify=False,
        headers={"Authorization": "Bearer secret-token"},
    )


SETTINGS = {"settings": "secret-body", "expectedVersion": 0}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/v1/sessions", None, GENERIC),
        ("GET", "/v1/account/profile", None, GENERIC),
        ("GET", "/v1/account/settings", None, {"error": "Failed to get account settings"}),
        (
            "POST",
            "/v1/account/settings",
            SETTINGS,
            {"success": False, "error": "Failed to update account settings"},
        ),
        ("POST", "/v1/push-tokens", {"token": "t"}, {"error": "Failed to register push token"}),
        ("GET", "/v1/push-tokens", None, {"error": "Failed to get push tokens"}),
        ("DELETE", "/v1/push-tokens/t", None, {"error": "Failed to delete push token"}),
    ],
)
async def test_a_bug_is_a_500_with_the_text_of_its_endpoint(
    method: str, path: str, body: Any, expected: dict[str, Any]
) -> None:
    async with client(RuntimeError("bug")) as broken:
        answer = await broken.request(method, path, json=body)

    assert (500, expected) == (answer.status_code, answer.json())
    assert "*" == answer.headers["access-control-allow-origin"]


async def test_a_bug_is_logged_with_its_origin_and_without_what_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """06 B9: headers and bodies were in the logs."""
    with caplog.at_level(logging.DEBUG):
        async with client(RuntimeError("bug")) as broken:
            await broken.post("/v1/account/settings?x=secret-query", json=SETTINGS)

    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "POST /v1/account/settings failed" == record.getMessage()
    assert record.exc_info is not None
    assert "RuntimeError: bug" in caplog.text
    assert "secret" not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/nowhere?x=secret-query", None),
        ("POST", "/v1/sessions", b"{secret-body"),
        ("POST", "/v1/sessions", b'{"tag":5,"metadata":"secret-body"}'),
        ("GET", "/v1/sessions?limit=secret-query", None),
    ],
)
async def test_a_refused_request_is_logged_without_what_was_sent(
    caplog: pytest.LogCaptureFixture, method: str, path: str, body: bytes | None
) -> None:
    """06 B9."""
    with caplog.at_level(logging.DEBUG):
        async with client(Invalid()) as broken:
            await broken.request(method, path, content=body, headers={"Content-Type": "application/json"})

    logged = {record.getMessage() for record in caplog.records if record.name.startswith("happy")}
    assert logged <= {f"refused a malformed request: {method} /v1/sessions"}


async def test_an_unavailable_backing_service_is_a_503_with_retry_after() -> None:
    async with client(Unavailable("the database did not answer")) as broken:
        answers = [await broken.get(path) for path in ("/v1/sessions", "/v1/account/settings")]

    assert [503, 503] == [answer.status_code for answer in answers]
    assert ["1", "1"] == [answer.headers["retry-after"] for answer in answers]
    assert {"error": "the database did not answer"} == answers[0].json()


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Invalid("bad"), 400, "bad"),
        (Conflict(), 409, "The stored state does not allow this"),
        (TooLarge("large"), 413, "large"),
        (TooMany("many"), 429, "many"),
    ],
)
async def test_every_expected_error_has_its_status(error: Exception, status: int, text: str) -> None:
    async with client(error) as broken:
        answer = await broken.get("/v1/sessions")

    assert (status, {"error": text}) == (answer.status_code, answer.json())


async def test_a_token_that_cannot_be_checked_because_of_a_bug_is_refused() -> None:
    async with client(RuntimeError(), Broken(RuntimeError("bug"))) as broken:
        answer = await broken.get("/v1/sessions")

    assert (401, {"error": "Authentication failed"}) == (answer.status_code, answer.json())


async def test_a_token_that_cannot_be_checked_now_is_not_called_invalid() -> None:
    """A client that is told 401 forgets its account."""
    async with client(RuntimeError(), Broken(Unavailable())) as broken:
        assert 503 == (await broken.get("/v1/sessions")).status_code


@pytest.mark.parametrize("error", [Unavailable(), RuntimeError()])
async def test_health_is_a_503_when_the_database_does_not_answer(error: Exception) -> None:
    async with client(error) as broken:
        answer = await broken.get("/health")

    health = answer.json()
    assert 503 == answer.status_code
    assert health.pop("timestamp")
    expected = {"status": "error", "service": "happy-server", "error": "Database connectivity failed"}
    assert expected == health


async def test_the_banner_needs_no_database() -> None:
    async with client(Unavailable()) as broken:
        assert "Welcome to Happy Server!" == (await broken.get("/")).text


async def test_a_request_that_is_cancelled_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    async with client(asyncio.CancelledError()) as broken:
        with pytest.raises(asyncio.CancelledError):
            await broken.get("/v1/sessions")

    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]
