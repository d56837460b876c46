"""Whatever arrives, the parsers answer with packets or with one kind of error."""

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from happy.gateway.engine import packets
from happy.gateway.engine.packets import ProtocolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PLACEHOLDER = st.builds(lambda n: {"_placeholder": True, "num": n}, st.integers(-1, 3))
ALMOST = st.text(alphabet='0123456789-/,[]{}":\\ud8aé \x1e', max_size=40)
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=[]), max_size=60)  # lone surrogates too


@settings(max_examples=400, deadline=None)
@given(ALMOST | ANY_TEXT)
def test_any_text_is_a_packet_or_an_error(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        packet = packets.decode(text)
        for read in (packets.decode_event, packets.decode_ack, packets.decode_auth):
            with contextlib.suppress(ProtocolError):
                read(packet.body)


@settings(max_examples=400, deadline=None)
@given(st.from_regex(r"[23][0-9]{0,20}\[", fullmatch=True) | ALMOST | ANY_TEXT)
def test_the_short_way_to_take_a_packet_apart_leads_to_the_same(text: str) -> None:
    split = packets.decode_common("4" + text)
    if split is not None:
        kind, ack, body = split
        assert packets.decode(text) == packets.Packet(kind, body, ack)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80) | ALMOST.map(str.encode))
def test_any_body_is_a_payload_or_an_error(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        packets.decode_payload(body)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON | PLACEHOLDER, max_size=5), st.lists(st.binary(max_size=8), max_size=3))
def test_any_binary_packet_is_filled_or_an_error(body: list[Any], attachments: list[bytes]) -> None:
    with contextlib.suppress(ProtocolError):
        filled = packets.fill_placeholders(json.dumps(body), attachments)
        msgspec.json.decode(filled)


@settings(max_examples=150, deadline=None)
@given(
    st.text().filter(lambda name: name not in packets.RESERVED),
    st.lists(JSON, max_size=4),
    st.none() | st.integers(0, 10**16 - 1),
)
def test_what_a_client_encodes_is_decoded_unchanged(name: str, args: list[Any], ack: int | None) -> None:
    text = f"2{'' if ack is None else ack}{json.dumps([name, *args], ensure_ascii=False)}"

    packet = packets.decode(text)
    decoded_name, decoded_args = packets.decode_event(packet.body)

    assert packet.ack == ack
    assert decoded_name == name
    assert [json.loads(bytes(arg)) for arg in decoded_args] == args


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]))))
def test_payloads_survive_the_way_there_and_back(texts: list[str]) -> None:
    sent = [f"4{text}" for text in texts] or ["6"]

    assert packets.decode_payload(packets.encode_payload(map(str.encode, sent))) == sent
