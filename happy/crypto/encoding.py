"""Text forms and hashes that tokens and sealed text share."""

import hmac
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from typing import Final

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Plain Ed25519, as clients sign in with; a key or signature of the wrong size does not match."""
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def hmac_sha512(key: bytes, element: str) -> bytes:
    return hmac.digest(key, b"\x00" + element.encode(), "sha512")


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return a2b_base64(text.translate({0x2D: "+", 0x5F: "/"}) + "=" * (-len(text) % 4))
