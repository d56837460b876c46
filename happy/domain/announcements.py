"""What a command has deleted, until a server has told the clients that are connected to it."""

from typing import Literal

from msgspec import Struct

from happy.domain.values import AccountId, Millis

DeletedKind = Literal["session", "machine"]


class Announcement(Struct, frozen=True):
    """One deletion that clients of the account have not been told of yet."""

    id: str
    account_id: AccountId
    kind: DeletedKind
    target: str
    """The id of the session or machine."""

    created_at: Millis
