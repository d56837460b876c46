"""HTTP requests to other services: one connection pool, with timeouts and a maximum size of responses."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct

from happy.domain.errors import Invalid, TooLarge, Unavailable
from happy.limits import limit

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

CONNECT_SECONDS: Final = 5.0
CALL_SECONDS: Final = 10.0
MAX_RESPONSE_BYTES: Final = limit(
    4 * 1024 * 1024, "bytes of a response of a foreign service", per="request", then="taken as unavailable"
)
MAX_CONNECTIONS: Final = limit(64, "connections to foreign services", per="replica", then="requests wait")
MAX_IDLE_CONNECTIONS: Final = limit(16, "idle connections to foreign services", per="replica", then="closed")


class NotConnected(Unavailable):
    """The server could not be reached."""


class WebResponse(Struct, frozen=True):
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - the statuses that mean success

    def read(self, kind: type[T]) -> T:
        """The body, which is JSON of this type. Raises Unavailable for anything else."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (ValueError, RecursionError) as error:
            raise Unavailable("a service sent a response that cannot be read") from error


class HttpClient:
    """Opened by the first request, because importing httpx and reading certificates is slow.

    Redirects are not followed, cookies not stored, and proxy variables of the environment ignored.
    """

    def __init__(self, seconds: float = CALL_SECONDS) -> None:
        self._seconds = seconds
        self._client: httpx.AsyncClient | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float | None = None,
    ) -> WebResponse:
        """Any status is returned. Raises TooLarge, and Unavailable for no response before the timeout."""
        seconds = self._seconds if seconds is None else seconds
        await self._opened()  # not part of the timeout
        options: dict[str, Any] = {"headers": headers, "params": params, "content": body}
        with map_errors():
            async with asyncio.timeout(seconds), self.stream(method, url, **options) as response:
                return WebResponse(response.status_code, await read_body(response, MAX_RESPONSE_BYTES))

    @asynccontextmanager
    async def stream(
        self, method: str, url: "str | httpx.URL", **options: Any
    ) -> "AsyncIterator[httpx.Response]":
        """A response whose body is not read yet. Raises Unavailable, also while it is being read."""
        client = await self._opened()
        with map_errors():
            async with client.stream(method, url, **options) as response:
                yield response

    async def parse(self, url: str) -> "httpx.URL":
        """Raises Invalid for an invalid URL."""
        await self._opened()
        import httpx

        try:
            return httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Invalid("not a URL") from error

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _opened(self) -> "httpx.AsyncClient":
        if self._client is None:
            client = await asyncio.to_thread(_open, self._seconds)
            self._client = self._client or client  # a concurrent request may have opened it
        return self._client


async def read_body(response: "httpx.Response", most_bytes: int) -> bytes:
    """The body as sent, without decompression. Raises TooLarge as early as possible."""
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:16]) > most_bytes:
        raise TooLarge
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge
    return bytes(body)


def _open(seconds: float) -> "httpx.AsyncClient":
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    return httpx.AsyncClient(
        timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS),
        headers={"User-Agent": "happy-server", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


@contextmanager
def map_errors() -> Iterator[None]:
    """Translate errors of httpx into domain errors, without the URL: it may contain personal data."""
    import httpx

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotConnected from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, UnicodeError) as error:
        raise Unavailable("a service did not answer") from error
