"""The keys that are derived from the master secret."""

import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from happy.crypto.at_rest import AtRest
from happy.crypto.encoding import KEY_BYTES, base64url
from happy.crypto.tokens import Signer, StateTokens, Tokens

T = TypeVar("T")

ROUNDS: Final = 210_000


class Once(Generic[T]):
    """A value computed at its first use, in any thread; concurrent callers wait for it."""

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

    @property
    def fingerprint(self) -> str:
        """A digest that identifies the secret without making it easier to guess than a token does."""
        return hashlib.sha256(b"happy master secret" + self.tokens.public_key).hexdigest()

    def proof(self, usage: str) -> bytes:
        """The MAC key of one use: `attachment names`, `private ids`."""
        return hmac.digest(self._secret, f"happy {usage}".encode(), "sha256")

    def voice_user_id(self, account_id: str) -> str:
        """The pseudonym of an account at the voice provider."""
        return "u_" + base64url(hmac.digest(self._secret, account_id.encode(), "sha256"))

    def _signer(self, issuer: str, kind: str) -> Signer:
        return Signer(self._derive(f"{issuer} {kind} Token")[:KEY_BYTES], issuer)

    def _derive(self, usage: str) -> bytes:
        return hashlib.pbkdf2_hmac("sha512", self._secret, usage.encode(), ROUNDS, 64)


def derive(secret: str) -> Keyring:
    """The keyring of `secret`; a thread derives the token key while the rest of the server starts."""
    keyring = Keyring(secret)
    threading.Thread(target=lambda: keyring.tokens, name="derive-token-key", daemon=True).start()
    return keyring
