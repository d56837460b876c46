"""Durable state: repositories, the transaction they share, and the message log."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Literal, Protocol, TypeVar

import msgspec
from msgspec import Struct

from happy.domain.accounts import Account, Avatar, PairingKind, PairingRequest, PushToken, Settings
from happy.domain.artifacts import (
    AccessKey,
    Artifact,
    ArtifactEdit,
    ArtifactSummary,
    ArtifactSwap,
    KvEntry,
    KvMutation,
)
from happy.domain.feed import FeedDraft, FeedItem
from happy.domain.github import Holder
from happy.domain.listing import Large
from happy.domain.machines import Machine
from happy.domain.people import Person
from happy.domain.sessions import Appended, Message, MessageDraft, Session
from happy.domain.social import Relation, Status
from happy.domain.usage import SavedReport, UsagePortion, UsageRange, UsageReport
from happy.domain.values import AccountId, ArtifactId, MachineId, Millis, SessionId, Swap
from happy.domain.vendor_tokens import SealedToken, Vendor

T = TypeVar("T")


class AccountRepository(Protocol):
    async def upsert(self, account_id: AccountId, public_key: str, now: Millis) -> AccountId:
        """Create the account, or return the id of the one that has this public key (upper-case hex)."""
        ...

    async def existing(self, account_ids: Collection[AccountId]) -> list[AccountId]:
        """Those of them that there are."""
        ...

    async def get(self, account_id: AccountId) -> Account | None: ...

    async def connected_services(self, account_id: AccountId) -> list[str]:
        """Vendors with a stored token, the earliest stored first."""
        ...

    async def settings(self, account_id: AccountId) -> Settings | None: ...

    async def swap_settings(
        self, account_id: AccountId, expected: int, value: str | None, now: Millis
    ) -> Swap[str | None]:
        """Raises NotFound."""
        ...

    async def next_seq(self, account_id: AccountId, count: int, now: Millis) -> int:
        """Take `count` update numbers and return the last. Raises NotFound."""
        ...

    async def push_tokens(self, account_id: AccountId) -> list[PushToken]:
        """The newest created first."""
        ...

    async def add_push_token(self, account_id: AccountId, token_id: str, token: str, now: Millis) -> None:
        """Register the token; one that is known only moves its `updated_at`. Raises NotFound."""
        ...

    async def drop_push_token(self, account_id: AccountId, token: str) -> None: ...

    async def take_push_token(self, account_id: AccountId, token: str) -> None:
        """Drop the token from every other account."""
        ...


class PairingRepository(Protocol):
    async def get(self, kind: PairingKind, public_key: str) -> PairingRequest | None: ...

    async def open(
        self, kind: PairingKind, request_id: str, public_key: str, now: Millis, *, supports_v2: bool
    ) -> PairingRequest:
        """Create the request, or return the one that exists for this key."""
        ...

    async def reopen(
        self, kind: PairingKind, public_key: str, now: Millis, *, supports_v2: bool
    ) -> PairingRequest:
        """Forget the answer of an expired request and start it anew."""
        ...

    async def answer(
        self, kind: PairingKind, public_key: str, account_id: AccountId, response: str, now: Millis
    ) -> bool:
        """Store the answer unless there is a non-empty one already."""
        ...

    async def drop_unanswered(self, deadline: Millis, limit: int) -> int:
        """Delete up to `limit` requests nobody answered that were last touched before `deadline`.

        Return how many; 0 when there are none left.
        """
        ...


class SessionRepository(Protocol):
    async def add(self, session: Session) -> bool:
        """Store `session` unless its account already has one with that tag."""
        ...

    async def by_tag(self, account_id: AccountId, tag: str) -> Session | None: ...

    async def get(self, account_id: AccountId, session_id: SessionId) -> Session | None: ...

    async def recent(self, account_id: AccountId, limit: int) -> list[Session | Large]:
        """The most recently updated first."""
        ...

    async def active(self, account_id: AccountId, since: Millis, limit: int) -> list[Session | Large]:
        """Active sessions last seen after `since`, the latest seen first."""
        ...

    async def page(
        self, account_id: AccountId, before: SessionId | None, changed_since: Millis | None, limit: int
    ) -> list[Session | Large]:
        """Descending by id, only ids before `before`, only sessions updated after `changed_since`."""
        ...

    async def swap_metadata(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str, now: Millis
    ) -> Swap[str]:
        """Raises NotFound."""
        ...

    async def swap_agent_state(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str | None, now: Millis
    ) -> Swap[str | None]:
        """Raises NotFound."""
        ...

    async def mark_active(self, seen: Sequence[tuple[SessionId, Millis, Millis]], now: Millis) -> None:
        """Record many heartbeats: the time that each names, and when it was received.

        One that is not newer than what is stored only sets the session active; one that was received before
        the session was stopped does nothing.
        """
        ...

    async def mark_stopped(
        self, account_id: AccountId, session_id: SessionId, at: Millis, now: Millis
    ) -> bool:
        """Make the session inactive, last seen at `at`. False when it is not this account's."""
        ...

    async def mark_idle(self, deadline: Millis, limit: int) -> list[tuple[AccountId, SessionId, Millis]]:
        """Deactivate up to `limit` sessions last seen by `deadline`; return whose and when last seen."""
        ...

    async def silent(
        self, deadline: Millis, after: tuple[Millis, str], limit: int
    ) -> list[tuple[AccountId, SessionId, Millis]]:
        """Active sessions last seen by `deadline`, in the order of that time and their ids.

        `after` is the time and id of the last one of the page before.
        """
        ...

    async def mark_gone(
        self, account_id: AccountId, session_ids: Sequence[SessionId], seen_by: Millis
    ) -> list[tuple[SessionId, Millis]]:
        """Deactivate those that are active and were last seen by that time; return when each was."""
        ...

    async def delete(self, account_id: AccountId, session_id: SessionId, now: Millis) -> bool:
        """Hide the session with all that belongs to it, whatever its size; `deletions` has more to do."""
        ...


