"""Schemas of what the app accepts, property by property (docs/protocol/http.md and realtime.md).

A schema is a predicate, a dict of properties (those with `?` may be absent, others are not allowed), a list
of one schema for all items, or a tuple of alternatives of which exactly one must match.
"""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

LARGEST_TIME = 8_640_000_000_000_000


def text(value: Any) -> bool:
    return isinstance(value, str)


def integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def boolean(value: Any) -> bool:
    return isinstance(value, bool)


def ms(value: Any) -> bool:
    return integer(value) and 0 <= value <= LARGEST_TIME


def b64(value: Any) -> bool:
    return text(value) and base64.b64encode(base64.b64decode(value)).decode() == value


def numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(number, value.values()))


def null(value: Any) -> bool:
    return value is None


def update_id(value: Any) -> bool:
    return matches(r"[A-Za-z0-9]{12}")(value)


def matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: text(value) and re.fullmatch(pattern, value) is not None


def one_of(*options: Any) -> Callable[[Any], bool]:
    return lambda value: any(type(value) is type(option) and value == option for option in options)


def maybe(shape: Any) -> Any:
    return (null, shape)


VERSIONED = {"value": text, "version": integer}
VERSIONED_OR_NULL = {"value": maybe(text), "version": integer}
MESSAGE = {
    "id": text,
    "seq": integer,
    "content": {"t": one_of("encrypted"), "c": text},
    "localId": maybe(text),
    "createdAt": ms,
    "updatedAt": ms,
}
SESSION = {
    "id": text,
    "seq": integer,
    "metadata": text,
    "metadataVersion": integer,
    "agentState": maybe(text),
    "agentStateVersion": integer,
    "dataEncryptionKey": maybe(b64),
    "active": boolean,
    "activeAt": ms,
    "createdAt": ms,
    "updatedAt": ms,
}
MACHINE_STATE = {
    "metadata": text,
    "metadataVersion": integer,
    "daemonState": maybe(text),
    "daemonStateVersion": integer,
    "dataEncryptionKey": maybe(b64),
    "active": boolean,
    "activeAt": ms,
    "createdAt": ms,
    "updatedAt": ms,
}
AVATAR = {"path": text, "url": text, "width?": number, "height?": number, "thumbhash?": text}
STATUS = one_of("none", "requested", "pending", "friend", "rejected")
USER = {
    "id": text,
    "firstName": text,
    "lastName": maybe(text),
    "avatar": maybe(AVATAR),
    "username": text,
    "bio": maybe(text),
    "status": STATUS,
}
GITHUB = {"id": integer, "login": text, "name": text, "email?": text, "avatar_url": text, "bio": maybe(text)}
POST = (
    {"kind": one_of("friend_request"), "uid": text},
    {"kind": one_of("friend_accepted"), "uid": text},
    {"kind": one_of("text"), "text": text},
)
FEED_ITEM = {
    "id": text,
    "body": POST,
    "repeatKey": maybe(text),
    "cursor": matches(r"0-\d+"),
    "createdAt": ms,
}

