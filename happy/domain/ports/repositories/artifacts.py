"""Artifacts, whose parts have versions of their own."""

from typing import Protocol

from happy.domain.artifacts import Artifact, ArtifactEdit, ArtifactSummary, ArtifactSwap
from happy.domain.listing import Large
from happy.domain.values import AccountId, ArtifactId, Millis


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
