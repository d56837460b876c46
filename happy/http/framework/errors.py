"""Map errors to a status and a body (protocol: http#common-answers), for all endpoints."""

from msgspec import UNSET, Struct, UnsetType

from happy.domain.errors import (
    Conflict,
    Forbidden,
    HappyError,
    Invalid,
    NotFound,
    OverQuota,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from happy.http.framework.asgi import Headers
from happy.http.framework.responses import Response, json_response

STATUS: dict[type[HappyError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    TooMany: 429,
    OverQuota: 507,
    Unavailable: 503,
}
RETRY_LATER = ((b"retry-after", b"1"),)


class Failure(Struct, frozen=True):
    """The body of an error. `success` is present only where the protocol defines it."""

    error: str
    success: bool | UnsetType = UNSET


class RefusalBody(Struct, frozen=True, rename="camel"):
    """The body of an error that occurred before an endpoint was called."""

    error: str
    message: str
    status_code: int
    code: str | UnsetType = UNSET


class UnknownRoute(Struct, frozen=True):
    error: str
    path: str
    method: str


class Refusal(Exception):
    """The request is refused before its endpoint is called, with this status and body."""

    def __init__(self, status: int, body: Struct) -> None:
        super().__init__()
        self.status = status
        self.body = body


def refusal(status: int, error: str, message: str) -> Refusal:
    return Refusal(status, RefusalBody(error, message, status))


def unacceptable(problem: str) -> Refusal:
    """The request does not have the shape its endpoint declares."""
    return refusal(400, "Error", problem)


def malformed(problem: str) -> Refusal:
    """The body is not JSON."""
    return refusal(400, "SyntaxError", problem)


def unsupported(media_type: str) -> Refusal:
    return refusal(415, "FastifyError", f"Unsupported Media Type: {media_type}")


def body_too_large() -> Refusal:
    return refusal(413, "FastifyError", "Request body is too large")


def unknown_route(method: str, url: str) -> Refusal:
    return Refusal(404, UnknownRoute("Not found", url, method))


def bad_url(url: str) -> Refusal:
    return Refusal(
        400, RefusalBody("Bad Request", f"'{url}' is not a valid url component", 400, "FST_ERR_BAD_URL")
    )


def internal_error() -> RefusalBody:
    return RefusalBody("Internal Server Error", "An unexpected error occurred", 500)


def error_response(error: HappyError, missing: str | None = None) -> Response:
    """The response to an expected error. `missing` is the endpoint's own text for a 404."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    text = missing if missing and isinstance(error, NotFound) else str(error)
    return json_response(status, Failure(text), _retry_after(error))


def _retry_after(error: HappyError) -> Headers:
    match error:
        case Unavailable():
            return RETRY_LATER
        case TooMany(retry_after=int(seconds)):
            return ((b"retry-after", b"%d" % seconds),)
        case _:
            return ()
