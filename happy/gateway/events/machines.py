"""Events about machines (protocol: realtime#machine-events)."""

from collections.abc import Awaitable, Mapping
from functools import partial

import msgspec

from happy.domain.values import MachineId
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.large_answers import LargeAnswers, SwapAnswers
from happy.gateway.events.payloads import (
    MachineAlive,
    MachineUpdateMetadata,
    MachineUpdateState,
    millis,
    parse,
    version,
)
from happy.gateway.hub import Connection, Handler
from happy.gateway.throttle import take_one
from happy.services.activity import Activity
from happy.services.attendance import Target
from happy.services.machines import MachineService
from happy.services.rate_limit import RateLimits

Payload = msgspec.Raw | None
INVALID = {"result": "error", "message": "Invalid parameters"}
NOT_FOUND = {"result": "error", "message": "Machine not found"}
FAILED = {"result": "error", "message": "Internal error"}


class MachineEvents:
    def __init__(
        self,
        machines: MachineService,
        activity: Activity,
        answers: LargeAnswers,
        limits: RateLimits | None = None,
    ) -> None:
        self._machines = machines
        self._activity = activity
        self._answers = answers
        self._heartbeats = (limits or RateLimits()).heartbeats

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
        if beat is None or not beat.machine_id or not take_one(self._heartbeats, connection, "heartbeats"):
            return None
        account_id, machine_id, at = connection.account_id, MachineId(beat.machine_id), millis(beat.time)
        if self._activity.known_machine_alive(account_id, machine_id, at):
            if connection.target != machine_id:
                self._activity.attend(Target(account_id, "machine", machine_id), connection.id)
            return None
        return self._activity.machine_alive(account_id, machine_id, at)

    def update_metadata(
        self, connection: Connection, payload: Payload, ack: Ack | None
    ) -> Awaitable[None] | None:
        request = parse(payload, MachineUpdateMetadata)
        if request is None or not request.machine_id:
            answer(ack, **_refusal(payload))
            return None
        machine_id, expected = MachineId(request.machine_id), version(request.expected_version)
        change = partial(
            self._machines.update_metadata, connection.account_id, machine_id, expected, request.metadata
        )
        answers = SwapAnswers(ack, "metadata", NOT_FOUND, FAILED)
        key, size = ("machine", machine_id), len(request.metadata)
        return self._answers.swap(connection, key, change, answers, size)

    def update_state(
        self, connection: Connection, payload: Payload, ack: Ack | None
    ) -> Awaitable[None] | None:
        request = parse(payload, MachineUpdateState)
        if request is None or not request.machine_id:
            answer(ack, **_refusal(payload))
            return None
        machine_id, expected = MachineId(request.machine_id), version(request.expected_version)
        state = request.daemon_state
        change = partial(
            self._machines.update_daemon_state, connection.account_id, machine_id, expected, state
        )
        answers = SwapAnswers(ack, "daemonState", NOT_FOUND, FAILED)
        return self._answers.swap(connection, ("machine", machine_id), change, answers, len(state))


def _refusal(payload: Payload) -> dict[str, str]:
    """A missing or null payload is answered like an internal error, for compatibility."""
    return FAILED if payload is None or bytes(payload) == b"null" else INVALID
