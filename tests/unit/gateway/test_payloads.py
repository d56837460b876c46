"""Reading what clients send with their events, whatever it is."""

from typing import Any

import msgspec
import pytest

from happy.gateway.events.payloads import (
    MAX_DOCUMENT,
    MAX_SMALL,
    Call,
    MachineAlive,
    Method,
    SendMessage,
    SessionAlive,
    UpdateMetadata,
    UpdateState,
    millis,
    parse,
    version,
)

ODD: list[Any] = [None, 5, [], {}, True]
UPDATE = {"sid": "s", "metadata": "m", "expectedVersion": 0}


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(value if isinstance(value, bytes) else msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("kind", "payload", "fields"),
    [
        (UpdateMetadata, {**UPDATE, "more": {}}, ("s", "m", 0)),
        (UpdateMetadata, {**UPDATE, "expectedVersion": 1.0}, ("s", "m", 1.0)),
        (UpdateState, {"sid": "s", "agentState": None, "expectedVersion": 0}, ("s", None, 0)),
        (SendMessage, {"sid": "s", "message": "c"}, ("s", raw("c"), None)),
        (SendMessage, {"sid": "s", "message": "c", "localId": 5}, ("s", raw("c"), 5)),
        (SessionAlive, {"sid": "s", "time": 5, "mode": "local"}, ("s", 5, False)),
        (SessionAlive, {"sid": "s", "time": 5.5, "thinking": {"a": 1}}, ("s", 5.5, {"a": raw(1)})),
        (MachineAlive, {"machineId": "m", "time": -1}, ("m", -1)),
        (Method, {"method": ""}, ("",)),
    ],
)
def test_a_payload_is_read(kind: Any, payload: Any, fields: tuple[Any, ...]) -> None:
    parsed = parse(raw(payload), kind)

    assert parsed is not None
    assert fields == msgspec.structs.astuple(parsed)


@pytest.mark.parametrize(("kind", "most"), [(UpdateMetadata, MAX_DOCUMENT), (MachineAlive, MAX_SMALL)])
def test_a_payload_that_is_larger_than_its_event_may_have_is_none(kind: Any, most: int) -> None:
    fields = {**UPDATE, "machineId": "m", "time": 1, "more": "x" * most}
    payload = raw(fields)

    assert None is parse(payload, kind)
    assert parse(raw({**fields, "more": "x" * (most - len(payload) + most)}), kind)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        *(raw(odd) for odd in (*ODD, "text", [UPDATE])),
        *(raw({**UPDATE, "sid": odd}) for odd in ODD),
        *(raw({**UPDATE, "metadata": odd}) for odd in ODD),
        *(raw({**UPDATE, "expectedVersion": odd}) for odd in (*ODD[2:], None, "0")),
        *(raw({name: value for name, value in UPDATE.items() if name != missing}) for missing in UPDATE),
        raw({**UPDATE, "metadata": "a\0b"}),
        raw({**UPDATE, "sid": "\0"}),
        raw(b"{"),
        raw(b"[" * 100_000),
        raw(b'{"sid":"s","metadata":"m","expectedVersion":1e999}'),
        raw(b'{"sid":"s","metadata":"m","expectedVersion":' + b"9" * 5_000 + b"}"),
        raw(b'{"sid":"s","metadata":"\\ud800","expectedVersion":1}'),
        raw(b'{"sid":"s","metadata":"m","expectedVersion":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ],
)
def test_anything_else_is_none(payload: msgspec.Raw | None) -> None:
    assert None is parse(payload, UpdateMetadata)


@pytest.mark.parametrize("sent", [b"", b'"text"', b"null", b'{"a": [1e3]}'])
def test_the_params_of_a_call_stay_as_they_are(sent: bytes) -> None:
    body = b'{"method":"m"' + (b',"params":' + sent if sent else b"") + b"}"
    call = parse(msgspec.Raw(body), Call)

    assert call is not None
    assert sent == bytes(call.params)


@pytest.mark.parametrize(
    ("expected", "known"),
    [
        (0, 0),
        (7.0, 7),
        (2**31 - 1, 2**31 - 1),
        (1.5, -1),
        (-1, -1),
        (-0.5, -1),
        (2**31, -1),
        (10**30, -1),
        (1e308, -1),
    ],
)
def test_a_version_is_one_that_can_be_compared(expected: float, known: int) -> None:
    assert known == version(expected)


@pytest.mark.parametrize(("time", "whole"), [(5, 5), (5.9, 5), (-5.9, -5), (10**30, 10**30)])
def test_times_are_whole_milliseconds(time: float, whole: int) -> None:
    assert whole == millis(time)
