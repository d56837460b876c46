"""Whoever is refused because of who he says he is counts in a metric, and is a line of the log."""

import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from nacl.signing import SigningKey

from happy.adapters.flavors import open_store_beside
from happy.crypto import Keyring
from happy.domain.values import AccountId, Millis
from happy.http.framework import pipeline
from happy.services.account_access import AccountAccess
from happy.telemetry import LimitedLog
from tests.http.test_accounts import account_id
from tests.http.test_metrics import sample
from tests.support.api_client import ApiClient, b64, sign_in_body
from tests.support.environments import SECRET, OpenEnvironment
from tests.support.factories import NOBODY
from tests.support.server_process import free_port
from tests.support.server_thread import RunningServer, run_server
from tests.support.socket_client import ConnectRefused, SocketClient
from tests.support.until import until

ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    variables = {"METRICS_ENABLED": "true", "METRICS_PORT": str(free_port())}
    with open_environment() as environment, run_server(environment, variables) as running:
        yield running


@asynccontextmanager
async def counted(
    server: RunningServer, name: str, reason: str, label: str = "reason"
) -> AsyncIterator[None]:
    async def count() -> float:
        url = f"http://127.0.0.1:{server.settings.metrics_port}/metrics"
        async with httpx.AsyncClient(trust_env=False) as client:
            return sample((await client.get(url)).text, name, **{label: reason})

    before = await count()
    yield
    assert before + 1 == await count()


async def test_a_handshake_that_no_client_makes_was_in_no_metric(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It stands first, for there are three such lines a minute."""
    caplog.set_level(logging.INFO, "happy")
    async with ApiClient(server.url) as api, counted(server, "peers_refused_total", "handshakes", "kind"):
        answer = await api.request("GET", "/v1/updates/?EIO=3&transport=polling")
    assert 400 == answer.status_code
    async with (
        ApiClient.signed_in(server.url) as api,
        counted(server, "peers_refused_total", "handshakes", "kind"),
    ):
        with pytest.raises(ConnectRefused, match="Session ID required"):
            await SocketClient(server.url, {"token": api.token, "clientType": "session-scoped"}).connect()

    assert "refused, handshakes: 127.0.0.1" in caplog.text


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "missing"),
        ("no token", "invalid"),
        (Keyring("another secret").tokens.issue(NOBODY, Millis(time.time_ns() // 1_000_000)), "invalid"),
        (Keyring(SECRET).tokens.issue(NOBODY, Millis(time.time_ns() // 1_000_000)), "no_account"),
    ],
    ids=["absent", "garbled", "forged", "of nobody"],
)
async def test_a_token_that_is_none_was_neither_counted_nor_logged(
    server: RunningServer, caplog: pytest.LogCaptureFixture, token: str | None, reason: str
) -> None:
    """Whoever tried the tokens of a leaked secret that was replaced left no trace."""
    caplog.set_level(logging.INFO, "happy")
    async with ApiClient(server.url, token=token) as api:
        async with counted(server, "tokens_refused_total", reason):
            answer = await api.request("GET", "/v1/sessions", headers={"X-Forwarded-For": ADDRESS})
        assert 401 == answer.status_code
    async with counted(server, "tokens_refused_total", reason):
        with pytest.raises(ConnectRefused):
            await SocketClient(server.url, {} if token is None else {"token": token}).connect()

    assert f"a token was refused: {reason}, from {ADDRESS}" in caplog.text
    assert token is None or token not in caplog.text


async def test_a_wrong_signature_was_neither_counted_nor_logged(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "happy")
    body = {**sign_in_body(SigningKey.generate()), "challenge": b64(os.urandom(32))}
    async with ApiClient(server.url) as api, counted(server, "sign_ins_refused_total", "signature"):
        answer = await api.request("POST", "/v1/auth", json=body, headers={"X-Forwarded-For": ADDRESS})

    assert 401 == answer.status_code
    assert f"a sign-in with a wrong signature was refused: from {ADDRESS}" in caplog.text


async def test_a_sign_in_to_a_disabled_account_was_not_counted(server: RunningServer) -> None:
    key = SigningKey.generate()
    async with (
        ApiClient.signed_in(server.url, key=key) as api,
        open_store_beside(server.settings) as store,
    ):
        now = Millis(time.time_ns() // 1_000_000)
        await AccountAccess(store, lambda: now).disable(AccountId(account_id(api)))
        async with counted(server, "sign_ins_refused_total", "disabled"):
            await api.post("/v1/auth", sign_in_body(key), expect=403)


async def test_a_malformed_body_was_no_line_of_the_log(
    server: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "happy")
    text = "refused a malformed request"
    monkeypatch.setattr(pipeline, "_log_malformed", LimitedLog(pipeline.log, text, level=logging.INFO))
    async with ApiClient(server.url) as api:
        await api.post("/v1/auth", {"publicKey": "a secret"}, expect=400)

    await until(lambda: f"{text}: POST /v1/auth" in caplog.messages)  # it is written after the answer
    assert "a secret" not in caplog.text
