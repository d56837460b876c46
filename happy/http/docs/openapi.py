"""The OpenAPI document of the endpoints, from what they declare. Imported on the first request for it."""

import inspect
import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from litestar.params import QueryParameter
from litestar.typing import FieldDefinition
from msgspec import Struct, to_builtins
from msgspec.json import schema_components

from happy import __version__
from happy.http.docs.tags import TAGS, Tag
from happy.http.framework import body
from happy.http.framework.endpoint import BEARER, PARAMETER, Endpoint
from happy.http.framework.errors import Failure, RefusalBody, UnknownRoute
from happy.http.framework.listing import ListResponse
from happy.http.framework.responses import FileResponse, Response
from happy.http.framework.routing import MAX_PARAMETER

Json = dict[str, Any]

JSON = "application/json"
OCTETS = "application/octet-stream"
ABOUT = (
    "Every HTTP endpoint that Happy clients use. Contents are encrypted by the clients; bytes travel as "
    "base64, times as ms since 1970. The realtime channel, Socket.IO at `/v1/updates/`, is not part of it."
)
REASONS = {
    200: "Success",
    206: "The requested range",
    302: "Redirect",
    400: "Invalid request",
    401: "Missing or invalid bearer token",
    403: "Not allowed",
    404: "Not found, or not owned by the caller",
    409: "Conflict with the stored state",
    413: "Request body too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    429: "Rate limit exceeded",
    500: "Internal server error",
    503: "Temporarily unavailable; retry",
    507: "The account stores as much as it may",
}
STREAMED = {"required": True, "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}


def document(endpoints: Iterable[Endpoint]) -> Json:
    """The whole document. It describes what is validated, and every response with its status."""
    declared = sorted(endpoints, key=lambda endpoint: endpoint.template)
    schemas = _Schemas()
    paths: dict[str, Json] = {}
    for endpoint in declared:
        path = PARAMETER.sub(r"{\1}", next(iter(endpoint.paths)))
        (method,) = endpoint.http_methods
        paths.setdefault(path, {})[method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Happy Server", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [tag._asdict() for tag in _tags(declared)],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "securitySchemes": {BEARER: {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """Schemas of types, resolved together at the end: only then their names are known to be unique."""

    def __init__(self) -> None:
        self._sent: list[tuple[Any, Json]] = []
        self._returned: list[tuple[Any, Json]] = []

    def sent(self, kind: Any) -> Json:
        return self._later(self._sent, kind)

    def returned(self, kind: Any) -> Json:
        return self._later(self._returned, kind)

    @staticmethod
    def _later(requested: list[tuple[Any, Json]], kind: Any) -> Json:
        schema: Json = {}
        requested.append((kind, schema))
        return schema

    def components(self) -> Json:
        """Fill in every schema that was handed out; returns what they refer to."""
        returned = _resolve(self._returned)
        for schema in returned.values():
            defaults = [name for name, value in schema.get("properties", {}).items() if "default" in value]
            schema["required"] = [*schema.get("required", ()), *defaults]  # what has one is always sent
        return {**_resolve(self._sent), **returned}


def _resolve(requested: list[tuple[Any, Json]]) -> Json:
    schemas, components = schema_components(
        [kind for kind, _ in requested], ref_template="#/components/schemas/{name}"
    )
    for (_, schema), found in zip(requested, schemas, strict=True):
        schema.update(found)
    return components


def _tags(endpoints: Iterable[Endpoint]) -> list[Tag]:
    """Those that have endpoints, in the order of these."""
    return list(dict.fromkeys(_tag(endpoint) for endpoint in endpoints))


def _tag(endpoint: Endpoint) -> Tag:
    return TAGS[str(endpoint.fn.__module__).rpartition(".")[2]]


def _sentence(docstring: str | None) -> str:
    first = (docstring or "").partition("\n\n")[0]
    return " ".join(re.sub(r"\s*\(protocol: [^)]*\)", "", first).split())


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Json:
    name = str(endpoint.fn.__name__)
    operation: Json = {
        "tags": [_tag(endpoint).name],
        "summary": _sentence(inspect.getdoc(endpoint.fn)),
        "operationId": f"{_tag(endpoint).name.replace(' ', '_')}_{name}",
        "security": endpoint.security,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint), *_headers(endpoint)],
        "responses": {
            str(status): response for status, response in sorted(_responses(endpoint, schemas).items())
        },
    }
    if endpoint.streams:
        operation["requestBody"] = {**STREAMED, "x-max-bytes": endpoint.limit}
    elif endpoint.parsed_data_field is not None:
        schema = schemas.sent(endpoint.parsed_data_field.annotation)
        content = {JSON: {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content, "x-max-bytes": endpoint.limit}
    return operation


def _path_parameters(endpoint: Endpoint) -> Iterator[Json]:
    for name in PARAMETER.findall(next(iter(endpoint.paths))):
        bounds = {} if endpoint.any_text else {"minLength": 1, "maxLength": MAX_PARAMETER}
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", **bounds}}


def _query_parameters(endpoint: Endpoint) -> Iterator[Json]:
    for query in endpoint.queries:
        field = endpoint.parsed_fn_signature.parameters[query.argument]
        schema = _bounds(field) if query.integer else {"type": "string"}
        if field.has_default and field.default is not None:
            schema["default"] = field.default
        yield {"name": query.name, "in": "query", "required": query.required, "schema": schema}


def _bounds(field: FieldDefinition) -> Json:
    limits = field.kwarg_definition
    assert isinstance(limits, QueryParameter)
    bounds = {"minimum": limits.ge, "maximum": limits.le}
    return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}


def _headers(endpoint: Endpoint) -> Iterator[Json]:
    for name in endpoint.needs_headers:
        yield {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}


def _responses(endpoint: Endpoint, schemas: _Schemas) -> dict[int, Json]:
    found: dict[int, list[Any]] = {}
    for status, content in (*_common(endpoint), *endpoint.other_responses.items()):
        found.setdefault(status, []).append(content)
    for success in _returned(endpoint.parsed_return_field.annotation):
        found.setdefault(200, []).append(success)
    return {status: _response(status, contents, schemas) for status, contents in found.items()}


def _common(endpoint: Endpoint) -> Iterator[tuple[int, Any]]:
    """What follows from the kind of endpoint."""
    has_parameters = PARAMETER.search(next(iter(endpoint.paths))) is not None
    has_body = not body.METHODS.isdisjoint(endpoint.http_methods)
    if has_parameters or has_body or endpoint.queries:
        yield from ((400, RefusalBody), (400, Failure))
    if not endpoint.public:
        yield 401, Failure("Invalid token")
    if endpoint.missing:
        yield 404, Failure(endpoint.missing)
    if has_parameters:
        yield 404, UnknownRoute
    if has_body and not endpoint.streams:
        yield from ((413, RefusalBody), (415, RefusalBody))
    yield from ((500, endpoint.failure), (503, Failure))


def _returned(annotation: Any) -> list[Any]:
    """The types of the JSON that a handler returns; none when it builds its responses itself."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [
        part
        for part in parts
        if part not in (Response, FileResponse) and get_origin(part) is not ListResponse
    ]


def _response(status: int, contents: list[Any], schemas: _Schemas) -> Json:
    """Contents are types, values of them to serve as examples, media types, or None for no content."""
    response: Json = {"description": REASONS[status]}
    media = [content for content in contents if isinstance(content, str)]
    kinds = [content for content in contents if content is not None and not isinstance(content, str)]
    if kinds:
        types = dict.fromkeys(type(kind) if isinstance(kind, Struct) else kind for kind in kinds)
        examples = [to_builtins(kind) for kind in kinds if isinstance(kind, Struct)]
        alternatives = [schemas.returned(kind) for kind in types]
        schema = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
        named = {str(number): {"value": value} for number, value in enumerate(examples, 1)}
        response["content"] = {JSON: {"schema": schema, **({"examples": named} if named else {})}}
    for media_type in media:
        response.setdefault("content", {})[media_type] = {"schema": {"type": "string"}}
    return response
