"""A day with the published client: a machine, its daemon, and coding sessions, one function a scene."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.client.admission import ADMISSIONS
from tests.client.fake_model import fake_model
from tests.client.phone import DataKey, Phone
from tests.client.releases import Release
from tests.client.shut_out import sign_everybody_out
from tests.client.terminal import Terminal
from tests.e2e.new_server import new_server
from tests.support.api_client import ApiClient
from tests.support.server_process import Server
from tests.support.socket_client import SocketClient
from tests.support.until import until


class Play:
    """What the scenes share: the server, the phone, and the person's machine."""

    def __init__(self, server: Server, phone: Phone, terminal: Terminal) -> None:
        self.server = server
        self.phone = phone
        self.terminal = terminal
        self._began = time.monotonic()

    def done(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {what}", flush=True)

    async def machine(self) -> dict[str, Any]:
        (machine,) = await self.phone.api.get("/v1/machines")
        return machine


async def link_the_terminal(play: Play) -> None:
    """`happy auth login`, approved by the phone in the present form of the answer."""
    text = await play.terminal.login(play.phone.approve)
    assert "Authentication successful" in text
    assert "machineKey" in play.terminal.credentials["encryption"]
    play.done("happy auth login: the phone approved the terminal")


async def link_in_the_old_form(play: Play, home: Path) -> None:
    """Phones of before answer with the account's secret; the client takes that as well."""
    other = Terminal(home, play.server.url, play.terminal.release)
    try:
        await other.login(lambda key: play.phone.approve(key, v2=False))
        assert "secret" in other.credentials
    finally:
        other.clean_up()
    play.done("happy auth login: an answer in the old form is taken, too")


async def start_the_daemon(play: Play, socket: SocketClient) -> DataKey:
    """`happy daemon start`: the phone sees the machine appear, and become active."""
    # it looks for its daemon for five seconds only; on a busy machine the daemon is there a little later
    await asyncio.to_thread(play.terminal.run, "daemon", "start", expect=(0, 1))
    created = await socket.next_update("new-machine", timeout=30)
    assert created["machineId"] == play.terminal.machine_id
    key = play.phone.data_key(created["dataEncryptionKey"])
    await until(lambda: machine_is_running(play, key), what="the machine is active, and its daemon runs")
    machine = await play.machine()
    assert key.decrypt(machine["metadata"])["happyCliVersion"] == play.terminal.release.version
    play.done("happy daemon start: the machine is there, active, and the phone reads what it says of itself")
    return key


async def machine_is_running(play: Play, key: DataKey) -> bool:
    """It is active as soon as its daemon is connected; what the daemon says of itself follows."""
    machine = await play.machine()
    state = machine["daemonState"]
    return bool(machine["active"] and state and key.decrypt(state)["status"] == "running")


async def call_the_daemon(play: Play, socket: SocketClient, key: DataKey, *, when: str) -> None:
    """The phone runs a command on the machine and reads its output."""
    params = {"command": "echo six times seven is $((6*7))", "cwd": "/"}
    answer = await play.phone.call(socket, play.terminal.machine_id, key, "bash", params)
    assert answer["success"] is True, answer
    assert answer["stdout"] == "six times seven is 42\n"
    play.done(f"the phone calls bash on the machine {when}")


async def read_a_large_file(play: Play, socket: SocketClient, key: DataKey) -> None:
    """900 KB become more than the million bytes that used to end the daemon's connection."""
    file = play.terminal.project / "large.bin"
    file.write_bytes(bytes(900_000))
    answer = await play.phone.call(socket, play.terminal.machine_id, key, "readFile", {"path": str(file)})
    assert len(answer["content"]) == 1_200_000
    play.done("the phone reads a file of 900 KB from the machine")


async def start_a_session(play: Play, socket: SocketClient) -> tuple[str, DataKey]:
    """A coding session in the terminal, with an agent that needs no model."""
    play.terminal.start_agent()
    created = await socket.next_update("new-session", timeout=30)
    key = play.phone.data_key(created["dataEncryptionKey"])
    assert key.decrypt(created["metadata"])["path"] == str(play.terminal.project)
    alive = await socket.next_ephemeral("activity", timeout=20)
    while alive["id"] != created["id"]:
        alive = await socket.next_ephemeral("activity", timeout=20)
    assert alive["active"]
    play.done("happy acp: a coding session is there, and alive")
    return created["id"], key


async def spawn_claude(
    play: Play, socket: SocketClient, machine_key: DataKey, model: str
) -> tuple[str, DataKey]:
    """The phone has the daemon start Claude Code on the machine, with a model that needs no network."""
    environment = {
        "ANTHROPIC_BASE_URL": model,
        "ANTHROPIC_API_KEY": "no-key",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",  # client 1.2.0 skips permissions, which Claude Code refuses to root elsewhere
    }
    params = {"directory": str(play.terminal.project), "agent": "claude", "environmentVariables": environment}
    spawned = await play.phone.call(
        socket, play.terminal.machine_id, machine_key, "spawn-happy-session", params
    )
    assert spawned.get("type") == "success", spawned
    created = await socket.next_update("new-session", timeout=20)
    assert created["id"] == spawned["sessionId"]
    key = play.phone.data_key(created["dataEncryptionKey"])
    assert key.decrypt(created["metadata"])["flavor"] == "claude"
    play.done("the phone has the daemon start Claude Code: a coding session is there")
    return created["id"], key


async def talk(play: Play, session_id: str, key: DataKey, prompt: str, *, when: str) -> None:
    """The phone sends a prompt; the session's answer comes back. The fake model looks for the [[ ]]."""
    await play.phone.say(session_id, key, f"[[{prompt}]]")

    async def answered() -> bool:
        spoken = await play.phone.transcript(session_id, key)
        return any(re.search(rf"You said: (\[\[)?{prompt}", str(message)) for message in spoken)

    await until(answered, what=f"the session answers {prompt!r}")
    play.done(f"the phone sends a prompt and reads the answer {when}")


async def kill_and_restart(play: Play) -> SocketClient:
    """`kill -9`, a moment of silence, the same server again; the phone's new connection.

    It takes no new accounts from now on, which those that are there never notice.
    """
    play.server.kill()
    await asyncio.sleep(1.5)
    play.server.variables["HAPPY_REGISTRATION"] = "closed"
    await play.server.start()
    socket = play.phone.api.user_socket()
    await socket.connect()
    play.done("the server was killed (kill -9) and is back, closed for new accounts")
    return socket


async def end_the_session(
    play: Play, socket: SocketClient, session_id: str, key: DataKey, *, what: str
) -> None:
    """The phone ends the session; it says good-bye and is shown as stopped."""
    await play.phone.call(socket, session_id, key, "killSession", {})

    async def stopped() -> bool:
        rows = (await play.phone.api.get("/v1/sessions"))["sessions"]
        return not next(row for row in rows if row["id"] == session_id)["active"]

    await until(stopped, what="the session is inactive")
    play.done(f"the phone ends {what}, and it is shown as stopped")


async def stop_the_daemon(play: Play, socket: SocketClient) -> None:
    """`happy daemon stop`: the phone sees the machine go."""
    await asyncio.to_thread(play.terminal.run, "daemon", "stop")
    gone = await socket.next_ephemeral("machine-activity", timeout=20)
    while gone["active"]:
        gone = await socket.next_ephemeral("machine-activity", timeout=20)
    play.done("happy daemon stop: the phone sees the machine go")


async def perform(play: Play, home: Path, model: str) -> None:
    await link_the_terminal(play)
    await link_in_the_old_form(play, home / "other-terminal")
    async with play.phone.api.user_socket() as socket:
        machine_key = await start_the_daemon(play, socket)
        await call_the_daemon(play, socket, machine_key, when="and gets its answer")
        await read_a_large_file(play, socket, machine_key)
        session_id, session_key = await start_a_session(play, socket)
        await talk(play, session_id, session_key, "good morning", when="of the session")
        claude_id, claude_key = await spawn_claude(play, socket, machine_key, model)
        await talk(play, claude_id, claude_key, "good evening", when="of Claude Code")
    assert not socket.disconnected_by_server
    socket = await kill_and_restart(play)
    try:
        await call_the_daemon(play, socket, machine_key, when="again after the restart")
        await talk(play, session_id, session_key, "still there", when="of the session after the restart")
        await talk(play, claude_id, claude_key, "and you", when="of Claude Code after the restart")
        await end_the_session(play, socket, session_id, session_key, what="the session")
        await end_the_session(play, socket, claude_id, claude_key, what="Claude Code")
        await stop_the_daemon(play, socket)
    finally:
        await socket.close()
    await sign_everybody_out(play.server, play.phone, play.terminal, play.done)


async def play_a_day(flavor: str, release: Release, home: Path) -> None:
    """A server on an empty home, a signed-in phone, a machine, and what people do with them."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(new_server(flavor, home / "server"))
        mode, come_in = ADMISSIONS[flavor]
        server.variables["HAPPY_REGISTRATION"] = mode
        await stack.enter_async_context(server)
        phone = Phone(await stack.enter_async_context(ApiClient(server.url)))
        await come_in(phone, server)
        terminal = Terminal(home / "terminal", server.url, release)
        stack.callback(terminal.clean_up)
        play = Play(server, phone, terminal)
        play.done(f"the server runs ({flavor}) and has let in the phone ({mode}); the client is {release}")
        with logs_of_a_failure([server], [terminal]), fake_model() as model:
            await perform(play, home, model)


async def signed_in_phone(stack: AsyncExitStack, server: Server) -> Phone:
    phone = Phone(await stack.enter_async_context(ApiClient(server.url)))
    await phone.sign_in()
    return phone


@contextmanager
def logs_of_a_failure(
    servers: Sequence[Server], terminals: Sequence[Terminal], problems: Sequence[str] = ()
) -> Iterator[None]:
    """Show both sides' logs when the block fails, or has found problems at its end."""
    try:
        yield
        failed = bool(problems)
    except BaseException:
        failed = True
        raise
    finally:
        if failed:
            for server in servers:
                print(f"\n---- the server\n{server.log_text()[-8000:]}")
            for terminal in terminals:
                print(f"\n---- the client {terminal.release}\n{terminal.logs()}")
