"""Encryption of text before it is stored: vendor tokens and GitHub tokens."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from happy.crypto.encoding import KEY_BYTES, hmac_sha512

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CACHED_LEAF_KEYS: Final = 4_096


class Sealed(Struct, frozen=True):
    """A sealed text, and the key id of the secret it was sealed with."""

    blob: bytes
    key_id: str


class AtRest:
    """Seals text under a key of its own per path, such as ("user", account_id, "github", "token")."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._ciphers: dict[tuple[str, ...], AESGCM] = {}

    def leaf_key(self, path: Sequence[str]) -> bytes:
        if any(element.startswith("#") for element in path):
            raise ValueError("a path element cannot start with #")
        chain = self._root
        for element in path:
            chain = hmac_sha512(chain, element)[KEY_BYTES:]
        return hmac_sha512(chain, "#aes256")[:KEY_BYTES]

    def seal(self, path: Sequence[str], text: str, nonce: bytes | None = None) -> bytes:
        nonce = nonce or os.urandom(12)
        return b"\x00" + nonce + self._cipher(path).encrypt(nonce, text.encode(), None)

    def unseal(self, path: Sequence[str], blob: bytes) -> str:
        """Raises ValueError when `blob` is damaged or was sealed under another path or secret."""
        from cryptography.exceptions import InvalidTag

        if len(blob) < 29 or blob[0] != 0:  # noqa: PLR2004 - version, nonce and tag around an empty text
            raise ValueError("not a sealed text")
        try:
            return self._cipher(path).decrypt(blob[1:13], blob[13:], None).decode()
        except InvalidTag as error:
            raise ValueError("sealed under another path or secret, or damaged") from error

    def _cipher(self, path: Sequence[str]) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = tuple(path)
        cipher = self._ciphers.get(key)
        if cipher is None:
            if len(self._ciphers) >= CACHED_LEAF_KEYS:
                self._ciphers.clear()
            cipher = self._ciphers[key] = AESGCM(self.leaf_key(path))
        return cipher


class AtRestRing:
    """Seals with the current secret, and unseals what was sealed with it or a previous one."""

    def __init__(
        self, key_id: str, current: Callable[[], AtRest], previous: Sequence[Callable[[], AtRest]]
    ) -> None:
        self.key_id = key_id
        self._current = current
        self._previous = previous

    def seal(self, path: Sequence[str], text: str) -> Sealed:
        return Sealed(self._current().seal(path, text), self.key_id)

    def unseal(self, path: Sequence[str], blob: bytes) -> str:
        """Raises ValueError when `blob` is damaged or was sealed under another path or unknown secret."""
        try:
            return self._current().unseal(path, blob)
        except ValueError as error:
            for previous in self._previous:
                with suppress(ValueError):
                    return previous().unseal(path, blob)
            raise error from None

    def reseal(self, path: Sequence[str], blob: bytes) -> Sealed:
        """The same text under the current secret, or `blob` if it is. Raises ValueError as `unseal`."""
        with suppress(ValueError):
            self._current().unseal(path, blob)
            return Sealed(blob, self.key_id)
        return self.seal(path, self.unseal(path, blob))
