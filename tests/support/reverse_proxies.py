"""Reverse proxies of the tests' own before two replicas, set up as `compose/` and the documentation say."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.server_process import REPOSITORY, free_port

DOCUMENTATION = REPOSITORY / "docs" / "reverse-proxies.md"
PROXIES = ("caddy", "nginx", "haproxy")
START_SECONDS = 15


class Setup(NamedTuple):
    text: str
    command: Sequence[str]


def example(language: str) -> str:
    """The last one is for several replicas."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENTATION.read_text("utf-8"), re.DOTALL)[-1]


def caddy(folder: Path, port: int) -> Setup:
    shipped = (REPOSITORY / "compose" / "Caddyfile").read_text("utf-8")
    text = shipped.replace(":80 {", f":{port} {{")
    text = text.replace("server-a:3005", "10.0.0.1:3005").replace("server-b:3005", "10.0.0.2:3005")
    command = ["run", "--adapter", "caddyfile", "--config", str(folder / "caddy")]
    return Setup("{\n\tadmin off\n}\n" + text, command)


def nginx(folder: Path, port: int) -> Setup:
    text = example("nginx").replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    return nginx_with(folder, re.sub(r"ssl_certificate\S* .*;", "", text))


def nginx_at(folder: Path, port: int, locations: str) -> Setup:
    """One host with these locations, which pass websockets on."""
    passing = "proxy_http_version 1.1; proxy_set_header Host $http_host;"
    upgrade = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"
    upgrades = 'map $http_upgrade $connection_upgrade { default upgrade; "" ""; }'
    return nginx_with(
        folder, f"{upgrades}\nserver {{ listen 127.0.0.1:{port}; {passing} {upgrade}\n{locations}\n}}"
    )


def nginx_with(folder: Path, servers: str) -> Setup:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    around = f"daemon off; pid {folder}/pid;\nevents {{}}\nhttp {{ access_log off; {paths}\n{servers}}}\n"
    return Setup(around, ["-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx")])


def haproxy(folder: Path, port: int) -> Setup:
    text = example("haproxy").replace("bind :443 ssl crt /etc/ssl/happy.pem", f"bind 127.0.0.1:{port}")
    return Setup(text, ["-db", "-f", str(folder / "haproxy")])


SETUPS = {"caddy": caddy, "nginx": nginx, "haproxy": haproxy}


@asynccontextmanager
async def own_proxy(name: str, folder: Path, replicas: Sequence[int]) -> AsyncIterator[str]:
    """The address under which the replicas on these ports are one server."""
    port = free_port()
    text, command = SETUPS[name](folder, port)
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"10.0.0.{number}:3005", f"127.0.0.1:{replica}")
    async with started(name, folder, Setup(text, command), f"http://127.0.0.1:{port}") as url:
        yield url


@asynccontextmanager
async def started(name: str, folder: Path, setup: Setup, url: str) -> AsyncIterator[str]:
    """A proxy that runs until the end of the block. `url` is where the server behind it answers."""
    program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip(f"NO {name.upper()}")
    folder.mkdir()  # noqa: ASYNC240 - a moment
    (folder / name).write_text(setup.text)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [program, *setup.command], stdout=log, stderr=log, env=environment
        )
    try:
        await _until_healthy(url)
        yield url
    finally:
        process.terminate()
        process.wait()


async def _until_healthy(url: str) -> None:
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False, verify=False) as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"{url}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