BODIES: dict[str, Any] = {
    "new-message": {"sid": text, "message": MESSAGE},
    "new-session": SESSION,
    "update-session": ({"id": text, "metadata": VERSIONED}, {"id": text, "agentState": VERSIONED_OR_NULL}),
    "delete-session": {"sid": text},
    "update-account": (
        {"id": text, "settings": VERSIONED_OR_NULL},
        {
            "id": text,
            "github": maybe(lambda value: isinstance(value, dict) and text(value["name"])),
            "username": maybe(text),
            "firstName?": maybe(text),
            "lastName?": maybe(text),
            "avatar?": AVATAR,
        },
    ),
    "new-machine": {"machineId": text, "seq": integer, **MACHINE_STATE},
    "update-machine": (
        {"machineId": text, "metadata": VERSIONED},
        {"machineId": text, "daemonState": VERSIONED},
    ),
    "delete-machine": {"machineId": text},
    "new-artifact": {
        "artifactId": text,
        "seq": integer,
        "header": b64,
        "headerVersion": integer,
        "body": b64,
        "bodyVersion": integer,
        "dataEncryptionKey": b64,
        "createdAt": ms,
        "updatedAt": ms,
    },
    "update-artifact": {"artifactId": text, "header?": VERSIONED, "body?": VERSIONED},
    "delete-artifact": {"artifactId": text},
    "new-feed-post": FEED_ITEM,
    "kv-batch-update": {"changes": [{"key": text, "value": maybe(b64), "version": integer}]},
    "relationship-updated": {
        "fromUserId": text,
        "toUserId": text,
        "status": STATUS,
        "action": one_of("created", "updated", "deleted"),
        "fromUser?": USER,
        "toUser?": USER,
        "timestamp": ms,
    },
}
EPHEMERALS: dict[str, Any] = {
    "activity": {"id": text, "active": boolean, "activeAt": ms, "thinking": boolean},
    "machine-activity": {"id": text, "active": boolean, "activeAt": ms},
    "usage": {"id": text, "key": text, "tokens": numbers, "cost": numbers, "timestamp": ms},
    "session-event": {
        "sessionId": text,
        "kind": one_of("done", "permission", "question"),
        "title": text,
        "body": text,
        "timestamp": ms,
    },
}
UPDATES = tuple({"t": one_of(kind), **part} for kind, shape in BODIES.items() for part in (
    shape if isinstance(shape, tuple) else (shape,)
))  # fmt: skip
EVENTS: dict[str, Any] = {
    "update": {"id": update_id, "seq": integer, "body": UPDATES, "createdAt": ms},
    "ephemeral": tuple({"type": one_of(kind), **shape} for kind, shape in EPHEMERALS.items()),
    "rpc-registered": {"method": text},
    "rpc-unregistered": {"method": text},
    "rpc-error": {"type": one_of("register", "unregister"), "error": text},
    "rpc-request": {"method": text, "params?": lambda value: True},
}


def problems(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What keeps a value from having a shape; nothing when it has."""
    match shape:
        case dict():
            yield from _property_problems(value, shape, path)
        case [item]:
            if not isinstance(value, list):
                yield f"{path}: {value!r} is not a list"
                return
            for index, each in enumerate(value):
                yield from problems(each, item, f"{path}[{index}]")
        case tuple():
            yield from _alternative_problems(value, shape, path)
        case _:
            if not shape(value):
                yield f"{path}: {value!r}"


def _alternative_problems(value: Any, alternatives: tuple[Any, ...], path: str) -> Iterator[str]:
    """The problems of the alternative with the value's tag; else of the one with the fewest."""
    found = [list(problems(value, option, path)) for option in alternatives]
    matching = sum(not each for each in found)
    if matching > 1:
        yield f"{path}: {value!r} matches {matching} alternatives"
    elif not matching:
        tagged = [each for each, option in zip(found, alternatives, strict=True) if _has_tag(value, option)]
        yield from min(tagged or found, key=len)


def _has_tag(value: Any, shape: Any) -> bool:
    """Whether the value has the `t`, `type` or `kind` of an alternative."""
    tags = {"t", "type", "kind"} & shape.keys() if isinstance(shape, dict) else set()
    return isinstance(value, dict) and any(shape[tag](value.get(tag)) for tag in tags)


def _property_problems(value: Any, shape: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    known = {name.rstrip("?"): part for name, part in shape.items()}
    for name in value.keys() - known.keys():
        yield f"{path}/{name} is not in the schema"
    for name, part in shape.items():
        if name in value or name.rstrip("?") in value:
            yield from problems(value[name.rstrip("?")], part, f"{path}/{name.rstrip('?')}")
        elif not name.endswith("?"):
            yield f"{path}/{name} is missing"


def check_event(name: str, arguments: list[Any]) -> None:
    """Raises AssertionError for an event that the app would drop, or that has no schema."""
    assert name in EVENTS, f"there is no schema of the event {name!r}"
    # What is replayed in order has an offset for connection state recovery; handlers ignore it.
    numbered = name == "update" or arguments[0].get("type") == "session-event"
    offset = arguments[1:] if numbered else []
    assert len(arguments) == 1 + len(offset), f"{name} came with {arguments!r}"
    assert len(offset) <= 1, f"{name} came with {arguments!r}"
    assert all(map(text, offset)), f"{name} came with {arguments!r}"
    check(arguments[0], EVENTS[name], name)


def check(value: Any, shape: Any, name: str = "") -> None:
    assert [] == list(problems(value, shape, name))
