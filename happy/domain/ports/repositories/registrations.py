"""Registration requests of public keys without an account, and the decisions about them."""

from typing import Protocol

from happy.domain.registration import RegistrationRequest, RequestStatus
from happy.domain.values import Millis


class RegistrationRepository(Protocol):
    async def lock(self, now: Millis) -> None:
        """Lock until the end of the transaction, across replicas."""
        ...

    async def has_accounts(self) -> bool:
        """Whether there is any account."""
        ...

    async def about(self, public_key: str, address: str) -> list[RegistrationRequest]:
        """The request of this key, and those that came from this address; the oldest first."""
        ...

    async def all(self) -> list[RegistrationRequest]:
        """Every request, the one that was changed last first; their number is bounded."""
        ...

    async def save(self, request: RegistrationRequest) -> None:
        """Replace the request that its key had, but for its `created_at`; or store the first one."""
        ...

    async def drop(self, public_key: str) -> None: ...

    async def drop_waiting_at(self, address: str) -> None:
        """Delete what still waits from this address."""
        ...

    async def drop_surplus(self, keep: int) -> None:
        """Delete all waiting requests but the `keep` that were changed last."""
        ...

    async def drop_expired(self, status: RequestStatus, before: Millis, limit: int) -> int:
        """Delete up to `limit` requests of this status that were last changed before; return how many."""
        ...
