"""Every attack of this folder at once, each in a process, of an account and from an address of its own."""

import asyncio
import contextlib
import importlib
import inspect
import multiprocessing
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.attack import attacker
from tests.attack.attacker import Attack, Target
from tests.attack.siege_watch import cpu_seconds
from tests.support.api_client import ApiClient

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

NICENESS = 19
"""Dozens of them share this machine with the server, whose processor they would not have elsewhere."""

OF_THE_BYSTANDER = "test_bystander"
"""Its attacks stop the server's process, which no peer can do."""

ROUND_SECONDS = 20.0
"""After which an attack begins anew: what holds connections has lost them by then."""

FOR_EVER = 1e6


def all_attacks() -> list[Attack]:
    """The functions that take a target and nothing else, of all test modules beside this one."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("test_*.py"))
    modules = [importlib.import_module(f"tests.attack.{name}") for name in names if name != OF_THE_BYSTANDER]
    return [
        function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
        if not name.startswith("_") and [*inspect.signature(function).parameters] == ["target"]
    ]


def in_rounds(attack: Attack, target: Target) -> None:
    while target.goes_on():
        with contextlib.suppress(LookupError, ValueError):  # a refusal has not what an answer has
            attack(target._replace(until=min(target.until, time.monotonic() + ROUND_SECONDS)))


class Attacker:
    """One hostile peer: what it does, from where, and its process."""

    def __init__(self, attack: Attack, address: str) -> None:
        self.name = f"{attack.__module__.rpartition('.')[2]}.{attack.__name__}"
        self.address = address
        self._attack = attack
        self._token = ""
        self._process: BaseProcess | None = None

    async def sign_in(self, url: str) -> None:
        """To a free account, which attacks that sign in use."""
        async with ApiClient(url, address=self.address) as api:
            self._token = await api.sign_in()

    def start(self, url: str) -> None:
        """Attack until it is ended."""
        attack, port = partial(in_rounds, self._attack), httpx.URL(url).port
        arguments = (attack, port, self._token, FOR_EVER, self.address, NICENESS)
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=attacker.go_on, args=arguments, daemon=True)
        self._process.start()

    @property
    def attacks(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def cpu_seconds(self) -> float:
        return 0.0 if self._process is None else cpu_seconds(self._process.pid)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()


@asynccontextmanager
async def attacked(url: str) -> AsyncIterator[list[Attacker]]:
    """All of them at once, during the block."""
    multiprocessing.set_forkserver_preload(["__main__", __name__])  # each would read them again
    network = f"127.{1 + secrets.randbelow(250)}.{secrets.randbelow(250)}"
    attackers = [Attacker(attack, f"{network}.{1 + number}") for number, attack in enumerate(all_attacks())]
    try:
        for one in attackers:
            await one.sign_in(url)
        for one in attackers:
            await asyncio.to_thread(one.start, url)
        yield attackers
    finally:
        for one in attackers:
            one.end()
