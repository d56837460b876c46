"""The two base64 decoders, case by case and against a plain restatement of their rules."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from happy.domain.encoding import decode_lenient, decode_strict

STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("QUJD", b"ABC"),
        ("QUJDRA==", b"ABCD"),
        ("QUJDRA=", b"ABCD"),  # too little padding
        ("QUJDRA", b"ABCD"),  # none
        ("QUJDREU", b"ABCDE"),
        ("QUJD=", b"ABC"),  # padding where none belongs
        ("QUJD==", b"ABC"),
        ("QUJDR", b"ABC"),  # one digit left over
        ("QUJDR=", b"ABC"),
        ("QUJDR==", b"ABC"),
        ("QUJDRB==", b"ABCD"),  # bits left over
        ("QQ==", b"A"),
        ("QUI=", b"AB"),
        ("A===", None),
        ("QUJD===", None),
        ("QUJD====", None),
        ("QUJDQ===", None),
        ("====", None),
        ("Q", None),
        ("QQ", None),
        ("QUI", None),
        ("QQ=", None),
        ("=", None),
        ("==", None),
        ("QU=D", None),
        ("=QUJD", None),
        ("QQ==QQ==", None),
        ("QU-_", None),
        ("QUJD QUJD", None),
        ("QUJD\n", None),
        ("QUJDü", None),
        ("QUJD!", None),
        ("\uff31\uff35\uff2a\uff24", None),
        ("QUJD\ud800", None),
        ("QUJD\0", None),
    ],
)
def test_strict(text: str, expected: bytes | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="base64"):
            decode_strict(text)
    else:
        assert expected == decode_strict(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("QUJD", b"ABC"),
        ("QUJDRA==", b"ABCD"),
        ("QUJDRA", b"ABCD"),
        ("QUJDR", b"ABC"),
        ("Q", b""),
        ("QQ", b"A"),
        ("QU-_QU+/", bytes.fromhex("414fbf414fbf")),
        ("!!!!", b""),
        ("====", b""),
        ("QUJD=QUJD", b"ABC"),
        ("QQ==QQ==", b"A"),
        ("Q U\nJ\tD", b"ABC"),
        ("QUüJDü☃\ud800\0", b"ABC"),
        ("=QUJD", b""),
    ],
)
def test_lenient(text: str, expected: bytes) -> None:
    assert expected == decode_lenient(text)


def restated(digits: str) -> bytes:
    """Base64 bit by bit: whole bytes only."""
    bits = "".join(f"{STANDARD.index(digit):06b}" for digit in digits)
    return bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits) - 7, 8))


some_text = st.text(alphabet=st.sampled_from("AQUJDRaz09+/-_= !ü"), max_size=24)


@given(some_text)
def test_strict_follows_its_rules_on_any_text(text: str) -> None:
    digits = text.rstrip("=")
    padding = len(text) - len(digits)
    if text and (len(text) < 4 or padding > 2 or any(character not in STANDARD for character in digits)):
        with pytest.raises(ValueError, match="base64"):
            decode_strict(text)
    else:
        assert restated(digits) == decode_strict(text)


@given(some_text)
def test_lenient_follows_its_rules_on_any_text(text: str) -> None:
    digits = text.partition("=")[0].replace("-", "+").replace("_", "/")

    assert restated("".join(digit for digit in digits if digit in STANDARD)) == decode_lenient(text)


@given(st.binary(max_size=200))
def test_both_read_what_every_encoder_writes(data: bytes) -> None:
    text = base64.b64encode(data).decode()

    assert data == decode_strict(text) == decode_lenient(text)
    assert data == decode_lenient(base64.urlsafe_b64encode(data).decode().rstrip("="))
