"""What the person sees who was signed out by a command: the client is refused until it is linked again."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.client.phone import Phone
from tests.client.terminal import Terminal
from tests.support.server_process import Server
from tests.support.until import until


async def sign_everybody_out(
    server: Server, phone: Phone, terminal: Terminal, done: Callable[[str], None]
) -> None:
    """`happy-server accounts sign-out`: the client shows 401; `happy auth login --force` is the way back."""
    account = (await phone.api.get("/v1/account/profile"))["id"]
    await server.command("accounts", "sign-out", account, "--yes")
    await until(is_refused(phone))
    said = await asyncio.to_thread(terminal.run, *terminal.release.agent_arguments, expect=(1,))
    assert "status code 401" in said, said
    done("accounts sign-out: phone and terminal are refused, the client shows status code 401")

    await phone.sign_in()
    text = await terminal.login(phone.approve, "--force")
    assert "Authentication successful" in text
    status = await asyncio.to_thread(terminal.run, "auth", "status")
    assert "Authenticated" in status
    done("happy auth login --force: the terminal is linked again")


def is_refused(phone: Phone) -> Callable[[], Awaitable[bool]]:
    async def is_refused() -> bool:
        return (await phone.api.request("GET", "/v1/sessions")).status_code == 401

    return is_refused
