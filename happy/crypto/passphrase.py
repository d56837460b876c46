"""Seals a short text with a passphrase, so that it may lie beside what it protects."""

import secrets
from typing import Final

import msgspec
from msgspec import Struct

KDF: Final = "argon2id"


class Sealed(Struct, frozen=True):
    """A text under a key that Argon2id (64 MiB, 2 passes) makes of the passphrase; XSalsa20-Poly1305."""

    kdf: str
    salt: bytes
    box: bytes


def seal(text: str, passphrase: str) -> bytes:
    """As JSON, with base64 for bytes."""
    from nacl.secret import SecretBox

    salt = secrets.token_bytes(16)
    box = bytes(SecretBox(_key(passphrase, salt)).encrypt(text.encode()))
    return msgspec.json.encode(Sealed(KDF, salt, box))


def unseal(sealed: bytes, passphrase: str) -> str | None:
    """None for another passphrase, or another form."""
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    try:
        found = msgspec.json.decode(sealed, type=Sealed)
        return SecretBox(_key(passphrase, found.salt)).decrypt(found.box).decode()
    except (msgspec.DecodeError, CryptoError, ValueError):
        return None


def _key(passphrase: str, salt: bytes) -> bytes:
    from nacl.pwhash import argon2id

    return argon2id.kdf(
        32,
        passphrase.encode(),
        salt,
        opslimit=argon2id.OPSLIMIT_INTERACTIVE,
        memlimit=argon2id.MEMLIMIT_INTERACTIVE,
    )
