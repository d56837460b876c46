"""What takes access away: revoked tokens, and accounts that are signed out, disabled or deleted."""

from enum import StrEnum

from msgspec import Struct

from happy.domain.values import AccountId, Millis
from happy.limits import limit

MAX_REVOKED_TOKENS = limit(
    1_000, "revoked tokens kept", per="account", then="`tokens revoke` is refused: sign the account out"
)


class Refused(StrEnum):
    """Why a token is not accepted; the first three say nothing about an account that is here.

    Labels of `tokens_refused_total`.
    """

    MISSING = "missing"
    INVALID = "invalid"
    NO_ACCOUNT = "no_account"

    REVOKED = "revoked"
    SIGNED_OUT = "signed_out"
    DISABLED = "disabled"
    DELETED = "deleted"
    EXPIRED = "expired"


class Revocation(Struct, frozen=True):
    """A stored row: of one token if there is a `token_id`, of the account otherwise.

    Replicas read rows by `revision`, which grows with every change, in the order of the commits.
    """

    account_id: AccountId
    token_id: str | None = None
    signed_out_at: Millis | None = None
    """Tokens issued up to the end of this second are refused, and those without an issue time."""

    disabled_at: Millis | None = None
    deleted_at: Millis | None = None
    changed_at: Millis = Millis(0)
    revision: int = 0

    @property
    def state(self) -> str:
        """Of an account: `active`, `disabled` or `deleted`."""
        if self.deleted_at is not None:
            return "deleted"
        return "active" if self.disabled_at is None else "disabled"

    @property
    def tokens_begin(self) -> Millis:
        """The first moment at which a token may be issued that is accepted after the sign-out."""
        return Millis(0 if self.signed_out_at is None else (self.signed_out_at // 1000 + 1) * 1000)


class TokenUse(Struct, frozen=True, rename="camel"):
    """A token as it was used: `device` is what its client calls itself, `address` its last IP address."""

    id: str
    account_id: AccountId
    issued_at: Millis | None
    device: str
    address: str
    first_seen_at: Millis
    last_seen_at: Millis
