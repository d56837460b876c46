"""Events that the server sends to clients: the bodies of `update` and `ephemeral`.

protocol: realtime#events-to-clients
"""

from typing import ClassVar, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from happy.domain.artifacts import Artifact
from happy.domain.feed import FeedItem
from happy.domain.machines import Machine
from happy.domain.people import Picture, UserProfile
from happy.domain.push import EventKind
from happy.domain.sessions import Message, Session
from happy.domain.social import Action, Status
from happy.domain.values import AccountId, ArtifactId, MachineId, Millis, SessionId

Scope = Literal["user", "session", "machine"]


class Audience(Struct, frozen=True, gc=False):
    """Connections that receive an event: user-scoped ones, and those of one session or machine."""

    scope: Scope = "user"
    target: str = ""

    def includes(self, scope: Scope, target: str) -> bool:
        return scope == "user" or (scope == self.scope and target == self.target)


TO_USER = Audience()


def to_session(session_id: SessionId) -> Audience:
    return Audience("session", session_id)


def to_machine(machine_id: MachineId) -> Audience:
    return Audience("machine", machine_id)


class Body(Struct, frozen=True, rename="camel", tag_field="t", gc=False):
    """Base of the bodies of numbered `update` events."""


class VersionedValue(Struct, frozen=True, gc=False):
    value: str | None
    version: int


class NewMessage(Body, frozen=True, tag="new-message", gc=False):
    sid: SessionId
    message: Message


class NewSession(Body, frozen=True, tag="new-session", gc=False):
    id: SessionId
    seq: int
    metadata: str
    metadata_version: int
    agent_state: str | None
    agent_state_version: int
    data_encryption_key: bytes | None
    active: bool
    active_at: Millis
    created_at: Millis
    updated_at: Millis


class UpdateSession(Body, frozen=True, tag="update-session", gc=False):
    id: SessionId
    metadata: VersionedValue | UnsetType = UNSET
    agent_state: VersionedValue | UnsetType = UNSET


class DeleteSession(Body, frozen=True, tag="delete-session", gc=False):
    sid: SessionId


class UpdateAccount(Body, frozen=True, tag="update-account", gc=False):
    id: AccountId
    settings: VersionedValue | UnsetType = UNSET
    github: msgspec.Raw | UnsetType | None = UNSET
    username: str | UnsetType | None = UNSET
    first_name: str | UnsetType | None = UNSET
    last_name: str | UnsetType | None = UNSET
    avatar: Picture | UnsetType = UNSET


class NewMachine(Body, frozen=True, tag="new-machine", gc=False):
    machine_id: MachineId
    seq: int
    metadata: str
    metadata_version: int
    daemon_state: str | None
    daemon_state_version: int
    data_encryption_key: bytes | None
    active: bool
    active_at: Millis
    created_at: Millis
    updated_at: Millis


class UpdateMachine(Body, frozen=True, tag="update-machine", gc=False):
    machine_id: MachineId
    metadata: VersionedValue | UnsetType = UNSET
    daemon_state: VersionedValue | UnsetType = UNSET


class DeleteMachine(Body, frozen=True, tag="delete-machine", gc=False):
    machine_id: MachineId


class NewArtifact(Body, frozen=True, tag="new-artifact", gc=False):
    artifact_id: ArtifactId
    seq: int
    header: bytes
    header_version: int
    body: bytes
    body_version: int
    data_encryption_key: bytes
    created_at: Millis
    updated_at: Millis


class UpdateArtifact(Body, frozen=True, tag="update-artifact", gc=False):
    """`header` and `body` are the text as the client sent it."""

    artifact_id: ArtifactId
    header: VersionedValue | UnsetType = UNSET
    body: VersionedValue | UnsetType = UNSET


class DeleteArtifact(Body, frozen=True, tag="delete-artifact", gc=False):
    artifact_id: ArtifactId


class KvChange(Struct, frozen=True, gc=False):
    """What is stored now; `value` is None for a deleted key."""

    key: str
    value: bytes | None
    version: int


class KvBatchUpdate(Body, frozen=True, tag="kv-batch-update", gc=False):
    changes: list[KvChange]


class NewFeedPost(Body, frozen=True, tag="new-feed-post", gc=False):
    id: str
    body: msgspec.Raw
    repeat_key: str | None
    cursor: str
    created_at: Millis


class RelationshipUpdated(Body, frozen=True, tag="relationship-updated", gc=False):
    """Sent to `from_user_id`, the owner of the row; `to_user` is the other account as that one sees it."""

    from_user_id: AccountId
    to_user_id: AccountId
    status: Status
    action: Action
    to_user: UserProfile
    timestamp: Millis


class Update(Struct, frozen=True, rename="camel", gc=False):
    """A numbered change of stored state. `seq` is the account's update counter at allocation."""

    name: ClassVar[str] = "update"

    id: str
    seq: int
    body: Body
    created_at: Millis


class Ephemeral(Struct, frozen=True, rename="camel", tag_field="type", gc=False):
    """Base of the bodies of `ephemeral` events, which are not stored."""

    name: ClassVar[str] = "ephemeral"


class SessionActivity(Ephemeral, frozen=True, tag="activity", gc=False):
    id: SessionId
    active: bool
    active_at: Millis
    thinking: bool = False


class Usage(Ephemeral, frozen=True, tag="usage", gc=False):
    """A session's latest figures, as its client reported them."""

    id: SessionId
    key: str
    tokens: dict[str, float]
    cost: dict[str, float]
    timestamp: Millis


class SessionEvent(Ephemeral, frozen=True, tag="session-event", gc=False):
    """An occurrence in a session that is worth a push notification."""

    session_id: SessionId
    kind: EventKind
    title: str
    body: str
    timestamp: Millis


class MachineActivity(Ephemeral, frozen=True, tag="machine-activity", gc=False):
    id: MachineId
    active: bool
    active_at: Millis


def new_session(session: Session) -> NewSession:
    return NewSession(
        id=session.id,
        seq=session.seq,
        metadata=session.metadata,
        metadata_version=session.metadata_version,
        agent_state=session.agent_state,
        agent_state_version=session.agent_state_version,
        data_encryption_key=session.data_encryption_key,
        active=session.active,
        active_at=session.last_active_at,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )


def new_machine(machine: Machine) -> NewMachine:
    return NewMachine(
        machine_id=machine.id,
        seq=machine.seq,
        metadata=machine.metadata,
        metadata_version=machine.metadata_version,
        daemon_state=machine.daemon_state,
        daemon_state_version=machine.daemon_state_version,
        data_encryption_key=machine.data_encryption_key,
        active=machine.active,
        active_at=machine.last_active_at,
        created_at=machine.created_at,
        updated_at=machine.updated_at,
    )


def new_artifact(artifact: Artifact) -> NewArtifact:
    return NewArtifact(
        artifact_id=artifact.id,
        seq=artifact.seq,
        header=artifact.header,
        header_version=artifact.header_version,
        body=artifact.body,
        body_version=artifact.body_version,
        data_encryption_key=artifact.data_encryption_key,
        created_at=artifact.created_at,
        updated_at=artifact.updated_at,
    )


def new_feed_post(item: FeedItem) -> NewFeedPost:
    return NewFeedPost(
        id=item.id,
        body=item.body,
        repeat_key=item.repeat_key,
        cursor=item.cursor,
        created_at=item.created_at,
    )
