"""The order in which every request is processed, around Litestar's handlers.

protocol: http#order-of-processing
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from litestar import Litestar
from litestar.exceptions import ValidationException

from happy.domain.errors import HappyError, Unavailable
from happy.domain.values import AccountId
from happy.http.framework import body, cors, query
from happy.http.framework.admission import Admission
from happy.http.framework.asgi import TRANSPORT, Headers, Receive, Scope, Send
from happy.http.framework.body_memory import BodyMemory, BodyShare
from happy.http.framework.concurrency import Concurrency
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import (
    Refusal,
    bad_url,
    error_response,
    internal_error,
    unacceptable,
    unknown_route,
)
from happy.http.framework.limits import MAX_SMALL_BODY
from happy.http.framework.long_body import LongBody
from happy.http.framework.requests import ADDRESSES, BODY, CHUNKS, DATA, LARGE_WORK, LONG_BODY
from happy.http.framework.responses import FileResponse, Response, ResponseSender, json_response
from happy.http.framework.routing import MalformedPath, Match, Router
from happy.http.framework.validation import NUL, problem
from happy.http.web_app import WebApp
from happy.metrics import OTHER, Metrics
from happy.services.caller import ACCOUNT
from happy.services.large_work import LARGE_BYTES, LargeWork
from happy.telemetry import LimitedLog

KEEP_ALIVE = ((b"connection", b"keep-alive"), (b"keep-alive", b"timeout=72"))
"""Announced keep-alive timeout in s. uvicorn's `timeout_keep_alive` must be at least as long."""

CLOSE = ((b"connection", b"close"),)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
"""Methods with a metric label of their own."""

TOO_LARGE = 413
MALFORMED = frozenset({400, 415})
LINES_A_MINUTE = 20

log = logging.getLogger(__name__)
_log_too_large, _log_malformed = (
    LimitedLog(log, text, level=logging.INFO, burst=LINES_A_MINUTE)
    for text in ("refused a request that is too large", "refused a malformed request")
)


class Pipeline:
    """Litestar declares endpoints and calls handlers; what the protocol specifies exactly is done here.

    A body is read when it is known that it is wanted: there is an endpoint, its caller is known, its size and
    type are what the endpoint takes, and there is room for it.
    """

    def __init__(
        self,
        litestar: Litestar,
        admission: Admission,
        ui: WebApp | None,
        metrics: Metrics,
        leaving: Callable[[], bool],
        large_work: LargeWork,
    ) -> None:
        self._litestar = litestar
        self._admission = admission
        self._ui = ui
        self._metrics = metrics
        self._leaving = leaving
        self._memory = BodyMemory()
        self._large_work = large_work
        self._concurrency = Concurrency(self._large_work)
        self._router = Router(litestar.routes)  # type: ignore[arg-type]  # there are no other routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        common = _common_headers(scope, headers, leaving=self._leaving())
        sender = ResponseSender(send, common, bodiless=scope["method"] == "HEAD")
        started = time.perf_counter()
        try:
            await self._respond(scope, headers, receive, sender)
        except body.ClientGone:
            log.debug("a client disconnected before its request was complete")
        finally:
            self._count(scope["method"], headers, sender, time.perf_counter() - started)

    def _count(
        self, method: str, headers: dict[bytes, bytes], sender: ResponseSender, seconds: float
    ) -> None:
        declared = headers.get(b"x-happy-client")
        client = None if declared is None else declared.decode("latin-1")
        known = method if method in METHODS else OTHER
        if sender.status == TOO_LARGE:
            _log_too_large(f"{known} {sender.route}")
        elif sender.status in MALFORMED:
            _log_malformed(f"{known} {sender.route}")
        self._metrics.http(known, sender.route, sender.status, client, seconds)

    async def _respond(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, sender: ResponseSender
    ) -> None:
        method: str = scope["method"]
        if method == "OPTIONS":
            await cors.preflight_response(headers)(scope, receive, sender)
            return
        match: Match | None = None
        try:
            match = self._router.find("GET" if method == "HEAD" else method, scope["raw_path"])
            await self._handle(match, scope, headers, receive, sender)
        except MalformedPath:
            refusal = bad_url(_url(scope))
            sender.headers = sender.headers[1:]  # the only response without a CORS header
            await json_response(refusal.status, refusal.body)(scope, receive, sender)
        except Refusal as refusal:
            await json_response(refusal.status, refusal.body)(scope, receive, sender)
        except body.ClientGone:
            raise
        except Exception as error:
            if sender.started:
                raise
            await _explain(error, match, method)(scope, receive, sender)

    async def _handle(
        self,
        match: Match | None,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        sender: ResponseSender,
    ) -> None:
        if match is not None:
            sender.route = match.endpoint.template
        page = await self._page(match, scope, headers)
        if page is not None:
            await page(scope, receive, sender)
        elif match is not None:
            await self._call(match, scope, headers, receive, sender)
        else:
            raise unknown_route(scope["method"], _url(scope))

    async def _page(
        self, match: Match | None, scope: Scope, headers: dict[bytes, bytes]
    ) -> Response | FileResponse | None:
        """The web app's response, for paths without an endpoint."""
        if self._ui is None or scope["method"] not in {"GET", "HEAD"}:
            return None
        if scope["raw_path"] == b"/":
            return await self._ui.home(scope, headers)
        return await self._ui.response(scope, headers) if match is None else None

    async def _call(
        self,
        match: Match,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        sender: ResponseSender,
    ) -> None:
        _, endpoint, parameters = match
        inner: dict[str, Any] = {**scope, "app": self._litestar, "litestar_app": self._litestar}
        inner["route_handler"] = endpoint
        inner["path_params"] = parameters
        inner[ADDRESSES] = self._admission.addresses
        inner[LARGE_WORK] = self._large_work
        claims = await self._admission.admit(endpoint, scope, headers)
        inner["auth"], inner["user"] = claims, None if claims is None else AccountId(claims.account_id)
        ACCOUNT.set(inner["user"] or "")
        _check_parameters(parameters)
        (inner["method"],) = endpoint.http_methods
        unready = endpoint.unready(headers) if endpoint.unready else None
        if unready is not None:
            await unready(scope, receive, sender)
            return
        if endpoint.queries:
            inner["query_string"] = query.normalize(scope["query_string"], endpoint.queries)
        await self._take_body(match, inner, headers, receive, sender)

    async def _take_body(
        self,
        match: Match,
        inner: dict[str, Any],
        headers: dict[bytes, bytes],
        receive: Receive,
        sender: ResponseSender,
    ) -> None:
        """Read the body, and handle it: a large one in its turn."""
        with self._memory.share(inner.get(TRANSPORT)) as share:
            receiving = self._admission.receiving(inner["auth"], receive)
            await _read_body(inner, match.endpoint, headers, receiving, share)
            if share.taken < LARGE_BYTES:
                handle = partial(self._handle_body, match, inner, receive, sender)
                await self._concurrency.handle(match.endpoint, inner["user"], sender, handle)
                return
            async with self._large_work.turn(inner["user"] or ""):
                await self._handle_body(match, inner, receive, sender)

    async def _handle_body(
        self, match: Match, inner: dict[str, Any], receive: Receive, sender: ResponseSender
    ) -> None:
        """Decode the body, if there is one, and call the handler."""
        route, endpoint, _ = match
        if BODY in inner and not endpoint.verifies:
            await _decode_body(inner, endpoint)
        try:
            await route.handle(inner, receive, sender)  # type: ignore[arg-type]
        except ValidationException as error:
            raise _query_refusal(endpoint.queries, error) from None


