"""Sign in with a key, and link new devices to an account.

protocol: http#sign-in-and-device-linking, cryptography#account-sign-in, cryptography#linking-flows
"""

import logging
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from happy.crypto import Tokens, verify_signature
from happy.domain.accounts import UNANSWERED_LIFETIME, PairingKind, PairingRequest
from happy.domain.client_address import LOCAL, ClientAddress
from happy.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from happy.domain.ids import new_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import HOUR, SECOND, AccountId, Millis
from happy.metrics import Metrics
from happy.services.batches import in_batches
from happy.services.rate_limit import RateLimits
from happy.services.registration import Registration
from happy.services.replays import Replays
from happy.telemetry import LimitedLog

KEY_BYTES = 32
SIGNATURE_BYTES = 64
FORGET_AFTER = 24 * HOUR
"""When an answered request is deleted; it hands out nothing long before."""

KNOWN_EVERYWHERE = 2 * SECOND
"""After which all replicas refuse a token that was taken back, in ms, with some room."""

LINES_A_MINUTE = 20
"""Rate limit of log lines about pairings, per minute: requests need no authentication."""

DEVICES: dict[PairingKind, str] = {"terminal": "a terminal", "account": "a phone or browser"}

log = logging.getLogger(__name__)


class Linked(Struct, frozen=True):
    """What an approved device receives: a token and the encrypted response."""

    token: str
    response: str


class LinkingStatus(Struct, frozen=True, rename="camel"):
    status: Literal["not_found", "pending", "authorized"]
    supports_v2: bool = False


