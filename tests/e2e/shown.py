"""What the app shows of sessions and machines from the ephemerals that it was sent."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

from tests.support.api_client import ApiClient
from tests.support.socket_client import Event, Inbox


class Shown(NamedTuple):
    """`sessions`: whether each is online and thinking; `unread`: what the app counts in its title."""

    sessions: dict[str, tuple[bool, bool]]
    machines: dict[str, bool]
    usage: dict[tuple[str, str], float]
    unread: list[str]


def shown(events: Iterable[Event], start: Shown | None = None) -> Shown:
    """As the app does: states replace each other, notices are counted."""
    now = start or Shown({}, {}, {}, [])
    for event in events:
        if event.name == "ephemeral":
            _show(now, event.payload)
    return now


def _show(now: Shown, event: dict[str, Any]) -> None:
    match event["type"]:
        case "activity":
            now.sessions[event["id"]] = (event["active"], event["thinking"])
        case "machine-activity":
            now.machines[event["id"]] = event["active"]
        case "usage":
            now.usage[event["id"], event["key"]] = event["tokens"]["total"]
        case "session-event":
            now.unread.append(event["title"])


class View:
    """What a phone shows, and how many messages it was sent: looking again costs what has come since."""

    def __init__(self, phone: Inbox) -> None:
        self.shown = shown([])
        self.messages = 0
        self._phone = phone
        self._seen = 0

    def look(self) -> Self:
        new = self._phone.events[self._seen :]
        self._seen += len(new)
        self.shown = shown(new, self.shown)
        self.messages += sum(_is_message(event) for event in new)
        return self


def _is_message(event: Event) -> bool:
    return event.name == "update" and event.payload["body"]["t"] == "new-message"


async def listed(api: ApiClient) -> Shown:
    """What the app shows after it has read its lists."""
    sessions = (await api.get("/v1/sessions"))["sessions"]
    machines = await api.get("/v1/machines")
    return Shown(
        {row["id"]: (row["active"], False) for row in sessions},
        {row["id"]: row["active"] for row in machines},
        {},
        [],
    )


async def until_shown(socket: Inbox, expected: Callable[[Shown], bool]) -> Shown:
    """Wait until what the socket was sent makes this picture."""
    while not expected(now := shown(socket.events)):
        await socket.next_event("ephemeral")
    return now
