"""Profile pictures from other servers: fetched behind the SSRF guard, checked by content.

protocol: operations#avatar-processing
"""

import asyncio
from base64 import b64encode
from io import BytesIO
from math import floor
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from happy.adapters.outbound.http_client import HttpClient, NotConnected, read_body
from happy.adapters.outbound.ssrf_guard import Resolve, addresses, resolve
from happy.adapters.outbound.thumbhash import MAX_SIDE, thumbhash
from happy.domain.errors import HappyError, Invalid, Unavailable
from happy.domain.ports.outbound import FetchedAvatar
from happy.limits import limit

if TYPE_CHECKING:
    import httpx

FETCH_SECONDS: Final = 15.0
MAX_FILE: Final = limit(5 * 1024 * 1024, "bytes of a profile picture", per="picture", then="not used")
MAX_PIXELS: Final = limit(16_000_000, "pixels of a profile picture", per="picture", then="not used")
MAX_REDIRECTS: Final = limit(3, "redirects on the way to a profile picture", per="picture", then="not used")
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
FOUND: Final = 200
PORTS: Final = {"http": 80, "https": 443}


class Kind(NamedTuple):
    """First bytes of a format, its file extension here, and its name in Pillow."""

    signature: bytes
    extension: Literal["png", "jpg"]
    format: str


KINDS: Final = (Kind(b"\x89PNG\r\n\x1a\n", "png", "PNG"), Kind(b"\xff\xd8\xff", "jpg", "JPEG"))


class WebAvatars:
    """Connects to the checked IP address: resolving the name again would allow DNS rebinding."""

    def __init__(self, web: HttpClient, resolving: Resolve = resolve, *, allow_private: bool = False) -> None:
        self._web = web
        self._resolve = resolving
        self._allow_private = allow_private

    async def fetch(self, url: str) -> FetchedAvatar:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                content = await self._download(url)
        except TimeoutError as error:
            raise Unavailable("a picture did not arrive in time") from error
        return await asyncio.to_thread(examine, content)

    async def _download(self, url: str) -> bytes:
        address = await self._web.parse(url)
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._get(address)
            if isinstance(found, bytes):
                return found
            address = found
        raise Invalid("too many redirects")

    async def _get(self, url: "httpx.URL") -> "bytes | httpx.URL":
        """The content of a picture, or the URL of a redirect."""
        if url.scheme not in PORTS or not url.host or url.userinfo:
            raise Invalid("not a URL of a picture")
        port = url.port or PORTS[url.scheme]
        unreachable = NotConnected()
        for address in await addresses(url.host, port, self._resolve, allow_private=self._allow_private):
            try:
                return await self._get_from(address, url)
            except NotConnected as error:
                unreachable = error
        raise unreachable

    async def _get_from(self, address: str, url: "httpx.URL") -> "bytes | httpx.URL":
        options: dict[str, Any] = {
            # One connection per picture: the pool would reuse it for other host names of the same address.
            "headers": {"Host": url.netloc.decode("ascii"), "Connection": "close"},
            "extensions": {"sni_hostname": url.raw_host.decode("ascii")},
        }
        async with self._web.stream("GET", url.copy_with(host=address), **options) as response:
            if response.status_code in REDIRECTS and "location" in response.headers:
                return url.join(response.headers["location"])
            if response.status_code != FOUND:
                raise Unavailable(f"the response to the request of a picture was {response.status_code}")
            return await read_body(response, MAX_FILE)


def examine(content: bytes) -> FetchedAvatar:
    """Format and size of a picture. Raises Invalid unless it is a PNG or JPEG within the limits."""
    from PIL import Image

    found = next((kind for kind in KINDS if content.startswith(kind.signature)), None)
    if found is None:
        raise Invalid("neither PNG nor JPEG")
    try:
        with Image.open(BytesIO(content), formats=[found.format]) as image:
            width, height = image.size
            small = scaled(width, height)
            pixels = image.convert("RGBA").resize(small).tobytes()
    except HappyError:
        raise
    except Exception as error:  # Pillow raises many kinds of errors for a damaged picture
        raise Invalid("a damaged picture") from error
    blur = b64encode(thumbhash(*small, pixels)).decode()
    return FetchedAvatar(content, found.extension, width, height, blur)


def scaled(width: int, height: int) -> tuple[int, int]:
    """The size at which the longer side fits the hash. Raises Invalid for too many pixels, or too thin."""
    if width * height > MAX_PIXELS:
        raise Invalid("too many pixels")
    longer = max(width, height)
    small = floor(width * MAX_SIDE / longer + 0.5), floor(height * MAX_SIDE / longer + 0.5)
    if 0 in small:
        raise Invalid("one side is too short")
    return small
