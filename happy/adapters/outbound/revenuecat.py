"""Subscriptions of accounts, at RevenueCat (protocol: operations#other-outbound-calls)."""

import logging
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from happy.adapters.outbound.http_client import HttpClient
from happy.domain.errors import HappyError, Unavailable
from happy.domain.values import AccountId

log = logging.getLogger(__name__)


class _Entitlements(Struct, frozen=True):
    items: list[Any] | None = None


class RevenueCat:
    def __init__(self, web: HttpClient, base_url: str, api_key: str, project: str) -> None:
        self._web = web
        self._customers = f"{base_url}/v2/projects/{quote(project, safe='')}/customers/"
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def active(self, account_id: AccountId) -> bool:
        url = f"{self._customers}{quote(account_id, safe='')}/active_entitlements"
        try:
            response = await self._web.call("GET", url, headers=self._headers)
            if not response.ok:
                raise Unavailable(f"RevenueCat answered {response.status}")
            return bool(response.read(_Entitlements).items)
        except HappyError as error:
            log.warning("a subscription could not be looked up", exc_info=error)
            return False
