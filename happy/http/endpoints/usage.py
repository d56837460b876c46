"""Sums of reported usage (protocol: http#post-v1usagequery)."""

from typing import Annotated, Literal

from litestar.params import JSONBody
from msgspec import Meta, Struct

from happy.domain.usage import UsageBucket
from happy.domain.values import SECOND, Millis, SessionId
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.requests import ApiRequest
from happy.services.usage import UsageService

LATEST = 8_640_000_000_000
"""The last second that JavaScript and the databases can hold."""

Moment = Annotated[int, Meta(gt=0, le=LATEST)]


class UsageQuery(Struct, rename="camel"):
    """Times are Unix seconds."""

    session_id: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    group_by: Literal["hour", "day"] | None = None


class UsageSums(Struct, rename="camel"):
    usage: list[UsageBucket]
    group_by: Literal["hour", "day"]
    total_reports: int


class UsageEndpoints:
    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    def endpoints(self) -> list[Endpoint]:
        failure = Failure("Failed to query usage reports")
        return [Endpoint("POST", "/v1/usage/query", self.query, missing="Session not found", failure=failure)]

    async def query(self, request: ApiRequest, data: JSONBody[UsageQuery]) -> UsageSums:
        """Tokens and costs that sessions have reported, summed up by hour or day."""
        grouping = data.group_by or "day"
        buckets = await self._usage.sums(
            request.account_id,
            SessionId(data.session_id) if data.session_id else None,
            Millis((data.start_time or 0) * SECOND),
            Millis((data.end_time or LATEST) * SECOND),
            grouping,
        )
        return UsageSums(buckets, grouping, sum(bucket.report_count for bucket in buckets))
