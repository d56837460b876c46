"""Encrypted files of a session: upload and download (protocol: http#attachments)."""

import re
from typing import cast
from urllib.parse import quote

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, UnsetType

from happy.domain.attachments import MAX_BYTES
from happy.domain.errors import TooLarge
from happy.domain.values import SessionId
from happy.http.framework.asgi import Scope
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.origin import origin
from happy.http.framework.requests import ApiRequest
from happy.http.framework.responses import FileResponse, Response, json_response
from happy.services.attachments import TOO_LARGE, TOO_MANY, AttachmentService
from happy.services.client_addresses import ClientAddresses

OCTETS = "application/octet-stream"
UNSATISFIABLE = Failure("Range not satisfiable")
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RequestUpload(Struct):
    """`filename` is required of clients and otherwise ignored."""

    filename: str
    size: int | float


class UploadOffer(Struct, rename="camel"):
    ref: str
    upload_url: str
    method: str
    form_fields: dict[str, str] | UnsetType = UNSET


class RequestDownload(Struct):
    ref: str


class DownloadOffer(Struct, rename="camel"):
    download_url: str


class Stored(Struct):
    ok: bool = True


class AttachmentEndpoints:
    def __init__(self, attachments: AttachmentService, addresses: ClientAddresses) -> None:
        self._attachments = attachments
        self._addresses = addresses

    def endpoints(self) -> list[Endpoint]:
        every = "/v1/sessions/{session_id:str}/attachments"
        one = f"{every}/{{name:str}}"
        foreign, large = Failure("Session not found"), Failure(TOO_LARGE)
        full = {507: Failure("This account may store 1000 attachments. Delete sessions to make room")}
        offered = {404: foreign, 413: large, 429: Failure(TOO_MANY), **full}
        stored = {404: Failure("Invalid attachment file"), 413: large, 429: Failure(TOO_MANY), **full}
        found = {
            200: OCTETS,
            206: OCTETS,
            302: None,
            404: Failure("Attachment not found"),
            416: UNSATISFIABLE,
        }
        return [
            Endpoint("POST", f"{every}/request-upload", self.request_upload, other_responses=offered),
            Endpoint(
                "POST", f"{every}/request-download", self.request_download, other_responses={404: foreign}
            ),
            Endpoint("PUT", one, self.upload, streams=True, limit=MAX_BYTES, other_responses=stored),
            Endpoint("GET", one, self.download, other_responses=found),
        ]

    async def request_upload(
        self, request: ApiRequest, session_id: FromPath[SessionId], data: JSONBody[RequestUpload]
    ) -> UploadOffer:
        """An address for the upload of one encrypted file of a session."""
        upload = await self._attachments.request_upload(request.account_id, session_id, data.size)
        if upload.ticket is None:
            return UploadOffer(upload.ref, self._address(request, session_id, upload.name), "PUT")
        ticket = upload.ticket
        fields = UNSET if ticket.form_fields is None else ticket.form_fields
        return UploadOffer(upload.ref, ticket.url, ticket.method, fields)

    async def request_download(
        self, request: ApiRequest, session_id: FromPath[SessionId], data: JSONBody[RequestDownload]
    ) -> DownloadOffer:
        """An address from which a file of a session is downloaded."""
        url = await self._attachments.request_download(request.account_id, session_id, data.ref)
        return DownloadOffer(url or self._address(request, session_id, data.ref.rpartition("/")[2]))

    async def upload(
        self, request: ApiRequest, session_id: FromPath[SessionId], name: FromPath[str]
    ) -> Stored:
        """Store the file whose upload was requested, where the server has the files itself."""
        self._attachments.require_uploads_here()
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:16]) > MAX_BYTES:
            raise TooLarge(TOO_LARGE)
        await self._attachments.upload(request.account_id, session_id, name, request.chunks())
        return Stored()

    async def download(
        self, request: ApiRequest, session_id: FromPath[SessionId], name: FromPath[str]
    ) -> Response | FileResponse:
        """A file of a session, or a range of it, or a redirection to the object store that has it."""
        key = await self._attachments.locate(request.account_id, session_id, name)
        url = await self._attachments.download_url(key)
        if url is not None:
            return Response(302, b"", headers=((b"location", url.encode()),))
        return await self._send(key, request.headers.get("range"))

    async def _send(self, key: str, range_header: str | None) -> Response | FileResponse:
        """The whole file, or the one range of a `Range` header; other forms of ranges are ignored."""
        whole = await self._attachments.open(key)
        common = ((b"accept-ranges", b"bytes"), (b"cache-control", b"private, max-age=31536000, immutable"))
        match = RANGE.fullmatch(range_header.strip()) if range_header else None
        if match is None or not any(match.groups()):
            return FileResponse(whole, OCTETS, common)
        first, last = _span(match[1], match[2], whole.size)
        if first > last:
            unsatisfiable = (b"content-range", b"bytes */%d" % whole.size)
            return json_response(416, UNSATISFIABLE, (unsatisfiable,))
        part = await self._attachments.open(key, first, last - first + 1)
        content_range = (b"content-range", b"bytes %d-%d/%d" % (first, last, whole.size))
        return FileResponse(part, OCTETS, (*common, content_range), length=last - first + 1)

    def _address(self, request: ApiRequest, session_id: SessionId, name: str) -> str:
        scope = cast("Scope", request.scope)
        base = origin(scope, self._addresses)
        return f"{base}/v1/sessions/{quote(session_id)}/attachments/{quote(name)}"


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and last byte of a range in a file of `size` bytes."""
    if not first:
        return max(0, size - int(last[:16])), size - 1
    return int(first[:16]), min(int(last[:16]), size - 1) if last else size - 1
