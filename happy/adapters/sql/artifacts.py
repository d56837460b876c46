"""Artifacts in SQL."""

import msgspec

from happy.adapters.sql.statement import Executor, Listing, Statement, scalar
from happy.domain.artifacts import Artifact, ArtifactEdit, ArtifactSummary, ArtifactSwap
from happy.domain.errors import NotFound
from happy.domain.listing import Large
from happy.domain.values import AccountId, ArtifactId, Millis

ADD: Statement[ArtifactId] = Statement("artifacts.ADD", scalar)
GET = Statement("artifacts.GET", Artifact)
SUMMARY = Statement("artifacts.SUMMARY", ArtifactSummary)
OWNED = Listing("artifacts.OWNED", ArtifactSummary, "id", "header", "data_encryption_key")
EDIT = Statement("artifacts.EDIT", Artifact)
DELETE: Statement[ArtifactId] = Statement("artifacts.DELETE", scalar)


class SqlArtifacts:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, account_id: AccountId, artifact: Artifact) -> bool:
        values = msgspec.structs.asdict(artifact)
        return await self._executor.one(ADD, account=account_id, **values) is not None

    async def get(self, account_id: AccountId, artifact_id: ArtifactId) -> Artifact | None:
        return await self._executor.one(GET, account=account_id, artifact=artifact_id)

    async def owned(self, account_id: AccountId, limit: int) -> list[ArtifactSummary | Large]:
        return await self._executor.listed(OWNED, account=account_id, limit=limit)

    async def summary(self, account_id: AccountId, artifact_id: ArtifactId) -> ArtifactSummary | None:
        return await self._executor.one(SUMMARY, account=account_id, artifact=artifact_id)

    async def edit(
        self, account_id: AccountId, artifact_id: ArtifactId, edit: ArtifactEdit, now: Millis
    ) -> ArtifactSwap:
        edited = await self._executor.one(
            EDIT,
            account=account_id,
            artifact=artifact_id,
            header=edit.header and edit.header.value,
            header_expected=edit.header and edit.header.version,
            body=edit.body and edit.body.value,
            body_expected=edit.body and edit.body.version,
            now=now,
        )
        if edited is not None:
            return ArtifactSwap(won=True, current=edited)
        current = await self.get(account_id, artifact_id)
        if current is None:
            raise NotFound("Artifact not found")
        return ArtifactSwap(won=False, current=current)

    async def delete(self, account_id: AccountId, artifact_id: ArtifactId) -> bool:
        return await self._executor.one(DELETE, account=account_id, artifact=artifact_id) is not None
