"""The server moves: backed up, restored into the other flavor, started at the same address.

The client, its daemon, its coding session and the phone are not told, and go on with their tokens.
"""

import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.client.day import (
    Play,
    call_the_daemon,
    end_the_session,
    link_the_terminal,
    logs_of_a_failure,
    machine_is_running,
    signed_in_phone,
    start_a_session,
    start_the_daemon,
    stop_the_daemon,
    talk,
)
from tests.client.phone import DataKey
from tests.client.releases import Release
from tests.client.terminal import Terminal
from tests.e2e.new_server import new_server
from tests.support.environments import SECRET
from tests.support.server_process import Server
from tests.support.until import until

OTHER = {"light": "full", "full": "light"}
MARK = re.compile(r"\[\[(.*?)]]")
PROMPTS = ["before", "after", "at last"]
ATTACHED = bytes(range(256)) * 1000


async def play_a_move(flavor: str, release: Release, home: Path) -> None:
    """From a server of this flavor to one of the other."""
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(new_server(flavor, home / "old"))
        new = await stack.enter_async_context(new_server(OTHER[flavor], home / "new", port=old.port))
        for server in (old, new):
            server.variables["HANDY_MASTER_SECRET"] = SECRET
            stack.callback(server.kill)
        await old.start()
        phone = await signed_in_phone(stack, old)
        terminal = Terminal(home / "terminal", old.url, release)
        stack.callback(terminal.clean_up)
        play = Play(old, phone, terminal)
        play.done(f"the server runs ({flavor}); the client is {release}")
        with logs_of_a_failure([old, new], [terminal]):
            await perform(play, new, home / "backup.tar.zst")


async def perform(play: Play, new: Server, archive: Path) -> None:
    await link_the_terminal(play)
    async with play.phone.api.user_socket() as socket:
        machine_key = await start_the_daemon(play, socket)
        await call_the_daemon(play, socket, machine_key, when="on the old server")
        session_id, session_key = await start_a_session(play, socket)
        await talk(play, session_id, session_key, PROMPTS[0], when="on the old server")
        await play.phone.attach(session_id, ATTACHED)
    before = await seen(play, session_id, session_key)
    await move(play, new, archive)
    assert before == await seen(play, session_id, session_key)
    play.done("the phone, with its old token, reads the same sessions, machine, messages and file")
    await go_on(play, session_id, session_key, machine_key)


async def seen(play: Play, session_id: str, key: DataKey) -> dict[str, Any]:
    """What the phone reads, without what heartbeats change."""
    api = play.phone.api
    sessions = (await api.get("/v1/sessions"))["sessions"]
    machines = await api.get("/v1/machines")
    profile = await api.get("/v1/account/profile")
    lasting = ("id", "seq", "metadata", "metadataVersion", "dataEncryptionKey", "createdAt")
    return {
        "profile": profile["id"],
        "sessions": [{name: row[name] for name in lasting} for row in sessions],
        "machines": [{name: row[name] for name in lasting} for row in machines],
        "messages": await api.messages(session_id),
        "transcript": await play.phone.transcript(session_id, key),
        "file": await play.phone.attached(session_id),
    }


async def move(play: Play, new: Server, archive: Path) -> None:
    """The old server is backed up while it runs, and ends; the new one takes its address."""
    old = play.server
    await old.command("backup", str(archive))
    assert await old.stop() == 0
    await new.command("verify", str(archive))
    await new.command("restore", str(archive))
    await new.start()
    play.server = new
    play.done(f"the server was backed up ({old.flavor}), restored ({new.flavor}), and is at the same address")


async def go_on(play: Play, session_id: str, session_key: DataKey, machine_key: DataKey) -> None:
    async with play.phone.api.user_socket() as socket:
        await until(lambda: machine_is_running(play, machine_key), what="the daemon is back by itself")
        await call_the_daemon(play, socket, machine_key, when="on the new server")
        await talk(play, session_id, session_key, PROMPTS[1], when="of the same session on the new server")
        assert "Authenticated" in play.terminal.run("auth", "status")
        other_id, other_key = await start_a_session(play, socket)
        await talk(play, other_id, other_key, PROMPTS[2], when="of a new session on the new server")
        given = MARK.findall(play.terminal.prompts.read_text())
        assert given == PROMPTS, given
        play.done("agents were given each prompt once")
        for each, key in ((session_id, session_key), (other_id, other_key)):
            await end_the_session(play, socket, each, key, what="a session")
        await stop_the_daemon(play, socket)
