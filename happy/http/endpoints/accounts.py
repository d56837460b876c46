"""The caller's own account: profile and settings (protocol: http#account-and-usage)."""

from typing import Literal

from litestar.params import JSONBody
from msgspec import Struct

from happy.http.endpoints.common import Version
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.limits import MAX_DOCUMENT_BODY
from happy.http.framework.requests import ApiRequest
from happy.services.accounts import AccountService, Profile


class AccountSettings(Struct, rename="camel"):
    settings: str | None
    settings_version: int


class UpdateSettings(Struct, rename="camel"):
    settings: str | None
    expected_version: Version


class SettingsUpdated(Struct):
    version: int
    success: Literal[True] = True


class SettingsMismatch(Struct, rename="camel"):
    current_version: int
    current_settings: str | None
    success: Literal[False] = False
    error: Literal["version-mismatch"] = "version-mismatch"


class AccountEndpoints:
    def __init__(self, accounts: AccountService) -> None:
        self._accounts = accounts

    def endpoints(self) -> list[Endpoint]:
        path = "/v1/account/settings"
        unreadable = Failure("Failed to get account settings")
        unwritable = Failure("Failed to update account settings", success=False)
        return [
            Endpoint("GET", "/v1/account/profile", self.profile),
            Endpoint("GET", path, self.settings, failure=unreadable),
            Endpoint("POST", path, self.update_settings, limit=MAX_DOCUMENT_BODY, failure=unwritable),
        ]

    async def profile(self, request: ApiRequest) -> Profile:
        """The caller's profile: name, picture, GitHub user, connected services."""
        return await self._accounts.profile(request.account_id)

    async def settings(self, request: ApiRequest) -> AccountSettings:
        """The caller's encrypted settings, and their version."""
        settings = await self._accounts.settings(request.account_id)
        return AccountSettings(settings.value, settings.version)

    async def update_settings(
        self, request: ApiRequest, data: JSONBody[UpdateSettings]
    ) -> SettingsUpdated | SettingsMismatch:
        """Replace the settings if their version is still the expected one."""
        swap = await self._accounts.update_settings(request.account_id, data.expected_version, data.settings)
        if swap.won:
            return SettingsUpdated(swap.current.version)
        return SettingsMismatch(swap.current.version, swap.current.value)
