"""The server against its own OpenAPI document: acceptable and unacceptable requests to every endpoint."""

import logging
import os
import uuid
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from happy.http.app import endpoints
from happy.http.docs.openapi import document
from happy.http.endpoints.developer_log import PATH as DEVELOPER_LOG
from happy.services.client_addresses import ClientAddresses
from tests.support.api_client import ApiClient
from tests.support.environments import OpenEnvironment
from tests.support.server_thread import RunningServer, run_server

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("HAPPY_FUZZ_EXAMPLES", "10"))
NOWHERE = "http://127.0.0.1:9"
MAY_FAIL = {"/v1/voice/conversations", "/v1/voice/usage", "/v1/connect/github/webhook"}
"""They are 500 where no credentials are set (protocol: http#post-v1connectgithubwebhook, http#voice)."""

CANNOT_BE_WRONG = {"GET /", "GET /health"}

DOCUMENT = msgspec.json.decode(msgspec.json.encode(document(endpoints(MagicMock(), ClientAddresses()))))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
Operation = APIOperation[Any, Any, Any, Any]


def operations() -> Iterator[Operation]:
    for result in SCHEMA.get_all_operations():
        assert isinstance(result, Ok), result.err()
        yield result.ok()


OPERATIONS = {operation.label: operation for operation in operations()}
load_all_checks()
HELD: list[Any] = [
    CHECKS.get_one(name)
    for name in ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
]

fuzz = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Target:
    """A server, and an account with one of everything that a path can name."""

    def __init__(self, server: RunningServer, token: str, ids: dict[str, str]) -> None:
        self.ids = ids
        self._url = server.url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session = requests.Session()
        self._session.trust_env = False

    def try_out(self, case: Case[Any]) -> None:
        response = case.call(base_url=self._url, session=self._session, headers=self._headers)
        assert response.status_code < 500 or case.operation.path in MAY_FAIL, response.text
        case.validate_response(response, checks=HELD)

    def close(self) -> None:
        self._session.close()


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    variables = {"HAPPY_EXPO_URL": NOWHERE, "DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING": "1"}
    with open_environment() as environment, run_server(environment, variables) as running:
        yield running


@pytest.fixture
async def target(server: RunningServer) -> Any:
    async with ApiClient.signed_in(server.url) as api, ApiClient.signed_in(server.url) as other:
        assert api.token is not None
        ids = {
            "session_id": (await api.create_session())["id"],
            "machine_id": (await api.register_machine())["id"],
            "artifact_id": str(uuid.uuid4()),
            "vendor": "openai",
            "key": "known",
            "user_id": (await other.get("/v1/account/profile"))["id"],
        }
        artifact = {"id": ids["artifact_id"], "header": "", "body": "", "dataEncryptionKey": ""}
        await api.post("/v1/artifacts", artifact)
        await api.post("/v1/kv", {"mutations": [{"key": "known", "value": "AAAA", "version": -1}]})
        target = Target(server, api.token, ids)
        yield target
        target.close()


@pytest.fixture(autouse=True)
def no_surprises(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that nobody expected reaches the log."""
    yield
    assert [] == [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.ERROR and record.name != "happy.services.developer_log"
    ]


def test_the_document_is_about_optional_endpoints_too() -> None:
    assert {f"POST {DEVELOPER_LOG}", "GET /files/{key}", "GET /invite/{code}"} <= OPERATIONS.keys()


@pytest.mark.parametrize("label", OPERATIONS)
def test_acceptable_requests(label: str, target: Target) -> None:
    run(OPERATIONS[label], target, GenerationMode.POSITIVE)


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "{" in label])
def test_acceptable_requests_about_what_is_there(label: str, target: Target) -> None:
    operation = OPERATIONS[label]
    known = {one.name: target.ids[one.name] for one in operation.path_parameters if one.name in target.ids}
    run(operation, target, GenerationMode.POSITIVE, path_parameters=known)


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label not in CANNOT_BE_WRONG])
def test_unacceptable_requests(label: str, target: Target) -> None:
    run(OPERATIONS[label], target, GenerationMode.NEGATIVE)


def run(operation: Operation, target: Target, mode: GenerationMode, **fixed: Any) -> None:
    @fuzz
    @given(case=operation.as_strategy(generation_mode=mode, **fixed))
    def run_one(case: Case[Any]) -> None:
        target.try_out(case)

    run_one()