class MachineRepository(Protocol):
    async def add(self, machine: Machine) -> bool:
        """Store `machine` unless some account already has one with that id."""
        ...

    async def get(self, account_id: AccountId, machine_id: MachineId) -> Machine | None: ...

    async def owned(self, account_id: AccountId) -> list[Machine | Large]:
        """All machines, the last active first."""
        ...

    async def swap_metadata(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str, now: Millis
    ) -> Swap[str]:
        """Raises NotFound."""
        ...

    async def swap_daemon_state(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str, now: Millis
    ) -> Swap[str | None]:
        """Winning also marks the machine active, last seen now. Raises NotFound."""
        ...

    async def mark_active(self, seen: Sequence[tuple[AccountId, MachineId, Millis]], now: Millis) -> None:
        """Record many heartbeats. One that is not newer than what is stored only sets the machine active."""
        ...

    async def mark_idle(self, deadline: Millis, limit: int) -> list[tuple[AccountId, MachineId, Millis]]:
        """Deactivate up to `limit` machines last seen by `deadline`; return whose and when last seen."""
        ...

    async def silent(
        self, deadline: Millis, after: tuple[Millis, str], limit: int
    ) -> list[tuple[AccountId, MachineId, Millis]]:
        """Active machines last seen by `deadline`, in the order of that time and their ids.

        `after` is the time and id of the last one of the page before.
        """
        ...

    async def mark_gone(
        self, account_id: AccountId, machine_ids: Sequence[MachineId], seen_by: Millis
    ) -> list[tuple[MachineId, Millis]]:
        """Deactivate those that are active and were last seen by that time; return when each was."""
        ...

    async def delete(self, account_id: AccountId, machine_id: MachineId, now: Millis) -> bool:
        """Hide the machine and its access keys; with many of them, `deletions` has more to do."""
        ...

    async def hidden(self, machine_id: MachineId) -> bool:
        """Whether a deleted machine keeps this id from being registered."""
        ...


Deletable = Literal["session", "machine"]


class DeletionRepository(Protocol):
    """What was deleted and is hidden already, but still has rows: they go a few at a time."""

    async def claim(self, kind: Deletable, now: Millis) -> str | None:
        """The id of one that is due by `now`, which until the commit is nobody else's to claim."""
        ...

    async def remove(self, kind: Deletable, target: str, limit: int) -> int:
        """Remove up to `limit` rows of what was deleted and return how many; 0 when there are none left."""
        ...

    async def finish(self, kind: Deletable, target: str) -> bool:
        """Remove the session or machine itself. False when something belongs to it after all."""
        ...

    async def postpone(self, kind: Deletable, target: str, until: Millis) -> None:
        """Let others come first: it could not be finished now."""
        ...


class ArtifactRepository(Protocol):
    async def add(self, account_id: AccountId, artifact: Artifact) -> bool:
        """Store `artifact` unless some account already has one with that id."""
        ...

    async def get(self, account_id: AccountId, artifact_id: ArtifactId) -> Artifact | None: ...

    async def summary(self, account_id: AccountId, artifact_id: ArtifactId) -> ArtifactSummary | None: ...

    async def owned(self, account_id: AccountId, limit: int) -> list[ArtifactSummary | Large]:
        """The most recently updated first."""
        ...

    async def edit(
        self, account_id: AccountId, artifact_id: ArtifactId, edit: ArtifactEdit, now: Millis
    ) -> ArtifactSwap:
        """Write all parts of `edit` and count the update, if every version matches. Raises NotFound."""
        ...

    async def delete(self, account_id: AccountId, artifact_id: ArtifactId) -> bool: ...


