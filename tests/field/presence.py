"""What the app shows of sessions and machines: what it is told, and what it reads when it starts."""

import asyncio
import time
from typing import Any

from tests.support.api_client import ApiClient
from tests.support.socket_client import Inbox
from tests.support.until import until

SECONDS = 12.0
"""Within this time what is listed follows what happened: a grace period, a flush, and a busy machine."""


def now() -> int:
    return int(time.time() * 1000)


def heartbeat(session_id: str, *, thinking: bool = False) -> dict[str, Any]:
    return {"sid": session_id, "time": now(), "thinking": thinking, "mode": "remote"}


async def is_listed_active(api: ApiClient, target: str) -> bool:
    """As an app that is opened now reads it."""
    rows = [*(await api.get("/v1/sessions"))["sessions"], *await api.get("/v1/machines")]
    active: bool = next(row["active"] for row in rows if row["id"] == target)
    return active


async def until_listed(api: ApiClient, target: str, *, active: bool, seconds: float = SECONDS) -> None:
    async def is_as_expected() -> bool:
        return await is_listed_active(api, target) is active

    await until(is_as_expected, seconds)


async def until_announced_active(phone: Inbox, target: str, seconds: float = SECONDS) -> None:
    """The next announcement that it is there; others before it are dropped."""
    async with asyncio.timeout(seconds):
        while True:
            event = await phone.next_ephemeral()
            if event["id"] == target and event["active"]:
                return


async def until_announced_inactive(phone: Inbox, target: str, seconds: float = SECONDS) -> dict[str, Any]:
    """The first announcement that it is gone."""
    return (await until(lambda: inactive_events(phone, target), seconds))[0]


def inactive_events(phone: Inbox, target: str) -> list[dict[str, Any]]:
    """Every announcement so far that it is gone, read or not."""
    ephemerals = [event.payload for event in phone.events if event.name == "ephemeral"]
    return [event for event in ephemerals if event.get("id") == target and event.get("active") is False]


async def grace_has_passed(api: ApiClient, phone: Inbox) -> None:
    """Returns when the end of a connection that is lost now has been announced, hence of all lost before."""
    witness = (await api.register_machine())["id"]
    async with api.machine_socket(witness):
        pass
    await until_announced_inactive(phone, witness)
