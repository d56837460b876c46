"""Decisions of the operator about registration requests."""

from typing import TYPE_CHECKING, Final

from msgspec import structs

from happy.domain.errors import Conflict, Invalid, NotFound
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.registration import RegistrationRequest, RequestStatus
from happy.services.audit import record

if TYPE_CHECKING:
    from happy.domain.audit import Action

MIN_DIGITS: Final = 4
KEY_DIGITS: Final = 64


class Approvals:
    """Decides in the database: running servers follow with the next sign-in."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def all(self) -> list[RegistrationRequest]:
        """What waits, and what was decided lately, the latest first."""
        now = self._clock()
        found = await self._store.read(lambda tx: tx.registrations.all())
        return [request for request in found if not request.expired(now)]

    async def decide(self, key: str, status: RequestStatus) -> RegistrationRequest:
        """Decide about a code, or the first digits of a key in hex; a whole key needs no request.

        Raises Invalid, NotFound, or Conflict when several keys begin so.
        """
        digits = key.replace("-", "").upper()
        if len(digits) < MIN_DIGITS or set(digits) - set("0123456789ABCDEF"):
            raise Invalid(f"{key!r} is no code such as 1A2B-3C4D, and no public key")
        now = self._clock()

        async def decide(tx: Transaction) -> RegistrationRequest:
            waiting = _named(await tx.registrations.all(), digits)
            if waiting is None and len(digits) != KEY_DIGITS:
                raise NotFound(
                    f"{key!r} has no request: `happy-server accounts pending` shows those that have"
                )
            request = waiting or RegistrationRequest(digits, "", status, now, now)
            request = structs.replace(request, status=status, updated_at=now)
            await tx.registrations.save(request)
            action: Action = "account.approve" if status == "approved" else "account.refuse"
            await record(tx, now, "command line", action, f"key {request.code}", _origin(request))
            return request

        return await self._store.write(decide)


def _origin(request: RegistrationRequest) -> str:
    return f"from {request.address}" if request.address else "before its request"


def _named(requests: list[RegistrationRequest], digits: str) -> RegistrationRequest | None:
    found = [request for request in requests if request.public_key.startswith(digits)]
    if len(found) > 1:
        keys = ", ".join(request.public_key for request in found)
        raise Conflict(f"{digits} may mean several keys ({keys}): give more of it")
    return found[0] if found else None
