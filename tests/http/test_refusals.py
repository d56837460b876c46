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
from happy.services.account_access import AccountAccess
from tests.http.test_accounts import account_id
from tests.http.test_metrics import sample
from tests.support.api_client import ApiClient, b64, sign_in_body
from tests.support.environments import SECRET, OpenEnvironment
from tests.support.factories import NOBODY
from tests.support.server_process import free_port
from tests.support.server_thread import RunningServer, run_server
from tests.support.socket_client import ConnectRefused, SocketClient

ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    variables = {"METRICS_ENABLED": "true", "METRICS_PORT": str(free_port())}
    with open_environment() as environment, run_server(environment, variables) as running:
        yield running


@asynccontextmanager
async def counted(server: RunningServer, name: str, reason: str) -> AsyncIterator[None]:
    async def count() -> float:
        url = f"http://127.0.0.1:{server.settings.metrics_port}/metrics"
        async with httpx.AsyncClient(trust_env=False) as client:
            return sample((await client.get(url)).text, name, reason=reason)

    before = await count()
    yield
    assert before + 1 == await count()


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
