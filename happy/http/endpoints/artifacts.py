"""Artifacts: list, read, create, edit and delete (protocol: http#artifacts)."""

from functools import partial
from typing import Annotated, Literal

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from happy.domain.artifacts import Artifact, ArtifactSummary, ArtifactSwap
from happy.domain.listing import is_whole
from happy.domain.values import ArtifactId, Versioned
from happy.http.endpoints.common import Done, Version
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.limits import MAX_DOCUMENT_BODY
from happy.http.framework.listing import ListResponse
from happy.http.framework.requests import ApiRequest
from happy.services.artifacts import FOREIGN, ArtifactService, NewArtifactContents, Part

UUID = (
    r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    r"|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)\Z"
)


class CreateArtifact(Struct, rename="camel"):
    """The id is stored as sent: another case is another artifact."""

    id: Annotated[str, Meta(pattern=UUID)]
    header: str
    body: str
    data_encryption_key: str


class EditArtifact(Struct, rename="camel"):
    """Header and body are edited independently: each needs both its value and the version it replaces."""

    header: str | UnsetType = UNSET
    expected_header_version: Version | UnsetType = UNSET
    body: str | UnsetType = UNSET
    expected_body_version: Version | UnsetType = UNSET


class ArtifactEdited(Struct, rename="camel"):
    header_version: int | UnsetType = UNSET
    body_version: int | UnsetType = UNSET
    success: Literal[True] = True


class ArtifactMismatch(Struct, rename="camel"):
    """Only the parts whose version did not match."""

    current_header_version: int | UnsetType = UNSET
    current_header: bytes | UnsetType = UNSET
    current_body_version: int | UnsetType = UNSET
    current_body: bytes | UnsetType = UNSET
    success: Literal[False] = False
    error: Literal["version-mismatch"] = "version-mismatch"


class ArtifactEndpoints:
    def __init__(self, artifacts: ArtifactService) -> None:
        self._artifacts = artifacts

    def endpoints(self) -> list[Endpoint]:
        every = "/v1/artifacts"
        one = f"{every}/{{artifact_id:str}}"
        missing, taken = "Artifact not found", {409: Failure(FOREIGN)}
        return [
            Endpoint("GET", every, self.owned, failure=Failure("Failed to get artifacts")),
            Endpoint("GET", one, self.get, missing=missing, failure=Failure("Failed to get artifact")),
            Endpoint(
                "POST",
                every,
                self.create,
                limit=MAX_DOCUMENT_BODY,
                failure=Failure("Failed to create artifact"),
                other_responses=taken,
            ),
            Endpoint(
                "POST",
                one,
                self.edit,
                limit=MAX_DOCUMENT_BODY,
                missing=missing,
                failure=Failure("Failed to update artifact"),
            ),
            Endpoint(
                "DELETE", one, self.delete, missing=missing, failure=Failure("Failed to delete artifact")
            ),
        ]

    async def owned(self, request: ApiRequest) -> list[ArtifactSummary] | ListResponse[ArtifactSummary]:
        """All artifacts of the caller, without their bodies."""
        rows = await self._artifacts.owned(request.account_id)
        if is_whole(rows):
            return rows
        load = partial(self._artifacts.summary, request.account_id)
        return ListResponse([], rows, lambda summary: summary, load)

    async def get(self, request: ApiRequest, artifact_id: FromPath[ArtifactId]) -> Artifact:
        """One artifact with its body."""
        return await self._artifacts.get(request.account_id, artifact_id)

    async def create(self, request: ApiRequest, data: JSONBody[CreateArtifact]) -> Artifact:
        """Store an artifact under an id of the caller; one that exists is returned unchanged."""
        contents = NewArtifactContents(data.header, data.body, data.data_encryption_key)
        return await self._artifacts.load_or_create(request.account_id, ArtifactId(data.id), contents)

    async def edit(
        self, request: ApiRequest, artifact_id: FromPath[ArtifactId], data: JSONBody[EditArtifact]
    ) -> ArtifactEdited | ArtifactMismatch:
        """Replace header, body or both, if their versions are still the expected ones."""
        header = _part(data.header, data.expected_header_version)
        body = _part(data.body, data.expected_body_version)
        outcome = await self._artifacts.edit(request.account_id, artifact_id, header, body)
        if outcome.won:
            return ArtifactEdited(_next(header), _next(body))
        return _mismatch(outcome, header, body)

    async def delete(self, request: ApiRequest, artifact_id: FromPath[ArtifactId]) -> Done:
        """Delete an artifact."""
        await self._artifacts.delete(request.account_id, artifact_id)
        return Done()


def _part(text: str | UnsetType, expected: int | UnsetType) -> Part | None:
    return None if text is UNSET or expected is UNSET else Versioned(text, expected)


def _next(part: Part | None) -> int | UnsetType:
    return UNSET if part is None else part.version + 1


def _mismatch(outcome: ArtifactSwap, header: Part | None, body: Part | None) -> ArtifactMismatch:
    stored = outcome.current
    mismatch = ArtifactMismatch()
    if header is not None and header.version != stored.header_version:
        mismatch.current_header_version, mismatch.current_header = stored.header_version, stored.header
    if body is not None and body.version != stored.body_version:
        mismatch.current_body_version, mismatch.current_body = stored.body_version, stored.body
    return mismatch
