"""How a stored account looks to others, whatever another server has stored."""

from typing import Any

import msgspec
import pytest

from happy.domain.people import Person, profile_of
from happy.domain.values import AccountId


def seen(**stored: Any) -> dict[str, Any]:
    """The profile on the wire; `avatar` and `github` are given as the JSON text that is stored."""
    columns: dict[str, Any] = dict.fromkeys(("first_name", "last_name", "username", "avatar", "github"))
    columns |= {"status": "none", **stored}
    for name in ("avatar", "github"):
        columns[name] = None if columns[name] is None else msgspec.Raw(columns[name].encode())
    profile = profile_of(Person(id=AccountId("someone"), **columns), lambda path: f"https://files/{path}")
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(profile))
    return decoded


def test_an_account_without_a_name_has_every_field_all_the_same() -> None:
    expected = {
        "id": "someone",
        "firstName": "",
        "lastName": None,
        "avatar": None,
        "username": "",
        "bio": None,
        "status": "none",
    }

    assert expected == seen()


def test_a_linked_account_shows_its_picture_and_bio() -> None:
    profile = seen(
        first_name="Ada",
        last_name="Lovelace",
        username="ada",
        avatar='{"path":"public/a.png","width":20,"height":30,"thumbhash":"abc"}',
        github='{"login":"ada-on-github","bio":"Numbers","id":5}',
        status="friend",
    )

    assert {
        "id": "someone",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "avatar": {
            "path": "public/a.png",
            "url": "https://files/public/a.png",
            "width": 20,
            "height": 30,
            "thumbhash": "abc",
        },
        "username": "ada",
        "bio": "Numbers",
        "status": "friend",
    } == profile


@pytest.mark.parametrize(
    ("username", "github", "expected"),
    [
        ("ada", '{"login":"octocat"}', "ada"),
        (None, '{"login":"octocat"}', "octocat"),
        ("", '{"login":"octocat"}', "octocat"),
        (None, '{"login":5}', ""),
        (None, None, ""),
    ],
)
def test_the_username_falls_back_to_the_github_login(
    username: str | None, github: str, expected: str
) -> None:
    assert expected == seen(username=username, github=github)["username"]


@pytest.mark.parametrize(
    ("github", "expected"),
    [
        ('{"bio":"Hi"}', "Hi"),
        ('{"bio":""}', None),
        ('{"bio":null}', None),
        ('{"bio":["Hi"]}', None),
        ("{}", None),
        ("[]", None),
        ("null", None),
        ('"text"', None),
        ("{broken", None),
        ("[" * 100_000, None),
    ],
)
def test_the_bio_is_read_from_whatever_profile_is_stored(github: str, expected: str | None) -> None:
    assert expected == seen(github=github)["bio"]


@pytest.mark.parametrize(
    ("avatar", "expected"),
    [
        ('{"path":"p"}', {"path": "p", "url": "https://files/p"}),
        ('{"path":"p","width":1.5}', {"path": "p", "url": "https://files/p", "width": 1.5}),
        (
            '{"path":"p","width":null,"height":"9","thumbhash":7}',
            {"path": "p", "url": "https://files/p"},
        ),
        ('{"path":"p","width":true}', {"path": "p", "url": "https://files/p"}),
        ('{"path":""}', None),
        ('{"path":5}', None),
        ('{"url":"https://elsewhere"}', None),
        ("null", None),
        ("7", None),
        ("broken", None),
    ],
)
def test_the_picture_is_read_from_whatever_is_stored(avatar: str, expected: dict[str, Any] | None) -> None:
    assert expected == seen(avatar=avatar)["avatar"]
