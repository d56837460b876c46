"""The URL under which a client reaches this server."""

from collections.abc import Mapping

from happy.http.framework.asgi import Scope


def origin(scope: Scope, headers: Mapping[bytes, bytes], public_url: str | None) -> str:
    """The configured URL, or the one the request was sent to (protocol: http#post-attachmentsrequest-upload).

    In headers of chained proxies, the first value is that of the proxy the client connected to.
    """
    if public_url is not None:
        return public_url
    scheme = _first(headers.get(b"x-forwarded-proto")) or "http"
    host = _first(headers.get(b"x-forwarded-host")) or _first(headers.get(b"host"))
    if host:
        return f"{scheme}://{host}"
    _, port = scope.get("server") or ("", 3005)
    return f"http://localhost:{port}"


def _first(value: bytes | None) -> str:
    return value.decode("latin-1").partition(",")[0].strip() if value else ""
