"""Credentials of other companies that an account keeps here (protocol: http#vendor-tokens)."""

from typing import get_args

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from happy.domain.vendor_tokens import Vendor
from happy.http.endpoints.common import Done
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import unacceptable
from happy.http.framework.limits import MAX_KEYS_BODY
from happy.http.framework.requests import ApiRequest
from happy.services.vendor_tokens import VendorToken, VendorTokenService

VENDORS: dict[str, Vendor] = {name: name for name in get_args(Vendor)}


class RegisterVendorToken(Struct):
    token: str


class OneVendorToken(Struct):
    token: str | None


class VendorTokens(Struct):
    tokens: list[VendorToken]


class VendorTokenEndpoints:
    def __init__(self, vendors: VendorTokenService) -> None:
        self._vendors = vendors

    def endpoints(self) -> list[Endpoint]:
        one = "/v1/connect/{vendor:str}"
        return [
            Endpoint("POST", f"{one}/register", self.register, limit=MAX_KEYS_BODY),
            Endpoint("GET", f"{one}/token", self.token),
            Endpoint("DELETE", one, self.delete),
            Endpoint("GET", "/v1/connect/tokens", self.tokens),
        ]

    async def register(
        self, request: ApiRequest, vendor: FromPath[str], data: JSONBody[RegisterVendorToken]
    ) -> Done:
        """Store the caller's token of another service."""
        await self._vendors.register(request.account_id, _known(vendor), data.token)
        return Done()

    async def token(self, request: ApiRequest, vendor: FromPath[str]) -> OneVendorToken:
        """The caller's token of another service; null if there is none."""
        return OneVendorToken(await self._vendors.token(request.account_id, _known(vendor)))

    async def delete(self, request: ApiRequest, vendor: FromPath[str]) -> Done:
        """Delete the token of another service."""
        await self._vendors.delete(request.account_id, _known(vendor))
        return Done()

    async def tokens(self, request: ApiRequest) -> VendorTokens:
        """All of the caller's tokens of other services."""
        return VendorTokens(await self._vendors.tokens(request.account_id))


def _known(vendor: str) -> Vendor:
    """Raises Refusal for an unknown vendor."""
    if vendor not in VENDORS:
        options = "|".join(f'"{name}"' for name in VENDORS)
        raise unacceptable(f"params/vendor Invalid option: expected one of {options}")
    return VENDORS[vendor]
