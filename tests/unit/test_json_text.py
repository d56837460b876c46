"""What JSON of a peer may cost: `happy/domain/json_text.py`."""

import math

import pytest
from msgspec import Raw

from happy.domain.json_text import (
    ARRAY,
    MAX_DELIMITERS,
    MAX_FREE_BYTES,
    MAX_MENDED_BYTES,
    OBJECT,
    is_cheap,
    mend,
    scalar,
)

BASE64 = "YWJj" * MAX_FREE_BYTES


@pytest.mark.parametrize("text", ["\\" * MAX_FREE_BYTES, "[" * MAX_FREE_BYTES, "1," * (MAX_FREE_BYTES // 2)])
def test_short_text_may_contain_anything(text: str) -> None:
    assert is_cheap(text)
    assert is_cheap(text.encode())


def test_long_text_is_what_clients_send() -> None:
    message = f'{{"content":"{BASE64[:MAX_FREE_BYTES]}","localId":"a"}}'

    assert is_cheap(f'{{"messages":[{",".join([message] * 100)}]}}')
    assert is_cheap(bytearray(f'{{"metadata":"{BASE64}"}}'.encode()))


@pytest.mark.parametrize("delimiter", ["\\", ",", "[", "{", "\u00e9"])
def test_long_text_that_is_expensive_to_parse_is_not_cheap(delimiter: str) -> None:
    text = BASE64 + delimiter * (MAX_DELIMITERS + 1)

    assert not is_cheap(text)
    assert not is_cheap(text.encode())


def test_some_marks_are_no_harm() -> None:
    assert is_cheap(BASE64 + "\\,[{" * MAX_DELIMITERS)


@pytest.mark.parametrize(
    ("sent", "mended"),
    [
        (rb'"cut \ud83d"', rb'"cut \ufffd"'),
        (rb'"\ude00\ud83d\ude00\ude00"', rb'"\ufffd\ud83d\ude00\ufffd"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\n\ud83d\u00e9"', rb'"\n\ufffd\u00e9"'),
        (b'"\xff\xc3\xa9"', '"\ufffd\u00e9"'.encode()),
    ],
)
def test_halves_of_pairs_and_foreign_bytes_are_replaced(sent: bytes, mended: bytes) -> None:
    assert mended == mend(sent)


def test_long_text_is_not_mended() -> None:
    text = rb"\ud83d" * MAX_MENDED_BYTES

    assert text == mend(text)


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (b"", None),
        (b"null", None),
        (b"true", True),
        (b'"text"', "text"),
        (b"-1.5", -1.5),
        (b"7", 7),
        (b"1e999", math.inf),
        (b"9" * 1_000_000, math.inf),
        (b'{"a":[1e300]}', OBJECT),
        (b"[]", ARRAY),
    ],
)
def test_a_field_of_any_type_is_a_scalar_or_stands_for_what_it_is(sent: bytes, value: object) -> None:
    assert value == scalar(Raw(sent))
