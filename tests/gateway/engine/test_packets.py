"""The packet formats, without a socket."""

import msgspec
import pytest

from happy.gateway.engine import packets
from happy.gateway.engine.packets import Packet, ProtocolError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", Packet(packets.CONNECT)),
        ('0{"token":"t"}', Packet(packets.CONNECT, '{"token":"t"}')),
        ('0/admin,{"a":1}', Packet(packets.CONNECT, '{"a":1}', namespace="/admin")),
        ("0/admin", Packet(packets.CONNECT, namespace="/admin")),
        ("0/?x=1,", Packet(packets.CONNECT, namespace="/?x=1")),
        ("1", Packet(packets.DISCONNECT)),
        ("1/admin,", Packet(packets.DISCONNECT, namespace="/admin")),
        ('2["a"]', Packet(packets.EVENT, '["a"]')),
        ('20["a"]', Packet(packets.EVENT, '["a"]', 0)),
        ('212["a",{"b":[]}]', Packet(packets.EVENT, '["a",{"b":[]}]', 12)),
        ('2/admin,12["a"]', Packet(packets.EVENT, '["a"]', 12, "/admin")),
        ('2/,["a"]', Packet(packets.EVENT, '["a"]')),
        ("37[]", Packet(packets.ACK, "[]", 7)),
        ("37", Packet(packets.ACK, "", 7)),
        (
            '51-["a",{"_placeholder":true,"num":0}]',
            Packet(packets.BINARY_EVENT, '["a",{"_placeholder":true,"num":0}]', None, "/", 1),
        ),
        ("62-/admin,3[]", Packet(packets.BINARY_ACK, "[]", 3, "/admin", 2)),
    ],
)
def test_a_packet_is_taken_apart(text: str, expected: Packet) -> None:
    assert packets.decode(text) == expected
    split = packets.decode_common("4" + text)
    assert split in {None, (expected.kind, expected.ack, expected.body)}


def test_what_clients_send_all_day_is_split() -> None:
    assert packets.decode_common('42["a",1]') == ("2", None, '["a",1]')
    assert packets.decode_common('420["a"]') == ("2", 0, '["a"]')
    assert packets.decode_common("4317[{}]") == ("3", 17, "[{}]")


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "9[]", "x", "-", " 2[]", "2a[]", "2 []", "2\u0661[]", '2"a"', "2-[]", "21-[]", "1{}", "1[]",
        "5", "5[]", "50-[]", "5-[]", "5x-[]", "599999-[]", "2" + "9" * 30 + "[]", "0" + "/" * 300, "0/a,b",
        "0\n",
    ],
)  # fmt: skip
def test_a_malformed_packet_is_refused(text: str) -> None:
    assert packets.decode_common("4" + text) is None
    with pytest.raises(ProtocolError):
        packets.decode(text)


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "{}", "[1", '["a",]', '["a"] x', "[null]", "[true]", "[{}]", "[[]]", '["a",{"b":}]',
        '["connect"]', '["disconnect"]', '["connect_error"]', '["disconnecting"]', '["newListener"]',
        '["a",01]', '["a","\\q"]', '["a","\n"]', '["a",NaN]', '["\ud800"]',
        "[" * 100_000, '["a",' + "[" * 100_000,
        '["a",' + "[" * 100_000 + "]" * 100_001,
    ],
)  # fmt: skip
def test_a_malformed_event_is_refused(body: str) -> None:
    with pytest.raises(ProtocolError):
        packets.decode_event(body)


def test_arguments_stay_as_they_were_sent() -> None:
    name, args = packets.decode_event('["a", {"b" : 1.0} ,"\\u00e9\\ud83d\\ude00",1e999]')

    assert name == "a"
    assert [bytes(arg) for arg in args] == [b'{"b" : 1.0}', b'"\\u00e9\\ud83d\\ude00"', b"1e999"]


def test_only_the_first_arguments_are_kept() -> None:
    name, args = packets.decode_event('["a"' + ",1" * 100_000 + "]")

    assert name == "a"
    assert len(args) == 4


@pytest.mark.parametrize(
    "filler", [",1" * 200_000, ',"' + "\\\\" * 200_000 + '"', ',"' + "\u00e9" * 300_000 + '"']
)
def test_large_arguments_that_are_expensive_to_parse_are_refused(filler: str) -> None:
    with pytest.raises(ProtocolError, match="expensive"):
        packets.decode_event(f'["a"{filler}]')
    with pytest.raises(ProtocolError, match="expensive"):
        packets.decode_ack(f"[1{filler}]")


