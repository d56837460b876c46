"""Compact signed tokens: the bearer tokens of accounts, and the states of a GitHub sign-in."""

import hashlib
import logging
import math
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from happy.crypto.encoding import SIGNATURE_BYTES, base64url, unbase64url, verify_signature
from happy.limits import limit

NOT_BEFORE_LEEWAY: Final = 5  # seconds by which clocks of two replicas may differ
GITHUB_STATE_LIFETIME: Final = 300_000
ALGORITHMS: Final = ("EdDSA", "Ed25519")
MAX_TOKEN: Final = limit(4_096, "characters of a bearer token", per="request or handshake", then="401")
CACHED_TOKENS: Final = limit(
    10_000, "tokens whose signature was verified", per="replica", then="the first is verified again"
)
WARNING_SECONDS: Final = 3_600
CACHE_LIFETIME: Final = 24 * 3_600_000
DERIVED_ID_DIGITS: Final = 32

log = logging.getLogger(__name__)

_HEADER: Final = "eyJhbGciOiJFZERTQSJ9"  # {"alg":"EdDSA"}, exactly these bytes
_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TOKEN_ID: Final = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_STANDARD_CLAIMS: Final = frozenset({"iss", "sub", "aud", "jti", "nbf", "exp", "iat"})


class _Header(Struct):
    """All that is read before the signature is verified: anybody may have sent it."""

    alg: str


_header_of: Final = msgspec.json.Decoder(_Header).decode


class Claims(Struct, frozen=True):
    """The claims of a valid token: account, id, times in Unix seconds, and all beyond the standard ones."""

    account_id: str
    extras: dict[str, object]
    expires_at: float | None = None
    token_id: str = ""
    """The `jti`; for a token without one, as other servers may issue, it is derived from the token."""

    issued_at: float | None = None
    """None: tokens of other servers may not contain it."""


class Signer:
    """Compact EdDSA tokens of one key and one issuer. Times are Unix milliseconds."""

    def __init__(self, seed: bytes, issuer: str) -> None:
        self.public_key, self._secret_key = crypto_sign_seed_keypair(seed)
        self._issuer = issuer
        self._previous: Sequence[Signer] = ()
        self._warned = -math.inf

    def also_accepting(self, previous: Sequence["Signer"]) -> "Signer":
        """This signer, which from now on accepts tokens of `previous` ones too."""
        self._previous = previous
        return self

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
        message = f"{_HEADER}.{base64url(msgspec.json.encode(claims))}"
        return f"{message}.{base64url(crypto_sign(message.encode(), self._secret_key)[:SIGNATURE_BYTES])}"

    def verify(self, token: str, now: int) -> Claims | None:
        """The claims of `token`, or None for every kind of invalid token."""
        match = _PARTS.fullmatch(token) if len(token) <= MAX_TOKEN else None
        if match is None:
            return None
        header, payload, signature = match.groups()
        try:
            if _header_of(unbase64url(header)).alg not in ALGORITHMS:
                return None
            if not self._signed(f"{header}.{payload}".encode(), unbase64url(signature)):
                return None
            claims = msgspec.json.decode(unbase64url(payload))
        except (ValueError, RecursionError):
            return None
        return self._check(claims, now // 1000, f"{header}.{payload}")

    def _signed(self, message: bytes, signature: bytes) -> bool:
        signers = (self, *self._previous)
        return any(verify_signature(signer.public_key, message, signature) for signer in signers)

    def _check(self, claims: object, seconds: int, signed: str) -> Claims | None:
        if not isinstance(claims, dict) or claims.get("iss") != self._issuer:
            return None
        account_id = claims.get("sub")
        if not isinstance(account_id, str) or not account_id:
            return None
        if not _timely(claims, seconds):
            return None
        if claims.get("nbf", seconds) > seconds + NOT_BEFORE_LEEWAY:
            self._warn_of_clock()
        extras = {name: value for name, value in claims.items() if name not in _STANDARD_CLAIMS}
        return Claims(account_id, extras, claims.get("exp"), _token_id(claims, signed), claims.get("iat"))

    def _warn_of_clock(self) -> None:
        """Its signature is valid, so the clock is wrong here, or was wrong where the token was issued."""
        if time.monotonic() - self._warned > WARNING_SECONDS:
            self._warned = time.monotonic()
            log.warning("accepted a token of ours from the future: is the clock of this machine behind?")


class Tokens:
    """The bearer tokens of accounts. A token seen before costs one lookup."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._known: OrderedDict[str, tuple[Claims, float]] = OrderedDict()

    @property
    def public_key(self) -> bytes:
        return self._signer.public_key

    def issue(self, account_id: str, now: int, extras: Mapping[str, str] | None = None) -> str:
        token_id = str(uuid.uuid4())
        token = self._signer.issue(account_id, now, extras=extras, jti=token_id)
        claims = Claims(account_id, dict(extras or {}), token_id=token_id, issued_at=now // 1000)
        self._remember(token, claims, now)
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
        """Evict tokens that were cached a day ago; they remain valid."""
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


def _token_id(claims: dict[str, Any], signed: str) -> str:
    """Ids of others may be anything: one that is no short text is replaced like one that is missing.

    The derived one is of the signed part alone: the same signature has several encodings.
    """
    token_id = claims.get("jti")
    if isinstance(token_id, str) and _TOKEN_ID.fullmatch(token_id):
        return token_id
    return f"h-{hashlib.sha256(signed.encode()).hexdigest()[:DERIVED_ID_DIGITS]}"


def _timely(claims: dict[str, Any], seconds: int) -> bool:
    """`iat`, `nbf` and `exp` are numbers where present, and `exp` has not passed.

    The others are not compared with the clock: a machine without a battery starts with a clock that is
    years behind, and would refuse tokens that were issued before.
    """
    times = [claims[name] for name in ("iat", "nbf", "exp") if name in claims]
    if any(isinstance(moment, bool) or not isinstance(moment, int | float) for moment in times):
        return False
    return bool(claims.get("exp", math.inf) > seconds)
