"""Voice conversations (protocol: http#voice)."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from happy.crypto import derive
from tests.support.api_client import ApiClient
from tests.support.environments import SECRET, Environment, OpenEnvironment
from tests.support.outside_services import Answer, Upstream, everything_at
from tests.support.server_thread import RunningServer, run_server

CONVERSATIONS = "/elevenlabs/v1/convai/conversations"
TOKEN = "/elevenlabs/v1/convai/conversation/token"


@pytest.fixture
def server(outside_server: RunningServer) -> RunningServer:
    return outside_server


@pytest.fixture(scope="module")
def _keyless(open_environment: OpenEnvironment, _running_upstream: Upstream) -> Iterator[RunningServer]:
    variables = everything_at(_running_upstream)
    del variables["REVENUECAT_API_KEY"]
    with open_environment() as environment, run_server(environment, variables) as running:
        yield running


@pytest.fixture
async def keyless(_keyless: RunningServer) -> Any:
    """A client of a server with a key to ElevenLabs alone."""
    async with ApiClient.signed_in(_keyless.url) as client:
        yield client


def token(room: Any = "room_agent_x_conv_Ab12_more") -> str:
    claims = json.dumps({"video": {"room": room, "roomJoin": True}, "sub": "u"}).encode()
    return "eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(claims).rstrip(b"=").decode() + ".c2ln"


class VoiceSide:
    """What the providers say of whoever asks next."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.used(0)
        self.mints(Answer(json={"token": token()}))

    def used(self, *seconds: float) -> None:
        conversations = [{"call_duration_secs": each} for each in seconds]
        self.answers_usage(Answer(json={"conversations": conversations}))

    def answers_usage(self, answer: Answer) -> None:
        self.upstream.on("GET", CONVERSATIONS, answer)

    def mints(self, answer: Answer) -> None:
        self.upstream.on("GET", TOKEN, answer)

    async def subscribed(self, api: ApiClient, answer: Answer) -> None:
        account_id = (await api.get("/v1/account/profile"))["id"]
        path = f"/revenuecat/v2/projects/proj493735ad/customers/{account_id}/active_entitlements"
        self.upstream.on("GET", path, answer)


@pytest.fixture
def voice(upstream: Upstream) -> VoiceSide:
    return VoiceSide(upstream)


async def start(api: ApiClient, *, expect: int = 200, agent: str = "agent_1") -> Any:
    return await api.post("/v1/voice/conversations", {"agentId": agent}, expect=expect)


async def usage(api: ApiClient, *, expect: int = 200) -> Any:
    return await api.get("/v1/voice/usage", expect=expect)


async def voice_user(api: ApiClient) -> str:
    return derive(SECRET).voice_user_id((await api.get("/v1/account/profile"))["id"])


async def test_a_conversation_has_a_token_and_a_name(api: ApiClient, voice: VoiceSide) -> None:
    voice.used(100, 50.5)
    agent = "agent_1&participant_name=somebody"

    assert {
        "allowed": True,
        "conversationToken": token(),
        "conversationId": "conv_Ab12",
        "agentId": agent,
        "elevenUserId": await voice_user(api),
        "usedSeconds": 150.5,
        "limitSeconds": 1200,
    } == await start(api, agent=agent)
    (asked,) = voice.upstream.asked(TOKEN)
    assert {"agent_id": agent, "participant_name": await voice_user(api)} == asked.query
    (asked,) = voice.upstream.asked(CONVERSATIONS)
    assert await voice_user(api) == asked.query["user_id"]


@pytest.mark.parametrize(
    ("seconds", "entitlements", "reason", "limit"),
    [
        ([1199], [], None, 1200),
        ([1200], [], "subscription_required", 1200),
        ([1200], [{"id": "pro"}], None, 18000),
        ([17999], [{"id": "pro"}], None, 18000),
        ([17999], [], "subscription_required", 1200),
        ([18000], [{"id": "pro"}], "voice_hard_limit_reached", 18000),
        ([18000], [], "voice_hard_limit_reached", 18000),
        ([1] * 99, [], None, 1200),
        ([1] * 100, [{"id": "pro"}], "voice_conversation_limit_reached", 18000),
        ([600] * 100, [], "voice_conversation_limit_reached", 18000),
    ],
)
async def test_limits(
    api: ApiClient,
    voice: VoiceSide,
    seconds: list[float],
    entitlements: list[Any],
    reason: str | None,
    limit: int,
) -> None:
    voice.used(*seconds)
    await voice.subscribed(api, Answer(json={"items": entitlements}))
    answer = await start(api)

    assert (sum(seconds), limit) == (answer["usedSeconds"], answer["limitSeconds"])
    if reason is None:
        assert answer["allowed"]
    else:
        assert {
            "allowed": False,
            "reason": reason,
            "usedSeconds": sum(seconds),
            "limitSeconds": limit,
            "agentId": "agent_1",
        } == answer
        assert [] == voice.upstream.asked(TOKEN)


