"""An endpoint: a Litestar handler that also knows the errors that the protocol defines for it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition
from msgspec import Struct
from msgspec.json import Decoder

from happy.http.framework.errors import Failure, internal_error
from happy.http.framework.limits import MAX_SMALL_BODY
from happy.http.framework.listing import ListResponse
from happy.http.framework.long_body import LongBodies
from happy.http.framework.query import QueryField
from happy.http.framework.responses import JSON, FileResponse, Response, json_response

Method = Literal["GET", "POST", "PUT", "DELETE"]
Limited = Literal["sign_ins", "polls"]
"""Kinds of requests that are limited for each address."""

BEARER = "bearer"
PARAMETER = re.compile(r"\{(\w+):\w+\}")


class Endpoint(HTTPRouteHandler):
    """A handler with its method and path. The handler returns the content of a 200, or a response of its own.

    `public` endpoints need no token; `rate` limits them for each address. `missing` is the text of a 404 for
    what the caller does not have, `failure` the body of a 500. `any_text` lets the path parameters be empty,
    or longer than others may be.
    `limit` is the largest body in bytes, but for `long_bodies` that say their length. `streams` passes the
    body in chunks as it arrives; `verifies` passes it as it was sent, for the endpoint to verify before it is
    parsed. `unready` answers with the body unread. `waits`: the handler waits for services of others.
    `other_responses` and `needs_headers` are for the documentation: further responses by status (a struct or
    its type, a media type for what is no JSON, None for no content), and the headers the handler requires.
    """

    __slots__ = (
        "_decoder",
        "_queries",
        "any_text",
        "failure",
        "limit",
        "long_bodies",
        "missing",
        "needs_headers",
        "other_responses",
        "public",
        "rate",
        "streams",
        "takes_slot",
        "template",
        "unready",
        "verifies",
    )

    def __init__(  # noqa: PLR0913
        self,
        method: Method,
        path: str,
        handler: Callable[..., Any],
        *,
        public: bool = False,
        rate: Limited | None = None,
        missing: str | None = None,
        failure: Failure | None = None,
        any_text: bool = False,
        streams: bool = False,
        verifies: bool = False,
        waits: bool = False,
        limit: int = MAX_SMALL_BODY,
        long_bodies: LongBodies | None = None,
        unready: Callable[[Mapping[bytes, bytes]], Response | None] | None = None,
        other_responses: Mapping[int, Any] | None = None,
        needs_headers: tuple[str, ...] = (),
    ) -> None:
        """What an endpoint does not say has a default."""
        security: list[dict[str, list[str]]] = [] if public else [{BEARER: []}]
        super().__init__(path, http_method=method, status_code=200, media_type=JSON, security=security)
        self(handler)
        self.public = public
        self.rate = rate
        self.any_text = any_text
        self.streams = streams
        self.verifies = verifies
        self.takes_slot = not (streams or long_bodies or waits)
        """Whether it counts among the requests of which an account has a few at once (`concurrency.py`)."""

        self.limit = limit
        self.long_bodies = long_bodies
        self.unready = unready
        self.template = PARAMETER.sub(r":\1", path)
        self.missing = missing
        self.other_responses = other_responses or {}
        self.needs_headers = needs_headers
        self.failure: Struct = failure or internal_error()
        self._decoder: Decoder[Any] | None = None
        self._queries: tuple[QueryField, ...] | None = None

    @property
    def decoder(self) -> Decoder[Any] | None:
        """Reads the body that the handler takes as `data`."""
        if self._decoder is None and self.parsed_data_field is not None:
            self._decoder = Decoder(self.parsed_data_field.annotation)
        return self._decoder

    @property
    def queries(self) -> tuple[QueryField, ...]:
        if self._queries is None:
            fields = self.parsed_fn_signature.parameters.values()
            self._queries = tuple(
                _query(field) for field in fields if isinstance(field.kwarg_definition, QueryParameter)
            )
        return self._queries

    async def to_response(self, app: Any, data: Any, request: Any) -> Any:  # noqa: ARG002 - an override
        return data if isinstance(data, (Response, FileResponse, ListResponse)) else json_response(200, data)


def _query(field: FieldDefinition) -> QueryField:
    assert isinstance(field.kwarg_definition, QueryParameter)
    return QueryField(
        name=field.kwarg_definition.name or field.name,
        argument=field.name,
        integer=field.is_subclass_of(int) or any(inner.is_subclass_of(int) for inner in field.inner_types),
        required=not field.has_default,
    )