class AccessKeyRepository(Protocol):
    async def reachable(self, account_id: AccountId, session_id: SessionId, machine_id: MachineId) -> bool:
        """Whether both the session and the machine are the account's."""
        ...

    async def get(
        self, account_id: AccountId, session_id: SessionId, machine_id: MachineId
    ) -> AccessKey | None: ...

    async def add(
        self,
        account_id: AccountId,
        session_id: SessionId,
        machine_id: MachineId,
        key_id: str,
        data: str,
        now: Millis,
    ) -> bool:
        """Store a key with version 1 unless there is one already."""
        ...

    async def swap(
        self,
        account_id: AccountId,
        session_id: SessionId,
        machine_id: MachineId,
        expected: int,
        data: str,
        now: Millis,
    ) -> Swap[str]:
        """Raises NotFound."""
        ...


class KvRepository(Protocol):
    async def get_many(self, account_id: AccountId, keys: Sequence[str]) -> dict[str, KvEntry]:
        """Stored entries by key, deleted ones included."""
        ...

    async def given(self, account_id: AccountId, keys: Sequence[str]) -> list[KvEntry | Large]:
        """Entries that have one of these keys, without deleted ones."""
        ...

    async def page(self, account_id: AccountId, prefix: str, limit: int) -> list[KvEntry | Large]:
        """Entries whose key begins with `prefix`, by code points ascending, without deleted ones."""
        ...

    async def put(
        self, account_id: AccountId, entry_id: str, mutation: KvMutation, now: Millis
    ) -> int | None:
        """Store the value and return its version, or None when the expected version is not the stored one."""
        ...


class UsageRepository(Protocol):
    async def save(
        self, account_id: AccountId, report_id: str, report: UsageReport, now: Millis
    ) -> SavedReport:
        """Store the report in place of the one with the same session and key."""
        ...

    async def portion(self, account_id: AccountId, wanted: UsageRange) -> UsagePortion:
        """Sums of the next reports of the range, in the order of their creation.

        Figures of documents that are too large for any client are passed over, their reports are counted.
        """
        ...


class PeopleRepository(Protocol):
    """Accounts with the status that they have for another account, `viewer`."""

    async def get(self, viewer: AccountId, account_id: AccountId) -> Person | None: ...

    async def search(self, viewer: AccountId, prefix: str, limit: int) -> list[Person]:
        """Accounts whose username begins with `prefix` but for the case of ASCII letters, by username."""
        ...

    async def friends(self, viewer: AccountId) -> list[Person]:
        """Friends, those who asked to be one, and those who were asked."""
        ...


class SocialRepository(Protocol):
    async def pair(self, one: AccountId, other: AccountId) -> tuple[Relation, Relation] | None:
        """Both directions, which nobody else changes meanwhile. None when an account is missing."""
        ...

    async def save(self, owner: AccountId, other: AccountId, status: Status, now: Millis) -> None:
        """Set what `owner` wants of `other`; when `owner` was last notified stays."""
        ...

    async def mark_notified(self, owner: AccountId, other: AccountId, now: Millis) -> None: ...


class FeedRepository(Protocol):
    async def post(self, account_id: AccountId, draft: FeedDraft, now: Millis) -> FeedItem:
        """Number and store a post, in place of an earlier one with its repeat key. Raises NotFound."""
        ...

    async def page(
        self, account_id: AccountId, before: int | None, after: int | None, limit: int
    ) -> list[FeedItem]:
        """Posts with a counter between the two, the newest first."""
        ...


class GithubRepository(Protocol):
    """GitHub users, and the accounts that are linked to one: at most one each."""

    async def spend_state(self, state_id: str, expires: Millis, now: Millis) -> bool:
        """Whether nobody has used this state before. It is remembered until it expires."""
        ...

    async def holders(self, account_id: AccountId, github_id: str, username: str) -> list[Holder]:
        """The account, and all that have this GitHub user or username; nobody else changes them meanwhile."""
        ...

    async def linked(self, account_id: AccountId) -> Holder | None:
        """The account, which nobody else changes meanwhile."""
        ...

    async def save_user(self, github_id: str, profile: msgspec.Raw, token: bytes, now: Millis) -> None: ...

    async def delete_user(self, github_id: str) -> None: ...

    async def link(
        self,
        holder: Holder,
        first_name: str | None,
        last_name: str | None,
        avatar: Avatar | None,
        now: Millis,
    ) -> None:
        """Give an account this GitHub user, username and names, and the picture if there is one.

        Raises Conflict when another has the user or the username.
        """
        ...

    async def unlink(self, account_id: AccountId, now: Millis) -> None:
        """Take GitHub user and username from the account; its names and picture stay."""
        ...

    async def drop_username(self, account_id: AccountId, now: Millis) -> None: ...


