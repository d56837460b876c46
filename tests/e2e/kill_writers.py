"""The clients of the kill loop: each writes until told to stop, and finishes what it began."""

import asyncio
import contextlib
import itertools
import random
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import httpx

from tests.e2e.kill_ledger import Ledger
from tests.support.api_client import ApiClient
from tests.support.socket_client import Disconnected, SocketClient

Writer = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
RETRY_AFTER = 0.05


def post_writer(api: ApiClient, ledger: Ledger, chance: random.Random) -> Writer:
    """Posts one message or a batch, and repeats the request unchanged until it is answered."""

    async def write(over: asyncio.Event) -> None:
        while not over.is_set():
            sid = chance.choice(ledger.sessions)
            texts = _texts(chance.choice([1, 1, 1, 5, 50]))
            body = {"messages": [{"content": text, "localId": f"id of {text}"} for text in texts]}
            answer = await _post_until_answered(api, ledger, f"/v3/sessions/{sid}/messages", body)
            kept = {row["localId"]: row["seq"] for row in answer["messages"]}
            for text in texts:
                ledger.message_kept(sid, text, kept[f"id of {text}"])

    return write


async def _post_until_answered(
    api: ApiClient, ledger: Ledger, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    while True:
        try:
            response = await api.request("POST", path, json=body)
        except httpx.TransportError:
            ledger.retries += 1
        else:
            if response.status_code == 200:
                return response.json()
            ledger.refused(f"POST {response.status_code} {response.text[:200]}")
        await asyncio.sleep(RETRY_AFTER)


def socket_writer(api: ApiClient, ledger: Ledger, chance: random.Random) -> Writer:
    """Emits messages with an acknowledgement; with a local id it tries again after a lost connection."""

    async def write(over: asyncio.Event) -> None:
        message: dict[str, Any] | None = None
        async with contextlib.aclosing(_connections(api, ledger)) as connections:
            async for socket in connections:
                while message is not None or not over.is_set():
                    message = message or _message(ledger, chance)
                    try:
                        await _emit_message(socket, ledger, message)
                    except Disconnected:
                        message = _after_lost_answer(ledger, message)
                        break
                    message = None
                if message is None and over.is_set():
                    return

    return write


async def _emit_message(socket: SocketClient, ledger: Ledger, message: dict[str, Any]) -> None:
    answer = await socket.call("message", message, timeout=10)
    if answer.get("ok") is not True:
        ledger.refused(f"message {answer}")
    ledger.message_kept(message["sid"], message["message"])


def _message(ledger: Ledger, chance: random.Random) -> dict[str, Any]:
    (text,) = _texts(1)
    local = {"localId": f"id of {text}"} if chance.random() < 0.5 else {}
    return {"sid": chance.choice(ledger.sessions), "message": text, **local}


def _after_lost_answer(ledger: Ledger, message: dict[str, Any]) -> dict[str, Any] | None:
    """The message to emit again, if it may be."""
    if "localId" in message:
        ledger.retries += 1
        return message
    ledger.message_unsure(message["sid"], message["message"])
    return None


def metadata_writer(api: ApiClient, ledger: Ledger, session_id: str) -> Writer:
    """The session's only writer of metadata: a mismatch means that an unanswered update was stored."""

    async def write(over: asyncio.Event) -> None:
        version = 0
        async with contextlib.aclosing(_connections(api, ledger)) as connections:
            async for socket in connections:
                try:
                    while not over.is_set():
                        version = await _update_metadata(socket, ledger, session_id, version)
                except Disconnected:
                    continue
                return

    return write


async def _update_metadata(socket: SocketClient, ledger: Ledger, session_id: str, version: int) -> int:
    """Set one version; the version that is now known to be stored."""
    value = f"metadata {version + 1}"
    payload = {"sid": session_id, "metadata": value, "expectedVersion": version}
    answer = await socket.call("update-metadata", payload, timeout=10)
    if answer["result"] == "success":
        ledger.version_kept(session_id, "metadata", answer["version"], value)
    elif answer["result"] != "version-mismatch" or answer["version"] != version + 1:
        ledger.refused(f"update-metadata at {version}: {answer}")
    return int(answer.get("version", version))


async def _connections(api: ApiClient, ledger: Ledger) -> AsyncGenerator[SocketClient, None]:
    """One connection after the other, for as long as the caller wants one."""
    while True:
        socket = api.user_socket()
        try:
            await socket.connect()
        except (Disconnected, TimeoutError):
            await asyncio.sleep(RETRY_AFTER)
            continue
        except Exception as error:  # noqa: BLE001 - a refusal is a finding, not the end of the run
            ledger.refused(f"connect: {error!r}")
            await asyncio.sleep(RETRY_AFTER)
            continue
        try:
            yield socket
        finally:
            await socket.close()


def _texts(count: int) -> list[str]:
    """Contents that occur nowhere else."""
    name = uuid.uuid4().hex
    return [f"{name} {number}" for number in itertools.islice(itertools.count(), count)]
