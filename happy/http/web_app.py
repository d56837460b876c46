"""The web app, when a directory with one is configured (protocol: http#web-ui-serving)."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from happy.domain.ports.filestore import StoredFile
from happy.http.framework.asgi import Scope
from happy.http.framework.compression import CompressedFiles, accepts_gzip
from happy.http.framework.errors import Failure
from happy.http.framework.origin import origin
from happy.http.framework.page_headers import HTML, WEB_APP
from happy.http.framework.responses import FileResponse, Response, json_response
from happy.limits import limit
from happy.services.client_addresses import ClientAddresses
from happy.settings.model import Ui

CHUNK = 256 * 1024
MAX_FOLDERS = limit(
    64, "folders in the path of a file of the web app", per="request", then="as a file that is not there"
)
"""Each costs calls of the system."""

SIGNATURE = b"\n<!-- Welcome to Happy Server! -->\n"
HEAD = re.compile(rb"<head\b[^>]*>", re.IGNORECASE)
NOT_FOUND = json_response(404, Failure("Not found"))

API = re.compile(r"/(v1|v2|v3|files|health|metrics|socket|logs-combined[^/]*)(/|$)|/socket|/metrics")
"""Paths of the API: unknown ones are a 404, not the index page."""

FROM_ROOT = re.compile(
    r"/(_expo|assets|\.well-known)/|/(favicon\.ico|favicon-active\.ico|canvaskit\.wasm|metadata\.json)$"
)
"""Files that pages request from the root of the host, whatever the prefix."""

ASSET = re.compile(r"/(_expo|assets)/.*\.[^./]+$")

TYPES = {
    ".html": HTML,
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".ico": "image/x-icon",
    ".wasm": "application/wasm",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}
COMPRESSIBLE = frozenset({".js", ".mjs", ".css", ".json", ".map", ".txt", ".svg", ".wasm", ".ttf", ".ico"})
IMMUTABLE = b"public, max-age=31536000, immutable"
REVALIDATE = b"no-cache"

HASHED = re.compile(
    r"[.-](?=[^.]*[0-9])(?=[^.]*[a-f])[0-9a-f]{8,}\."  # hexadecimal digits, as bundlers write a hash
    r"|[.-](?=[\w-]*[A-Z0-9][\w-]*\.)(?=[\w-]*[a-z])(?![A-Z][a-z]{7}\.)[\w-]{8}\.[^.]+$"  # 48 bits in base64
)
"""Names that change with the content, and those alone, may be cached for ever."""

ROOT_LINK = re.compile(rb"""(\s(?:src|href)=["']?/)(?!/)""", re.IGNORECASE)


class WebApp:
    """`prefix` is `/`, or begins with a slash and does not end with one.

    Pages learn from `config` which server to talk to; unless it says otherwise, the one they came from.
    """

    def __init__(
        self, folder: Path, prefix: str, config: Mapping[str, Any], addresses: ClientAddresses
    ) -> None:
        self._folder = folder.resolve()
        self._prefix = prefix
        self._config = config
        self._addresses = addresses
        self._base = urlsplit(addresses.public_url or "").path
        self._compressed = CompressedFiles()

    def address(self, scope: Scope) -> str:
        """Where the web app is for the client of this request."""
        return origin(scope, self._addresses) + self._prefix.removesuffix("/") + "/"

    async def response(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Response | FileResponse | None:
        """The response to a GET or HEAD request without an endpoint; None for paths outside the web app."""
        path: str = unquote(scope["raw_path"].decode("latin-1"), errors="replace")
        if self._prefix == "/":
            return await self._at_root(path, scope, headers)
        if path == self._prefix:
            return _redirect(f"{self._base}{self._prefix}/")
        if path.startswith(f"{self._prefix}/"):
            return await self._file_or_index(path.removeprefix(self._prefix), scope, headers)
        if FROM_ROOT.match(path):
            return await self._file(path, headers) or NOT_FOUND
        return None

    async def home(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Response | None:
        """The page at `/`, unless the client accepts plain text: that is how it recognises a server."""
        accepted = headers.get(b"accept", b"").lower()
        if self._prefix != "/" or (b"text/plain" in accepted and b"text/html" not in accepted):
            return None
        return await self._index(scope, headers)

    async def _at_root(
        self, path: str, scope: Scope, headers: Mapping[bytes, bytes]
    ) -> Response | FileResponse | None:
        if path == "/ui" or path.startswith("/ui/"):
            rest = path.removeprefix("/ui").replace("\\", "/").lstrip("/")
            return _redirect(f"{self._base}/{rest}")
        if API.match(path):
            return None
        return await self._file_or_index(path, scope, headers)

    async def _file_or_index(
        self, path: str, scope: Scope, headers: Mapping[bytes, bytes]
    ) -> Response | FileResponse:
        if _escapes(path):
            return NOT_FOUND
        if path.rsplit("/", 1)[-1] in ("", "index.html"):
            return await self._index(scope, headers)
        found = await self._file(path, headers)
        if found is not None:
            return found
        return NOT_FOUND if ASSET.match(path) or FROM_ROOT.match(path) else await self._index(scope, headers)

    async def _file(self, path: str, headers: Mapping[bytes, bytes]) -> Response | FileResponse | None:
        if _escapes(path) or _hidden(path):
            return None
        found = await asyncio.to_thread(_find, self._folder, path)
        if found is None:
            return None
        file, status = found
        suffix = PurePosixPath(path).suffix.lower()
        copy = None
        if suffix in COMPRESSIBLE and accepts_gzip(headers):
            copy = await self._compressed.gzipped(file, status)
        tag = f'"{status.st_size:x}-{status.st_mtime_ns:x}{"" if copy is None else "-gzip"}"'.encode()
        media_type = TYPES.get(suffix, "application/octet-stream")
        common = (
            (b"cache-control", IMMUTABLE if HASHED.search(file.name) else REVALIDATE),
            (b"etag", tag),
            (b"last-modified", formatdate(status.st_mtime, usegmt=True).encode()),
            *(((b"vary", b"accept-encoding"),) if suffix in COMPRESSIBLE else ()),
            *(WEB_APP if media_type == HTML else ()),
        )
        if _unchanged(headers, tag):
            return Response(304, b"", media_type, common)
        if copy is not None:
            return Response(200, copy, media_type, (*common, (b"content-encoding", b"gzip")))
        return FileResponse(StoredFile(status.st_size, _read(file)), media_type, common)

    async def _index(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Response:
        """The page with its configuration; the tag is that of the result, not of the file."""
        try:
            page = await asyncio.to_thread((self._folder / "index.html").read_bytes)
        except OSError:
            return NOT_FOUND
        page = self._inject(page, origin(scope, self._addresses)) + SIGNATURE
        tag = f'"{hashlib.sha256(page).hexdigest()[:32]}"'.encode()
        common = (
            (b"cache-control", b"no-cache"),
            (b"etag", tag),
            (b"vary", b"host, x-forwarded-host, accept"),
            *WEB_APP,
        )
        if _unchanged(headers, tag):
            return Response(304, b"", HTML, common)
        return Response(200, page, HTML, common)

    def _inject(self, page: bytes, server_url: str) -> bytes:
        config = msgspec.json.encode({"serverUrl": server_url, **self._config})
        escaped = config.replace(b"<", b"\\u003c")
        script = b"\n<script>window.__HAPPY_CONFIG__ = " + escaped + b";</script>"
        if self._base:  # the page was built for the root of its host
            page = ROOT_LINK.sub(rb"\g<1>" + self._base.lstrip("/").encode() + b"/", page)
        head = HEAD.search(page)
        return page if head is None else page[: head.end()] + script + page[head.end() :]


def open_web_app(ui: Ui | None, addresses: ClientAddresses) -> WebApp | None:
    """The web app that the settings name, if they name one."""
    return None if ui is None else WebApp(ui.folder, ui.prefix, ui.config, addresses)


def _redirect(location: str) -> Response:
    return Response(
        302, b"", "text/plain; charset=utf-8", ((b"location", quote(location, safe="/~").encode()),)
    )


def _escapes(path: str) -> bool:
    return ".." in path.split("/") or "\\" in path or "\0" in path


def _hidden(path: str) -> bool:
    """Dot files are hidden, but for what browsers look for and what bundlers put below `assets/`."""
    first, *rest = path.strip("/").split("/")
    if first in (".well-known", "assets", "_expo"):
        return False
    return any(part.startswith(".") for part in (first, *rest))


def _find(folder: Path, path: str) -> tuple[Path, os.stat_result] | None:
    """None also for a name that no file can have, such as one of more than 255 bytes."""
    if path.count("/") > MAX_FOLDERS:
        return None
    try:
        file = (folder / path.lstrip("/")).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            return None
        return file, file.stat()
    except (OSError, ValueError):
        return None


async def _read(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, CHUNK):
            yield chunk


def _unchanged(headers: Mapping[bytes, bytes], tag: bytes) -> bool:
    known = headers.get(b"if-none-match")
    return known is not None and (
        known.strip() == b"*" or tag in (part.strip() for part in known.split(b","))
    )
