"""What the master secret yields (bearer tokens, state tokens, sealed text), and sign-in signatures."""

import hashlib
import hmac
import math
import os
import re
import threading
import uuid
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

T = TypeVar("T")

ROUNDS: Final = 210_000
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

NOT_BEFORE_LEEWAY: Final = 5  # seconds: two nodes' clocks may disagree about "now"
GITHUB_STATE_LIFETIME: Final = 300_000
CACHED_TOKENS: Final = 10_000
CACHED_LEAF_KEYS: Final = 4_096
CACHE_LIFETIME: Final = 24 * 3_600_000

_HEADER: Final = "eyJhbGciOiJFZERTQSJ9"  # {"alg":"EdDSA"}, exactly these bytes
_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_STANDARD_CLAIMS: Final = frozenset({"iss", "sub", "aud", "jti", "nbf", "exp", "iat"})


class Claims(Struct, frozen=True):
    """What a valid token says: the account, and every claim beyond the standard ones."""

    account_id: str
    extras: dict[str, object]
    expires_at: float | None = None  # Unix seconds


class Signer:
    """Compact EdDSA tokens of one key and one issuer. Times are Unix milliseconds."""

    def __init__(self, seed: bytes, issuer: str) -> None:
        self.public_key, self._secret_key = crypto_sign_seed_keypair(seed)
        self._issuer = issuer

    def issue(
        self,
        account_id: str,
        now: int,
        *,
        extras: Mapping[str, str] | None = None,
        lifetime: int | None = None,
        jti: str | None = None,
    ) -> str:
        seconds = now // 1000
        claims: dict[str, object] = {"sub": account_id, **(extras or {}), "iat": seconds, "nbf": seconds}
        if lifetime is not None:
            claims["exp"] = (now + lifetime) // 1000
        claims["iss"] = self._issuer
        claims["jti"] = jti or str(uuid.uuid4())
        message = f"{_HEADER}.{_base64url(msgspec.json.encode(claims))}"
        return f"{message}.{_base64url(crypto_sign(message.encode(), self._secret_key)[:SIGNATURE_BYTES])}"

    def verify(self, token: str, now: int) -> Claims | None:
        """The claims of `token`, or None for every kind of invalid token."""
        match = _PARTS.fullmatch(token)
        if match is None:
            return None
        header, payload, signature = match.groups()
        try:
            if not _acceptable(msgspec.json.decode(_unbase64url(header))):
                return None
            if not verify_signature(self.public_key, f"{header}.{payload}".encode(), _unbase64url(signature)):
                return None
            claims = msgspec.json.decode(_unbase64url(payload))
        except (ValueError, RecursionError):
            return None
        return self._check(claims, now // 1000)

    def _check(self, claims: object, seconds: int) -> Claims | None:
        if not isinstance(claims, dict) or claims.get("iss") != self._issuer:
            return None
        account_id = claims.get("sub")
        if not isinstance(account_id, str) or not account_id:
            return None
        if not _timely(claims, seconds):
            return None
        extras = {name: value for name, value in claims.items() if name not in _STANDARD_CLAIMS}
        return Claims(account_id, extras, claims.get("exp"))


class Tokens:
    """The bearer tokens of accounts. A token seen before costs one lookup."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._known: OrderedDict[str, tuple[Claims, float]] = OrderedDict()

    @property
    def public_key(self) -> bytes:
        return self._signer.public_key

    def issue(self, account_id: str, now: int, extras: Mapping[str, str] | None = None) -> str:
        token = self._signer.issue(account_id, now, extras=extras)
        self._remember(token, Claims(account_id, dict(extras or {})), now)
        return token

    def verify(self, token: str, now: int) -> Claims | None:
        known = self._known.get(token)
        if known is not None:
            claims, until = known
            if now < until:
                self._known.move_to_end(token)
                return claims
            del self._known[token]
        fresh = self._signer.verify(token, now)
        if fresh is not None:
            self._remember(token, fresh, now)
        return fresh

    def purge(self, now: int) -> None:
        """Forget what has been known for a day; only memory is at stake."""
        for token in [token for token, (_, until) in self._known.items() if until <= now]:
            del self._known[token]

    def _remember(self, token: str, claims: Claims, now: int) -> None:
        until: float = now + CACHE_LIFETIME
        if claims.expires_at is not None:
            until = min(until, claims.expires_at * 1000)
        self._known[token] = (claims, until)
        if len(self._known) > CACHED_TOKENS:
            self._known.popitem(last=False)


class StateTokens:
    """The tokens that carry an account through the GitHub sign-in page and back, within five minutes."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def public_key(self) -> bytes:
        return self._signer.public_key

    def issue(self, account_id: str, now: int) -> str:
        return self._signer.issue(account_id, now, lifetime=GITHUB_STATE_LIFETIME)

    def verify(self, token: str, now: int) -> Claims | None:
        return self._signer.verify(token, now)


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
            chain = _hmac_sha512(chain, element)[KEY_BYTES:]
        return _hmac_sha512(chain, "#aes256")[:KEY_BYTES]

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


class Once(Generic[T]):
    """A value made by whoever needs it first, in any thread; the others wait for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


class Keyring:
    """The three keys of one master secret. Each takes 0.1 s to derive, so each is derived on first use."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("utf-8", "surrogateescape")
        self._tokens = Once(lambda: Tokens(self._signer("handy", "Persistent")))
        self._github_states = Once(lambda: StateTokens(self._signer("github-happy", "Ephemeral")))
        self._at_rest = Once(lambda: AtRest(self._derive("happy-server-tokens")))

    @property
    def tokens(self) -> Tokens:
        return self._tokens()

    @property
    def github_states(self) -> StateTokens:
        return self._github_states()

    @property
    def at_rest(self) -> AtRest:
        return self._at_rest()

    def proof(self, usage: str) -> bytes:
        """The key that proves that something of this kind is ours: `attachment names`, `private ids`."""
        return hmac.digest(self._secret, f"happy {usage}".encode(), "sha256")

    def voice_user_id(self, account_id: str) -> str:
        """The name under which the voice provider knows an account, without knowing the account."""
        return "u_" + _base64url(hmac.digest(self._secret, account_id.encode(), "sha256"))

    def _signer(self, issuer: str, kind: str) -> Signer:
        return Signer(self._derive(f"{issuer} {kind} Token")[:KEY_BYTES], issuer)

    def _derive(self, usage: str) -> bytes:
        return hashlib.pbkdf2_hmac("sha512", self._secret, usage.encode(), ROUNDS, 64)


def derive(secret: str) -> Keyring:
    """The keyring of `secret`; a thread derives the token key while the rest of the server starts."""
    keyring = Keyring(secret)
    threading.Thread(target=lambda: keyring.tokens, name="derive-token-key", daemon=True).start()
    return keyring


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Plain Ed25519, as clients sign in with; a key or signature of the wrong size does not match."""
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def _acceptable(header: object) -> bool:
    return isinstance(header, dict) and header.get("alg") in ("EdDSA", "Ed25519")


def _timely(claims: dict[str, Any], seconds: int) -> bool:
    """The three times are numbers where present and now lies between them."""
    times = [claims[name] for name in ("iat", "nbf", "exp") if name in claims]
    if any(isinstance(time, bool) or not isinstance(time, int | float) for time in times):
        return False
    return bool(
        claims.get("nbf", seconds) <= seconds + NOT_BEFORE_LEEWAY and claims.get("exp", math.inf) > seconds
    )


def _hmac_sha512(key: bytes, element: str) -> bytes:
    return hmac.digest(key, b"\x00" + element.encode(), "sha512")


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    return a2b_base64(text.translate({0x2D: "+", 0x5F: "/"}) + "=" * (-len(text) % 4))
