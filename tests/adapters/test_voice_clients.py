"""Calls to ElevenLabs and RevenueCat (protocol: operations#other-outbound-calls)."""

import pytest

from happy.adapters.outbound.elevenlabs import ElevenLabs
from happy.adapters.outbound.http_client import HttpClient
from happy.adapters.outbound.revenuecat import RevenueCat
from happy.domain.errors import HappyError
from happy.domain.values import AccountId, Millis
from happy.domain.voice import VoiceUsage
from tests.support.outside_services import Answer, Upstream

CONVERSATIONS = "/v1/convai/conversations"
TOKEN = "/v1/convai/conversation/token"
SINCE = Millis(1_700_000_000_007)
BROKEN = [
    Answer(500, json={}),
    Answer(401, json={"detail": "no"}),
    Answer(body=b"<html>"),
    Answer(json=[]),
    Answer(json={"conversations": [], "token": "t", "items": [1]}, cut=4),
    Answer(hang=True),
]


@pytest.fixture
def voice(web: HttpClient, upstream: Upstream) -> ElevenLabs:
    return ElevenLabs(web, upstream.url, "el-key")


async def test_usage_is_the_sum_of_the_conversations(voice: ElevenLabs, upstream: Upstream) -> None:
    durations = [{"call_duration_secs": 60}, {}, {"call_duration_secs": None}, {"call_duration_secs": 0.5}]
    upstream.on("GET", CONVERSATIONS, Answer(json={"conversations": durations, "has_more": False}))

    assert VoiceUsage(60.5, 4) == await voice.usage("u_1", SINCE)
    (asked,) = upstream.asked()
    assert {"user_id": "u_1", "created_after": "2023-11-14T22:13:20.007Z", "page_size": "100"} == asked.query
    assert "el-key" == asked.headers["xi-api-key"]


@pytest.mark.parametrize("answer", [Answer(json={}), Answer(json={"conversations": None})])
async def test_no_conversations_are_no_usage(voice: ElevenLabs, upstream: Upstream, answer: Answer) -> None:
    upstream.on("GET", CONVERSATIONS, answer)

    assert VoiceUsage(0, 0) == await voice.usage("u_1", SINCE)


async def test_an_agent_id_brings_no_parameters_of_its_own(voice: ElevenLabs, upstream: Upstream) -> None:
    upstream.on("GET", TOKEN, Answer(json={"token": "a.b.c"}))
    agent = "agent&participant_name=somebody#+ %"

    assert "a.b.c" == await voice.conversation_token(agent, "u_1")
    (asked,) = upstream.asked()
    assert {"agent_id": agent, "participant_name": "u_1"} == asked.query


@pytest.mark.parametrize("answer", BROKEN)
async def test_what_elevenlabs_cannot_tell_is_an_error(
    voice: ElevenLabs, upstream: Upstream, answer: Answer
) -> None:
    upstream.on("GET", CONVERSATIONS, answer)
    upstream.on("GET", TOKEN, answer)

    with pytest.raises(HappyError):
        await voice.usage("u_1", SINCE)
    with pytest.raises(HappyError):
        await voice.conversation_token("a", "u_1")


@pytest.mark.parametrize("answer", [Answer(json={}), Answer(json={"token": None})])
async def test_a_token_must_be_there(voice: ElevenLabs, upstream: Upstream, answer: Answer) -> None:
    upstream.on("GET", TOKEN, answer)

    with pytest.raises(HappyError):
        await voice.conversation_token("a", "u_1")


CUSTOMER = "/v2/projects/proj/customers/c/1/active_entitlements"


@pytest.fixture
def subscriptions(web: HttpClient, upstream: Upstream) -> RevenueCat:
    return RevenueCat(web, upstream.url, "rc-key", "proj")


@pytest.mark.parametrize(("items", "active"), [([{"id": "e"}], True), ([], False), (None, False)])
async def test_an_entitlement_is_a_subscription(
    subscriptions: RevenueCat, upstream: Upstream, items: object, *, active: bool
) -> None:
    upstream.on("GET", CUSTOMER, Answer(json={"items": items}))

    assert active is await subscriptions.active(AccountId("c/1"))
    (asked,) = upstream.asked()
    assert "Bearer rc-key" == asked.headers["authorization"]


@pytest.mark.parametrize("answer", [Answer(404), Answer(json={"items": True}), *BROKEN])
async def test_what_revenuecat_cannot_tell_is_no_subscription(
    subscriptions: RevenueCat, upstream: Upstream, answer: Answer
) -> None:
    upstream.on("GET", CUSTOMER, answer)

    assert not await subscriptions.active(AccountId("c/1"))
