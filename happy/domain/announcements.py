"""What a command has deleted, until a server has announced it to connected clients."""

from typing import Literal

from msgspec import Struct

from happy.domain.values import AccountId, Millis

DeletedKind = Literal["session", "machine"]


class Announcement(Struct, frozen=True):
    """One deletion that was not announced to clients of the account yet."""

    id: str
    account_id: AccountId
    kind: DeletedKind
    target: str
    """The id of the session or machine."""

    created_at: Millis