@pytest.mark.parametrize("answer", [Answer(500), Answer(404), Answer(body=b"?"), Answer(json={})])
async def test_a_subscription_that_cannot_be_looked_up_is_none(
    api: ApiClient, voice: VoiceSide, answer: Answer
) -> None:
    voice.used(1200)
    await voice.subscribed(api, answer)

    assert "subscription_required" == (await start(api))["reason"]


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(401, json={}), Answer(body=b"?"), Answer(cut=0, json=[])]
)
async def test_usage_that_cannot_be_looked_up_stops_nobody(
    api: ApiClient, voice: VoiceSide, answer: Answer
) -> None:
    voice.answers_usage(answer)
    started = await start(api)

    assert (True, 0, 1200) == (started["allowed"], started["usedSeconds"], started["limitSeconds"])
    assert {"error": "Failed to get voice usage"} == await usage(api, expect=500)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, json={"detail": "no such agent"}),
        Answer(500),
        Answer(json={}),
        Answer(json={"token": "no-token"}),
        Answer(json={"token": "a.!!!.c"}),
        Answer(json={"token": token()}, cut=9),
    ],
)
async def test_credentials_that_cannot_be_had_are_an_error(
    api: ApiClient, voice: VoiceSide, answer: Answer
) -> None:
    voice.mints(answer)

    assert {"error": "Failed to get voice credentials"} == await start(api, expect=500)


@pytest.mark.parametrize("room", ["no conversation", "conv_", None, 5])
async def test_a_token_without_a_conversation_is_an_error(
    api: ApiClient, voice: VoiceSide, room: Any
) -> None:
    voice.mints(Answer(json={"token": token(room)}))

    assert {"error": "Failed to get conversation ID"} == await start(api, expect=500)


@pytest.mark.parametrize("body", [{}, {"agentId": None}, {"agentId": 1}])
async def test_an_agent_must_be_named(api: ApiClient, body: Any) -> None:
    assert "Error" == (await api.post("/v1/voice/conversations", body, expect=400))["error"]


@pytest.mark.parametrize(("method", "path"), [("POST", "conversations"), ("GET", "usage")])
async def test_strangers_are_refused(anonymous: ApiClient, method: str, path: str) -> None:
    assert 401 == (await anonymous.request(method, f"/v1/voice/{path}")).status_code


@pytest.mark.parametrize(
    ("seconds", "entitlements", "limit"), [([5, 7], [], 1200), ([5, 7], [1], 18000), ([9999], [], 1200)]
)
async def test_usage_is_reported_with_its_limits(
    api: ApiClient, voice: VoiceSide, seconds: list[float], entitlements: list[Any], limit: int
) -> None:
    voice.used(*seconds)
    await voice.subscribed(api, Answer(json={"items": entitlements}))

    assert {
        "usedSeconds": sum(seconds),
        "limitSeconds": limit,
        "conversationCount": len(seconds),
        "conversationLimit": 100,
        "elevenUserId": await voice_user(api),
    } == await usage(api)


# -- without RevenueCat


@pytest.mark.parametrize(
    ("seconds", "limit", "reason"),
    [(0, 1200, None), (1200, 18000, None), (18000, 18000, "voice_hard_limit_reached")],
)
async def test_where_nobody_sells_subscriptions_nobody_needs_one(
    keyless: ApiClient, voice: VoiceSide, seconds: float, limit: int, reason: str | None
) -> None:
    voice.used(seconds)
    started = await start(keyless)

    assert (reason is None, limit) == (started["allowed"], started["limitSeconds"])
    assert limit == (await usage(keyless))["limitSeconds"]
    assert reason == started.get("reason")


async def test_a_subscription_can_be_required_all_the_same(
    upstream: Upstream, voice: VoiceSide, environment: Environment
) -> None:
    variables = {**everything_at(upstream), "HAPPY_VOICE_REQUIRE_SUBSCRIPTION": "true"}
    del variables["REVENUECAT_API_KEY"]
    voice.used(5000)
    with run_server(environment, variables) as running:
        async with ApiClient.signed_in(running.url) as api:
            assert {"error": "REVENUECAT_API_KEY not configured"} == await start(api, expect=500)
            assert 1200 == (await usage(api))["limitSeconds"]
    assert [] == upstream.asked(TOKEN)
