"""An object store with the habits of one provider or another, in front of the one in a thread of the tests.

It knows no forms, wants the bucket in the host, denies a right, or is in trouble for a moment; what is put
with a signed address is held to what was signed.
"""

import hmac
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.support.certificates import Certificate

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Right = Literal["list", "write", "read", "delete"]
DOMAIN = "s3.test"
"""Tests that want the bucket in the host lead every name below it here."""

NOT_OFFERED = (501, "NotImplemented", "A header you provided implies functionality that is not implemented")
DENIED = (403, "AccessDenied", "Access Denied")
PATH_STYLE = (403, "SecondLevelDomainForbidden", "Please use virtual hosted style to access.")
HOST_STYLE = (404, "NoSuchBucket", "The specified bucket does not exist")
BUSY = (503, "SlowDown", "Please reduce your request rate.")
FORGED = (403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
UNKNOWN_KEY = "The key {} does not exist in our records."


class Provider:
    """Its habits may be changed at any time; `requests` holds method and bucket style of each."""

    def __init__(self, secret_key: str) -> None:
        self.forms = True
        self.lists_of_deletions = True
        self.style: Literal["path", "host"] | None = None
        self.denied: frozenset[Right] = frozenset()
        self.troubled = 0
        self.knows_key = True
        self.secret_key = secret_key
        self._store = DomainDispatcherApplication(create_backend_app)

    def reset(self) -> None:
        self.forms = self.lists_of_deletions = self.knows_key = True
        self.style, self.denied, self.troubled = None, frozenset(), 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        host = str(environ["HTTP_HOST"]).partition(":")[0]
        bucket = host.removesuffix(f".{DOMAIN}") if host.endswith(f".{DOMAIN}") else None
        refusal = self._refusal(environ, bucket)
        if refusal is not None:
            return _refuse(refusal, start_response)
        if bucket is not None:
            environ["PATH_INFO"] = f"/{bucket}{environ['PATH_INFO']}"
            for name in ("RAW_URI", "REQUEST_URI"):
                environ[name] = f"/{bucket}{environ[name]}"
        environ["HTTP_HOST"] = f"127.0.0.1:{environ['SERVER_PORT']}"
        answer: Iterable[bytes] = self._store(environ, start_response)
        return answer

    def _refusal(self, environ: Environ, bucket: str | None) -> tuple[int, str, str] | None:
        method = environ["REQUEST_METHOD"]
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        is_form = method == "POST" and "multipart/form-data" in environ.get("CONTENT_TYPE", "")
        style = "path" if bucket is None else "host"
        refusals = (
            (self._is_troubled(), BUSY),
            (
                not self.knows_key,
                (403, "InvalidAccessKeyId", UNKNOWN_KEY.format(_access_key(environ, query))),
            ),
            (self.style == "host" and style == "path", PATH_STYLE),
            (self.style == "path" and style == "host", HOST_STYLE),
            (is_form and not self.forms, NOT_OFFERED),
            ("delete" in query and not self.lists_of_deletions, NOT_OFFERED),
            (_right(method, query, is_form=is_form) in self.denied, DENIED),
            ("X-Amz-Signature" in query and not self._is_signed(environ, query), FORGED),
        )
        return next((refusal for applies, refusal in refusals if applies), None)

    def _is_troubled(self) -> bool:
        if not self.troubled:
            return False
        self.troubled -= 1
        return True

    def _is_signed(self, environ: Environ, query: dict[str, str]) -> bool:
        """As S3 does it: the headers that were signed, with the values that arrived."""
        names = query["X-Amz-SignedHeaders"].split(";")
        headers = "".join(f"{name}:{_header(environ, name)}\n" for name in names)
        pairs = sorted((_quoted(k), _quoted(v)) for k, v in query.items() if k != "X-Amz-Signature")
        path = quote(unquote(environ["PATH_INFO"]), safe="/~")
        listed = "&".join(f"{name}={value}" for name, value in pairs)
        method = environ["REQUEST_METHOD"]
        request = "\n".join((method, path, listed, headers, ";".join(names), "UNSIGNED-PAYLOAD"))
        _, day, region, service, end = query["X-Amz-Credential"].split("/")
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, region, service, end):
            key = hmac.digest(key, part.encode(), "sha256")
        scope = f"{day}/{region}/{service}/{end}"
        digest = sha256(request.encode()).hexdigest()
        text = "\n".join(("AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest))
        return hmac.digest(key, text.encode(), "sha256").hex() == query["X-Amz-Signature"]


def _right(method: str, query: dict[str, str], *, is_form: bool) -> Right:
    if "delete" in query or method == "DELETE":
        return "delete"
    if "list-type" in query:
        return "list"
    return "write" if is_form or method == "PUT" else "read"


def _access_key(environ: Environ, query: dict[str, str]) -> str:
    given = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2]
    return (given or query.get("X-Amz-Credential", "")).partition("/")[0]


def _header(environ: Environ, name: str) -> str:
    variable = name.upper().replace("-", "_")
    own = variable if variable in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{variable}"
    return str(environ.get(own, "")).strip()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _refuse(refusal: tuple[int, str, str], start_response: StartResponse) -> list[bytes]:
    status, code, message = refusal
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {code}", headers)
    return [body]


@contextmanager
def run_provider(secret_key: str, certificate: Certificate | None = None) -> Iterator[tuple[Provider, int]]:
    """With the port it listens on; with TLS alone where there is a certificate."""
    provider = Provider(secret_key)
    tls = None if certificate is None else (str(certificate.file), str(certificate.key))
    server = make_server(
        "127.0.0.1", 0, provider, threaded=True, request_handler=MotoRequestHandler, ssl_context=tls
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="object store")
    thread.start()
    try:
        yield provider, int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
