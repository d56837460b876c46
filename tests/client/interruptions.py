"""Every prompt reaches the agent exactly once, whatever happens to the connection while it is sent.

The clients reach the server through a proxy that cuts them off; the phone has a way of its own, and sends two
prompts to each of them meanwhile. What counts is what the agent was given, which it writes into a file.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.client.phone import DataKey, Phone
from tests.client.releases import Release
from tests.client.terminal import Terminal
from tests.support.server_process import Server
from tests.support.socket_client import SocketClient
from tests.support.tcp_proxy import Proxy
from tests.support.until import until

PROMPTS = 2
ARRIVAL_SECONDS = 20.0
BACK_SECONDS = 60.0
MARK = re.compile(r"<\d{4}>")
WHOLE = (100_000,)


class Conversation:
    """One session of one client, and the prompts it was sent."""

    def __init__(self, terminal: Terminal, phone: Phone) -> None:
        self.terminal = terminal
        self.id = ""
        self.sent: list[str] = []
        self.signals: Callable[[int], None] = lambda _: None
        self._phone = phone
        self._key: DataKey | None = None
        self._known: dict[str, int] = {}

    async def begin(self) -> None:
        await self.terminal.login(self._phone.approve)
        async with self._phone.api.user_socket() as socket:
            process = self.terminal.start_agent()
            self.signals = lambda number: os.killpg(process.pid, number)
            while not self.id:
                created = await socket.next_update("new-session", timeout=60)
                self._key = self._phone.data_key(created["dataEncryptionKey"])
                if self._key.decrypt(created["metadata"])["path"] == str(self.terminal.project):
                    self.id = created["id"]
            await self.is_back(socket)
        await self.say()
        await until(self.has_all, what=f"{self} has its first prompt")

    async def say(self) -> None:
        assert self._key is not None
        self.sent.append(f"<{len(self.sent):04}>")
        await self._phone.say(self.id, self._key, f"prompt {self.sent[-1]}")

    async def is_back(self, socket: SocketClient) -> None:
        """Wait for a sign of life of the session: its client is connected, and receives what is sent now."""
        async with asyncio.timeout(BACK_SECONDS):
            while True:
                seen = await socket.next_ephemeral("activity", timeout=BACK_SECONDS)
                if seen["id"] == self.id and seen["active"]:
                    return

    @property
    def given(self) -> list[str]:
        """What the agent was told to do, in order; a client may join what waits into one prompt."""
        prompts = self.terminal.prompts
        return MARK.findall(prompts.read_text()) if prompts.exists() else []

    async def has_all(self) -> bool:
        return set(self.given) >= set(self.sent)

    def problems(self) -> list[str]:
        """What has become wrong since the last time this was asked."""
        given = self.given
        counts = {mark: given.count(mark) for mark in self.sent}
        wrong = {mark: n for mark, n in counts.items() if n != 1 and self._known.get(mark, 1) != n}
        self._known |= counts
        found = [f"{self} was given prompt {mark} {n} times" for mark, n in wrong.items()]
        if not wrong and (first := list(dict.fromkeys(given))) != sorted(first):
            found.append(f"{self} was given its prompts in this order: {first}")
        return found

    def __str__(self) -> str:
        return str(self.terminal.release)


class Stage(NamedTuple):
    """`front` is the server that the clients are connected to; the phone is at one that stays."""

    front: Server
    back: Server
    proxy: Proxy
    phone: Phone
    conversations: list[Conversation]


Scene = Callable[[Stage], AbstractAsyncContextManager[None]]
"""Cuts the clients off, yields while they are, and gives them back their connection."""


def cut(seconds: float, *, noticed: bool = True) -> Scene:
    """`noticed` by the server; else it goes on sending to the client's former connection."""

    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[None]:
        stage.proxy.refusing = True
        stage.proxy.cut() if noticed else stage.proxy.cut_unnoticed()
        yield
        await asyncio.sleep(seconds)
        stage.proxy.refusing = False

    return scene


def sleep(seconds: float) -> Scene:
    """The lid is closed: the process stands still, and its connections with it."""

    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[None]:
        for conversation in stage.conversations:
            conversation.signals(signal.SIGSTOP)
        yield
        await asyncio.sleep(seconds)
        for conversation in stage.conversations:
            conversation.signals(signal.SIGCONT)

    return scene


def restart(*, kill: bool) -> Scene:
    """The prompts are sent while the replica is away; if it is the only one, before the clients are back."""

    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[None]:
        stage.proxy.refusing = True
        stage.front.kill() if kill else await stage.front.stop()
        stage.proxy.cut()
        if stage.front is stage.back:
            await stage.front.start()
            yield
        else:
            yield
            await stage.front.start()
        stage.proxy.refusing = False

    return scene


@asynccontextmanager
async def move(stage: Stage) -> AsyncIterator[None]:
    """The way back leads to another replica."""
    stage.proxy.refusing = True
    stage.proxy.cut()
    yield
    stage.proxy.target = stage.back.port if stage.proxy.target == stage.front.port else stage.front.port
    stage.proxy.refusing = False


def scenes(*, replicas: bool, long: bool) -> Iterator[tuple[str, Scene]]:
    yield "a cut of 1 s", cut(1)
    yield "a cut of 5 s", cut(5)
    yield "a cut of 5 s that the server did not notice", cut(5, noticed=False)
    if long:
        yield "a cut of 60 s", cut(60)
        yield "90 s of sleep", sleep(90)
    if replicas:
        yield "a move to another replica", move
        yield "a move back", move
    name = "replica" if replicas else "server"
    yield f"a restart of the {name}", restart(kill=False)
    yield f"kill -9 of the {name}", restart(kill=True)


async def interrupt(stage: Stage, scene: Scene) -> list[str]:
    """Play a scene, send prompts meanwhile; what any agent was not given exactly once and in order."""
    async with scene(stage):
        for conversation in stage.conversations * PROMPTS:
            await conversation.say()
    async with stage.phone.api.user_socket() as socket:
        for conversation in stage.conversations:
            await conversation.is_back(socket)
    await arrive(stage)
    for conversation in stage.conversations:  # behind whatever may still come twice
        await conversation.say()
    await arrive(stage)
    return [problem for conversation in stage.conversations for problem in conversation.problems()]


async def arrive(stage: Stage) -> None:
    """Wait for what was sent; what does not come is found by `problems`."""
    for conversation in stage.conversations:
        with suppress(TimeoutError):
            await until(conversation.has_all, ARRIVAL_SECONDS, "everything")


@asynccontextmanager
async def conversations(
    phone: Phone, url: str, releases: list[Release], home: Path
) -> AsyncIterator[list[Conversation]]:
    """A session of each client; their processes are gone afterwards."""
    async with AsyncExitStack() as stack:
        opened = []
        for release in releases:
            terminal = Terminal(home / str(release), url, release)
            stack.callback(terminal.clean_up)
            opened.append(Conversation(terminal, phone))
            await opened[-1].begin()
        yield opened
