"""Events about machines (contract 02 section 5.3)."""

from collections.abc import Awaitable, Mapping

import msgspec

from happy.domain.values import MachineId
from happy.gateway.answers import answer, answer_swap
from happy.gateway.engine import Ack
from happy.gateway.hub import Connection, Handler
from happy.gateway.payloads import (
    MachineAlive,
    MachineUpdateMetadata,
    MachineUpdateState,
    millis,
    parse,
    version,
)
from happy.services.activity import Activity
from happy.services.machines import MachineService

Payload = msgspec.Raw | None
INVALID = {"result": "error", "message": "Invalid parameters"}
NOT_FOUND = {"result": "error", "message": "Machine not found"}
FAILED = {"result": "error", "message": "Internal error"}


class MachineEvents:
    def __init__(self, machines: MachineService, activity: Activity) -> None:
        self._machines = machines
        self._activity = activity

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "machine-alive": self.alive,
            "machine-update-metadata": self.update_metadata,
            "machine-update-state": self.update_state,
        }

    def alive(
        self,
        connection: Connection,
        payload: Payload,
        ack: Ack | None,  # noqa: ARG002
    ) -> Awaitable[None] | None:
        beat = parse(payload, MachineAlive)
        if beat is None or not beat.machine_id:
            return None
        account_id, machine_id, at = connection.account_id, MachineId(beat.machine_id), millis(beat.time)
        if self._activity.known_machine_alive(account_id, machine_id, at):
            return None
        return self._activity.machine_alive(account_id, machine_id, at)

    async def update_metadata(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        asked = parse(payload, MachineUpdateMetadata)
        if asked is None or not asked.machine_id:
            return answer(ack, **_refusal(payload))
        swap = self._machines.update_metadata(
            connection.account_id,
            MachineId(asked.machine_id),
            version(asked.expected_version),
            asked.metadata,
        )
        return await answer_swap(ack, "metadata", swap, missing=NOT_FOUND, failed=FAILED)

    async def update_state(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        asked = parse(payload, MachineUpdateState)
        if asked is None or not asked.machine_id:
            return answer(ack, **_refusal(payload))
        swap = self._machines.update_daemon_state(
            connection.account_id,
            MachineId(asked.machine_id),
            version(asked.expected_version),
            asked.daemon_state,
        )
        return await answer_swap(ack, "daemonState", swap, missing=NOT_FOUND, failed=FAILED)


def _refusal(payload: Payload) -> dict[str, str]:
    """A missing or null payload has always been answered like a failure."""
    return FAILED if payload is None or bytes(payload) == b"null" else INVALID
