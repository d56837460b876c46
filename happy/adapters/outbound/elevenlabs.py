"""Voice conversations at ElevenLabs (protocol: operations#other-outbound-calls)."""

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from happy.adapters.outbound.http_client import HttpClient, WebResponse
from happy.domain.errors import Unavailable
from happy.domain.values import SECOND, Millis
from happy.domain.voice import MAX_CONVERSATIONS, VoiceUsage

PATH: Final = "/v1/convai/conversation"


class _Conversation(Struct, frozen=True):
    call_duration_secs: int | float | None = None


class _Conversations(Struct, frozen=True):
    conversations: list[_Conversation] | None = None


class _Token(Struct, frozen=True):
    token: str


class ElevenLabs:
    def __init__(self, web: HttpClient, base_url: str, api_key: str) -> None:
        self._web = web
        self._base_url = base_url
        self._headers = {"xi-api-key": api_key}

    async def usage(self, voice_user: str, since: Millis) -> VoiceUsage:
        response = await self._get(
            "s", user_id=voice_user, created_after=_iso(since), page_size=str(MAX_CONVERSATIONS)
        )
        conversations = response.read(_Conversations).conversations or []
        seconds = sum(conversation.call_duration_secs or 0 for conversation in conversations)
        return VoiceUsage(seconds, len(conversations))

    async def conversation_token(self, agent_id: str, voice_user: str) -> str:
        response = await self._get("/token", agent_id=agent_id, participant_name=voice_user)
        return response.read(_Token).token

    async def _get(self, path: str, **params: str) -> WebResponse:
        """Parameters are encoded, so an agent id cannot add parameters of its own."""
        response = await self._web.call(
            "GET", self._base_url + PATH + path, headers=self._headers, params=params
        )
        if not response.ok:
            raise Unavailable(f"ElevenLabs answered {response.status}")
        return response


def _iso(time: Millis) -> str:
    text = datetime.fromtimestamp(time / SECOND, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
