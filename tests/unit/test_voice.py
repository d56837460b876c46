"""How much an account may speak, and which conversation a token is for."""

import base64
import json
from typing import Any

import pytest

from happy.domain.errors import Invalid
from happy.domain.voice import Reason, VoiceUsage, beyond_free, conversation_id, exhausted


@pytest.mark.parametrize(
    ("seconds", "conversations", "reason", "paid"),
    [
        (0, 0, None, False),
        (1199.9, 99, None, False),
        (1200, 99, None, True),
        (17999.9, 99, None, True),
        (18000, 99, "voice_hard_limit_reached", True),
        (0, 100, "voice_conversation_limit_reached", False),
        (18000, 100, "voice_conversation_limit_reached", True),
    ],
)
def test_limits(seconds: float, conversations: int, reason: Reason | None, *, paid: bool) -> None:
    usage = VoiceUsage(seconds, conversations)

    assert (reason, paid) == (exhausted(usage), beyond_free(usage))


def token(claims: Any) -> str:
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.s"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"video": {"room": "conv_1"}}, "conv_1"),
        ({"video": {"room": "room_agent_9_conv_aZ09-conv_2"}}, "conv_aZ09"),
        ({"video": {"room": "☃conv_x☃"}}, "conv_x"),
        ({"video": {"room": "conv_"}}, None),
        ({"video": {"room": "CONV_1"}}, None),
        ({"video": {"room": 1}}, None),
        ({"video": {}}, None),
        ({"video": None}, None),
        ({}, None),
    ],
)
def test_the_conversation_is_in_the_name_of_the_room(claims: Any, expected: str | None) -> None:
    assert expected == conversation_id(token(claims))


@pytest.mark.parametrize("text", ["", "abc", "a.b", "a.!.c", token([]), token("conv_1"), token({"video": 1})])
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Invalid):
        conversation_id(text)