async def _read_body(
    inner: dict[str, Any],
    endpoint: Endpoint,
    headers: dict[bytes, bytes],
    receive: Receive,
    share: BodyShare,
) -> None:
    """Put the body into the scope once it has arrived, or its chunks. Raises Refusal and ClientGone."""
    long = endpoint.long_bodies
    if long is not None and body.is_long(headers, endpoint.limit, long.limit):
        inner[LONG_BODY], inner[DATA] = LongBody(body.chunks(receive), share), long.data
    elif endpoint.streams:
        inner[CHUNKS] = body.stream(headers, receive)
    elif inner["method"] in body.METHODS:
        inner[BODY] = await body.read(inner["method"], headers, receive, endpoint.limit, share)
        share.complete()


async def _decode_body(inner: dict[str, Any], endpoint: Endpoint) -> None:
    """Replace the body by what the handler takes. Raises Refusal."""
    payload = inner.pop(BODY)
    large = len(payload.content) > MAX_SMALL_BODY  # it takes some ms to decode it, and to use it
    if endpoint.decoder is None:
        body.check(payload)
        return
    if large:
        await asyncio.sleep(0)
    inner[DATA] = body.decode(endpoint.decoder, payload)
    if large:
        del payload
        await asyncio.sleep(0)


def _common_headers(scope: Scope, headers: dict[bytes, bytes], *, leaving: bool) -> Headers:
    """CORS first; keep-alive is not announced on a connection that the client wants closed.

    During shutdown, `Connection: close` keeps clients from sending into connections about to close.
    """
    if leaving:
        return (cors.ALLOW_ORIGIN, *CLOSE)
    closing = scope.get("http_version") == "1.0" or headers.get(b"connection", b"").lower() == b"close"
    return (cors.ALLOW_ORIGIN,) if closing else (cors.ALLOW_ORIGIN, *KEEP_ALIVE)


def _url(scope: Scope) -> str:
    url: str = scope["raw_path"].decode("latin-1")
    return f"{url}?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else url


def _check_parameters(parameters: dict[str, str]) -> None:
    for name, value in parameters.items():
        if "\0" in value:
            raise unacceptable(f"params/{name} {NUL}")


def _query_refusal(fields: tuple[query.QueryField, ...], error: ValidationException) -> Refusal:
    """Types and presence were validated before; what remains are bounds."""
    problems: Any = error.extra
    return query.out_of_range(fields, problems[0]["key"], problem(problems[0]["message"]))


def _explain(error: Exception, match: Match | None, method: str) -> Response:
    """Map expected errors to responses. Others are bugs: a 500, logged without the request's content."""
    endpoint = match.endpoint if match else None
    if isinstance(error, HappyError):
        if isinstance(error, Unavailable):
            log.warning("unavailable: %s", error)
        return error_response(error, endpoint.missing if endpoint else None)
    path = match.route.path if match else "an unknown path"
    log.error("%s %s failed", method, path, exc_info=error)
    return json_response(500, endpoint.failure if endpoint else internal_error())
