"""Cursors of the feed, and the posts that friendship makes."""

import msgspec
import pytest

from happy.domain.errors import Invalid
from happy.domain.feed import MAX_COUNTER, FeedItem, counter_of, draft_of
from happy.domain.social import Notice
from happy.domain.values import AccountId, Millis


@pytest.mark.parametrize("counter", [0, 1, 17, 2**31, MAX_COUNTER])
def test_a_cursor_leads_back_to_its_counter(counter: int) -> None:
    item = FeedItem("id", msgspec.Raw(b"{}"), None, counter, Millis(0))

    assert counter == counter_of(item.cursor)


def test_a_cursor_beyond_all_counters_is_the_last() -> None:
    assert MAX_COUNTER == counter_of(f"0-{MAX_COUNTER + 1}") == counter_of("0-" + "9" * 100)


@pytest.mark.parametrize(
    "cursor",
    ["", "0", "0-", "5", "1-5", "0-x", "0--5", "0-5 ", " 0-5", "0-5\n", "0-1.5", "0-٣", "0-" + "9" * 101],
)
def test_everything_else_is_no_cursor(cursor: str) -> None:
    with pytest.raises(Invalid):
        counter_of(cursor)


@pytest.mark.parametrize("kind", ["friend_request", "friend_accepted"])
def test_a_notice_becomes_a_post_that_names_the_other_account(kind: str) -> None:
    draft = draft_of(Notice(AccountId("me"), AccountId("you"), kind), "item")  # type: ignore[arg-type]

    assert ("item", f"{kind}_you") == (draft.id, draft.repeat_key)
    assert {"kind": kind, "uid": "you"} == msgspec.json.decode(draft.body)
