"""Push events of sessions to the account's devices (protocol: http#push)."""

from typing import Annotated

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.structs import asdict

from happy.domain.push import EventKind, Notification, PushOutcome
from happy.domain.values import SessionId
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure, unacceptable
from happy.http.framework.requests import ApiRequest
from happy.limits import limit
from happy.services.push import TOO_MANY, PushService

MAX_TITLE = limit(200, "characters of the title of a push notification", per="request", then="400")
MAX_BODY = limit(500, "characters of the text of a push notification", per="request", then="400")


class PushEvent(Struct):
    kind: EventKind
    title: Annotated[str, Meta(min_length=1, max_length=MAX_TITLE)]
    body: Annotated[str, Meta(min_length=1, max_length=MAX_BODY)]
    data: dict[str, Raw] | UnsetType = UNSET


class Pushed(PushOutcome, frozen=True, kw_only=True):
    success: bool = True


class PushEndpoints:
    def __init__(self, push: PushService) -> None:
        self._push = push

    def endpoints(self) -> list[Endpoint]:
        path = "/v1/sessions/{session_id:str}/push-event"
        often = {429: Failure(TOO_MANY)}
        return [
            Endpoint(
                "POST",
                path,
                self.push_event,
                waits=True,
                missing="Session not found",
                other_responses=often,
            )
        ]

    async def push_event(
        self, request: ApiRequest, session_id: FromPath[SessionId], data: JSONBody[PushEvent]
    ) -> Pushed:
        """Notify the account's devices of an event of a session, unless the app is in the foreground."""
        _require_units("title", data.title, MAX_TITLE)
        _require_units("body", data.body, MAX_BODY)
        notification = Notification(data.title, data.body, {} if data.data is UNSET else data.data)
        outcome = await self._push.session_event(request.account_id, session_id, data.kind, notification)
        return Pushed(**asdict(outcome))


def _require_units(field: str, text: str, longest: int) -> None:
    """Lengths count UTF-16 units, of which an emoji has two."""
    if len(text.encode("utf-16-le")) > 2 * longest:
        raise unacceptable(f"body/{field} Too big: expected string to have <={longest} characters")
