"""Push notifications through Expo (protocol: operations#push-delivery)."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from happy.adapters.outbound.http_client import HttpClient
from happy.domain.errors import HappyError
from happy.domain.push import Notification, Ticket
from happy.limits import limit

PATH: Final = "/--/api/v2/push/send"
BATCH: Final = 100
MAX_DATA: Final = limit(
    16 * 1024, "bytes of the data of a push notification", per="notification", then="not sent"
)
"""Expo accepts 4 KiB per notification; larger data is not sent once per token just to be refused."""

NETWORK_ERROR: Final = "Network error"
TOO_BIG: Final = "MessageTooBig"
GONE: Final = "DeviceNotRegistered"
UNKNOWN: Final = "unknown"

log = logging.getLogger(__name__)


class _Message(Struct, frozen=True, rename={"channel_id": "channelId"}):
    to: str
    title: str
    body: str
    data: msgspec.Raw
    sound: str = "default"
    channel_id: str = "messages"


class _Tickets(Struct, frozen=True):
    data: list[Any]


class ExpoPush:
    def __init__(
        self, web: HttpClient, base_url: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._web = web
        self._clock = clock
        self._url = base_url + PATH

    async def send(self, notification: Notification, tokens: Sequence[str], seconds: float) -> list[Ticket]:
        data = msgspec.json.encode(notification.data)
        if len(data) > MAX_DATA:
            return [Ticket(TOO_BIG)] * len(tokens)
        shared = (notification.title, notification.body, msgspec.Raw(data))
        messages = [_Message(token, *shared) for token in tokens]
        deadline = self._clock() + seconds
        tickets: list[Ticket] = []
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            tickets += await self._send_batch(batch, deadline - self._clock())
        return tickets

    async def _send_batch(self, batch: Sequence[_Message], seconds: float) -> list[Ticket]:
        """One ticket per message; a message without a ticket of Expo counts as not accepted."""
        if seconds <= 0:
            return [Ticket(NETWORK_ERROR)] * len(batch)
        try:
            response = await self._web.call(
                "POST",
                self._url,
                headers={"Content-Type": "application/json"},
                body=msgspec.json.encode(batch),
                seconds=seconds,
            )
            if not response.ok:
                return [Ticket(f"HTTP {response.status}")] * len(batch)
            tickets = [_ticket(given) for given in response.read(_Tickets).data[: len(batch)]]
        except HappyError as error:
            log.warning("push notifications could not be sent to Expo", exc_info=error)
            return [Ticket(NETWORK_ERROR)] * len(batch)
        return tickets + [Ticket(UNKNOWN)] * (len(batch) - len(tickets))


def _ticket(given: object) -> Ticket:
    if not isinstance(given, dict):
        return Ticket(UNKNOWN)
    if given.get("status") == "ok":
        return Ticket()
    details = given.get("details")
    reasons = (details.get("error") if isinstance(details, dict) else None, given.get("message"))
    error = next((text for text in reasons if isinstance(text, str) and text), UNKNOWN)
    return Ticket(error, gone=error == GONE)
