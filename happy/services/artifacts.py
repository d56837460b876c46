"""Create, read, edit and delete artifacts (protocol: http#artifacts, realtime#artifacts)."""

from msgspec import UNSET, Struct, UnsetType

from happy.domain.artifacts import Artifact, ArtifactEdit, ArtifactSummary, ArtifactSwap
from happy.domain.encoding import decode_strict
from happy.domain.errors import Conflict, Invalid, NotFound
from happy.domain.events import TO_USER, DeleteArtifact, UpdateArtifact, VersionedValue, new_artifact
from happy.domain.listing import Large
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, ArtifactId, Versioned
from happy.limits import limit
from happy.services.unit_of_work import Changes, UnitOfWork

MAX_LISTED = limit(1_000, "artifacts in one list", per="request", then="older ones are not in the list")
FOREIGN = "Artifact with this ID already exists for another account"

Part = Versioned[str]
"""New contents as the client's base64 text, and the version they replace."""


class NewArtifactContents(Struct, frozen=True):
    """Contents as the client's base64 texts."""

    header: str
    body: str
    data_encryption_key: str


class ArtifactService:
    """Contents come in as base64 texts; one that cannot be decoded raises Invalid."""

    def __init__(self, store: Store, unit_of_work: UnitOfWork, clock: Clock) -> None:
        self._store = store
        self._unit_of_work = unit_of_work
        self._clock = clock

    async def owned(self, account_id: AccountId) -> list[ArtifactSummary | Large]:
        """All artifacts without their bodies, the most recently updated first."""
        return await self._store.read(lambda tx: tx.artifacts.owned(account_id, MAX_LISTED))

    async def summary(self, account_id: AccountId, artifact_id: ArtifactId) -> ArtifactSummary | None:
        return await self._store.read(lambda tx: tx.artifacts.summary(account_id, artifact_id))

    async def get(self, account_id: AccountId, artifact_id: ArtifactId) -> Artifact:
        """Raises NotFound."""
        artifact = await self._store.read(lambda tx: tx.artifacts.get(account_id, artifact_id))
        if artifact is None:
            raise NotFound("Artifact not found")
        return artifact

    async def load_or_create(
        self, account_id: AccountId, artifact_id: ArtifactId, contents: NewArtifactContents
    ) -> Artifact:
        """The artifact, stored first if it is new. Raises Conflict when another account has that id."""
        now = self._clock()
        artifact = Artifact(
            id=artifact_id,
            header=_decode(contents.header),
            header_version=1,
            body=_decode(contents.body),
            body_version=1,
            data_encryption_key=_decode(contents.data_encryption_key),
            seq=0,
            created_at=now,
            updated_at=now,
        )

        async def add(changes: Changes) -> Artifact:
            if await changes.tx.artifacts.add(account_id, artifact):
                changes.record(account_id, TO_USER, new_artifact(artifact))
                return artifact
            existing = await changes.tx.artifacts.get(account_id, artifact_id)
            if existing is None:
                raise Conflict(FOREIGN)
            return existing

        return await self._unit_of_work.run(add)

    async def edit(
        self, account_id: AccountId, artifact_id: ArtifactId, header: Part | None, body: Part | None
    ) -> ArtifactSwap:
        """Replace the given parts if all their versions match. Raises NotFound.

        An edit without parts changes and announces nothing.
        """
        if header is None and body is None:
            return ArtifactSwap(won=True, current=await self.get(account_id, artifact_id))
        contents = ArtifactEdit(_contents(header), _contents(body))

        async def swap(changes: Changes) -> ArtifactSwap:
            outcome = await changes.tx.artifacts.edit(account_id, artifact_id, contents, changes.now)
            if outcome.won:
                update = UpdateArtifact(artifact_id, header=_announced(header), body=_announced(body))
                changes.record(account_id, TO_USER, update)
            return outcome

        return await self._unit_of_work.run(swap)

    async def delete(self, account_id: AccountId, artifact_id: ArtifactId) -> None:
        """Raises NotFound."""

        async def remove(changes: Changes) -> None:
            if not await changes.tx.artifacts.delete(account_id, artifact_id):
                raise NotFound("Artifact not found")
            changes.record(account_id, TO_USER, DeleteArtifact(artifact_id))

        await self._unit_of_work.run(remove)


def _decode(text: str) -> bytes:
    try:
        return decode_strict(text)
    except ValueError:
        raise Invalid("Invalid base64") from None


def _contents(part: Part | None) -> Versioned[bytes] | None:
    return None if part is None else Versioned(_decode(part.value), part.version)


def _announced(part: Part | None) -> VersionedValue | UnsetType:
    return UNSET if part is None else VersionedValue(part.value, part.version + 1)