def test_a_large_malformed_body_is_not_searched_for_oddities() -> None:
    with pytest.raises(ProtocolError):
        packets.decode_event('["a","' + "\\n" * 1_000_000 + '\\ud800"]')
    with pytest.raises(ProtocolError):
        packets.check_around_attachments("[" + "[]," * 100_000 + "1]")


def test_an_answer_is_its_first_argument() -> None:
    assert packets.decode_ack('[{"a":1},2]') == msgspec.Raw(b'{"a":1}')
    assert packets.decode_ack("[null]") == msgspec.Raw(b"null")
    assert packets.decode_ack("[]") is None
    assert packets.decode_ack("") is None
    for body in ("{}", "[1", "1"):
        with pytest.raises(ProtocolError):
            packets.decode_ack(body)


def test_an_event_with_a_number_for_a_name_has_none() -> None:
    assert packets.decode_event("[5,1]") == (None, [msgspec.Raw(b"1")])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (r'["a","x\ud800"]', "x\ufffd"),
        (r'["a","\udc00\uD83D\uDE00"]', "\ufffd😀"),
        (r'["a","\\ud800 \udfff"]', r"\ud800 " + "\ufffd"),
    ],
)
def test_half_a_character_as_javascript_may_send_it_is_replaced(sent: str, kept: str) -> None:
    _, args = packets.decode_event(sent)

    assert msgspec.json.decode(args[0]) == kept


def test_auth_is_an_object_or_absent() -> None:
    assert packets.decode_auth("") is None
    assert packets.decode_auth('{"token":1}') == msgspec.Raw(b'{"token":1}')
    for body in ("[]", "[1]", "{", '{"a"}', '{"a":"\\ud800'):
        with pytest.raises(ProtocolError):
            packets.decode_auth(body)


def test_attachments_become_base64_text() -> None:
    body = '["a",{"x":{"_placeholder":true,"num":1}},[{"_placeholder":true,"num":0}],{"_placeholder":false}]'

    filled = packets.fill_placeholders(body, [b"\x00\xff", b"hello"])

    assert msgspec.json.decode(filled) == ["a", {"x": "aGVsbG8="}, ["AP8="], {"_placeholder": False}]


@pytest.mark.parametrize("number", ["1", "-1", "1.0", "true", '"0"', "null"])
def test_an_attachment_that_was_not_sent_is_refused(number: str) -> None:
    with pytest.raises(ProtocolError):
        packets.fill_placeholders(f'["a",{{"_placeholder":true,"num":{number}}}]', [b""])


def test_deep_or_broken_binary_packets_are_refused() -> None:
    for body in ("[" * 100_000, "[", "", '["a",' + '{"a":' * 5000 + "1" + "}" * 5000 + "]"):
        with pytest.raises(ProtocolError):
            packets.fill_placeholders(body, [b""])


def test_a_polling_payload_holds_several_packets() -> None:
    assert packets.decode_payload("4é\x1e2probe\x1ebAQI=".encode()) == ["4é", "2probe", b"\x01\x02"]
    assert packets.encode_payload(["4é".encode(), b"2"]) == "4é\x1e2".encode()


@pytest.mark.parametrize("body", [b"\xff", b"b***", b"bA", b"\x1e" * packets.MAX_PACKETS])
def test_a_malformed_payload_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        packets.decode_payload(body)


def test_packets_are_put_together() -> None:
    assert packets.encode_open({"sid": "x"}) == b'0{"sid":"x"}'
    assert packets.encode_event("a", b'{"b":1}') == b'42["a",{"b":1}]'
    assert packets.encode_event("a", b"1", 0) == b'420["a",1]'
    assert packets.encode_event_at("o.1", "a", b"1") == b'42["a",1,"o.1"]'
    assert packets.encode_ack(3, b'{"ok":true}') == b'433[{"ok":true}]'
    assert packets.encode_ack(3, b"") == b"433[]"
    assert packets.encode_connect("x") == b'40{"sid":"x"}'
    assert packets.encode_connect("x", "y") == b'40{"sid":"x","pid":"y"}'
    assert packets.encode_connect_error("/", "é") == '44{"message":"é"}'.encode()
    assert packets.encode_connect_error("/a", "no") == b'44/a,{"message":"no"}'
