"""Decides who may make an account (protocol: http#registration)."""

import logging
from collections.abc import Collection
from functools import partial

from msgspec import Struct

from happy.domain.errors import Forbidden
from happy.domain.ids import new_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.registration import (
    INVITE_KEPT,
    LIFETIMES,
    MAX_WAITING,
    MAX_WAITING_OF_ADDRESS,
    WRITTEN_AGAIN_AFTER,
    Entry,
    RefusalReason,
    RegistrationMode,
    RegistrationRequest,
    RequestStatus,
    decided,
    refusal_message,
    short_code,
)
from happy.domain.values import AccountId, Millis
from happy.metrics import Counter
from happy.services.audit import record
from happy.services.batches import in_batches
from happy.telemetry import LimitedLog

LINES_A_MINUTE = 20

log = logging.getLogger(__name__)


class Refusal(Struct, frozen=True):
    """Why no account was made."""

    reason: RefusalReason


class Registration:
    """Finds or makes the account of a public key (upper-case hex); `keys` are always let in.

    What is written down about requests and invites is in the database, so all replicas decide alike.
    `address` is that of the client, as it counts for limits; empty if it is unknown.
    """

    def __init__(
        self, store: Store, mode: RegistrationMode, keys: Collection[str], clock: Clock, refusals: Counter
    ) -> None:
        self.mode = mode
        self._store = store
        self._keys = frozenset(keys)
        self._clock = clock
        self._refusals = refusals
        self._log_refusal = LimitedLog(log, "no account was made", level=logging.INFO, burst=LINES_A_MINUTE)

    async def account_of(self, public_key: str, address: str) -> AccountId:
        """The account of the key, made where that is allowed. Raises Forbidden, saying what to do."""
        now = self._clock()
        if self.mode == "open":
            fresh_id = AccountId(new_id(now))
            return await self._store.write(lambda tx: tx.accounts.upsert(fresh_id, public_key, now))
        outcome = await self._store.write(lambda tx: self._find_or_make(tx, public_key, address, now))
        if isinstance(outcome, Refusal):
            self._refusals.add(outcome.reason)
            code = short_code(public_key)
            self._log_refusal(f"{outcome.reason}, key {code}, from {address or 'an unknown address'}")
            raise Forbidden(refusal_message(outcome.reason, public_key))
        return outcome

    async def _find_or_make(
        self, tx: Transaction, public_key: str, address: str, now: Millis
    ) -> AccountId | Refusal:
        """An account that exists costs one statement. New ones are made one at a time, on all replicas."""
        existing = await tx.accounts.touch(public_key, now)
        if existing is not None:
            return existing
        entry = await self._entry(tx, public_key, address, now)
        allowed = isinstance(entry, Entry)
        if allowed:
            await tx.registrations.lock(now)
        made_meanwhile = await tx.accounts.touch(public_key, now)
        if made_meanwhile is not None:
            return made_meanwhile
        if allowed:  # is it still, now that nobody else is being let in?
            entry = await self._entry(tx, public_key, address, now)
        if isinstance(entry, Refusal):
            if entry.reason == "waiting":
                await _note(tx, RegistrationRequest(public_key, address, "waiting", now, now))
            return entry
        await _use_up(tx, entry)
        account_id = await tx.accounts.upsert(AccountId(new_id(now)), public_key, now)
        await record(tx, now, "client", "account.create", account_id, self._why(entry, public_key, address))
        return account_id

    def _why(self, entry: Entry, public_key: str, address: str) -> str:
        """For the audit log: what let the key in, and where it came from."""
        reason = "the first account"
        if entry.invite_id is not None:
            reason = f"invite {entry.invite_id}"
        elif entry.approval is not None:
            reason = "approved"
        elif public_key in self._keys:
            reason = "an allowed key"
        return f"{reason}, key {short_code(public_key)}, from {address or 'an unknown address'}"

    async def _entry(self, tx: Transaction, public_key: str, address: str, now: Millis) -> Entry | Refusal:
        """What lets this key in, by what is committed now."""
        if public_key in self._keys:
            return Entry()
        if self.mode == "first":
            return Refusal("first") if await tx.registrations.has_accounts() else Entry()
        if self.mode == "invite":
            invite_id = await tx.invites.opened_at(address, now) if address else None
            return Entry(invite_id=invite_id) if invite_id else Refusal("uninvited")
        if self.mode == "approve":
            return await _approval(tx, public_key, address, now)
        return Refusal("closed")

    async def sweep(self) -> None:
        """Delete expired requests, openings and invites."""
        await drop_expired(self._store, self._clock())


async def drop_expired(store: Store, now: Millis) -> None:
    """Delete expired requests, openings and invites."""
    for status, lifetime in LIFETIMES.items():
        drop = partial(_drop_expired, status, Millis(now - lifetime))
        await in_batches(store, drop)
    kept = Millis(now - INVITE_KEPT)
    await in_batches(store, lambda tx, limit: tx.invites.drop_expired(now, kept, limit))


async def _approval(tx: Transaction, public_key: str, address: str, now: Millis) -> Entry | Refusal:
    known = await tx.registrations.about(public_key, address)
    decision = decided(known, public_key, address, now)
    if decision is None:
        return Refusal("waiting")
    return Entry(approval=decision) if decision.status == "approved" else Refusal("refused")


async def _note(tx: Transaction, request: RegistrationRequest) -> None:
    """Write the request down; the oldest gives way where there are too many, of its address or in all."""
    known = await tx.registrations.about(request.public_key, request.address)
    before = next((each for each in known if each.public_key == request.public_key), None)
    if before is not None and request.updated_at - before.updated_at < WRITTEN_AGAIN_AFTER:
        return
    if before is None:
        waiting = [each for each in known if each.status == "waiting"]
        for surplus in waiting[: max(0, len(waiting) + 1 - MAX_WAITING_OF_ADDRESS)]:
            await tx.registrations.drop(surplus.public_key)
    await tx.registrations.save(request)
    if before is None:
        await tx.registrations.drop_surplus(MAX_WAITING)


async def _drop_expired(status: RequestStatus, before: Millis, tx: Transaction, limit: int) -> int:
    return await tx.registrations.drop_expired(status, before, limit)


async def _use_up(tx: Transaction, entry: Entry) -> None:
    if entry.invite_id is not None:
        await tx.invites.use(entry.invite_id)
    if entry.approval is not None:
        await tx.registrations.drop(entry.approval.public_key)
        if entry.approval.address:  # what else it tried, with a new key each time
            await tx.registrations.drop_waiting_at(entry.approval.address)
