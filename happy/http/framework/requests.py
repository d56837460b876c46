"""The request as handlers see it: the caller is known and the body is decoded."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from litestar import Request
from litestar.datastructures import State

from happy.domain.client_address import ClientAddress
from happy.domain.values import AccountId
from happy.http.framework.asgi import Scope
from happy.http.framework.body import Payload
from happy.http.framework.long_body import LongBody
from happy.http.framework.origin import client
from happy.services.large_work import LargeWork

BODY = "happy.body"
DATA = "happy.data"
CHUNKS = "happy.chunks"
ADDRESSES = "happy.addresses"
LARGE_WORK = "happy.large_work"
LONG_BODY = "happy.long_body"


class ApiRequest(Request[AccountId, None, State]):
    """Litestar's request, reading what the pipeline has put into the scope."""

    __slots__ = ()

    @property
    def account_id(self) -> AccountId:
        """The account of the bearer token."""
        account_id: AccountId = self.scope["user"]
        return account_id

    @property
    def client_address(self) -> ClientAddress:
        """Where the request comes from, also behind trusted proxies."""
        return client(cast("Scope", self.scope), self.scope[ADDRESSES])  # type: ignore[literal-required]

    async def body(self) -> bytes:
        """Litestar only checks whether there is one; a copy would keep large ones in memory."""
        return b"{}"

    @property
    def payload(self) -> Payload:
        """The body as it was sent, for an endpoint that verifies it."""
        payload: Payload = self.scope[BODY]  # type: ignore[literal-required]
        return payload

    def chunks(self) -> AsyncIterator[bytes]:
        """The body of an endpoint that streams, while it arrives."""
        chunks: AsyncIterator[bytes] = self.scope[CHUNKS]  # type: ignore[literal-required]
        return chunks

    @property
    def long_body(self) -> LongBody | None:
        """The body, if it is too long to be decoded at once."""
        return self.scope.get(LONG_BODY)  # type: ignore[return-value]

    def large_work(self) -> AbstractAsyncContextManager[None]:
        """The turn for a large piece of work."""
        work: LargeWork = self.scope[LARGE_WORK]  # type: ignore[literal-required]
        return work.turn(self.account_id)

    async def json(self) -> Any:
        """The body as the handler's type for `data`, decoded strictly and in one pass."""
        return self.scope.pop(DATA)  # type: ignore[misc]
