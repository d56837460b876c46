"""A stranger who makes accounts and linking requests as fast as he can, behind a proxy of the server."""

import base64
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa
from nacl.signing import SigningKey

from happy.rates import MAX_ACCOUNTS, MAX_LINKS
from happy.settings import load
from schema.tables import accounts, terminal_auth_requests
from tests.attack.attacker import Attack, Target, read_until, request
from tests.attack.bystander import beside
from tests.support.api_client import sign_in_body
from tests.support.environments import Environment
from tests.support.rows import open_rows
from tests.support.server_process import Server

STRANGER = f"2001:db8:{os.urandom(2).hex()}:{os.urandom(2).hex()}::1"
"""One for each run: limits last for an hour in the Redis that tests share."""

OTHERS = 5
"""Accounts of the bystander and of the attacker itself, which come from this machine."""


@pytest_asyncio.fixture
async def server(environment: Environment, tmp_path: Path) -> AsyncIterator[Server]:
    variables = {**environment.variables, "HAPPY_TRUSTED_PROXIES": "loopback"}
    async with Server(tmp_path / "home", flavor=environment.flavor, variables=variables) as running:
        yield running


def post(path: str, body: object) -> bytes:
    encoded = json.dumps(body).encode()
    headers = (f"Content-Length: {len(encoded)}", "Content-Type: application/json")
    return request("POST", path, *headers, f"X-Forwarded-For: {STRANGER}", body=encoded)


def flood(target: Target, path: str, bodies: list[object]) -> None:
    with target.connection() as connection:
        for body in bodies:
            connection.sendall(post(path, body))
            read_until(connection, b"}")
            if not target.goes_on():
                return


def free_accounts(target: Target) -> None:
    flood(target, "/v1/auth", [sign_in_body(SigningKey.generate()) for _ in range(500)])


def linking_requests(target: Target) -> None:
    keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(2_000)]
    flood(target, "/v1/auth/request", [{"publicKey": key} for key in keys])


@pytest.mark.parametrize(
    ("attack", "table", "most"),
    [(free_accounts, accounts, MAX_ACCOUNTS + OTHERS), (linking_requests, terminal_auth_requests, MAX_LINKS)],
)
async def test_rows_could_be_made_without_an_account_as_fast_as_the_machine_allows(
    server: Server, environment: Environment, attack: Attack, table: sa.Table, most: int
) -> None:
    started = time.monotonic()
    felt = await beside(server, attack)
    felt.check()
    hours = (time.monotonic() - started) / 3600

    async with open_rows(load(environment.variables, flavor=environment.flavor)) as rows:
        ((made,),) = await rows(sa.select(sa.func.count()).select_from(table))
    assert 0 < made <= most * (1 + hours) + 1
