"""Events about access keys (protocol: realtime#access-keys)."""

from collections.abc import Awaitable, Mapping
from functools import partial

import msgspec

from happy.domain.errors import NotFound
from happy.domain.values import MachineId, SessionId
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.large_answers import LargeAnswers
from happy.gateway.events.payloads import AccessKeyGet, parse
from happy.gateway.hub import Connection, Handler
from happy.services.access_keys import AccessKeyService

Payload = msgspec.Raw | None


class AccessKeyEvents:
    def __init__(self, access_keys: AccessKeyService, answers: LargeAnswers) -> None:
        self._access_keys = access_keys
        self._answers = answers

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"access-key-get": self.get}

    def get(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, AccessKeyGet)
        if request is None or not request.session_id or not request.machine_id:
            answer(ack, ok=False, error="Invalid parameters: sessionId and machineId are required")
            return None
        key = ("access key", request.session_id)
        work = partial(self._get, connection, request, ack)
        return self._answers.follow(connection, key, work, partial(_fail, ack))

    async def _get(self, connection: Connection, request: AccessKeyGet, ack: Ack | None) -> None:
        try:
            key = await self._access_keys.get(
                connection.account_id, SessionId(request.session_id), MachineId(request.machine_id)
            )
        except NotFound as missing:
            return answer(ack, ok=False, error=str(missing))
        except BaseException:
            _fail(ack)
            raise
        size = 0 if key is None else len(key.data)
        return await self._answers.answer(connection, ack, size, {"ok": True, "accessKey": key})


def _fail(ack: Ack | None) -> None:
    answer(ack, ok=False, error="Internal error")
