"""What is taken over from GitHub profiles, and how they are shown."""

import json
from typing import Any

import msgspec
import pytest

from happy.domain.errors import Invalid
from happy.domain.github import github_user, presentable, split_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, (None, None)),
        ("", (None, None)),
        (" \t\n", (None, None)),
        ("Ada", ("Ada", None)),
        ("  Ada  ", ("Ada", None)),
        ("Ada Lovelace", ("Ada", "Lovelace")),
        ("Ada  King\tLovelace ", ("Ada", "King Lovelace")),
        ("Ada\u00a0Lovelace", ("Ada", "Lovelace")),
    ],
)
def test_the_first_word_is_the_first_name(name: str | None, expected: tuple[str | None, str | None]) -> None:
    assert expected == split_name(name)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({"login": "ada", "name": "Ada"}, {"login": "ada", "name": "Ada"}),
        ({"login": "ada", "name": "Ada", "email": "a@b"}, {"login": "ada", "name": "Ada", "email": "a@b"}),
        ({"login": "ada", "name": "Ada", "email": None}, {"login": "ada", "name": "Ada"}),
        ({"login": "ada", "name": None, "email": "a@b"}, {"login": "ada", "name": "ada", "email": "a@b"}),
        ({"login": "ada"}, {"login": "ada", "name": "ada"}),
        ({"login": "ada", "name": 5, "email": []}, {"login": "ada", "name": "ada"}),
        ({}, {"name": ""}),
        ({"login": None, "name": None}, {"login": None, "name": ""}),
        (None, None),
        ([], None),
        ("text", None),
    ],
)
def test_a_profile_is_shown_with_a_name_and_without_an_empty_email(stored: Any, shown: Any) -> None:
    raw = presentable(msgspec.Raw(json.dumps(stored).encode()))

    assert shown == (None if raw is None else json.loads(bytes(raw)))


def test_a_profile_that_needs_no_change_is_passed_on_as_it_is() -> None:
    raw = msgspec.Raw(b'{ "name" : "Ada", "id": 12345678901234567890123 }')

    assert raw is presentable(raw)


@pytest.mark.parametrize("stored", [None, msgspec.Raw(b""), msgspec.Raw(b"{"), msgspec.Raw(b"[" * 5000)])
def test_what_is_no_profile_is_not_shown(stored: msgspec.Raw | None) -> None:
    assert None is presentable(stored)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("7", "ada", None, None)),
        ({"name": "Ada", "avatar_url": "u"}, ("7", "ada", "Ada", "u")),
        ({"name": None, "avatar_url": None}, ("7", "ada", None, None)),
        ({"name": 1, "avatar_url": ""}, ("7", "ada", None, None)),
    ],
)
def test_a_user_needs_only_a_number_and_a_login(fields: dict[str, Any], expected: tuple[Any, ...]) -> None:
    profile = json.dumps({"id": 7, "login": "ada", **fields}).encode()
    user = github_user(profile)

    assert expected == (user.id, user.login, user.name, user.avatar_url)
    assert profile == bytes(user.profile)


@pytest.mark.parametrize("profile", [b"", b"null", b"{}", b'{"id":"7","login":"a"}', b'{"id":7,"login":""}'])
def test_nobody_is_no_user(profile: bytes) -> None:
    with pytest.raises(Invalid):
        github_user(profile)
