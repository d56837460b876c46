"""Invites: links that let somebody make an account (protocol: http#registration)."""

import base64
import hashlib
import logging
import secrets
from collections import Counter

from msgspec import Struct

from happy.domain.amounts import counted
from happy.domain.errors import NotFound
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.registration import MAX_OPENINGS, OPENING_LIFETIME, Invite
from happy.domain.values import HOUR, Millis
from happy.limits import limit
from happy.services.audit import record
from happy.telemetry import LimitedLog

CODE_BYTES = 15
ID_BYTES = 5
MAX_USES = limit(1_000, "accounts", per="invite", then="a usage error of the command")
MAX_DAYS = limit(365, "days that it counts", per="invite", then="a usage error of the command")
LINES_A_MINUTE = 20

log = logging.getLogger(__name__)


class NewInvite(Struct, frozen=True):
    """An invite and its code, which is not stored and cannot be shown again."""

    invite: Invite
    code: str


async def create_invite(tx: Transaction, uses: int, days: int, now: Millis) -> NewInvite:
    """An invite that is good for so many accounts, for so many days."""
    code = _random_text(CODE_BYTES)
    expires_at = Millis(now + days * 24 * HOUR)
    invite = Invite(id=_random_text(ID_BYTES), uses=uses, used=0, created_at=now, expires_at=expires_at)
    await tx.invites.add(invite, _hash(code))
    detail = f"for {counted(uses, 'account')}, {counted(days, 'day')}"
    await record(tx, now, "command line", "invite.create", f"invite {invite.id}", detail)
    return NewInvite(invite, code)


async def revoke_invite(tx: Transaction, invite_id: str, now: Millis) -> None:
    """From now on it lets nobody in, also not those who have opened it. Raises NotFound."""
    if not await tx.invites.drop(invite_id):
        raise NotFound(f"there is no invite {invite_id!r}: `happy-server invites list` shows them")
    await record(tx, now, "command line", "invite.revoke", f"invite {invite_id}")


class InviteService:
    def __init__(self, store: Store, clock: Clock, *, accepted: bool) -> None:
        """`accepted`: whether invites count at all, by the mode of registration."""
        self._store = store
        self._clock = clock
        self._accepted = accepted
        self._recorded: Counter[str] = Counter()  # openings in the audit log, by invite
        self._log_opened = LimitedLog(log, "an invite was opened", level=logging.INFO, burst=LINES_A_MINUTE)

    async def usable(self, code: str) -> bool:
        """Whether the code can be opened now."""
        if not self._accepted:
            return False
        invite = await self._store.read(lambda tx: tx.invites.by_code(_hash(code)))
        return invite is not None and invite.usable(self._clock())

    async def open(self, code: str, address: str) -> bool:
        """Let this address make an account for some minutes; False if the code does not count (any more).

        The first openings of an invite are in the audit log: more of them would crowd out everything else.
        """
        if not self._accepted:
            return False
        now = self._clock()

        async def open_it(tx: Transaction) -> str | None:
            invite = await tx.invites.by_code(_hash(code))
            if invite is None or not invite.usable(now):
                return None
            await tx.invites.open(invite.id, address, now, Millis(now + OPENING_LIFETIME))
            await tx.invites.drop_openings(invite.id, MAX_OPENINGS)
            if self._recorded[invite.id] < MAX_OPENINGS:
                await record(tx, now, "client", "invite.open", f"invite {invite.id}", f"for {address}")
            return invite.id

        invite_id = await self._store.write(open_it)
        if invite_id is not None:
            self._recorded[invite_id] += 1
            self._log_opened(f"invite {invite_id}, for {address}")
        return invite_id is not None


def _random_text(size: int) -> str:
    """In lower case and without look-alikes that matter: base 32, readable aloud."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
