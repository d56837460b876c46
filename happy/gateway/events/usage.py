"""Events about usage (protocol: realtime#usage-reports)."""

import math
from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from happy.domain.errors import Invalid, NotFound
from happy.domain.json_text import scalar
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


_decode = msgspec.json.Decoder(dict[str, Raw]).decode


class _Report(NamedTuple):
    key: str
    session_id: SessionId | None
    tokens: Figures
    cost: Figures


class UsageEvents:
    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"usage-report": self.report}

    def report(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        """Store a report in the order of arrival; it replaces the earlier one with the same key."""
        request = parse(payload, ReportUsage)
        report = "Internal error" if request is None else _read(request)
        if isinstance(report, str):
            answer(ack, success=False, error=report)
            return None
        return connection.in_flight.follow(
            ("usage", ""), self._report(connection, report, ack), len(payload or b"")
        )

    async def _report(self, connection: Connection, report: _Report, ack: Ack | None) -> None:
        try:
            saved = await self._usage.report(
                connection.account_id, report.session_id, report.key, report.tokens, report.cost
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


def _read(request: ReportUsage) -> _Report | str:
    """The report, or the error text for an invalid one, checked in the documented order."""
    key, session_id = scalar(request.key), scalar(request.session_id)
    tokens, cost = _object(request.tokens), _object(request.cost)
    if not is_name(key) or not key:
        return "Invalid key"
    if not _has_total(tokens):
        return "Invalid tokens object - must include total"
    if not _has_total(cost):
        return "Invalid cost object - must include total"
    if session_id and not is_name(session_id):
        return "Invalid sessionId"
    owner = SessionId(session_id) if session_id else None
    return _too_many_names(tokens, cost) or _Report(key, owner, _figures(tokens), _figures(cost))


def _too_many_names(tokens: dict[str, Raw], cost: dict[str, Raw]) -> str | None:
    for part, sent in (("tokens", tokens), ("cost", cost)):
        if too_many_names(sent):
            return f"Invalid {part} object - at most {MAX_NAMES} names of {MAX_NAME} characters"
    return None


def _object(sent: Raw) -> dict[str, Raw]:
    """Its values are not parsed before it is known that there are few."""
    try:
        return _decode(sent)
    except msgspec.DecodeError:
        return {}


def _has_total(sent: dict[str, Raw]) -> bool:
    return _is_number(scalar(sent.get("total", Raw())))


def _figures(sent: dict[str, Raw]) -> Figures:
    """The numeric entries of a report; anything else could not be added up."""
    values = {name: scalar(value) for name, value in sent.items() if "\0" not in name}
    return {name: value for name, value in values.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
