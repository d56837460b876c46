"""What the operator of the server sees of an account."""

from msgspec import Struct

from happy.domain.amounts import counted
from happy.domain.values import AccountId, MachineId, Millis, SessionId


class AccountRecord(Struct, frozen=True, rename="camel"):
    """An account as commands list it. `public_key` is in upper-case hex."""

    id: AccountId
    public_key: str
    username: str | None
    first_name: str | None
    last_name: str | None
    created_at: Millis
    updated_at: Millis
    state: str
    """`active`, `disabled`, or `deleted` until its rows are removed."""

    signed_out_at: Millis | None

    @property
    def name(self) -> str:
        """Username and name, as far as there are any."""
        words = (self.username and f"@{self.username}", self.first_name, self.last_name)
        return " ".join(word for word in words if word)


class Belongings(Struct, frozen=True, rename="camel"):
    """How much an account has: what its deletion removes."""

    sessions: int
    messages: int
    machines: int
    artifacts: int
    files: int
    push_tokens: int

    def in_words(self) -> str:
        """Like `2 sessions with 40 messages, 1 machine, 3 artifacts, 0 files`."""
        return (
            f"{counted(self.sessions, 'session')} with {counted(self.messages, 'message')},"
            f" {counted(self.machines, 'machine')}, {counted(self.artifacts, 'artifact')},"
            f" {counted(self.files, 'file')}"
        )


class SessionRecord(Struct, frozen=True, rename="camel"):
    """A session as commands list it: what the server knows without reading its encrypted content."""

    id: SessionId
    account_id: AccountId
    active: bool
    messages: int
    stored_bytes: int | None
    """What was stored in it since quotas are set; None: it was not counted."""

    attachments: int | None
    created_at: Millis
    updated_at: Millis
    last_active_at: Millis


class MachineRecord(Struct, frozen=True, rename="camel"):
    """A machine as commands list it."""

    id: MachineId
    account_id: AccountId
    active: bool
    created_at: Millis
    updated_at: Millis
    last_active_at: Millis
