"""What tickets amount to, and what a device is told of an event (protocol: http#push)."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import asdict

from happy.domain.push import Ticket, event_data, outcome_of

OK, BIG, GONE = Ticket(), Ticket("MessageTooBig"), Ticket("DeviceNotRegistered", gone=True)


@pytest.mark.parametrize(
    ("tickets", "expected"),
    [
        ([], {"result": "no_tokens"}),
        ([OK], {"result": "sent", "tokens": 1}),
        ([OK, OK, OK], {"result": "sent", "tokens": 3}),
        (
            [OK, BIG, OK, GONE],
            {
                "result": "partial",
                "tokens": 4,
                "delivered": 2,
                "reason": "MessageTooBig, DeviceNotRegistered",
            },
        ),
        ([BIG], {"result": "failed", "reason": "MessageTooBig"}),
        (
            [BIG, BIG, GONE],
            {"result": "failed", "reason": "MessageTooBig, MessageTooBig, DeviceNotRegistered"},
        ),
    ],
)
def test_outcomes(tickets: list[Ticket], expected: dict[str, Any]) -> None:
    outcome = asdict(outcome_of(tickets))

    assert expected == {name: value for name, value in outcome.items() if value is not UNSET}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"sessionId": "s", "kind": "done"}),
        ({"url": "/x"}, {"sessionId": "s", "url": "/x", "kind": "done"}),
        ({"sessionId": "other", "kind": "question"}, {"sessionId": "other", "kind": "done"}),
        ({"sessionId": None}, {"sessionId": None, "kind": "done"}),
    ],
)
def test_a_client_decides_about_everything_but_the_kind(given: dict[str, Any], expected: Any) -> None:
    assert expected == event_data("s", given, "done")
