"""Who may make an account: the modes, requests that wait for approval, and invites.

protocol: http#registration
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from happy.domain.values import HOUR, MINUTE, Millis
from happy.limits import limit

RegistrationMode = Literal["open", "first", "approve", "invite", "closed"]
RequestStatus = Literal["waiting", "approved", "refused"]
RefusalReason = Literal["closed", "first", "waiting", "refused", "uninvited"]

WAITING_LIFETIME: Final = 7 * 24 * HOUR
"""How long a request waits for a decision, in ms since its last sign-in."""

DECISION_LIFETIME: Final = 24 * HOUR
"""How long an approval or a refusal counts, in ms since the decision."""

LIFETIMES: Final[dict[RequestStatus, int]] = {
    "waiting": WAITING_LIFETIME,
    "approved": DECISION_LIFETIME,
    "refused": DECISION_LIFETIME,
}
OPENING_LIFETIME: Final = 15 * MINUTE
"""How long an invite that was opened lets its address make accounts, in ms."""

INVITE_KEPT: Final = 7 * 24 * HOUR
"""How long an expired invite is still listed, in ms."""

WRITTEN_AGAIN_AFTER: Final = MINUTE
"""A waiting client that tries again sooner costs no write, in ms."""

MAX_WAITING: Final = limit(
    500,
    "public keys that wait for approval, in all",
    per="all replicas",
    then="the one that tried least lately is forgotten",
)
MAX_WAITING_OF_ADDRESS: Final = limit(
    5,
    "public keys that wait for approval",
    per="address",
    then="the one that tried least lately is forgotten",
)
MAX_OPENINGS: Final = limit(
    20,
    "addresses that an invite is open for",
    per="invite",
    then="the one that was opened first has to open it again",
)

MESSAGES: Final[dict[RefusalReason, str]] = {
    "closed": "This server takes no new accounts",
    "first": "This server has its account already and takes no others",
    "waiting": "New accounts need the approval of whoever runs this server: give them the code {code},"
    " and try again once they have approved it",
    "refused": "Whoever runs this server has refused the account",
    "uninvited": "New accounts need an invite of whoever runs this server: open its link on this device and"
    " in this network first, then try again",
}
"""Messages for refused clients."""


class RegistrationRequest(Struct, frozen=True, rename="camel"):
    """A public key (upper-case hex) that has no account, the address it came from, and what was decided.

    `address` is empty where a key was approved before it ever signed in.
    """

    public_key: str
    address: str
    status: RequestStatus
    created_at: Millis
    updated_at: Millis

    @property
    def code(self) -> str:
        return short_code(self.public_key)

    def expired(self, now: Millis) -> bool:
        return now > self.updated_at + LIFETIMES[self.status]

    def covers(self, public_key: str, address: str) -> bool:
        """Whether its decision is about this client: installed apps make a new key for each attempt."""
        return self.public_key == public_key or (self.address != "" and self.address == address)


class Invite(Struct, frozen=True, rename="camel"):
    """`uses` is how many accounts it is good for, `used` how many were made with it."""

    id: str
    uses: int
    used: int
    created_at: Millis
    expires_at: Millis

    def usable(self, now: Millis) -> bool:
        return self.used < self.uses and now < self.expires_at


class Entry(Struct, frozen=True):
    """What lets a client make an account: nothing that is used up, an approval, or an invite."""

    approval: RegistrationRequest | None = None
    invite_id: str | None = None


def short_code(public_key: str) -> str:
    """The first 32 bits of a public key: what people compare, and all that is logged of it."""
    return f"{public_key[:4]}-{public_key[4:8]}"


def refusal_message(reason: RefusalReason, public_key: str) -> str:
    return MESSAGES[reason].format(code=short_code(public_key))


def decided(
    requests: Iterable[RegistrationRequest], public_key: str, address: str, now: Millis
) -> RegistrationRequest | None:
    """The decision that counts for this client, if there is one; an approval before a refusal."""
    decisions = [
        request
        for request in requests
        if request.status != "waiting" and not request.expired(now) and request.covers(public_key, address)
    ]
    return min(decisions, key=lambda request: request.status, default=None)
