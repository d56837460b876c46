"""Ids sort by time and never repeat; random names have the right shape and spread."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from happy.domain import ids as module
from happy.domain.ids import ALPHANUMERIC, BASE36, Ids, RandomText, file_key, new_id, update_id
from happy.domain.values import Millis

NOW = Millis(1_700_000_000_000)


def test_an_id_has_the_form_that_existing_rows_have() -> None:
    new = Ids()(NOW)

    assert re.fullmatch(r"c[0-9a-z]{24}", new)
    assert NOW == int(new[1:9], 36)


def test_ids_follow_those_of_existing_rows() -> None:
    existing = "cloyw3v27zzzzzzzzzzzzzzzz"  # the last possible one of a moment
    moment = Millis(int(existing[1:9], 36))

    assert Ids()(Millis(moment - 1)) < existing < Ids()(Millis(moment + 1))


def test_new_ids_are_ordered_wherever_they_are_made() -> None:
    made = [new_id(NOW) for _ in range(100)]

    assert sorted(set(made)) == made


def test_every_id_is_greater_than_the_last_one() -> None:
    new = Ids()
    made = [new(Millis(NOW + number // 50)) for number in range(5_000)]

    assert sorted(set(made)) == made


def test_a_clock_that_steps_back_does_not_break_the_order() -> None:
    new = Ids()
    made = [new(Millis(NOW + step)) for step in (0, -5, -5, 3, -60_000, 2, 4)]

    assert sorted(set(made)) == made


def test_a_full_counter_borrows_the_next_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COUNT", 36**4)
    new = Ids()
    new._count = 36**4 - 3
    made = [new(NOW) for _ in range(6)]

    assert sorted(set(made)) == made
    assert {"zzzy", "zzzz", "0000", "0001"} <= {one[9:13] for one in made}
    assert [NOW, NOW + 1] == sorted({int(one[1:9], 36) for one in made})


def test_ids_of_one_process_share_its_mark_and_those_of_two_do_not_collide() -> None:
    one, other = Ids(), Ids()
    made = [new(NOW) for new in (one, other) for _ in range(1_000)]

    assert 2_000 == len(set(made))
    assert 2 == len({new[13:17] for new in made})


def test_threads_get_distinct_ids() -> None:
    new = Ids()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: [new(NOW) for _ in range(2_000)], range(4)))

    assert 8_000 == len({one for batch in made for one in batch})
    assert all(sorted(batch) == batch for batch in made)


def test_update_ids_and_file_keys_have_their_lengths() -> None:
    assert re.fullmatch(r"[A-Za-z0-9]{12}", update_id())
    assert re.fullmatch(r"github_[A-Za-z0-9]{24}", file_key("github"))
    assert 5_000 == len({update_id() for _ in range(5_000)})


@pytest.mark.parametrize("alphabet", [BASE36, ALPHANUMERIC])
def test_every_character_is_as_likely_as_the_others(alphabet: str) -> None:
    source = RandomText(alphabet)
    count = Counter("".join(source.take(7) for _ in range(20_000)))
    expected = 140_000 / len(alphabet)

    assert set(alphabet) == set(count)
    assert all(abs(seen - expected) < 6 * expected**0.5 for seen in count.values())


def test_a_name_longer_than_the_pool_is_still_random() -> None:
    text = RandomText(ALPHANUMERIC).take(10_000)

    assert 10_000 == len(text)
    assert text[:5_000] != text[5_000:]
