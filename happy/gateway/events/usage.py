"""Events about usage (protocol: realtime#usage-reports)."""

from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from happy.domain.errors import Invalid, NotFound
from happy.domain.names import is_name
from happy.domain.usage import MAX_NAME, MAX_NAMES, too_many_names
from happy.domain.values import SessionId
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import ReportUsage, parse
from happy.gateway.hub import Connection, Handler
from happy.services.usage import UsageService

Payload = msgspec.Raw | None
Figures = dict[str, float]


class UsageEvents:
    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"usage-report": self.report}

    def report(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        """Store a report in the order of arrival; it replaces the earlier one with the same key."""
        request = parse(payload, ReportUsage)
        refusal = "Internal error" if request is None else _refusal(request)
        if request is None or refusal:
            answer(ack, success=False, error=refusal)
            return None
        return connection.in_flight.follow(
            ("usage", ""), self._report(connection, request, ack), len(payload or b"")
        )

    async def _report(self, connection: Connection, request: ReportUsage, ack: Ack | None) -> None:
        session_id = SessionId(request.session_id) if request.session_id else None
        try:
            saved = await self._usage.report(
                connection.account_id,
                session_id,
                request.key,
                _figures(request.tokens),
                _figures(request.cost),
            )
        except NotFound:
            return answer(ack, success=False, error="Session not found")
        except Invalid:  # a key that cannot be stored
            return answer(ack, success=False, error="Invalid key")
        except BaseException:
            answer(ack, success=False, error="Failed to save usage report")
            raise
        return answer(
            ack, success=True, reportId=saved.id, createdAt=saved.created_at, updatedAt=saved.updated_at
        )


def _refusal(request: ReportUsage) -> str | None:
    """The error text for an invalid report, checked in the documented order; None for a valid one."""
    if not is_name(request.key) or not request.key:
        return "Invalid key"
    if not _has_total(request.tokens):
        return "Invalid tokens object - must include total"
    if not _has_total(request.cost):
        return "Invalid cost object - must include total"
    if request.session_id and not is_name(request.session_id):
        return "Invalid sessionId"
    return _too_many_names(request)


def _too_many_names(request: ReportUsage) -> str | None:
    for part, figures in (("tokens", request.tokens), ("cost", request.cost)):
        if too_many_names(figures):
            return f"Invalid {part} object - at most {MAX_NAMES} names of {MAX_NAME} characters"
    return None


def _has_total(figures: Any) -> bool:
    return isinstance(figures, dict) and _is_number(figures.get("total"))


def _figures(given: dict[str, Any]) -> Figures:
    """The numeric entries of a report; anything else could not be added up."""
    return {name: value for name, value in given.items() if _is_number(value) and "\0" not in name}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
