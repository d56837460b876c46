"""Sign-in, and linking a new device to an account (protocol: http#sign-in-and-device-linking)."""

from functools import partial
from typing import Annotated, Literal

from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from happy.domain.accounts import PairingKind
from happy.domain.encoding import decode_strict
from happy.domain.errors import Invalid
from happy.http.endpoints.common import Done
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.requests import ApiRequest
from happy.services.pairing import LinkingStatus, PairingService


class SignIn(Struct, rename="camel"):
    public_key: str
    challenge: str
    signature: str


class SignedIn(Struct):
    token: str
    success: bool = True


class TerminalRequest(Struct, rename="camel"):
    public_key: str
    supports_v2: bool | None = None


class AccountRequest(Struct, rename="camel"):
    public_key: str


class Approval(Struct, rename="camel"):
    response: str
    public_key: str


class LinkState(Struct):
    state: Literal["requested", "authorized"]
    token: str | UnsetType = UNSET
    response: str | UnsetType = UNSET


class PairingEndpoints:
    def __init__(self, pairing: PairingService) -> None:
        self._pairing = pairing

    def endpoints(self) -> list[Endpoint]:
        often = {429: Failure("Too many sign ins. Try again in 1 s.")}
        unwanted = {403: Failure("This server takes no new accounts")}
        forged = {401: Failure("Invalid signature"), **unwanted, **often}
        malformed = {401: Failure("Invalid public key"), 403: Failure("Account disabled"), **often}
        unanswerable = {404: Failure("Request not found"), 409: Failure("Request already answered")}
        request, polled = "/v1/auth/request", partial(Endpoint, public=True, rate="polls")
        return [
            Endpoint("POST", "/v1/auth", self.sign_in, public=True, rate="sign_ins", other_responses=forged),
            polled("POST", request, self.request_terminal, other_responses=malformed),
            polled("GET", f"{request}/status", self.status, other_responses=often),
            Endpoint("POST", "/v1/auth/response", self.approve_terminal, other_responses=unanswerable),
            polled("POST", "/v1/auth/account/request", self.request_account, other_responses=malformed),
            Endpoint("POST", "/v1/auth/account/response", self.approve_account, other_responses=unanswerable),
        ]

    async def sign_in(self, request: ApiRequest, data: JSONBody[SignIn]) -> SignedIn:
        """A token for the account of a public key, which is made if it may be."""
        token = await self._pairing.sign_in(
            _bytes(data.public_key),
            _bytes(data.challenge),
            _bytes(data.signature),
            client=request.client_address,
        )
        return SignedIn(token)

    async def request_terminal(self, request: ApiRequest, data: JSONBody[TerminalRequest]) -> LinkState:
        """Ask that a command-line client be linked, and poll for the answer."""
        return await self._request("terminal", request, data.public_key, supports_v2=bool(data.supports_v2))

    async def request_account(self, request: ApiRequest, data: JSONBody[AccountRequest]) -> LinkState:
        """Ask that another device be linked, and poll for the answer."""
        return await self._request("account", request, data.public_key)

    async def _request(
        self, kind: PairingKind, request: ApiRequest, public_key: str, *, supports_v2: bool = False
    ) -> LinkState:
        client, key = request.client_address, _bytes(public_key)
        linked = await self._pairing.request(kind, key, client, supports_v2=supports_v2)
        if linked is None:
            return LinkState("requested")
        return LinkState("authorized", linked.token, linked.response)

    async def status(self, public_key: Annotated[str, QueryParameter(name="publicKey")]) -> LinkingStatus:
        """Whether a command-line client waits for an approval, or was approved."""
        return await self._pairing.status(_bytes(public_key))

    async def approve_terminal(self, request: ApiRequest, data: JSONBody[Approval]) -> Done:
        """Link a command-line client to the account of the caller."""
        return await self._approve("terminal", request, data)

    async def approve_account(self, request: ApiRequest, data: JSONBody[Approval]) -> Done:
        """Link another device to the account of the caller."""
        return await self._approve("account", request, data)

    async def _approve(self, kind: PairingKind, request: ApiRequest, approval: Approval) -> Done:
        key = _bytes(approval.public_key)
        await self._pairing.answer(kind, request.account_id, key, approval.response)
        return Done()


def _bytes(text: str) -> bytes:
    """Raises Invalid."""
    try:
        return decode_strict(text)
    except ValueError:
        raise Invalid("Invalid base64") from None
