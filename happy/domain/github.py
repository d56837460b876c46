"""GitHub users: what is copied from their profile, and how clients see it.

protocol: http#connected-services
"""

from typing import Any

import msgspec
from msgspec import Struct

from happy.domain.errors import Invalid
from happy.domain.values import AccountId


class GithubApp(Struct, frozen=True):
    """The GitHub app of this server, as far as it is configured."""

    client_id: str | None = None
    client_secret: str | None = None
    redirect_url: str | None = None
    webhook_secret: str | None = None
    return_url: str | None = None
    """The URL of the web app to redirect to after the authorization at GitHub, if configured."""


class GithubUser(Struct, frozen=True):
    """A user of GitHub. `profile` is the whole response of GitHub, as JSON."""

    id: str
    login: str
    name: str | None
    avatar_url: str | None
    profile: msgspec.Raw


class Holder(Struct, frozen=True):
    """An account, the GitHub user it is linked to, and the username it has."""

    account_id: AccountId
    github_id: str | None
    username: str | None


class _Profile(Struct, frozen=True):
    id: int
    login: str
    name: Any = None
    avatar_url: Any = None


def github_user(profile: bytes) -> GithubUser:
    """Raises Invalid when this is not a profile."""
    try:
        found = msgspec.json.decode(profile, type=_Profile)
    except (ValueError, RecursionError) as error:
        raise Invalid("Not a GitHub profile") from error
    if not found.login:
        raise Invalid("Not a GitHub profile")
    return GithubUser(
        id=str(found.id),
        login=found.login,
        name=_text(found.name),
        avatar_url=_text(found.avatar_url) or None,
        profile=msgspec.Raw(profile),
    )


def split_name(name: str | None) -> tuple[str | None, str | None]:
    """The first word, and all others."""
    words = (name or "").split()
    return (words[0] if words else None), " ".join(words[1:]) or None


def presentable(profile: msgspec.Raw | None) -> msgspec.Raw | None:
    """A stored profile as the app accepts it: with a text for its name, and an email only if there is one."""
    if profile is None:
        return None
    try:
        fields = msgspec.json.decode(profile)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if isinstance(fields.get("name"), str) and isinstance(fields.get("email", ""), str):
        return profile
    if not isinstance(fields.get("name"), str):
        fields["name"] = _text(fields.get("login")) or ""
    if not isinstance(fields.get("email"), str):
        fields.pop("email", None)
    return msgspec.Raw(msgspec.json.encode(fields))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