class UploadRepository(Protocol):
    """Profile pictures in the file store."""

    async def reusable(self, reuse_key: str) -> Avatar | None:
        """The newest complete picture of any account that was stored under this key."""
        ...

    async def add(
        self, account_id: AccountId, file_id: str, avatar: Avatar, reuse_key: str, now: Millis
    ) -> None: ...


class VendorTokenRepository(Protocol):
    """Credentials of other companies, sealed by whoever stores them."""

    async def save(
        self, account_id: AccountId, token_id: str, vendor: Vendor, token: bytes, now: Millis
    ) -> None:
        """Store the token in place of an earlier one."""
        ...

    async def get(self, account_id: AccountId, vendor: Vendor) -> bytes | None: ...

    async def owned(self, account_id: AccountId) -> list[SealedToken]:
        """The earliest stored first."""
        ...

    async def delete(self, account_id: AccountId, vendor: Vendor) -> None:
        """Deleting what is not there is fine."""
        ...


class RowCounts(Struct, frozen=True):
    """Rows by table; of large tables an estimate."""

    accounts: int
    sessions: int
    messages: int
    machines: int


class StatisticsRepository(Protocol):
    async def rows(self) -> RowCounts: ...


class SecretUse(Struct, frozen=True):
    """Which master secret the stored data was made with, if it is known, and an account, if there is any."""

    fingerprint: str | None
    some_account: AccountId | None


class MasterSecretRepository(Protocol):
    async def use(self) -> SecretUse: ...

    async def claim(self, fingerprint: str, now: Millis) -> None:
        """Store it, unless there is one: of several servers that start at once, the first decides."""
        ...

    async def replace(self, fingerprint: str, now: Millis) -> None: ...


class MessageLog(Protocol):
    """The append-only hot path. Each call is atomic by itself and costs one round trip."""

    async def append(
        self, account_id: AccountId, session_id: SessionId, drafts: Sequence[MessageDraft], now: Millis
    ) -> Appended:
        """Number and store `drafts` in order, find those whose local id is known, take update numbers.

        Drafts carry no local id twice. A draft that is found consumes no number. Raises NotFound.
        """
        ...

    async def after(
        self, account_id: AccountId, session_id: SessionId, seq: int, limit: int
    ) -> list[Message | Large]:
        """Messages with a greater `seq`, ascending. Raises NotFound."""
        ...

    async def before(
        self, account_id: AccountId, session_id: SessionId, seq: int, limit: int
    ) -> list[Message | Large]:
        """Messages with a smaller `seq`, descending. Raises NotFound."""
        ...

    async def one(self, account_id: AccountId, session_id: SessionId, seq: int) -> Message | None: ...

    async def newest(self, account_id: AccountId, session_id: SessionId, limit: int) -> list[Message | Large]:
        """The newest by creation time, descending. Raises NotFound."""
        ...


class Transaction(Protocol):
    """The repositories of one unit of work."""

    @property
    def accounts(self) -> AccountRepository: ...
    @property
    def pairings(self) -> PairingRepository: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def machines(self) -> MachineRepository: ...
    @property
    def access_keys(self) -> AccessKeyRepository: ...
    @property
    def artifacts(self) -> ArtifactRepository: ...
    @property
    def kv(self) -> KvRepository: ...
    @property
    def usage(self) -> UsageRepository: ...
    @property
    def deletions(self) -> DeletionRepository: ...
    @property
    def statistics(self) -> StatisticsRepository: ...

    @property
    def people(self) -> PeopleRepository: ...
    @property
    def social(self) -> SocialRepository: ...
    @property
    def feed(self) -> FeedRepository: ...
    @property
    def github(self) -> GithubRepository: ...
    @property
    def uploads(self) -> UploadRepository: ...
    @property
    def vendor_tokens(self) -> VendorTokenRepository: ...
    @property
    def master_secret(self) -> MasterSecretRepository: ...


Body = Callable[[Transaction], Awaitable[T]]
"""A unit of work. It awaits nothing but its transaction, so it may run in another thread, or twice."""


class Store(Protocol):
    """The database of one flavor. Every method raises Unavailable when it cannot be reached."""

    @property
    def messages(self) -> MessageLog: ...

    @property
    def batch_seconds(self) -> float:
        """How long each of the many transactions of a background job may last."""
        ...

    async def read(self, body: Body[T]) -> T:
        """Run `body`, which changes nothing. Each statement sees what is committed when it runs."""
        ...

    async def write(self, body: Body[T]) -> T:
        """Run `body` and commit; roll back if it raises; run it again after a serialization conflict.

        Returns only when the change is durable.
        """
        ...

    async def ping(self) -> None:
        """Run a trivial query."""
        ...
