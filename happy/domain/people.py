"""Accounts as other accounts see them."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from happy.domain.social import Status
from happy.domain.values import AccountId

T = TypeVar("T", bound=Struct)
Size = int | float


class Person(Struct, frozen=True):
    """The public part of an account; `status` is the relation of the viewing account to it."""

    id: AccountId
    first_name: str | None
    last_name: str | None
    username: str | None
    avatar: msgspec.Raw | None
    github: msgspec.Raw | None
    status: Status


class Picture(Struct, frozen=True):
    """A profile picture; sizes are pixels."""

    path: str
    url: str
    width: Size | UnsetType = UNSET
    height: Size | UnsetType = UNSET
    thumbhash: str | UnsetType = UNSET


class UserProfile(Struct, frozen=True, rename="camel"):
    """An account as other accounts see it; protocol: http#users-friends-feed."""

    id: AccountId
    first_name: str
    last_name: str | None
    avatar: Picture | None
    username: str
    bio: str | None
    status: Status


class _StoredPicture(Struct, frozen=True):
    path: Any = None
    width: Any = None
    height: Any = None
    thumbhash: Any = None


class _StoredGithub(Struct, frozen=True):
    login: Any = None
    bio: Any = None


def profile_of(person: Person, public_url: Callable[[str], str]) -> UserProfile:
    """Tolerates stored JSON of other servers, in which any field may be missing."""
    github = _read(person.github, _StoredGithub)
    return UserProfile(
        id=person.id,
        first_name=person.first_name or "",
        last_name=person.last_name,
        avatar=_picture(_read(person.avatar, _StoredPicture), public_url),
        username=person.username or _text(github.login) or "",
        bio=_text(github.bio) or None,
        status=person.status,
    )


def _picture(stored: _StoredPicture, public_url: Callable[[str], str]) -> Picture | None:
    path = _text(stored.path)
    if not path:
        return None
    return Picture(
        path=path,
        url=public_url(path),
        width=_size(stored.width),
        height=_size(stored.height),
        thumbhash=_text(stored.thumbhash) or UNSET,
    )


def _read(stored: msgspec.Raw | None, kind: type[T]) -> T:
    """The stored object, or an empty one when it is anything else."""
    try:
        return kind() if stored is None else msgspec.json.decode(stored, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return kind()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _size(value: object) -> Size | UnsetType:
    return value if isinstance(value, Size) and not isinstance(value, bool) else UNSET
