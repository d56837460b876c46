"""Voice conversations (protocol: http#voice)."""

from litestar.params import JSONBody
from msgspec import Struct

from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.requests import ApiRequest
from happy.http.framework.responses import Response, json_response
from happy.services.voice import Allowed, Denied, VoiceFailed, VoiceReport, VoiceService


class StartConversation(Struct, rename="camel"):
    agent_id: str


class VoiceEndpoints:
    def __init__(self, voice: VoiceService) -> None:
        self._voice = voice

    def endpoints(self) -> list[Endpoint]:
        failed = {500: Failure("ELEVENLABS_API_KEY not configured")}
        return [
            Endpoint("POST", "/v1/voice/conversations", self.start, waits=True, other_responses=failed),
            Endpoint("GET", "/v1/voice/usage", self.usage, other_responses=failed),
        ]

    async def start(
        self, request: ApiRequest, data: JSONBody[StartConversation]
    ) -> Allowed | Denied | Response:
        """Credentials for a voice conversation, or why there are none."""
        try:
            return await self._voice.start(request.account_id, data.agent_id)
        except VoiceFailed as failure:
            return json_response(500, Failure(str(failure)))

    async def usage(self, request: ApiRequest) -> VoiceReport | Response:
        """How many seconds and conversations of voice were used within 30 days."""
        try:
            return await self._voice.report(request.account_id)
        except VoiceFailed as failure:
            return json_response(500, Failure(str(failure)))
