"""Clients that keep a session's history as the installed ones do, and what is wrong with what they have."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tests.e2e.app_view import AppView, Chat, misplaced
from tests.support.api_client import ApiClient
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.socket_client import TIMEOUT

AGAIN_SECONDS = 0.2
READS = "cli-coding-session/1.2.5"
"""A client that reads at every connect. Others read only where the library does not say `recovered`."""

PARTS = {"metadata", "agentState"}
LIST = "/v1/sessions"
MACHINES = "/v1/machines"


class Device(OfficialSocket):
    """A socket that passes on what arrives and keeps nothing; it registers its methods at every connect.

    Calls are answered `after` so many ms, or never.
    """

    def __init__(
        self, client: NodeClient, url: str, methods: Iterable[str], after: int | None, **auth: Any
    ) -> None:
        super().__init__(client, url, auth)
        self.methods = list(methods)
        self.after = after
        self.client = str(auth.get("happyClient"))
        self.recovered = 0
        self.reads_always = self.client == READS
        self.reader: Reader | None = None
        self.online = False
        self.lost_at: list[float] = []
        self.reasons: Counter[str] = Counter()
        self.registered_at: dict[str, float] = {}
        self._greeting: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        await super().connect()
        if self.after is not None:
            await self.answer("rpc-request", echo=True, delay=self.after)
        self._greet(recovered=False)

    async def receive(self, line: dict[str, Any]) -> None:
        if line.get("event") == "update":
            self._update(line["args"][0]["body"])
        elif line.get("event") == "ephemeral" and self.reader is not None:
            self.reader.view.ephemeral(line["args"][0])
        elif line.get("event") == "rpc-registered":
            self.registered_at[line["args"][0]["method"]] = asyncio.get_running_loop().time()
        elif line.get("life") == "connect":
            self._greet(recovered=line["detail"]["recovered"])
        elif line.get("life") == "disconnect":
            self.online = False
            self.lost_at.append(asyncio.get_running_loop().time())
            self.reasons[line["detail"]["reason"]] += 1
            self.registered_at.clear()

    @property
    def losses(self) -> int:
        return len(self.lost_at)

    def _update(self, body: dict[str, Any]) -> None:
        if self.reader is not None and body["t"] == "new-message":
            self.reader.received(body["sid"], body["message"])
        elif self.reader is not None:
            self.reader.view.update(body)

    def _greet(self, *, recovered: bool) -> None:
        """Do what clients do on every connect, without holding up what arrives meanwhile."""
        self.online = True
        self.recovered += recovered
        if self.reader is not None and (self.reads_always or not recovered):
            self.reader.read_all()
        task = asyncio.get_running_loop().create_task(self._register())
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _register(self) -> None:
        for method in self.methods:
            await self.emit("rpc-register", {"method": method})


class Reader:
    """Takes a pushed message only if it is the next one; reads over HTTP after a gap, and when it is told to.

    One that `lists` is an app: it also reads what sessions and machines there are, and nothing when the
    library says `recovered`. Its `view` is what it draws.
    """

    def __init__(self, api: ApiClient, sessions: Iterable[str], *, lists: bool) -> None:
        self.ids: dict[str, list[str]] = {session: [] for session in sessions}
        self.lists = lists
        self.view = AppView()
        self.view.chats = {session: Chat() for session in self.ids if lists}
        self.reads = 0
        self.received_twice: list[str] = []
        self._api = api
        self._last = dict.fromkeys(self.ids, 0)
        self._pushed: set[str] = set()
        self._wanted: set[str] = set()
        self._reading: asyncio.Task[None] | None = None

    def received(self, session: str, message: Mapping[str, Any]) -> None:
        if message["id"] in self._pushed:
            self.received_twice.append(f"{session}: message {message['seq']}")
        self._pushed.add(message["id"])
        self._record(session, message)

    def sent(self, session: str, answer: Mapping[str, Any]) -> None:
        """The acknowledgement of a message of its own, which is not pushed to its sender."""
        self._record(session, answer)

    def _record(self, session: str, message: Mapping[str, Any]) -> None:
        if message["seq"] > self._last[session] + 1:
            self._read(session)
        else:
            self._take(session, message)

    def read_all(self) -> None:
        for what in [*self.ids, *([LIST, MACHINES] if self.lists else [])]:
            self._read(what)

    async def ends(self) -> None:
        """Wait until nothing is being read."""
        while self._reading is not None and not self._reading.done():
            await self._reading

    def _take(self, session: str, message: Mapping[str, Any]) -> None:
        if message["seq"] == self._last[session] + 1:
            self._last[session] = message["seq"]
            self.ids[session].append(message["id"])
            self.view.page(session, [message] if self.lists else [])

    def _read(self, what: str) -> None:
        self._wanted.add(what)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._wanted:
            what = self._wanted.pop()
            try:
                await self._read_now(what)
            except (httpx.HTTPError, AssertionError):  # a replica or the database is away: for ever again
                self._wanted.add(what)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _read_now(self, what: str) -> None:
        if what == LIST:
            self.view.list_sessions((await self._api.get(LIST))["sessions"])
        elif what == MACHINES:
            self.view.list_machines(await self._api.get(MACHINES))
        else:
            await self._messages(what)

    async def _messages(self, session: str) -> None:
        more = True
        while more:
            self.reads += 1
            path = f"/v3/sessions/{session}/messages"
            page = await self._api.get(path, after_seq=self._last[session], limit=100)
            for row in page["messages"]:
                self._take(session, row)
            more = page["hasMore"]


def lacking(reader: Reader, stored: Mapping[str, list[str]]) -> dict[str, int]:
    """By session how many messages the client lacks at the end; anything else is `wrong`."""
    return {
        session: len(stored[session]) - len(ids)
        for session, ids in reader.ids.items()
        if ids != stored[session] and ids == stored[session][: len(ids)]
    }


def outdated(reader: Reader, listed: Iterable[Mapping[str, Any]]) -> int:
    """How many versions the client is behind what is stored."""
    return sum(
        row[f"{part}Version"] - reader.view.versions.get((row["id"], part), 0)
        for row in listed
        for part in PARTS
        if reader.lists
    )


def wrong(reader: Reader, stored: Mapping[str, list[str]]) -> list[str]:
    """Messages that are not there, or in another order: no gap at the end explains them."""
    return [
        f"{session}: a client has {len(ids)} messages that differ from the {len(stored[session])} stored"
        for session, ids in reader.ids.items()
        if ids != stored[session][: len(ids)]
    ]


def drawn_wrong(reader: Reader, online: Mapping[str, bool]) -> list[str]:
    """What the app draws otherwise than it would after a reload; `online` is what is stored of all things."""
    shown = {**reader.view.sessions, **reader.view.machines}
    chats = reader.view.chats.items()
    return [
        *(f"{session}: {n} messages out of order" for session, chat in chats if (n := misplaced(chat.rows))),
        *(
            f"{name} is drawn as {'online' if state.online else 'offline'}"
            for name, state in shown.items()
            if state.online != online.get(name)
        ),
    ]


async def complete(reader: Reader, stored: Mapping[str, list[str]], timeout: float = TIMEOUT) -> bool:
    """Whether the client has everything, or gets it in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while (missing := lacking(reader, stored)) and loop.time() < deadline:  # noqa: ASYNC110 - from outside
        await asyncio.sleep(0.05)
    return not missing
