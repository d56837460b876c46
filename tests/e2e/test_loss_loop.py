"""The short version of `python -m tests.e2e.loss_loop`."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.e2e import loss_loop
from tests.e2e.conftest import Account
from tests.support.nodejs import OLDEST_SOCKET_IO_CLIENT, installed, node
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD = """
const { io } = require(process.argv[2] + "/node_modules/socket.io-client");
const auth = { token: process.argv[4], clientType: "user-scoped" };
const options = { path: "/v1/updates", transports: ["websocket"], auth, reconnectionDelay: 1 };
const socket = io(process.argv[3], options);
socket.on("connect", () => console.log("connected"));
socket.on("disconnect", () => console.log("lost"));
socket.on("update", (update) => console.log(update.body.message.content.c));
process.stdin.on("data", () => socket.io.engine.close());
"""


@pytest.mark.slow
@pytest.mark.timeout(400)  # a client that notices nothing gives up after a minute
@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="-".join)
async def test_a_client_that_loses_its_link_misses_nothing(server: Server, transports: list[str]) -> None:
    node()
    outcome = await loss_loop.run(server.url, losses=12, seed=5, transports=transports)

    assert outcome.problems() == []
    assert outcome.connects >= 12
    assert outcome.recovered == outcome.connects
    assert outcome.total > 50


@pytest.mark.slow
async def test_a_client_too_old_for_recovery_is_served_as_ever(account: Account, tmp_path: Path) -> None:
    sid = (await account.api.create_session())["id"]
    script = tmp_path / "old.cjs"
    script.write_text(OLD)
    package, pipe = installed(*OLDEST_SOCKET_IO_CLIENT), subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node(), str(script), str(package), account.api.url, account.api.token or "", stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        lines = []
        async with asyncio.timeout(10):
            lines.append(await process.stdout.readline())
            await account.api.post_messages(sid, ["one"])
            lines.append(await process.stdout.readline())
            process.stdin.write(b"drop\n")
            lines += [await process.stdout.readline() for _ in range(2)]
            await account.api.post_messages(sid, ["two"])
            lines.append(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()

    assert [line.decode().strip() for line in lines] == ["connected", "one", "lost", "connected", "two"]
