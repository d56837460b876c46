"""How far a client has received, as text that it carries from replica to replica."""

import pytest

from happy.domain.stream_position import MAX_LENGTH, StreamPosition, parse
from happy.domain.values import ReplicaId

ONE, OTHER = ReplicaId("0a" * 8), ReplicaId("0b" * 8)


@pytest.mark.parametrize("known", [{}, {ONE: 1}, {ONE: 255, OTHER: 2**40}])
def test_a_position_survives_its_text(known: dict[ReplicaId, int]) -> None:
    position = StreamPosition("1f", 1_790_000_000_000_000, known)

    assert position == parse(position.text())


@pytest.mark.parametrize(
    "text",
    ["", ".", "1f", "1f.", "1f.g", "1f.1.0a", "1f.1.0a.", "xy.1", "1f.1 ", "²", "1f." + "1" * MAX_LENGTH],
)
def test_a_strange_text_is_no_position(text: str) -> None:
    assert parse(text) is None


def test_a_position_covers_what_was_received_before_it_had_an_offset() -> None:
    position = StreamPosition("1f", 10, {ONE: 5})

    assert position.covers(ONE, 5)
    assert not position.covers(ONE, 6)
    assert not position.covers(OTHER, 1)


def test_two_positions_cover_more_together() -> None:
    joined = StreamPosition("1f", 10, {ONE: 5}).joined(StreamPosition("1f", 8, {ONE: 6, OTHER: 1}))

    assert StreamPosition("1f", 10, {ONE: 6, OTHER: 1}) == joined


def test_a_position_of_another_epoch_adds_nothing() -> None:
    position = StreamPosition("1f", 10, {ONE: 5})

    assert position == position.joined(StreamPosition("2f", 80, {ONE: 60})) == position.joined(None)
