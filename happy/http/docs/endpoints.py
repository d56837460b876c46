"""The documentation of these endpoints, for programs and for people; built on the first request."""

import asyncio
from collections.abc import Callable, Sequence

from happy.http.docs.style import STYLE
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.page_headers import HTML, page_headers
from happy.http.framework.responses import JSON, Response, encode

HEADERS = ((b"cache-control", b"no-cache"), *page_headers(STYLE))


class DocsEndpoints:
    """Describes the endpoints it is given, not its own."""

    def __init__(self, described: Sequence[Endpoint]) -> None:
        self._described = described
        self._made: dict[str, bytes] = {}

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/docs", self.page, public=True),
            Endpoint("GET", "/docs/openapi.json", self.document, public=True),
        ]

    async def document(self) -> Response:
        return Response(200, await self._once("document", self._document), JSON, HEADERS)

    async def page(self) -> Response:
        return Response(200, await self._once("page", self._page), HTML, HEADERS)

    async def _once(self, name: str, make: Callable[[], bytes]) -> bytes:
        if name not in self._made:
            self._made[name] = await asyncio.to_thread(make)
        return self._made[name]

    def _document(self) -> bytes:
        from happy.http.docs.openapi import document

        return encode(document(self._described))

    def _page(self) -> bytes:
        from happy.http.docs.openapi import document
        from happy.http.docs.page import page

        return page(document(self._described)).encode()
