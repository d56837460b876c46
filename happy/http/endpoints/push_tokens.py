"""The devices that receive an account's push notifications (protocol: http#push)."""

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from happy.domain.accounts import PushToken
from happy.domain.names import Name
from happy.http.endpoints.common import Done
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.requests import ApiRequest
from happy.services.accounts import AccountService


class RegisterToken(Struct):
    token: Name


class PushTokens(Struct):
    tokens: list[PushToken]


class PushTokenEndpoints:
    def __init__(self, accounts: AccountService) -> None:
        self._accounts = accounts

    def endpoints(self) -> list[Endpoint]:
        path = "/v1/push-tokens"
        return [
            Endpoint("POST", path, self.register, failure=Failure("Failed to register push token")),
            Endpoint("GET", path, self.registered, failure=Failure("Failed to get push tokens")),
            Endpoint(
                "DELETE", f"{path}/{{token:str}}", self.drop, failure=Failure("Failed to delete push token")
            ),
        ]

    async def register(self, request: ApiRequest, data: JSONBody[RegisterToken]) -> Done:
        """Register a device for push notifications."""
        await self._accounts.add_push_token(request.account_id, data.token)
        return Done()

    async def registered(self, request: ApiRequest) -> PushTokens:
        """The devices that receive push notifications."""
        return PushTokens(await self._accounts.push_tokens(request.account_id))

    async def drop(self, request: ApiRequest, token: FromPath[str]) -> Done:
        """Send a device no push notifications any more."""
        await self._accounts.drop_push_token(request.account_id, token)
        return Done()
