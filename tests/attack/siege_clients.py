"""The honest clients of a siege: they ask, write and call all the time, and remember what went wrong."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct, field

from tests.client.day import Play, machine_is_running
from tests.client.interruptions import ARRIVAL_SECONDS, Conversation
from tests.client.phone import Phone
from tests.client.releases import CURRENT
from tests.client.terminal import Terminal
from tests.e2e.crowd import Crowd
from tests.support.api_client import ApiClient
from tests.support.raw_http import exchange
from tests.support.server_process import Server
from tests.support.until import until

PAUSE = 0.5
PROMPT_SECONDS = 15.0
ANSWER_SECONDS = 60.0
"""How long a machine that dozens of attackers share may take."""

LEFT_BY_ITSELF = "io client disconnect"
CUT_OFF = re.compile(r"\[API MACHINE\] Disconnected from server.*|\[API\] Socket disconnected.*")
"""What the published client writes into its log."""


class Felt(Struct):
    """`latencies` in s by kind of request, and `failures`."""

    latencies: dict[str, list[float]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    async def measure(self, kind: str, ask: Callable[[], Awaitable[object]]) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, the client was not served
            self.failures[f"{kind}: {error!r}"[:300]] += 1
        self.latencies.setdefault(kind, []).append(time.monotonic() - began)

    def problems(self) -> list[str]:
        return [f"{count} times: {what}" for what, count in self.failures.items()]

    def __str__(self) -> str:
        return "\n".join(f"  {kind:9} {_percentiles(them)}" for kind, them in sorted(self.latencies.items()))


def _percentiles(latencies: list[float]) -> str:
    ordered = sorted(latencies)
    figures = (f"{name} {1000 * ordered[int(share * (len(ordered) - 1))]:.0f} ms" for name, share in SHARES)
    return f"{len(ordered):6} times, {', '.join(figures)}"


SHARES = (("p50", 0.5), ("p99", 0.99), ("worst", 1.0))


@asynccontextmanager
async def asking(api: ApiClient, session: str, felt: Felt) -> AsyncIterator[None]:
    """A person's apps: lists, pages and a new connection, again and again, during the block."""
    port = int(api.url.rpartition(":")[2])

    async def arrive() -> None:
        assert (await exchange(port, "GET", "/")).status == 200

    async with ApiClient(api.url, token=api.token) as http:
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "lists": lambda: http.get("/v1/sessions"),
            "machines": lambda: http.get("/v1/machines"),
            "a page": lambda: http.get(f"/v3/sessions/{session}/messages", limit=100),
            "arrival": arrive,
        }
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for kind, ask in asks.items():
                group.create_task(_again(felt, kind, ask, over, PAUSE))
            yield
            over.set()


async def _again(
    felt: Felt, kind: str, ask: Callable[[], Awaitable[object]], over: asyncio.Event, pause: float
) -> None:
    while not over.is_set():
        await felt.measure(kind, ask)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), pause)


class RealClient:
    """The published client with its daemon and a coding session, and the phone that talks to them."""

    def __init__(self, server: Server, phone: Phone, terminal: Terminal) -> None:
        self.terminal = terminal
        self.conversation = Conversation(terminal, phone)
        self.failures: list[str] = []
        self._server = server
        self._phone = phone

    @asynccontextmanager
    async def talking(self, felt: Felt) -> AsyncIterator[None]:
        """Prompts and calls of the machine, during the block."""
        await self.conversation.begin()
        play = Play(self._server, self._phone, self.terminal)
        key = self._phone.data_key((await play.machine())["dataEncryptionKey"])
        await until(lambda: machine_is_running(play, key), what="the session has started the daemon")
        async with self._phone.api.user_socket() as socket:

            async def call() -> None:
                params = {"command": "echo here", "cwd": "/"}
                answer = await self._phone.call(socket, self.terminal.machine_id, key, "bash", params)
                assert answer["stdout"] == "here\n", answer

            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(_again(felt, "real bash", call, over, PROMPT_SECONDS / 3))
                group.create_task(_again(felt, "a prompt", self._talk, over, PROMPT_SECONDS))
                yield
                over.set()
            if socket.closed.is_set():
                self.failures.append("the phone's socket was closed")
            self.failures += self._cut_off()
        with contextlib.suppress(TimeoutError):
            await until(self.conversation.has_all, ARRIVAL_SECONDS)
        self.failures += self.conversation.problems()

    async def _talk(self) -> None:
        await self.conversation.say()
        await until(self.conversation.has_all, ANSWER_SECONDS)

    def _cut_off(self) -> list[str]:
        logs = (self.terminal.folder / "logs").glob("*")
        return [
            f"the published client says: {line}"
            for file in logs
            for line in CUT_OFF.findall(file.read_text(errors="replace"))
        ]


@asynccontextmanager
async def real_client(server: Server, home: Path) -> AsyncIterator[RealClient]:
    """Installed and linked to an account of its own when it talks; its processes are gone afterwards."""
    async with ApiClient(server.url) as api:
        phone = Phone(api)
        await phone.sign_in()
        terminal = Terminal(home / "terminal", server.url, CURRENT)
        try:
            yield RealClient(server, phone, terminal)
        finally:
            terminal.clean_up()


def cut_off(many: Crowd) -> list[str]:
    """Which sockets of the crowd lost their connection, and which posts had no answer."""
    found = [
        f"{device.name} ({device.client}) lost its connection {count} times: {reason}"
        for device in many.devices
        for reason, count in device.reasons.items()
        if reason != LEFT_BY_ITSELF
    ]
    breaks = sum((household.ledger.breaks for household in many.households), Counter())
    return found + [f"{count} posts without an answer: {how}" for how, count in breaks.items()]
