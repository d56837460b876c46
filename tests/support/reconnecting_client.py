"""A client that comes back as the official one does: with its private id and its last offset."""

from typing import Any

from tests.support.api_client import ApiClient
from tests.support.socket_client import Inbox, SocketClient


class Device(SocketClient):
    """One life of it; `again` is the next one."""

    former_offset: str | None = None

    @classmethod
    def of(cls, api: ApiClient, **auth: Any) -> "Device":
        return cls(api.url, {"token": api.token, "clientType": "user-scoped", **auth})

    @property
    def offset(self) -> str | None:
        """Of the last event, in this life or an earlier one."""
        offsets = [event.args[1] for event in self.events if len(event.args) > 1]
        return offsets[-1] if offsets else self.former_offset

    def again(self, offset: str | None = None, *, at: str | None = None, **changed: Any) -> "Device":
        """The next life, at the same server unless `at` names another."""
        last = offset or self.offset
        auth = {**self.auth, "pid": self.pid, **({"offset": last} if last else {}), **changed}
        device = Device(at or self.url.replace("ws", "http", 1).partition("/v1/")[0], auth)
        device.former_offset = last
        return device


def contents(socket: Inbox) -> list[str]:
    """The messages it received."""
    return [body["message"]["content"]["c"] for body in socket.updates("new-message")]
