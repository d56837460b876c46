"""Cross-origin rules (protocol: http#cors): every page may call, and none sends cookies."""

from collections.abc import Mapping

from happy.http.framework.responses import TEXT, Response

ALLOW_ORIGIN = (b"access-control-allow-origin", b"*")
METHODS = b"GET, POST, PUT, DELETE"


def preflight_response(headers: Mapping[bytes, bytes]) -> Response:
    """A preflight is granted. The requested header names are echoed: `*` does not cover `Authorization`.

    Without an `Origin` the request comes from no browser; proxies check this way whether the server is up.
    """
    response = Response(204, b"")
    if b"origin" not in headers:
        response.headers = [(b"allow", METHODS)]
        return response
    if b"access-control-request-method" not in headers:
        return Response(400, b"Invalid Preflight Request", TEXT)
    response.headers = [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers") or b"*"),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
    return response
