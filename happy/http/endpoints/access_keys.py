"""Access keys of a session and a machine (protocol: http#access-keys)."""

from typing import Literal

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from happy.domain.artifacts import AccessKey
from happy.domain.values import MachineId, SessionId
from happy.http.endpoints.common import Version
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.requests import ApiRequest
from happy.services.access_keys import AccessKeyService


class FoundAccessKey(Struct, rename="camel"):
    access_key: AccessKey | None


class CreateAccessKey(Struct):
    data: str


class AccessKeyCreated(Struct, rename="camel"):
    access_key: AccessKey
    success: Literal[True] = True


class UpdateAccessKey(Struct, rename="camel"):
    data: str
    expected_version: Version


class AccessKeyUpdated(Struct):
    version: int
    success: Literal[True] = True


class AccessKeyMismatch(Struct, rename="camel"):
    current_version: int
    current_data: str
    success: Literal[False] = False
    error: Literal["version-mismatch"] = "version-mismatch"


class AccessKeyEndpoints:
    def __init__(self, access_keys: AccessKeyService) -> None:
        self._access_keys = access_keys

    def endpoints(self) -> list[Endpoint]:
        path = "/v1/access-keys/{session_id:str}/{machine_id:str}"
        missing = "Session or machine not found"
        unwritable = Failure("Failed to update access key", success=False)
        return [
            Endpoint("GET", path, self.get, missing=missing, failure=Failure("Failed to get access key")),
            Endpoint(
                "POST",
                path,
                self.create,
                missing=missing,
                failure=Failure("Failed to create access key"),
                other_responses={409: Failure("Access key already exists")},
            ),
            Endpoint("PUT", path, self.update, missing="Access key not found", failure=unwritable),
        ]

    async def get(
        self, request: ApiRequest, session_id: FromPath[SessionId], machine_id: FromPath[MachineId]
    ) -> FoundAccessKey:
        """The access key of a session on a machine; null if there is none."""
        return FoundAccessKey(await self._access_keys.get(request.account_id, session_id, machine_id))

    async def create(
        self,
        request: ApiRequest,
        session_id: FromPath[SessionId],
        machine_id: FromPath[MachineId],
        data: JSONBody[CreateAccessKey],
    ) -> AccessKeyCreated:
        """Store the access key of a session on a machine, which has none yet."""
        key = await self._access_keys.create(request.account_id, session_id, machine_id, data.data)
        return AccessKeyCreated(key)

    async def update(
        self,
        request: ApiRequest,
        session_id: FromPath[SessionId],
        machine_id: FromPath[MachineId],
        data: JSONBody[UpdateAccessKey],
    ) -> AccessKeyUpdated | AccessKeyMismatch:
        """Replace an access key if its version is still the expected one."""
        swap = await self._access_keys.update(
            request.account_id, session_id, machine_id, data.expected_version, data.data
        )
        if swap.won:
            return AccessKeyUpdated(swap.current.version)
        return AccessKeyMismatch(swap.current.version, swap.current.value)