class PairingService:
    """Keys are the raw bytes that clients send as base64; the store knows them as upper-case hex."""

    def __init__(  # noqa: PLR0913, PLR0917 - what signing in has to do with
        self,
        store: Store,
        tokens: Tokens,
        clock: Clock,
        registration: Registration,
        replays: Replays,
        limits: RateLimits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._refused = (metrics or Metrics()).sign_ins_refused
        self._limits = limits or RateLimits()
        self._registration = registration
        self._replays = replays
        self._tokens = tokens
        self._clock = clock
        self._log_request = _limited("a device asks to be linked")
        self._log_approval = _limited("a device was linked")
        self._log_forged = _limited("a sign-in with a wrong signature was refused")
        self._log_disabled = _limited("a disabled account was not signed in")
        self._log_unknown = _limited(
            "an approval names a linking request that is not here (made at another server, or long ago?)"
        )

    async def sign_in(
        self, public_key: bytes, challenge: bytes, signature: bytes, client: ClientAddress = LOCAL
    ) -> str:
        """A fresh token for the account of this key, which is created on first use.

        Raises Invalid for a key or signature of the wrong size, Unauthenticated for one that does not verify
        or is a replay, Forbidden for a key that may not have an account or whose account is disabled, TooMany
        where `client` has made too many.
        """
        if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
            raise Invalid("Invalid public key or signature size")
        if not verify_signature(public_key, challenge, signature):
            self._refused.add("signature")
            self._log_forged(f"from {client.own_network or 'an unknown address'}")
            raise Unauthenticated("Invalid signature")
        await self._replays.check(public_key, challenge, client.own_network)
        now = self._clock()
        stored_key = public_key.hex().upper()
        if not await self._store.read(lambda tx: tx.accounts.is_known(stored_key)):
            await self._limits.accounts.take(client)
        account_id = await self._registration.account_of(stored_key, client.own_network)
        return await self._issue(account_id, now)

    async def _issue(
        self, account_id: AccountId, now: Millis, extras: Mapping[str, str] | None = None
    ) -> str:
        """A token that is accepted though the account was signed out. Raises Forbidden if it is disabled."""
        revocation = await self._store.read(lambda tx: tx.revocations.of_account(account_id))
        if revocation is None:
            return self._tokens.issue(account_id, now, extras)
        if revocation.state != "active":
            self._refused.add(revocation.state)
            self._log_disabled(f"account {account_id}")
            raise Forbidden(f"Account {revocation.state}")
        return self._tokens.issue(account_id, max(now, revocation.tokens_begin), extras)

    async def request(
        self,
        kind: PairingKind,
        public_key: bytes,
        client: ClientAddress = LOCAL,
        *,
        supports_v2: bool = False,
    ) -> Linked | None:
        """Request to be linked; None until approved.

        Raises Unauthenticated for a key of wrong size, TooMany for new requests of `client`, Forbidden when
        the approving account was disabled.
        """
        if len(public_key) != KEY_BYTES:
            raise Unauthenticated("Invalid public key")
        stored_key = public_key.hex().upper()
        now = self._clock()
        found = await self._store.read(lambda tx: _valid(tx, kind, stored_key, now))
        if found is None:
            await self._limits.links.take(client)
            found = await self._store.write(
                lambda tx: _open(tx, kind, stored_key, now, supports_v2=supports_v2)
            )
            self._log_request(DEVICES[kind])
        if not found.response or found.account_id is None:
            return None
        extras = {"session": found.id} if kind == "terminal" else None
        token = await self._issue(found.account_id, now, extras)
        if found.picked_up_at is None:
            await self._store.write(lambda tx: tx.pairings.pick_up(kind, stored_key, now))
        return Linked(token, found.response)

    async def status(self, public_key: bytes) -> LinkingStatus:
        """Status of a terminal's request; `not_found` for an unknown or expired one."""
        if len(public_key) != KEY_BYTES:
            return LinkingStatus("not_found")
        stored_key, now = public_key.hex().upper(), self._clock()
        found = await self._store.read(lambda tx: _valid(tx, "terminal", stored_key, now))
        if found is None:
            return LinkingStatus("not_found")
        if found.answered:
            return LinkingStatus("authorized")
        return LinkingStatus("pending", found.supports_v2)

    async def answer(
        self, kind: PairingKind, account_id: AccountId, public_key: bytes, response: str
    ) -> None:
        """Approve a device. The first non-empty answer is kept; the same account may repeat it.

        Raises Unauthenticated for a key of wrong size, NotFound, Conflict when another account was first.
        """
        if len(public_key) != KEY_BYTES:
            raise Unauthenticated("Invalid public key")
        stored_key = public_key.hex().upper()
        now = self._clock()

        async def answer(tx: Transaction) -> None:
            found = await tx.pairings.get(kind, stored_key)
            if found is None or found.expired(now):
                raise NotFound("Request not found")
            if await tx.pairings.answer(kind, stored_key, account_id, response, now):
                return
            if found.account_id not in (account_id, None):
                raise Conflict("Request already answered")

        try:
            await self._store.write(answer)
        except NotFound:
            self._log_unknown(f"{DEVICES[kind]}, by account {account_id}")
            raise
        self._log_approval(f"{DEVICES[kind]}, by account {account_id}")

    async def sweep(self) -> None:
        """Delete requests that have expired: unanswered ones at once, answered ones after a day."""
        await drop_expired(self._store, self._clock())


async def drop_expired(store: Store, now: Millis) -> None:
    """Delete requests that have expired: unanswered ones at once, answered ones after a day."""
    unanswered, answered = Millis(now - UNANSWERED_LIFETIME), Millis(now - FORGET_AFTER)
    await in_batches(store, lambda tx, limit: tx.pairings.drop_unanswered(unanswered, limit))
    await in_batches(store, lambda tx, limit: tx.pairings.drop_answered(answered, limit))


async def _valid(tx: Transaction, kind: PairingKind, key: str, now: Millis) -> PairingRequest | None:
    request = await tx.pairings.get(kind, key)
    if request is None or request.expired(now) or await _taken_back(tx, request):
        return None
    return request


async def _taken_back(tx: Transaction, request: PairingRequest) -> bool:
    """Whether it was approved before tokens of the account were taken back: perhaps by whoever stole one.

    Replicas learn of that within a second, in which the token may still approve.
    """
    if not request.answered or request.account_id is None:
        return False
    revocation = await tx.revocations.of_account(request.account_id)
    if revocation is None or revocation.state != "active":
        return False
    return request.updated_at <= revocation.changed_at + KNOWN_EVERYWHERE


def _limited(text: str) -> LimitedLog:
    """Log a step of a pairing. Rate limited to `LINES_A_MINUTE`, as requests need no authentication."""
    return LimitedLog(log, text, level=logging.INFO, burst=LINES_A_MINUTE)


async def _open(
    tx: Transaction, kind: PairingKind, public_key: str, now: Millis, *, supports_v2: bool
) -> PairingRequest:
    """The request of this key, made anew when it has expired: its first call decides `supports_v2`."""
    request = await tx.pairings.open(kind, new_id(now), public_key, now, supports_v2=supports_v2)
    if request.expired(now) or await _taken_back(tx, request):
        request = await tx.pairings.reopen(kind, public_key, now, supports_v2=supports_v2)
    return request
