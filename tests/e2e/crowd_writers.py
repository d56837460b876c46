"""What the devices of a crowd write: each waits for its answer, and repeats what may be repeated."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
from msgspec import Struct

from tests.e2e.kill_ledger import Ledger
from tests.e2e.kill_writers import Writer
from tests.e2e.readers import Device
from tests.support.api_client import ApiClient

RETRY_SECONDS = 0.1
EVENTS = {"metadata": "update-metadata", "agentState": "update-state"}


class Pace(Struct, frozen=True):
    """How much one household does. `pause` is the mean between two things of one writer, in s.

    `patient`: whether some call a machine that never answers. `refusals`: whether a 503 with Retry-After is
    an answer to expect. `slowest` and `acknowledged`: how long an answer, an acknowledgement may take.
    """

    posters: int = 2
    emitters: int = 2
    callers: int = 2
    pause: float = 0.4
    patient: bool = True
    refusals: bool = False
    slowest: float = 15.0
    acknowledged: float = 20.0


class Gate:
    """Writers pass it before everything they begin; while it is shut, nothing new begins."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._inside = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._open.wait()
        self._inside += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._idle.set()

    def shut(self) -> None:
        self._open.clear()

    async def quiet(self, timeout: float = 60) -> None:
        """Wait until everything that was begun has its answer."""
        async with asyncio.timeout(timeout):
            await self._idle.wait()

    def open(self) -> None:
        self._open.set()


def poster(api: ApiClient, ledger: Ledger, gate: Gate, pace: Pace, chance: random.Random) -> Writer:
    """Posts one message or several, and repeats the request unchanged until it is answered."""

    async def write(over: asyncio.Event) -> None:
        while not over.is_set():
            async with gate.turn():
                session = chance.choice(ledger.sessions)
                texts = [uuid.uuid4().hex for _ in range(chance.choice([1, 1, 1, 4]))]
                body = {"messages": [{"content": text, "localId": f"id of {text}"} for text in texts]}
                answer = await _until_answered(api, ledger, pace, session, body)
                for row in answer["messages"]:
                    ledger.message_kept(session, row["localId"].removeprefix("id of "), row["seq"])
            await asyncio.sleep(chance.uniform(0, 2 * pace.pause))

    return write


async def _until_answered(
    api: ApiClient, ledger: Ledger, pace: Pace, session: str, body: dict[str, Any]
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        response = await _post(api, ledger, f"/v3/sessions/{session}/messages", body)
        ledger.slowest = max(ledger.slowest, took := loop.time() - began)
        if took > pace.slowest:
            ledger.refused(f"an answer took {took:.0f} s")
        if response is not None and response.status_code == 200:
            return response.json()
        if response is not None:
            judge_refusal(ledger, pace, response)
        await asyncio.sleep(RETRY_SECONDS)


async def _post(api: ApiClient, ledger: Ledger, path: str, body: dict[str, Any]) -> httpx.Response | None:
    """None when the connection ended before the answer."""
    try:
        return await api.request("POST", path, json=body, timeout=60)
    except httpx.TransportError as error:
        ledger.broken(type(error).__name__)
        return None


def judge_refusal(ledger: Ledger, pace: Pace, response: httpx.Response) -> None:
    """A server that has lost its database says 503 and when to come back, and nothing else."""
    expected = pace.refusals and response.status_code == 503 and "retry-after" in response.headers
    if expected:
        ledger.unavailable += 1
    else:
        ledger.refused(f"POST {response.status_code} {response.text[:200]}")


def emitter(agent: Device, ledger: Ledger, gate: Gate, pace: Pace, chance: random.Random) -> Writer:
    """Emits messages into its session; with a local id it tries again after a lost connection."""

    async def write(over: asyncio.Event) -> None:
        assert agent.reader is not None
        (session,) = agent.reader.ids
        while not over.is_set():
            async with gate.turn():
                text = uuid.uuid4().hex
                local = {"localId": f"id of {text}"} if chance.random() < 0.7 else {}
                await _emit(agent, ledger, pace, {"sid": session, "message": text, **local})
            await asyncio.sleep(chance.uniform(0, 2 * pace.pause))

    return write


async def _emit(agent: Device, ledger: Ledger, pace: Pace, message: dict[str, Any]) -> None:
    assert agent.reader is not None
    while True:
        try:
            answer = await agent.call("message", message, timeout=pace.acknowledged)
        except TimeoutError as error:
            if "disconnected" not in str(error):
                ledger.refused(f"message: {error}")
        else:
            if answer.get("ok") is True:
                agent.reader.sent(message["sid"], answer)
                ledger.message_kept(message["sid"], message["message"])
                return
            if not pace.refusals:
                ledger.refused(f"message {answer}")
        if "localId" not in message:
            ledger.message_unsure(message["sid"], message["message"])
            return
        ledger.retries += 1
        await asyncio.sleep(RETRY_SECONDS)


def updater(agent: Device, ledger: Ledger, gate: Gate, pace: Pace, what: tuple[str, str]) -> Writer:
    """The only writer of a session's metadata or state: a mismatch means that an update was stored."""

    async def write(over: asyncio.Event) -> None:
        version = 0
        while not over.is_set():
            async with gate.turn():
                version = await _update(agent, ledger, pace, what, version)
            await asyncio.sleep(pace.pause)

    return write


async def _update(agent: Device, ledger: Ledger, pace: Pace, what: tuple[str, str], version: int) -> int:
    """Set one version; the version that is now known to be stored."""
    session, part = what
    value = f"{part} {version + 1}"
    payload = {"sid": session, part: value, "expectedVersion": version}
    try:
        answer = await agent.call(EVENTS[part], payload, timeout=pace.acknowledged)
    except TimeoutError as error:
        if "disconnected" not in str(error):
            ledger.refused(f"{EVENTS[part]}: {error}")
        await asyncio.sleep(RETRY_SECONDS)
        return version
    if answer["result"] == "success":
        ledger.version_kept(session, part, answer["version"], value)
    elif answer["result"] == "error" and pace.refusals:
        await asyncio.sleep(RETRY_SECONDS)
    elif answer["result"] != "version-mismatch" or answer["version"] != version + 1:
        ledger.refused(f"{EVENTS[part]} at {version}: {answer}")
    return int(answer.get("version", version))
