"""Cross-origin rules (protocol: http#cors): every page may call, and none sends cookies."""

from collections.abc import Mapping

from happy.http.framework.responses import TEXT, Answer

ALLOW_ORIGIN = (b"access-control-allow-origin", b"*")
METHODS = b"GET, POST, PUT, DELETE"


def answer_options(headers: Mapping[bytes, bytes]) -> Answer:
    """A preflight is granted. The header names asked for are echoed: `*` does not cover `Authorization`.

    Without an `Origin` it is not a browser that asks, but a proxy whether the server is there.
    """
    answer = Answer(204, b"")
    if b"origin" not in headers:
        answer.headers = [(b"allow", METHODS)]
        return answer
    if b"access-control-request-method" not in headers:
        return Answer(400, b"Invalid Preflight Request", TEXT)
    answer.headers = [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers") or b"*"),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
    return answer
