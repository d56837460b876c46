"""ThumbHash against the vectors of the contract."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from happy.adapters.outbound.thumbhash import thumbhash

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "vectors.json").read_text("utf-8")
)["thumbhash"]["items"]


OPACITIES: dict[str, Callable[[int], int]] = {"255": lambda x: 255, "(x*8)%256": lambda x: x * 8 % 256}


def pattern(width: int, height: int, alpha: str) -> bytes:
    """The pixels that the vectors were made of."""
    opacity = OPACITIES[alpha]
    return bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (x * 37 % 256, y * 59 % 256, x * y * 11 % 256, opacity(x))
    )


@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda vector: f"{vector['w']}x{vector['h']} {vector['alpha']}"
)
def test_every_vector_is_reproduced(vector: dict[str, Any]) -> None:
    size = vector["w"], vector["h"]

    assert vector["hash"] == base64.b64encode(thumbhash(*size, pattern(*size, vector["alpha"]))).decode()


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (100, 1), (3, 2)])
@pytest.mark.parametrize("pixel", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\0\0\x01"])
def test_plain_images_of_any_shape_have_a_hash(size: tuple[int, int], pixel: bytes) -> None:
    assert 5 <= len(thumbhash(*size, pixel * size[0] * size[1])) <= 25


@pytest.mark.parametrize(("width", "height", "rgba"), [(0, 1, b""), (101, 1, bytes(404)), (2, 2, bytes(15))])
def test_what_is_no_small_image_is_refused(width: int, height: int, rgba: bytes) -> None:
    with pytest.raises(ValueError, match="not a small image"):
        thumbhash(width, height, rgba)
