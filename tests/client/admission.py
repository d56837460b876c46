"""How a person comes in where not everybody may: the phone is refused at first."""

import json
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from nacl.signing import SigningKey

from tests.client.phone import Phone
from tests.support.api_client import sign_in_body
from tests.support.server_process import Server


async def open_an_invite(phone: Phone, server: Server) -> None:
    """The button of the invite's page is pressed, in the phone's browser."""
    assert "New accounts need an invite" in await _refusal(phone)
    link = json.loads(await server.command("invites", "create", "--json"))["link"]
    page = await phone.api.request("POST", urlsplit(link).path, headers={"Content-Type": "text/plain"})
    assert page.status_code == 200, page.text
    await phone.sign_in()


async def wait_for_approval(phone: Phone, server: Server) -> None:
    """Whoever runs the server sees the code that the refusal names, and approves it."""
    refusal = await _refusal(phone)
    assert "New accounts need the approval" in refusal
    (code,) = re.findall(r"\b[0-9A-F]{4}-[0-9A-F]{4}\b", refusal)
    assert code in await server.command("accounts", "pending")
    assert "need the approval" in await _refusal(phone)
    await server.command("accounts", "approve", code)
    await phone.sign_in()
    assert code not in await server.command("accounts", "pending")


async def _refusal(phone: Phone) -> str:
    answer = await phone.api.post("/v1/auth", sign_in_body(SigningKey(phone.secret)), expect=403)
    return str(answer["error"])


ADMISSIONS: dict[str, tuple[str, Callable[[Phone, Server], Awaitable[None]]]] = {
    "light": ("invite", open_an_invite),
    "full": ("approve", wait_for_approval),
}
"""By flavor: the mode of registration, and what is done in it."""
