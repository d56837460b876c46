"""What the app draws of an account: its own rules, so that tests compare pictures and not only sets."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Row = Mapping[str, Any]
PARTS = {"metadata", "agentState"}


class State(NamedTuple):
    """What is shown beside the name of a session or a machine, which never thinks."""

    online: bool
    thinking: bool = False


class Picture(NamedTuple):
    """The whole screen, to be compared: `chats` are the open ones, each from the newest message down."""

    sessions: dict[str, State]
    machines: dict[str, State]
    chats: dict[str, list[str]]


class Chat:
    """An open chat: messages in the order of their arrival, whether by an event or by a page."""

    def __init__(self) -> None:
        self.last = 0
        self._arrived: dict[str, Row] = {}

    def take(self, row: Row) -> None:
        """One that is there already keeps its position in the order of arrival, and is replaced."""
        self._arrived[row["id"]] = row
        self.last = max(self.last, row["seq"])

    def follows(self, row: Row) -> bool:
        """Whether no message is missing before this one; otherwise the app reads on from `last`."""
        return bool(row["seq"] <= self.last + 1)

    @property
    def rows(self) -> list[Row]:
        """By creation time, the latest first; among equals what arrived first is first."""
        return sorted(self._arrived.values(), key=lambda row: -row["createdAt"])

    def drawn(self) -> list[str]:
        return [row["content"]["c"] for row in self.rows]


class AppView:
    """The state of the app, as lists, pages, updates and ephemerals change it."""

    def __init__(self) -> None:
        self.sessions: dict[str, State] = {}
        self.machines: dict[str, State] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.chats: dict[str, Chat] = {}

    def list_sessions(self, rows: Iterable[Row]) -> None:
        self.sessions = {}
        for row in rows:
            self._session(row)

    def list_machines(self, rows: Iterable[Row]) -> None:
        self.machines = {row["id"]: State(row["active"]) for row in rows}

    def _session(self, row: Row) -> None:
        self.sessions[row["id"]] = State(row["active"])
        for part in PARTS:
            self._version(row["id"], part, row[f"{part}Version"])

    def _version(self, session: str, part: str, version: int) -> None:
        self.versions[session, part] = max(version, self.versions.get((session, part), 0))

    def page(self, session: str, rows: Iterable[Row]) -> None:
        """A page of an open chat; every page is applied in the order in which it was sent."""
        for row in rows:
            self.chats[session].take(row)

    def update(self, body: Row) -> str | None:
        """Apply an update; the session whose open chat has a gap now, which is to be read."""
        match body["t"]:
            case "new-message" if body["sid"] in self.chats:
                return self._message(body)
            case "new-session":
                self._session(body)
            case "new-machine":
                self.machines[body["machineId"]] = State(body["active"])
            case "update-session":
                for part in PARTS & body.keys():
                    self._version(body["id"], part, body[part]["version"])
            case "delete-session" | "delete-machine":
                self._delete(body)
        return None

    def _message(self, body: Row) -> str | None:
        chat = self.chats[body["sid"]]
        if not chat.follows(body["message"]):
            return str(body["sid"])
        chat.take(body["message"])
        return None

    def _delete(self, body: Row) -> None:
        self.sessions.pop(body.get("sid", ""), None)
        self.chats.pop(body.get("sid", ""), None)
        self.machines.pop(body.get("machineId", ""), None)

    def ephemeral(self, payload: Row) -> None:
        """States of things that are not in the lists are not shown."""
        if payload["type"] == "activity" and payload["id"] in self.sessions:
            self.sessions[payload["id"]] = State(payload["active"], payload["thinking"])
        elif payload["type"] == "machine-activity" and payload["id"] in self.machines:
            self.machines[payload["id"]] = State(payload["active"])

    def picture(self) -> Picture:
        chats = {session: chat.drawn() for session, chat in self.chats.items()}
        return Picture(dict(self.sessions), dict(self.machines), chats)


def drawn(messages: Iterable[Row]) -> list[str]:
    """Texts of a chat in which these messages arrived in this order, from the newest to the oldest."""
    chat = Chat()
    for message in messages:
        chat.take(message)
    return chat.drawn()


def misplaced(messages: Iterable[Row]) -> int:
    """How many of these messages the app draws at another position than their numbers say."""
    chat = Chat()
    for message in messages:
        chat.take(message)
    rows = chat.rows
    by_number = sorted(rows, key=lambda row: -row["seq"])
    return sum(row is not other for row, other in zip(rows, by_number, strict=True))
