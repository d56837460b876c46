"""GitHub OAuth and profiles (protocol: operations#other-outbound-calls)."""

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from happy.adapters.outbound.http_client import HttpClient
from happy.domain.errors import Invalid, Unavailable
from happy.domain.github import GithubApp, GithubUser, github_user
from happy.domain.ports.outbound import GithubRefused, GithubUserUnknown
from happy.limits import limit

SCOPE: Final = "read:user,user:email,read:org,codespace"
MAX_REASON: Final = limit(
    200, "characters of GitHub's reason for a refusal", per="request", then="the rest is cut off"
)


class _Exchanged(Struct, frozen=True):
    access_token: Any = None
    error: Any = None


class GithubClient:
    def __init__(self, web: HttpClient, app: GithubApp, base_url: str, api_url: str) -> None:
        self._web = web
        self._app = app
        self._base_url = base_url
        self._api_url = api_url

    def authorize_url(self, state: str) -> str:
        query = urlencode(
            {
                "client_id": self._app.client_id,
                "redirect_uri": self._app.redirect_url,
                "scope": SCOPE,
                "state": state,
            }
        )
        return f"{self._base_url}/login/oauth/authorize?{query}"

    async def exchange(self, code: str) -> str:
        secret = str(self._app.client_secret)  # msgspec encodes no subclasses of `str`
        body = {"client_id": self._app.client_id, "client_secret": secret, "code": code}
        response = await self._web.call(
            "POST",
            f"{self._base_url}/login/oauth/access_token",
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=msgspec.json.encode(body),
        )
        exchanged = response.read(_Exchanged)
        if exchanged.error:
            raise GithubRefused(str(exchanged.error)[:MAX_REASON])
        if not isinstance(exchanged.access_token, str) or not exchanged.access_token:
            raise Unavailable("GitHub gave no access token")
        return exchanged.access_token

    async def user(self, access_token: str) -> GithubUser:
        response = await self._web.call(
            "GET",
            f"{self._api_url}/user",
            headers={
                "Authorization": f"Bearer {access_token}",
                "Accept": "application/vnd.github.v3+json",
            },
        )
        if not response.ok:
            raise GithubUserUnknown(f"HTTP {response.status}")
        try:
            return github_user(response.body)
        except Invalid as error:
            raise Unavailable("GitHub sent no profile") from error
