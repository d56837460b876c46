"""The play: `python -m tests.client.run` runs the published clients against a server of its own.

Needs Node.js; the clients come from npm on the first run. Every step prints one line; a step that fails ends
the play with 1 and shows the logs of both sides.
"""

import argparse
import asyncio
import shutil
import sys
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.client.day import logs_of_a_failure, play_a_day, signed_in_phone
from tests.client.interruptions import WHOLE, Stage, conversations, interrupt, scenes
from tests.client.moved import play_a_move
from tests.client.releases import RELEASES, Release
from tests.e2e.new_server import new_server
from tests.support.cluster import cluster
from tests.support.nodejs import MISSING, node_is_there
from tests.support.server_process import Server, temporary_home
from tests.support.socket_client import Disconnected
from tests.support.tcp_proxy import Proxy

PLAYS = ["day", "moved", "prompts"]


async def count_prompts(flavor: str, releases: list[Release], home: Path, *, long: bool) -> list[str]:
    """Interrupt all clients at once, again and again; the prompts that were lost, doubled or out of order."""
    began = time.monotonic()
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(servers_for_prompts(flavor, home))
        phone = await signed_in_phone(stack, servers[0])
        proxy = await stack.enter_async_context(Proxy(servers[-1].port, 0, sizes=WHOLE))
        talks = await stack.enter_async_context(conversations(phone, proxy.url, releases, home))
        scene = Stage(servers[-1], servers[0], proxy, phone, talks)
        with logs_of_a_failure(servers, [talk.terminal for talk in talks], problems):
            for name, interruption in scenes(replicas=len(servers) > 1, long=long):
                found = await interrupt(scene, interruption)
                problems += [f"{name}: {problem}" for problem in found]
                given = "; ".join(found) or "each agent was given each prompt once"
                print(f"{time.monotonic() - began:6.1f} s  {name}: {given}", flush=True)
    return problems


@asynccontextmanager
async def servers_for_prompts(flavor: str, home: Path) -> AsyncIterator[list[Server]]:
    """Running; two replicas of the full flavor."""
    if flavor == "full":
        async with cluster(home / "replicas", 2) as replicas:
            yield list(replicas)
    else:
        async with new_server(flavor, home / "server-for-prompts") as server, server:
            yield [server]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="the published command-line clients against this server")
    parser.add_argument("--flavor", default="light", help="the server's flavor: light (default) or full")
    names = ", ".join(release.version for release in RELEASES)
    parser.add_argument("--version", help=f"one version of the client only, of {names} or another")
    parser.add_argument("--play", choices=PLAYS, help="one of the plays only")
    parser.add_argument(
        "--cuts", choices=["short", "long"], default="short", help="long: 60 s, 90 s of sleep"
    )
    return parser.parse_args()


async def perform_all(asked: argparse.Namespace, home: Path) -> list[str]:
    releases = [Release(asked.version)] if asked.version else list(RELEASES)
    plays = PLAYS if asked.play is None else [asked.play]
    if "day" in plays and not releases[0].is_legacy:
        await play_a_day(asked.flavor, releases[0], home)
    if "moved" in plays and not releases[0].is_legacy:
        await play_a_move(asked.flavor, releases[0], home / "moved")
    if "prompts" not in plays:
        return []
    return await count_prompts(asked.flavor, releases, home, long=asked.cuts == "long")


async def main() -> int:
    if not node_is_there():
        print(MISSING)
        return 1
    home = temporary_home()
    try:
        problems = await perform_all(arguments(), home)
    except (AssertionError, Disconnected, TimeoutError, RuntimeError):
        traceback.print_exc()
        problems = ["see above"]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("\n".join(["FAILED", *problems]) if problems else "everything passed")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
