"""The page of an invite, which a person opens in the browser of the phone (protocol: http#invites)."""

from html import escape
from typing import cast

from litestar.params import FromPath

from happy.domain.registration import OPENING_LIFETIME
from happy.domain.values import MINUTE
from happy.http.framework.asgi import Scope
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.origin import origin
from happy.http.framework.page_headers import HTML, page_headers
from happy.http.framework.requests import ApiRequest
from happy.http.framework.responses import Response
from happy.services.client_addresses import ClientAddresses
from happy.services.invites import InviteService

STYLE = """
:root { color-scheme: light dark; }
body { font: 18px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; } code { overflow-wrap: anywhere; }
button { font: inherit; padding: .7rem 1.4rem; border-radius: .6rem; border: 1px solid; }
"""
HEADERS = (
    (b"cache-control", b"no-store"),
    *page_headers(STYLE, forms=True),
    (b"x-robots-tag", b"noindex, nofollow"),
)
MINUTES = OPENING_LIFETIME // MINUTE


class InviteEndpoints:
    """Looking at the page changes nothing: previews of links do that. The button opens the invite."""

    def __init__(self, invites: InviteService, addresses: ClientAddresses) -> None:
        self._invites = invites
        self._addresses = addresses

    def endpoints(self) -> list[Endpoint]:
        path = "/invite/{code:str}"
        pages = {200: HTML, 404: HTML}
        opened = {**pages, 503: HTML}
        return [
            Endpoint("GET", path, self.page, public=True, other_responses=pages),
            Endpoint("POST", path, self.open, public=True, other_responses=opened),
        ]

    async def page(self, code: FromPath[str]) -> Response:
        """The page of an invite, with a button that opens it."""
        return _invitation() if await self._invites.usable(code) else _invalid()

    async def open(self, request: ApiRequest, code: FromPath[str]) -> Response:
        """Let new accounts in from the client's address for a while."""
        client = request.client_address
        if not client.own_network:
            return _unknown_address()
        if not await self._invites.open(code, client.own_network):
            return _invalid()
        return _opened(origin(cast("Scope", request.scope), self._addresses), client.text)


def _invitation() -> Response:
    return _page(
        200,
        "You are invited",
        "<p>You can make an account on this Happy server. Open this page on the phone that the account is"
        " for, in the network that its Happy app will use.</p>"
        # without fields, and so without a body; the default type is one that endpoints do not take
        '<form method="post" enctype="text/plain"><button>Accept the invite</button></form>',
    )


def _opened(url: str, address: str) -> Response:
    return _page(
        200,
        "Now create your account",
        f"<p>Within the next {MINUTES} minutes, on this phone and in this network:</p><ol>"
        f"<li>Open the Happy app, and enter <code>{escape(url)}</code> as its custom server.</li>"
        "<li>Tap <b>Create account</b>.</li></ol>"
        f"<p>It is open for your present address, {escape(address)}. If nothing happens, the app may use"
        " another network than this browser: switch Wi-Fi off or on, open your link again, and try once"
        " more.</p>",
    )


def _invalid() -> Response:
    return _page(
        404,
        "This invite does not count",
        "<p>It was used up, withdrawn, or has expired, or this server takes no invites. Whoever sent it"
        " can make you a new one.</p>",
    )


def _unknown_address() -> Response:
    return _page(
        503,
        "This server cannot distinguish you from others",
        "<p>It stands behind a proxy that does not say whose requests it passes on. Whoever runs the server"
        " finds the reason in its log; your invite is good for as long as before.</p>",
    )


def _page(status: int, title: str, content: str) -> Response:
    html = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>{content}</body></html>\n"
    )
    return Response(status, html.encode(), HTML, HEADERS)
