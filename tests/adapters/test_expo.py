"""Push delivery through Expo (protocol: operations#push-delivery)."""

from typing import Any

import pytest

from happy.adapters.outbound.expo import ExpoPush
from happy.adapters.outbound.http_client import HttpClient
from happy.domain.push import Notification, Ticket
from tests.support.outside_services import Answer, Upstream

PATH = "/--/api/v2/push/send"
OK = {"status": "ok", "id": "t1"}
NOTIFICATION = Notification("Done", "All tests pass", {"sessionId": "s1", "kind": "done", "more": [1, None]})


@pytest.fixture
def expo(web: HttpClient, upstream: Upstream) -> ExpoPush:
    return ExpoPush(web, upstream.url)


def refusal(error: str | None = None, message: str | None = None) -> dict[str, Any]:
    return {"status": "error", "message": message, "details": {"error": error}}


async def test_a_message_has_the_shape_that_expo_reads(expo: ExpoPush, upstream: Upstream) -> None:
    upstream.on("POST", PATH, Answer(json={"data": [OK]}))
    tickets = await expo.send(NOTIFICATION, ["ExponentPushToken[a]"], 30)

    assert [Ticket()] == tickets
    (asked,) = upstream.asked()
    assert "application/json" == asked.headers["content-type"]
    assert "authorization" not in asked.headers
    assert [
        {
            "to": "ExponentPushToken[a]",
            "title": "Done",
            "body": "All tests pass",
            "data": {"sessionId": "s1", "kind": "done", "more": [1, None]},
            "sound": "default",
            "channelId": "messages",
        }
    ] == asked.json


async def test_devices_are_addressed_a_hundred_at_a_time(expo: ExpoPush, upstream: Upstream) -> None:
    upstream.on("POST", PATH, *[Answer(json={"data": [OK] * size}) for size in (100, 100, 50)])
    tickets = await expo.send(NOTIFICATION, [str(number) for number in range(250)], 30)

    assert [Ticket()] * 250 == tickets
    assert [100, 100, 50] == [len(asked.json) for asked in upstream.asked()]
    assert [str(number) for number in range(250)] == [
        each["to"] for asked in upstream.asked() for each in asked.json
    ]


@pytest.mark.parametrize(
    ("ticket", "expected"),
    [
        (OK, Ticket()),
        ({"status": "ok"}, Ticket()),
        ({"status": "ok", "details": "?"}, Ticket()),
        (refusal("MessageRateExceeded", "slow down"), Ticket("MessageRateExceeded")),
        (refusal(None, "slow down"), Ticket("slow down")),
        ({"status": "error", "message": "no details"}, Ticket("no details")),
        ({"status": "error", "message": "odd details", "details": []}, Ticket("odd details")),
        ({"status": "error"}, Ticket("unknown")),
        (refusal("", ""), Ticket("unknown")),
        ({}, Ticket("unknown")),
        (None, Ticket("unknown")),
        ("ok", Ticket("unknown")),
        (refusal("DeviceNotRegistered"), Ticket("DeviceNotRegistered", gone=True)),
    ],
)
async def test_a_ticket_holds_the_result_of_its_message(
    expo: ExpoPush, upstream: Upstream, ticket: Any, expected: Ticket
) -> None:
    upstream.on("POST", PATH, Answer(json={"data": [OK, ticket]}))

    assert [Ticket(), expected] == await expo.send(NOTIFICATION, ["a", "b"], 30)


@pytest.mark.parametrize("tickets", [[], [OK], [OK, OK]])
async def test_a_message_without_a_ticket_was_not_accepted(
    expo: ExpoPush, upstream: Upstream, tickets: list[Any]
) -> None:
    upstream.on("POST", PATH, Answer(json={"data": tickets}))
    missing = 3 - len(tickets)

    assert [Ticket()] * len(tickets) + [Ticket("unknown")] * missing == await expo.send(
        NOTIFICATION, ["a", "b", "c"], 30
    )


async def test_tickets_for_no_message_are_ignored(expo: ExpoPush, upstream: Upstream) -> None:
    upstream.on("POST", PATH, Answer(json={"data": [OK, refusal("X")]}))

    assert [Ticket()] == await expo.send(NOTIFICATION, ["a"], 30)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500, json={}), "HTTP 500"),
        (Answer(400, json={"errors": [{"code": "PUSH_TOO_MANY_EXPERIENCE_IDS"}]}), "HTTP 400"),
        (Answer(302, headers={"Location": "/elsewhere"}, body=b""), "HTTP 302"),
        (Answer(body=b"<html>"), "Network error"),
        (Answer(body=b""), "Network error"),
        (Answer(json={}), "Network error"),
        (Answer(json={"data": None}), "Network error"),
        (Answer(json={"data": {"status": "ok"}}), "Network error"),
        (Answer(json={"data": [OK, OK]}, cut=10), "Network error"),
        (Answer(json={"data": [OK, OK]}, drip=0.05), "Network error"),
        (Answer(hang=True), "Network error"),
    ],
)
async def test_a_failure_is_the_error_of_every_message_of_its_batch(
    expo: ExpoPush, upstream: Upstream, answer: Answer, error: str, patience: float
) -> None:
    upstream.on("POST", PATH, answer)

    assert [Ticket(error)] * 2 == await expo.send(NOTIFICATION, ["a", "b"], patience)


async def test_a_failed_batch_does_not_stop_the_next(expo: ExpoPush, upstream: Upstream) -> None:
    upstream.on("POST", PATH, Answer(503), Answer(json={"data": [OK]}))
    tickets = await expo.send(NOTIFICATION, ["x"] * 101, 30)

    assert [Ticket("HTTP 503")] * 100 + [Ticket()] == tickets


async def test_a_refused_connection_is_a_network_error(web: HttpClient) -> None:
    expo = ExpoPush(web, "http://127.0.0.1:9")

    assert [Ticket("Network error")] == await expo.send(NOTIFICATION, ["a"], 30)


async def test_all_batches_share_one_deadline(web: HttpClient, upstream: Upstream) -> None:
    upstream.on("POST", PATH, Answer(json={"data": [OK] * 100}), Answer(hang=True))
    passed = iter([0, 0, 29, 30.5, 31, 31.5])  # from the start: at each of the five batches
    expo = ExpoPush(web, upstream.url, clock=lambda: next(passed))
    tickets = await expo.send(NOTIFICATION, ["x"] * 500, 30)

    assert [Ticket()] * 100 + [Ticket("Network error")] * 400 == tickets
    assert 2 == len(upstream.asked())
    assert [] == list(passed)


async def test_data_that_no_device_takes_is_not_sent(expo: ExpoPush, upstream: Upstream) -> None:
    huge = Notification("Done", "!", {"text": "x" * 20_000})

    assert [Ticket("MessageTooBig")] * 2 == await expo.send(huge, ["a", "b"], 30)
    assert [] == upstream.asked()
