"""The app over the official client: what it reads when it starts and comes back, and what it then draws."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from tests.e2e.app_view import AppView, Chat, Picture
from tests.support.api_client import ApiClient
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.socket_client import TIMEOUT

NEWEST = 2**31 - 1
PAGE = 100


class App(OfficialSocket):
    """One start of the app; another `App` of the same account is what a reload shows.

    It reads its lists at every connect that was not recovered, and an open chat when it is opened, and after
    a message that does not follow the last one. Lines are applied in the order in which they arrived.
    """

    def __init__(self, client: NodeClient, api: ApiClient, url: str | None = None, **auth: str) -> None:
        named = {"token": api.token, "clientType": "user-scoped", "appState": "active", **auth}
        super().__init__(client, url or api.url, named)
        self.with_options(reconnection=False)
        self.view = AppView()
        self.list_reads = 0
        self._api = api
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        await self._read_lists()
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *arguments: object) -> None:
        assert self._worker is not None
        self._worker.cancel()
        await super().__aexit__(*arguments)

    async def open_chat(self, session: str) -> None:
        """The newest page, then older ones."""
        self.view.chats[session] = Chat()
        before, more = NEWEST, True
        while more:
            page = await self._page(session, before_seq=before)
            self.view.page(session, page["messages"])
            more = page["hasMore"]
            before = min((row["seq"] for row in page["messages"]), default=1)

    async def post(self, session: str, *texts: str) -> None:
        """Send what waited in the outbox, in one request."""
        await self._api.post_messages(session, texts)

    async def draws(self, expected: Callable[[Picture], bool]) -> Picture:
        """Wait until such a picture is on the screen."""
        async with self._changed:
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._changed.wait_for(lambda: expected(self.view.picture()))
            except TimeoutError:
                raise AssertionError(f"still drawn: {self.view.picture()}") from None
        return self.view.picture()

    async def receive(self, line: dict[str, Any]) -> None:
        await super().receive(line)
        self._lines.put_nowait(line)

    async def _work(self) -> None:
        while True:
            line = await self._lines.get()
            await self._apply(line)
            async with self._changed:
                self._changed.notify_all()

    async def _apply(self, line: dict[str, Any]) -> None:
        if line.get("life") == "connect" and not line["detail"]["recovered"]:
            await self._read_lists()
        elif line.get("event") == "update":
            gap = self.view.update(line["args"][0]["body"])
            if gap is not None:
                await self._read_on(gap)
        elif line.get("event") == "ephemeral":
            self.view.ephemeral(line["args"][0])

    async def _read_lists(self) -> None:
        self.list_reads += 1
        self.view.list_sessions((await self._api.get("/v1/sessions"))["sessions"])
        self.view.list_machines(await self._api.get("/v1/machines"))

    async def _read_on(self, session: str) -> None:
        more = True
        while more:
            page = await self._page(session, after_seq=self.view.chats[session].last)
            self.view.page(session, page["messages"])
            more = page["hasMore"]

    async def _page(self, session: str, **query: int) -> Any:
        return await self._api.get(f"/v3/sessions/{session}/messages", limit=PAGE, **query)
