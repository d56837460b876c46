"""Public files, such as profile pictures, from local storage (protocol: http#infrastructure-endpoints)."""

from pathlib import PurePosixPath

from litestar.params import FromPath

from happy.domain.errors import NotFound
from happy.domain.ports.filestore import FileStore
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.responses import FileResponse

PUBLIC = "public/"
"""Encrypted attachments are in the same store, but only their owner may read them: not served here."""

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
OTHER = "application/octet-stream"
HEADERS = (
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
)


class FileEndpoints:
    def __init__(self, files: FileStore) -> None:
        self._files = files

    def endpoints(self) -> list[Endpoint]:
        found = {200: "*/*", 404: Failure("Not found")}
        return [Endpoint("GET", "/files/{key:path}", self.read, public=True, other_responses=found)]

    async def read(self, key: FromPath[str]) -> FileResponse:
        """A public file from local storage, such as a profile picture."""
        name = normalize(key)
        if not name.startswith(PUBLIC):
            raise NotFound
        file = await self._files.open(name)
        suffix = PurePosixPath(name).suffix.lower()
        return FileResponse(file, TYPES.get(suffix, OTHER), HEADERS)


def normalize(path: str) -> str:
    """The key a path means. Raises NotFound for one that leads out of its folder."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or ":" in path or "\\" in path or "\0" in path:
        raise NotFound
    return "/".join(parts)
