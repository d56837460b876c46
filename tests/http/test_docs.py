"""The published OpenAPI document and its page: complete, valid, without external resources."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from happy import __version__
from happy.http.endpoints.developer_log import PATH as DEVELOPER_LOG
from happy.http.framework.limits import MAX_SMALL_BODY, MAX_WEBHOOK_BODY
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.server_thread import run_server

REPOSITORY = Path(__file__).parents[2]
COMMON_STATUSES = {"400", "401", "413", "415", "500", "503"}
"""Of many endpoints, by rules at the beginning of the document."""


@pytest.fixture
async def document(anonymous: ApiClient) -> dict[str, Any]:
    return await anonymous.get("/docs/openapi.json")


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    return document["paths"][path][method.lower()]


async def test_the_openapi_document_has_title_version_and_description(document: dict[str, Any]) -> None:
    assert "3.1.0" == document["openapi"]
    assert ("Happy Server", __version__) == (document["info"]["title"], document["info"]["version"])
    assert {"bearer": {"type": "http", "scheme": "bearer"}} == document["components"]["securitySchemes"]


async def test_every_endpoint_has_a_unique_name(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]

    assert len(names) == len(set(names))
    assert [] == [name for name in names if not re.fullmatch(r"[a-z_]+", name)]


async def test_every_endpoint_says_in_a_sentence_what_it_is_for(document: dict[str, Any]) -> None:
    """Without a docstring of its handler, it is named by one word of ours: `Owned`, `Page`, `Advise`."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]

    assert [] == [
        operation["operationId"] for operation in operations if not operation["summary"].endswith(".")
    ]


async def test_the_endpoints_are_those_of_the_protocol_documents(document: dict[str, Any]) -> None:
    text = (REPOSITORY / "docs" / "protocol" / "http.md").read_text("utf-8")
    rows = {
        (method, re.sub(r":\w+|\*", "*", path))
        for method, path in re.findall(r"^\| \d+ \| (\w+) `([^`]+)`", text, re.MULTILINE)
    }
    served = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path))
        for path, methods in document["paths"].items()
        for method in methods
    }

    # The developer log is off by default, and metrics have a port of their own.
    elsewhere = {("POST", DEVELOPER_LOG), ("GET", "/metrics"), ("GET", "/health")}
    assert served | elsewhere == rows


async def test_the_protocol_documents_name_every_status_of_an_endpoint(document: dict[str, Any]) -> None:
    text = (REPOSITORY / "docs" / "protocol" / "http.md").read_text("utf-8")
    documented = {
        (method, re.sub(r":\w+|\*", "*", path)): set(re.findall(r"\d{3}", statuses)) | COMMON_STATUSES
        for method, path, statuses in re.findall(
            r"^\| \d+ \| (\w+) `([^`]+)` \| . \| (.+) \|$", text, re.MULTILINE
        )
    }
    missing = {
        (method.upper(), path): sorted(statuses)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if (
            statuses := {status for status, found in operation["responses"].items() if not unknown(found)}
            - documented[method.upper(), re.sub(r"\{\w+\}", "*", path)]
        )
    }

    assert {} == missing


def unknown(response: dict[str, Any]) -> bool:
    """Whether it is that of any unknown route, such as one with too long a parameter."""
    schemas = [content.get("schema", {}) for content in response.get("content", {}).values()]
    return [{"$ref": "#/components/schemas/UnknownRoute"}] == schemas


async def test_every_limit_of_a_body_is_in_the_protocol_documents(document: dict[str, Any]) -> None:
    text = (REPOSITORY / "docs" / "protocol" / "http.md").read_text("utf-8")
    _, _, table = text.partition("### Sizes of bodies")
    documented = {
        (method, re.sub(r":\w+", "*", path)): int(size.replace(" ", ""))
        for size, names in re.findall(r"^\| ([\d ]+)(?:, or [^|]+)? \| (.*) \|$", table, re.MULTILINE)
        for method, path in re.findall(r"`(\w+) ([^`]+)`", names)
    }
    served = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path)): operation["requestBody"]["x-max-bytes"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    webhook = {("POST", "/v1/connect/github/webhook"): MAX_WEBHOOK_BODY}  # declares no body, but verifies one

    assert documented == webhook | {name: size for name, size in served.items() if size != MAX_SMALL_BODY}
    assert MAX_SMALL_BODY in served.values()


async def test_an_operation_names_its_parameters_with_their_limits(document: dict[str, Any]) -> None:
    page = operation(document, "GET", "/v3/sessions/{session_id}/messages")

    assert [{"bearer": []}] == page["security"]
    assert {
        "session_id": ("path", True, {"type": "string", "minLength": 1, "maxLength": 100}),
        "after_seq": ("query", False, {"type": "integer", "minimum": 0}),
        "before_seq": ("query", False, {"type": "integer", "minimum": 1}),
        "limit": ("query", False, {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
    } == {one["name"]: (one["in"], one["required"], one["schema"]) for one in page["parameters"]}
    assert ["200", "400", "401", "404", "500", "503"] == list(page["responses"])


async def test_an_operation_documents_its_body_and_every_response(document: dict[str, Any]) -> None:
    create = operation(document, "POST", "/v1/artifacts")
    body = create["requestBody"]["content"]["application/json"]["schema"]
    sent = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    conflict = create["responses"]["409"]["content"]["application/json"]["examples"]["1"]["value"]

    assert ["id", "header", "body", "dataEncryptionKey"] == sent["required"]
    assert {"error": "Artifact with this ID already exists for another account"} == conflict
    assert {"200", "400", "401", "409", "413", "415", "500", "503"} == create["responses"].keys()


async def test_endpoints_without_authentication_are_marked(document: dict[str, Any]) -> None:
    open_to_all = {
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if not operation["security"]
    }

    assert {
        "/",
        "/files/{key}",
        "/health",
        "/invite/{code}",
        "/v1/auth",
        "/v1/auth/account/request",
        "/v1/auth/request",
        "/v1/auth/request/status",
        "/v1/connect/github/callback",
        "/v1/connect/github/webhook",
        "/v1/version",
    } == open_to_all


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"#/components/schemas/([\w.]+)", str(document)))

    assert references == document["components"]["schemas"].keys()


async def test_the_page_loads_no_external_resources(anonymous: ApiClient) -> None:
    answer = await anonymous.request("GET", "/docs")

    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert [] == re.findall(r"<script|src=|https?://|@import|url\(", answer.text)
    assert "/v1/kv/bulk" in answer.text
    assert "Access key already exists" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    anchors = set(re.findall(r'id="([^"]+)"', answer.text))
    assert set() == set(re.findall(r'href="#([^"]+)"', answer.text)) - anchors


async def test_the_documentation_can_be_switched_off(environment: Environment) -> None:
    with run_server(environment, {"HAPPY_DOCS": "false"}) as server:
        async with ApiClient(server.url) as client:
            for path in ("/docs", "/docs/openapi.json"):
                assert "Not found" == (await client.get(path, expect=404))["error"]


async def test_the_web_app_does_not_hide_the_documentation(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html><head></head></html>")
    variables = {"HAPPY_SERVER_UI_DIR": str(tmp_path)}
    with run_server(environment, variables) as server:
        async with ApiClient(server.url) as client:
            page = await client.request("GET", "/docs", headers={"accept": "text/html"})

    assert "openapi.json" in page.text


def test_the_documentation_is_not_imported_at_start() -> None:
    program = "import sys, happy.bootstrap; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules = set(found.stdout.split())

    assert "happy.http.docs.endpoints" in modules
    assert set() == {"happy.http.docs.openapi", "happy.http.docs.page"} & modules
