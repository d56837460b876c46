"""Link an account to a GitHub user, and receive webhooks of GitHub (protocol: http#connected-services)."""

from collections.abc import Mapping
from typing import Annotated, Literal, cast
from urllib.parse import quote

from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from happy.http.endpoints.common import Done
from happy.http.framework.asgi import Scope
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure, unacceptable
from happy.http.framework.limits import MAX_WEBHOOK_BODY
from happy.http.framework.requests import ApiRequest
from happy.http.framework.responses import Response, json_response
from happy.http.web_app import WebApp
from happy.services.github import GithubService, GithubWebhook, LinkFailed

SIGNATURE, EVENT = "x-hub-signature-256", "x-github-event"

PUBLIC_WEB_APP = "https://app.happy.engineering"

UNRESERVED = "-_.!~*'()"
"""Characters that JavaScript's `encodeURIComponent` does not escape."""


class AuthorizeAddress(Struct):
    url: str


class Received(Struct):
    received: Literal[True] = True


class GithubEndpoints:
    """The callback redirects to `HAPPY_APP_URL`, else to the web app served here, else to the public one."""

    def __init__(self, github: GithubService, webhook: GithubWebhook, ui: WebApp | None) -> None:
        self._github = github
        self._webhook = webhook
        self._ui = ui

    def endpoints(self) -> list[Endpoint]:
        path = "/v1/connect/github"
        unlinked = Failure("Failed to disconnect GitHub account")
        failed = Failure("Internal server error")
        return [
            Endpoint(
                "GET",
                f"{path}/params",
                self.params,
                other_responses={400: Failure("GitHub OAuth not configured")},
            ),
            Endpoint("GET", f"{path}/callback", self.callback, public=True, other_responses={302: None}),
            Endpoint(
                "POST",
                f"{path}/webhook",
                self.webhook,
                public=True,
                limit=MAX_WEBHOOK_BODY,
                verifies=True,
                unready=self._unready,
                failure=failed,
                other_responses={401: Failure("Invalid signature"), 500: Failure("Webhooks not configured")},
                needs_headers=(SIGNATURE, EVENT),
            ),
            Endpoint("DELETE", path, self.disconnect, failure=unlinked),
        ]

    async def params(self, request: ApiRequest) -> AuthorizeAddress:
        """The address of GitHub's page where the caller agrees to be linked."""
        return AuthorizeAddress(await self._github.authorize_url(request.account_id))

    async def callback(
        self,
        request: ApiRequest,
        code: FromQuery[str],
        sent_state: Annotated[str, QueryParameter(name="state")],
    ) -> Response:
        """Redirect to the web app with the result, whether linking succeeded or failed."""
        try:
            login = await self._github.connect(code, sent_state)
        except LinkFailed as failure:
            return self._back(request, f"error={quote(str(failure), safe=UNRESERVED)}")
        return self._back(request, f"github=connected&user={quote(login, safe=UNRESERVED)}")

    def _back(self, request: ApiRequest, query: str) -> Response:
        response = Response(302, b"")
        address = self._github.return_url
        if address is None and self._ui is not None:
            scope = cast("Scope", request.scope)
            address = self._ui.address(scope)
        location = f"{address or PUBLIC_WEB_APP}?{query}"
        response.headers = [(b"location", location.encode()), (b"content-length", b"0")]
        return response

    def _unready(self, headers: Mapping[bytes, bytes]) -> Response | None:
        """What a webhook is answered without reading it."""
        for name in (SIGNATURE, EVENT):
            if name.encode() not in headers:
                raise unacceptable(f"headers/{name} Invalid input: expected string, received undefined")
        return None if self._webhook.configured else json_response(500, Failure("Webhooks not configured"))

    async def webhook(self, request: ApiRequest) -> Received | Response:
        """An event of GitHub, which is verified and logged."""
        payload = request.payload
        if payload.kind != "json" or request.headers.get("content-length") == "0":
            return json_response(500, Failure("Server configuration error"))
        self._webhook.receive(request.headers[EVENT], request.headers[SIGNATURE], payload.content)
        return Received()

    async def disconnect(self, request: ApiRequest) -> Done:
        """Unlink the caller's GitHub user."""
        await self._github.disconnect(request.account_id)
        return Done()
