"""The keys that are derived from the master secret, and from those it replaced."""

import hashlib
import hmac
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from happy.crypto.at_rest import AtRest, AtRestRing
from happy.crypto.encoding import KEY_BYTES, base64url
from happy.crypto.tokens import Signer, StateTokens, Tokens

T = TypeVar("T")

ROUNDS: Final = 210_000
KEY_ID_DIGITS: Final = 16


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


class SecretKeys:
    """The three keys of one master secret. Each takes 0.1 s to derive, so each is derived on first use."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("utf-8", "surrogateescape")
        self.persistent = Once(lambda: self._signer("handy", "Persistent"))
        self.github = Once(lambda: self._signer("github-happy", "Ephemeral"))
        self.at_rest = Once(lambda: AtRest(self._derive("happy-server-tokens")))

    @property
    def fingerprint(self) -> str:
        """A digest that identifies the secret without making it easier to guess than a token does."""
        return hashlib.sha256(b"happy master secret" + self.persistent().public_key).hexdigest()

    @property
    def key_id(self) -> str:
        """What people and rows call this secret: the beginning of its fingerprint."""
        return key_id_of(self.fingerprint)

    def mac(self, message: str) -> bytes:
        return hmac.digest(self._secret, message.encode(), "sha256")

    def _signer(self, issuer: str, kind: str) -> Signer:
        return Signer(self._derive(f"{issuer} {kind} Token")[:KEY_BYTES], issuer)

    def _derive(self, usage: str) -> bytes:
        return hashlib.pbkdf2_hmac("sha512", self._secret, usage.encode(), ROUNDS, 64)


class Keyring:
    """The keys of the master secret. What was made with a previous one is still accepted and read.

    Previous secrets make nothing any more: tokens are signed and text is sealed with the current one alone.
    """

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        self._keys = SecretKeys(secret)
        self._previous = tuple(SecretKeys(each) for each in previous)
        self._tokens = Once(lambda: Tokens(self._signer(lambda keys: keys.persistent())))
        self._github_states = Once(lambda: StateTokens(self._signer(lambda keys: keys.github())))
        self._at_rest = Once(self._sealing)

    @property
    def tokens(self) -> Tokens:
        return self._tokens()

    @property
    def github_states(self) -> StateTokens:
        return self._github_states()

    @property
    def at_rest(self) -> AtRestRing:
        return self._at_rest()

    @property
    def fingerprint(self) -> str:
        return self._keys.fingerprint

    @property
    def previous_fingerprints(self) -> tuple[str, ...]:
        return tuple(keys.fingerprint for keys in self._previous)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """That of the current secret, then those of previous ones."""
        return tuple(keys.key_id for keys in (self._keys, *self._previous))

    def prepare(self) -> None:
        """Derive what identifies every secret, several at a time: 0.1 s of one core for each."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda keys: keys.persistent(), (self._keys, *self._previous)))

    def proofs(self, usage: str) -> tuple[bytes, ...]:
        """The MAC keys of one use (`attachment names`, `private ids`): the one to sign with comes first."""
        return tuple(keys.mac(f"happy {usage}") for keys in (self._keys, *self._previous))

    def voice_user_id(self, account_id: str) -> str:
        """The pseudonym of an account at the voice provider; another secret makes another one."""
        return "u_" + base64url(self._keys.mac(account_id))

    def _signer(self, of: Callable[[SecretKeys], Signer]) -> Signer:
        return of(self._keys).also_accepting([of(keys) for keys in self._previous])

    def _sealing(self) -> AtRestRing:
        return AtRestRing(self._keys.key_id, self._keys.at_rest, [keys.at_rest for keys in self._previous])


def key_id_of(fingerprint: str) -> str:
    return fingerprint[:KEY_ID_DIGITS]


def derive(secret: str, previous: Sequence[str] = ()) -> Keyring:
    """The keyring of `secret`; a thread derives the token keys while the rest of the server starts."""
    keyring = Keyring(secret, previous)
    threading.Thread(target=keyring.prepare, name="derive-token-key", daemon=True).start()
    return keyring
