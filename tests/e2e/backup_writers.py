"""Writers that go on while a database is backed up, and what was acknowledged to each of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.api_client import ApiClient, b64

POSTERS, SENDERS = 4, 2
"""Messages over HTTP, and over sockets; besides these, one changes metadata, and one a KV entry."""

ENTRY = "counter"
Write = Callable[[int], Awaitable[None]]


class Writers:
    """Eight of one account, each of which writes again when the last write was acknowledged."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._ended = asyncio.Event()
        self.messages: dict[str, list[str]] = {}
        """Ids of acknowledged messages, by session."""

        self.versions = {"metadata": 0, ENTRY: -1}
        """The last acknowledged ones."""

        self.changed = ""
        """The session whose metadata is changed."""

    def acknowledged(self) -> "Acknowledged":
        return Acknowledged(
            {session: list(ids) for session, ids in self.messages.items()}, dict(self.versions)
        )

    @property
    def are_busy(self) -> bool:
        return all(len(ids) > 5 for ids in self.messages.values()) and min(self.versions.values()) > 5

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        sessions = [(await self._api.create_session())["id"] for _ in range(POSTERS + SENDERS)]
        self.changed = (await self._api.create_session())["id"]
        self.messages = {session: [] for session in sessions}
        async with asyncio.TaskGroup() as group:
            for session in sessions[:POSTERS]:
                group.create_task(self._repeat(self._poster(session)))
            for session in sessions[POSTERS:]:
                group.create_task(self._send(session))
            group.create_task(self._change_metadata())
            group.create_task(self._repeat(self._change_entry))
            try:
                yield
            finally:
                self._ended.set()

    async def _repeat(self, write: Write) -> None:
        number = 0
        while not self._ended.is_set():
            await write(number)
            number += 1

    def _poster(self, session: str) -> Write:
        async def post(number: int) -> None:
            for message in await self._api.post_messages(session, [f"message {number}"]):
                self.messages[session].append(message["id"])

        return post

    async def _send(self, session: str) -> None:
        async with self._api.session_socket(session) as socket:

            async def send(number: int) -> None:
                payload = {"sid": session, "message": f"message {number}", "localId": f"{number}"}
                self.messages[session].append((await socket.call("message", payload))["id"])

            await self._repeat(send)

    async def _change_metadata(self) -> None:
        async with self._api.user_socket() as socket:

            async def change(number: int) -> None:
                payload = {"sid": self.changed, "metadata": text_of(number + 1), "expectedVersion": number}
                assert (await socket.call("update-metadata", payload))["result"] == "success"
                self.versions["metadata"] = number + 1

            await self._repeat(change)

    async def _change_entry(self, number: int) -> None:
        value = b64(text_of(number).encode())
        mutation = {"key": ENTRY, "value": value, "version": number - 1}
        await self._api.post("/v1/kv", {"mutations": [mutation]})
        self.versions[ENTRY] = number


class Acknowledged:
    """What had been acknowledged at some moment."""

    def __init__(self, messages: dict[str, list[str]], versions: dict[str, int]) -> None:
        self._messages = messages
        self._versions = versions

    async def require_in(self, api: ApiClient, changed: str, later: "Acknowledged") -> None:
        """All of it is there, and nothing that was not acknowledged by `later` or on its way then."""
        for session, ids in self._messages.items():
            found = [message["id"] for message in await api.messages(session)]
            assert ids == found[: len(ids)]
            known = later._messages[session]
            assert found[:-1] == known[: len(found[:-1])]
        rows = (await api.get("/v1/sessions"))["sessions"]
        row = next(row for row in rows if row["id"] == changed)
        assert row["metadata"] == text_of(row["metadataVersion"])
        assert self._versions["metadata"] <= row["metadataVersion"] <= later._versions["metadata"] + 1
        entry = await api.get(f"/v1/kv/{ENTRY}")
        assert entry["value"] == b64(text_of(entry["version"]).encode())
        assert self._versions[ENTRY] <= entry["version"] <= later._versions[ENTRY] + 1


def text_of(version: int) -> str:
    return f"version {version}" if version else "metadata"
