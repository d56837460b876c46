"""Machines: register, list and delete (protocol: http#machines)."""

from functools import partial
from typing import Annotated, TypeVar

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from happy.domain.errors import NotFound
from happy.domain.listing import is_whole
from happy.domain.machines import Machine
from happy.domain.names import MAX_NAME
from happy.domain.values import MachineId, Millis
from happy.http.endpoints.common import Done, optional_key
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.limits import MAX_DOCUMENT_BODY
from happy.http.framework.listing import ListResponse
from happy.http.framework.requests import ApiRequest
from happy.services.machines import MachineService


class RegisterMachine(Struct, rename="camel"):
    id: Annotated[MachineId, Meta(max_length=MAX_NAME)]
    metadata: str
    daemon_state: str | UnsetType = UNSET
    data_encryption_key: str | None = None


class RegisteredMachine(Struct, rename="camel"):
    """A machine in the response to its own daemon."""

    id: MachineId
    metadata: str
    metadata_version: int
    daemon_state: str | None
    daemon_state_version: int
    data_encryption_key: bytes | None
    active: bool
    active_at: Millis
    created_at: Millis
    updated_at: Millis


class ListedMachine(RegisteredMachine, rename="camel", kw_only=True):
    """A machine in lists, for all clients of the account."""

    seq: int


Item = TypeVar("Item", bound=RegisteredMachine)


class Registered(Struct):
    machine: RegisteredMachine


class OneMachine(Struct):
    machine: ListedMachine


class MachineEndpoints:
    def __init__(self, machines: MachineService) -> None:
        self._machines = machines

    def endpoints(self) -> list[Endpoint]:
        one = "/v1/machines/{machine_id:str}"
        foreign = {409: Failure("Machine is registered to another account")}
        return [
            Endpoint(
                "POST",
                "/v1/machines",
                self.load_or_register,
                limit=MAX_DOCUMENT_BODY,
                other_responses=foreign,
            ),
            Endpoint("GET", "/v1/machines", self.owned),
            Endpoint("GET", one, self.get, missing="Machine not found"),
            Endpoint("DELETE", one, self.delete, missing="Machine not found"),
        ]

    async def load_or_register(self, request: ApiRequest, data: JSONBody[RegisterMachine]) -> Registered:
        """Register a machine; one that is the caller's already is returned unchanged."""
        machine = await self._machines.load_or_register(
            request.account_id,
            data.id,
            data.metadata,
            data.daemon_state or None,
            optional_key(data.data_encryption_key),
        )
        return Registered(_registered(machine))

    async def owned(self, request: ApiRequest) -> list[ListedMachine] | ListResponse[Machine]:
        """All machines of the caller, the last active first."""
        machines = await self._machines.owned(request.account_id)
        if is_whole(machines):
            return [_listed(machine) for machine in machines]
        return ListResponse([], machines, _listed, partial(self._machines.get, request.account_id))

    async def get(self, request: ApiRequest, machine_id: FromPath[MachineId]) -> OneMachine:
        """One machine."""
        machine = await self._machines.get(request.account_id, machine_id)
        if machine is None:
            raise NotFound
        return OneMachine(_listed(machine))

    async def delete(self, request: ApiRequest, machine_id: FromPath[MachineId]) -> Done:
        """Delete a machine. Its sessions remain."""
        await self._machines.delete(request.account_id, machine_id)
        return Done()


def _registered(machine: Machine) -> RegisteredMachine:
    return _shown_as(RegisteredMachine, machine)


def _listed(machine: Machine) -> ListedMachine:
    return _shown_as(ListedMachine, machine, seq=machine.seq)


def _shown_as(shape: type[Item], machine: Machine, **more: int) -> Item:
    """The only function that maps a machine's fields to those of its responses."""
    return shape(
        id=machine.id,
        metadata=machine.metadata,
        metadata_version=machine.metadata_version,
        daemon_state=machine.daemon_state,
        daemon_state_version=machine.daemon_state_version,
        data_encryption_key=machine.data_encryption_key,
        active=machine.active,
        active_at=machine.last_active_at,
        created_at=machine.created_at,
        updated_at=machine.updated_at,
        **more,
    )
