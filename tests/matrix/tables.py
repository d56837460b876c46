"""The endpoints and the events that the server has, and what to send them, from its own tables."""

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import MagicMock

import msgspec

from happy.bootstrap import event_handlers
from happy.http.app import endpoints
from happy.http.docs.openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable

DECLARED = endpoints(MagicMock(developer_log=None), MagicMock())
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(DECLARED)))
HANDLERS = event_handlers(MagicMock(), MagicMock(), MagicMock(), MagicMock())
EVENTS = sorted({*HANDLERS.by_name, "app-state", "ping"})
MAX_DEPTH = 6


class Operation(NamedTuple):
    """One endpoint as it is documented."""

    method: str
    path: str
    declared: dict[str, Any]

    @property
    def public(self) -> bool:
        return not self.declared["security"]

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.declared["responses"]}


OPERATIONS = [
    Operation(method.upper(), path, declared)
    for path, methods in DOCUMENT["paths"].items()
    for method, declared in methods.items()
]


def request(operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    """The arguments of an acceptable request about these ids, as `ApiClient.request` takes them."""
    path = re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], "known"), operation.path)
    parameters = operation.declared["parameters"]
    query = {
        each["name"]: ids.get(_snake(each["name"]), "known")
        for each in parameters
        if each["in"] == "query" and each["required"]
    }
    found: dict[str, Any] = {"path": path, "params": query}
    content = operation.declared.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        found["json"] = example(content["application/json"]["schema"], ids)
    elif content:
        found["content"], found["headers"] = b"x", {"content-type": "application/octet-stream"}
    return found


def example(schema: dict[str, Any], ids: dict[str, str], name: str = "", depth: int = 0) -> Any:
    """A value that fits the schema; texts are the ids that their names ask for."""
    schema = _resolved(schema)
    known = schema.get("properties", {}).items() if depth < MAX_DEPTH else ()
    values: dict[str | None, Callable[[], Any]] = {
        "object": lambda: {key: example(inner, ids, key, depth + 1) for key, inner in known},
        "array": lambda: [example(schema.get("items", {}), ids, name, depth + 1)],
        "integer": lambda: max(schema.get("minimum", 0), 0),
        "number": lambda: 0,
        "boolean": lambda: False,
    }
    text = schema.get("enum", [ids.get(_snake(name), "a2V5")])[0]  # base64 too
    return values.get(schema.get("type"), lambda: text)()


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _resolved(DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if choices := schema.get("anyOf"):
        return _resolved(next(each for each in choices if each.get("type") != "null"))
    return schema


def payloads(ids: dict[str, str]) -> list[dict[str, Any]]:
    """Payloads that have everything which any event reads: one with values as texts, one with versions."""
    now = 1
    common = {
        "sid": ids["session_id"],
        "sessionId": ids["session_id"],
        "machineId": ids["machine_id"],
        "artifactId": ids["artifact_id"],
        "id": ids["artifact_id"],
        "time": now,
        "metadata": "theirs",
        "agentState": "theirs",
        "daemonState": "theirs",
        "dataEncryptionKey": "AAAA",
        "message": "theirs",
        "localId": "theirs",
        "thinking": True,
        "key": "claude",
        "tokens": {"total": 1},
        "cost": {"total": 1},
        "method": ids["method"],
        "params": "theirs",
        "state": "active",
    }
    part = {"data": "AAAA", "expectedVersion": 1}
    return [
        {**common, "expectedVersion": 0, "header": "AAAA", "body": "AAAA"},
        {**common, "expectedVersion": 1, "header": part, "body": part},
    ]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
