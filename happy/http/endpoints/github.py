"""Link an account to a GitHub user, and hear from GitHub (protocol: http#connected-services)."""

from typing import Annotated, Literal, cast
from urllib.parse import quote

from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from happy.http.endpoints.common import Done
from happy.http.framework.asgi import Scope
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure, unacceptable
from happy.http.framework.requests import ApiRequest
from happy.http.framework.responses import Answer, json_answer
from happy.http.web_app import WebApp
from happy.services.github import GithubService, GithubWebhook, LinkFailed

MAX_EVENT = 25 * 1024 * 1024
"""GitHub's own limit, in bytes."""

SIGNATURE, EVENT = "x-hub-signature-256", "x-github-event"

PUBLIC_WEB_APP = "https://app.happy.engineering"

UNRESERVED = "-_.!~*'()"
"""What clients of a browser's making leave as it is in a query."""


class AuthorizeAddress(Struct):
    url: str


class Received(Struct):
    received: Literal[True] = True


class GithubEndpoints:
    """People come back to `HAPPY_APP_URL`, else to the web app served here, else to the public one."""

    def __init__(self, github: GithubService, webhook: GithubWebhook, ui: WebApp | None) -> None:
        self._github = github
        self._webhook = webhook
        self._ui = ui

    def endpoints(self) -> list[Endpoint]:
        path = "/v1/connect/github"
        unlinked = Failure("Failed to disconnect GitHub account")
        unheard = Failure("Internal server error")
        return [
            Endpoint(
                "GET", f"{path}/params", self.params, answers={400: Failure("GitHub OAuth not configured")}
            ),
            Endpoint("GET", f"{path}/callback", self.callback, public=True, answers={302: None}),
            Endpoint(
                "POST",
                f"{path}/webhook",
                self.webhook,
                public=True,
                limit=MAX_EVENT,
                failure=unheard,
                answers={401: Failure("Invalid signature"), 500: Failure("Webhooks not configured")},
                needs_headers=(SIGNATURE, EVENT),
            ),
            Endpoint("DELETE", path, self.disconnect, failure=unlinked),
        ]

    async def params(self, request: ApiRequest) -> AuthorizeAddress:
        return AuthorizeAddress(await self._github.authorize_url(request.account_id))

    async def callback(
        self,
        request: ApiRequest,
        code: FromQuery[str],
        sent_state: Annotated[str, QueryParameter(name="state")],
    ) -> Answer:
        """Always back to the web app, whatever became of it."""
        try:
            login = await self._github.connect(code, sent_state)
        except LinkFailed as failure:
            return self._back(request, f"error={quote(str(failure), safe=UNRESERVED)}")
        return self._back(request, f"github=connected&user={quote(login, safe=UNRESERVED)}")

    def _back(self, request: ApiRequest, query: str) -> Answer:
        answer = Answer(302, b"")
        address = self._github.return_url
        if address is None and self._ui is not None:
            scope = cast("Scope", request.scope)
            address = self._ui.address(scope, dict(scope["headers"]))
        location = f"{address or PUBLIC_WEB_APP}?{query}"
        answer.headers = [(b"location", location.encode()), (b"content-length", b"0")]
        return answer

    async def webhook(self, request: ApiRequest) -> Received | Answer:
        signature = _header(request, SIGNATURE)
        event = _header(request, EVENT)
        body = await _raw_json(request)
        if body is None:
            return json_answer(500, Failure("Server configuration error"))
        if not self._webhook.configured:
            return json_answer(500, Failure("Webhooks not configured"))
        self._webhook.receive(event, signature, body)
        return Received()

    async def disconnect(self, request: ApiRequest) -> Done:
        await self._github.disconnect(request.account_id)
        return Done()


def _header(request: ApiRequest, name: str) -> str:
    value = request.headers.get(name)
    if value is None:
        raise unacceptable(f"headers/{name} Invalid input: expected string, received undefined")
    return value


async def _raw_json(request: ApiRequest) -> bytes | None:
    """The body as it was sent, if it is JSON; an empty one was read as an object, which nobody signed."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if media_type != "application/json" or request.headers.get("content-length") == "0":
        return None
    return body
