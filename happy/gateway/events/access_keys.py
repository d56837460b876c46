"""Events about access keys (protocol: realtime#access-keys)."""

from collections.abc import Awaitable, Mapping

import msgspec

from happy.domain.errors import NotFound
from happy.domain.values import MachineId, SessionId
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import AccessKeyGet, parse
from happy.gateway.hub import Connection, Handler
from happy.services.access_keys import AccessKeyService

Payload = msgspec.Raw | None


class AccessKeyEvents:
    def __init__(self, access_keys: AccessKeyService) -> None:
        self._access_keys = access_keys

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"access-key-get": self.get}

    def get(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, AccessKeyGet)
        if request is None or not request.session_id or not request.machine_id:
            answer(ack, ok=False, error="Invalid parameters: sessionId and machineId are required")
            return None
        key = ("access key", request.session_id)
        return connection.in_flight.follow(key, self._get(connection, request, ack))

    async def _get(self, connection: Connection, request: AccessKeyGet, ack: Ack | None) -> None:
        try:
            key = await self._access_keys.get(
                connection.account_id, SessionId(request.session_id), MachineId(request.machine_id)
            )
        except NotFound as missing:
            return answer(ack, ok=False, error=str(missing))
        except BaseException:
            answer(ack, ok=False, error="Internal error")
            raise
        return answer(ack, ok=True, accessKey=key)
