"""The log of clients under development; it exists only when it is switched on.

protocol: http#developer-log-endpoint
"""

from litestar.params import JSONBody
from msgspec import UNSET, Raw, Struct, UnsetType

from happy.http.endpoints.common import Done
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.services.developer_log import DeveloperLog, Source

PATH = "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging"


class Entry(Struct, rename="camel"):
    """`messageRawObject` is accepted and ignored: `message` says it already."""

    timestamp: str
    level: str
    message: str
    source: Source
    message_raw_object: Raw | UnsetType = UNSET
    platform: str | UnsetType = UNSET


class DeveloperLogEndpoints:
    def __init__(self, developer_log: DeveloperLog) -> None:
        self._log = developer_log

    def endpoints(self) -> list[Endpoint]:
        often = {429: Failure("Too many log entries")}
        return [Endpoint("POST", PATH, self.write, public=True, other_responses=often)]

    async def write(self, data: JSONBody[Entry]) -> Done:
        """Write a line into the developer log."""
        platform = None if data.platform is UNSET else data.platform
        self._log.write(data.level, data.message, data.source, platform, data.timestamp)
        return Done()
