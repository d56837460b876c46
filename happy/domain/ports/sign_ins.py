"""Sign-ins that all replicas remember for a while, to notice a replay."""

from typing import Protocol


class SharedSignIns(Protocol):
    async def first_address(self, digest: str, address: str, lifetime: int) -> str:
        """The address at which a sign-in of this digest was first seen in the last `lifetime` ms.

        That is `address` if it is new; it is remembered then. Raises Unavailable.
        """
        ...
