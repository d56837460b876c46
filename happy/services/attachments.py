"""Encrypted files of a session: upload tickets, URLs, and their bytes (protocol: http#attachments)."""

from collections.abc import AsyncIterator

from msgspec import Struct

from happy.domain import attachments
from happy.domain.attachments import MAX_BYTES, AttachmentNames
from happy.domain.errors import Invalid, NotFound, TooLarge
from happy.domain.ports.filestore import FileStore, StoredFile, UploadTicket
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, SessionId
from happy.services.quotas import QuotaService
from happy.services.rate_limit import RateLimits

TOO_LARGE = "File too large (max 10MB)"
NOT_HERE = "Direct upload not available in S3 mode"
TOO_MANY = "Too many upload requests. Try again in a minute."


class Upload(Struct, frozen=True):
    """Where a client may put one file. Without a ticket it is uploaded through this server, under `name`."""

    ref: str
    name: str
    ticket: UploadTicket | None


class AttachmentService:
    def __init__(
        self,
        store: Store,
        files: FileStore,
        names: AttachmentNames,
        limits: RateLimits,
        quotas: QuotaService | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._names = names
        self._limits = limits
        self._quotas = quotas or QuotaService(store)

    async def request_upload(self, account_id: AccountId, session_id: SessionId, size: float) -> Upload:
        """Issue a name. Raises TooMany, NotFound for a foreign session, TooLarge, OverQuota."""
        self._limits.uploads.take(account_id, text=TOO_MANY)
        await self._require_session(account_id, session_id)
        if size > MAX_BYTES:
            raise TooLarge(TOO_LARGE)
        whole = int(size) if size >= 0 and size == int(size) else None
        await self._quotas.admit_attachment(account_id, whole or 0)
        name = self._names.issue(session_id)
        ref = attachments.key(session_id, name)
        most = MAX_BYTES if whole is None or not self._quotas.counts else whole
        ticket = await self._files.upload_ticket(ref, most, whole)
        if ticket is not None:  # whether it is used is not reported
            self._quotas.add(account_id, session_id, most, attachments=1)
        return Upload(ref, name, ticket)

    def require_uploads_here(self) -> None:
        """Raises NotFound when clients upload to the store directly."""
        if self._files.direct:
            raise NotFound(NOT_HERE)

    async def upload(
        self, account_id: AccountId, session_id: SessionId, name: str, chunks: AsyncIterator[bytes]
    ) -> None:
        """Store a file under a name issued for it. Raises TooMany, NotFound, TooLarge, OverQuota."""
        self.require_uploads_here()
        self._limits.stored_uploads.take(account_id, text=TOO_MANY)
        await self._require_session(account_id, session_id)
        ref = attachments.key(session_id, name)
        if not self._names.issued(session_id, name):
            raise NotFound("Invalid attachment file")
        try:
            await self._quotas.admit_attachment(account_id, 0)
            size = await self._files.put(ref, chunks, MAX_BYTES)
        except TooLarge:
            raise TooLarge(TOO_LARGE) from None
        self._quotas.add(account_id, session_id, size, attachments=1)

    async def request_download(self, account_id: AccountId, session_id: SessionId, ref: str) -> str | None:
        """URL of a file in the store, None when it is downloaded through this server. May not exist.

        Raises NotFound for a foreign session, Invalid for a reference that does not belong to it.
        """
        await self._require_session(account_id, session_id)
        if not ref.startswith(attachments.folder(session_id)):
            raise Invalid("Ref does not belong to this session")
        try:
            key = attachments.key(session_id, ref.removeprefix(attachments.folder(session_id)))
        except NotFound:
            raise Invalid("Invalid attachment ref") from None
        return await self._files.download_url(key)

    async def locate(self, account_id: AccountId, session_id: SessionId, name: str) -> str:
        """The key of a file of the caller's own session. Raises NotFound."""
        await self._require_session(account_id, session_id)
        return attachments.key(session_id, name)

    async def download_url(self, key: str) -> str | None:
        return await self._files.download_url(key)

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        """Raises NotFound."""
        try:
            return await self._files.open(key, offset, length)
        except NotFound:
            raise NotFound("Attachment not found") from None

    async def _require_session(self, account_id: AccountId, session_id: SessionId) -> None:
        if await self._store.read(lambda tx: tx.sessions.get(account_id, session_id)) is None:
            raise NotFound("Session not found")
