"""When subscriptions are looked up, and with what."""

import base64
import json

import pytest

from happy.crypto import Keyring
from happy.domain.errors import Unavailable
from happy.domain.values import AccountId, Millis
from happy.domain.voice import VoiceUsage
from happy.services.voice import Allowed, VoiceFailed, VoiceService
from tests.support.factories import NOW
from tests.unit.services.world import Clock

KEYS = Keyring("vector-secret")
ACCOUNT = AccountId("cmvector0000000000000000001")
VOICE_USER = "u_JTxDAewiJPmi36ywXaeMnaypOyy3JtW1SlKl4U04hyI"
CLAIMS = base64.urlsafe_b64encode(json.dumps({"video": {"room": "conv_1"}}).encode()).decode()


class Voice:
    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, Millis]] = []

    async def usage(self, voice_user: str, since: Millis) -> VoiceUsage:
        self.asked.append((voice_user, since))
        if self.seconds < 0:
            raise Unavailable
        return VoiceUsage(self.seconds, 1)

    async def conversation_token(self, agent_id: str, voice_user: str) -> str:
        return f"h.{CLAIMS}.s"


class Subscriptions:
    def __init__(self) -> None:
        self.asked = 0

    async def active(self, account_id: AccountId) -> bool:
        self.asked += 1
        return True


def service(voice: Voice | None, subscriptions: Subscriptions | None = None) -> VoiceService:
    return VoiceService(voice, subscriptions, KEYS, Clock())


async def test_the_provider_knows_the_account_by_the_name_of_the_vectors_and_for_30_days() -> None:
    voice = Voice()
    started = await service(voice, Subscriptions()).start(ACCOUNT, "agent")

    assert isinstance(started, Allowed)
    assert VOICE_USER == started.eleven_user_id
    assert [(VOICE_USER, NOW - 30 * 24 * 3_600_000)] == voice.asked


@pytest.mark.parametrize(("seconds", "lookups"), [(0, 0), (1199, 0), (1200, 1), (17999, 1), (18000, 0)])
async def test_a_subscription_is_looked_up_only_when_it_matters(seconds: float, lookups: int) -> None:
    subscriptions = Subscriptions()
    await service(Voice(seconds), subscriptions).start(ACCOUNT, "agent")

    assert lookups == subscriptions.asked


async def test_unknown_usage_denies_no_conversation_but_fails_the_report() -> None:
    broken = service(Voice(-1))

    assert (await broken.start(ACCOUNT, "agent")).allowed
    with pytest.raises(VoiceFailed, match=r"^Failed to get voice usage$"):
        await broken.report(ACCOUNT)


async def test_without_an_api_key_conversations_fail() -> None:
    with pytest.raises(VoiceFailed, match=r"^ELEVENLABS_API_KEY not configured$"):
        await service(None).start(ACCOUNT, "agent")
    with pytest.raises(VoiceFailed, match=r"^ELEVENLABS_API_KEY not configured$"):
        await service(None).report(ACCOUNT)
