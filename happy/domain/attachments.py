"""Names of attachments: only those that this server issued for a session may be written."""

import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

from happy.domain.errors import NotFound
from happy.domain.names import MAX_NAME
from happy.domain.values import SessionId
from happy.limits import limit

MAX_BYTES = limit(10 * 1024 * 1024, "bytes of an attachment", per="attachment", then="413")
SUFFIX = ".enc"
HALF = 8  # bytes of a UUID that are random; the others are a MAC


class AttachmentNames:
    """Issues names that look like random UUIDs and can be recognised without having been stored."""

    def __init__(self, key: bytes, previous: Sequence[bytes] = ()) -> None:
        """Names of `previous` keys are recognised too, but not issued."""
        self._key = key
        self._keys = (key, *previous)

    def issue(self, session_id: SessionId) -> str:
        return f"{_complete(self._key, session_id, secrets.token_bytes(HALF))}{SUFFIX}"

    def issued(self, session_id: SessionId, name: str) -> bool:
        """Whether `name` was issued for this session."""
        try:
            claimed = UUID(name.removesuffix(SUFFIX))
        except ValueError:
            return False
        return any(
            hmac.compare_digest(
                f"{_complete(key, session_id, claimed.bytes[:HALF])}{SUFFIX}".encode(), name.encode()
            )
            for key in self._keys
        )


def _complete(key: bytes, session_id: SessionId, random: bytes) -> UUID:
    first = UUID(bytes=random + bytes(HALF), version=4).bytes[:HALF]
    proof = hmac.digest(key, first + session_id.encode(), "sha256")[:HALF]
    return UUID(bytes=first + proof, version=4)


def folder(session_id: SessionId) -> str:
    """The prefix of everything attached to a session."""
    return f"sessions/{session_id}/attachments/"


def key(session_id: SessionId, name: str) -> str:
    """The file store key of an attachment. Raises NotFound for a name that leads out of the folder.

    Also for one that is too long: to sign a link of 60,000 characters took 14 ms.
    """
    if not name or "/" in name or ".." in name or len(name) > MAX_NAME:
        raise NotFound("Invalid attachment file")
    return folder(session_id) + name
