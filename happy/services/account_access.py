"""Takes access away from tokens and accounts, and gives it back.

Each act is one short transaction, with its entry in the audit log. Servers learn of it from the database
(`happy/services/revocations.py`); an account that was deleted is removed by their background job.
"""

from collections.abc import Awaitable, Callable

import msgspec

from happy.domain.audit import Action
from happy.domain.errors import Conflict, NotFound
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.revocations import MAX_REVOKED_TOKENS, Revocation, TokenUse
from happy.domain.values import AccountId, Millis
from happy.services.audit import record
from happy.services.token_uses import MAX_USES

Change = Callable[[Transaction, Revocation], Awaitable[Revocation]]


class AccountAccess:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def state(self, account_id: AccountId) -> Revocation:
        """What was taken away from the account; nothing is a row without times."""
        found = await self._store.read(lambda tx: tx.revocations.of_account(account_id))
        return found or Revocation(account_id)

    async def tokens(self, account_id: AccountId) -> list[tuple[TokenUse, str]]:
        """Tokens that were used, the latest first, each with its state: active, revoked, signed out."""

        async def read(tx: Transaction) -> tuple[list[TokenUse], list[str], Revocation | None]:
            uses = await tx.token_uses.of_account(account_id, MAX_USES)
            revoked = await tx.revocations.revoked_tokens(account_id, MAX_REVOKED_TOKENS)
            return uses, revoked, await tx.revocations.of_account(account_id)

        uses, revoked, row = await self._store.read(read)
        account = row or Revocation(account_id)
        return [(use, _state(use, account, frozenset(revoked))) for use in uses]

    async def find_token(self, token_id: str) -> TokenUse:
        """Raises NotFound for one whose use was not seen, or written down, yet."""
        found = await self._store.read(lambda tx: tx.token_uses.find(token_id))
        if found is None:
            raise NotFound(
                f"no use of a token {token_id!r} was seen: `happy-server tokens list ACCOUNT` shows those"
                " that were; `happy-server accounts sign-out ACCOUNT` refuses all of an account"
            )
        return found

    async def revoke(self, use: TokenUse) -> None:
        """Refuse this token from now on, and forget where the account's phones receive push notifications.

        Raises Conflict when too many of the account are revoked.
        """
        now = self._clock()

        async def revoke(tx: Transaction) -> None:
            revision = await tx.revocations.lock(now)
            revoked = await tx.revocations.revoked_tokens(use.account_id, MAX_REVOKED_TOKENS)
            if len(revoked) >= MAX_REVOKED_TOKENS:
                raise Conflict("too many tokens of this account are revoked one by one: sign it out instead")
            await tx.revocations.save(
                Revocation(use.account_id, token_id=use.id, changed_at=now, revision=revision)
            )
            # What the token has approved and was not picked up counts no more: see PairingService.
            account = await tx.revocations.of_account(use.account_id) or Revocation(use.account_id)
            await tx.revocations.save(msgspec.structs.replace(account, changed_at=now, revision=revision))
            await _forget_phones(tx, use.account_id)
            detail = f"account {use.account_id}, {use.device or 'unknown device'}"
            await record(tx, now, "command line", "token.revoke", use.id, detail)

        await self._store.write(revoke)

    async def sign_out(self, account_id: AccountId) -> Revocation:
        """Refuse all tokens issued up to now, also those whose time is in the future.

        Those were issued while the clock of a server was ahead: they are revoked one by one, as far as
        their use was seen. Push notifications go to phones that register from now on.
        """
        now = self._clock()

        async def sign_out(tx: Transaction, row: Revocation) -> Revocation:
            # Those that were issued since a sign-out within the same second carry the next one.
            signed_out = msgspec.structs.replace(row, signed_out_at=max(now, row.tokens_begin))
            for use in await tx.token_uses.of_account(account_id, MAX_USES):
                if use.issued_at is not None and use.issued_at >= signed_out.tokens_begin:
                    revoked = Revocation(account_id, use.id, changed_at=now, revision=row.revision)
                    await tx.revocations.save(revoked)
            await _forget_phones(tx, account_id)
            return signed_out

        return await self._change(account_id, "account.sign-out", now, sign_out)

    async def disable(self, account_id: AccountId) -> Revocation:
        """Refuse all tokens and sign-ins of the account. Raises Conflict when it is disabled already."""
        now = self._clock()

        async def disable(_: Transaction, row: Revocation) -> Revocation:
            if row.disabled_at is not None:
                raise Conflict("the account is disabled already")
            return msgspec.structs.replace(row, disabled_at=now)

        return await self._change(account_id, "account.disable", now, disable)

    async def enable(self, account_id: AccountId) -> Revocation:
        """Take `disable` back: the same tokens are accepted again. Raises Conflict if it is not disabled."""

        async def enable(_: Transaction, row: Revocation) -> Revocation:
            if row.disabled_at is None:
                raise Conflict("the account is not disabled")
            return msgspec.structs.replace(row, disabled_at=None)

        return await self._change(account_id, "account.enable", self._clock(), enable)

    async def delete(self, account_id: AccountId) -> Revocation:
        """Hide the account at once, for ever; its rows and files are removed in the background."""
        now = self._clock()

        async def delete(tx: Transaction, row: Revocation) -> Revocation:
            await tx.deletions.hide_account(account_id, now)
            return msgspec.structs.replace(row, deleted_at=now)

        return await self._change(account_id, "account.delete", now, delete)

    async def _change(self, account_id: AccountId, action: Action, now: Millis, change: Change) -> Revocation:
        """Raises NotFound when the account is gone, or on its way."""

        async def apply(tx: Transaction) -> Revocation:
            revision = await tx.revocations.lock(now)
            row = await tx.revocations.of_account(account_id) or Revocation(account_id)
            if row.deleted_at is not None or not await tx.accounts.existing([account_id]):
                raise NotFound("the account was deleted")
            row = msgspec.structs.replace(row, changed_at=now, revision=revision)
            changed = await change(tx, row)
            await tx.revocations.save(changed)
            await record(tx, now, "command line", action, account_id)
            return changed

        return await self._store.write(apply)


async def _forget_phones(tx: Transaction, account_id: AccountId) -> None:
    """Send them no push notifications: nobody knows which of them is the one that was lost."""
    for phone in await tx.accounts.push_tokens(account_id):
        await tx.accounts.drop_push_token(account_id, phone.token)


def _state(use: TokenUse, account: Revocation, revoked: frozenset[str]) -> str:
    if account.state != "active":
        return account.state
    if use.id in revoked:
        return "revoked"
    issued_at = -1 if use.issued_at is None else use.issued_at
    return "signed out" if issued_at < account.tokens_begin else "active"
