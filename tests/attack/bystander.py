"""What a second, well-behaved client feels beside an attack: its latencies, and the server's memory.

felt = await beside(server, many_pings)
felt.check()

The bystander has two sockets, which ping, call each other and post messages, and asks for small things over
connections of its own. Bounded and lenient by default, so that it holds on a busy machine; `make attack` sets
HAPPY_ATTACK_SECONDS, and then the real aims are what must hold.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from tests.attack.attacker import Attack, start
from tests.support.api_client import ApiClient
from tests.support.raw_http import exchange
from tests.support.server_process import Server

LONG = float(os.environ.get("HAPPY_ATTACK_SECONDS", "0"))
SECONDS = LONG or 3.0
P99_SECONDS = 0.1 if LONG else 1.0
PEAK_MB = 250.0
PAUSE = 0.02
"""Seconds between two operations of a kind."""

GIVE_UP = 20.0
"""Seconds after which an operation has failed."""

WARM_UP = 5
LEAST = 10
"""Operations that must have succeeded, however busy the machine is."""

Operation = Callable[[], Awaitable[object]]


@dataclass
class Felt:
    """What the bystander felt; `latencies` in seconds, by kind of operation, those that failed included."""

    name: str
    latencies: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    peak_mb: float = 0.0

    def percentile(self, share: float) -> float:
        """Of what a client feels that asks every PAUSE whether or not it was answered: one that waits for its
        answer asks too rarely while the server is stuck, and would hide it (coordinated omission)."""
        ordered = sorted(chain.from_iterable(map(_unanswered, chain.from_iterable(self.latencies.values()))))
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else GIVE_UP

    def __str__(self) -> str:
        count = sum(map(len, self.latencies.values()))
        figures = " ".join(
            f"{name} {1000 * self.percentile(share):.1f} ms"
            for name, share in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0))
        )
        return f"{self.name}: {count} operations, {figures}, peak {self.peak_mb:.0f} MB"

    def check(self, *, p99: float = P99_SECONDS, peak_mb: float = PEAK_MB) -> None:
        """The bystander was served all the time, and the server's memory stayed bounded."""
        print(f"\n{self}")
        assert not self.failures, f"{self}; failed: {self.failures[:3]}"
        assert all(len(done) >= LEAST for done in self.latencies.values()), f"hardly served: {self}"
        assert self.percentile(0.99) < p99, str(self)
        assert self.peak_mb <= peak_mb, str(self)


def _unanswered(latency: float) -> Iterator[float]:
    """The latencies of those who asked while this one waited, itself included."""
    while latency > 0:
        yield latency
        latency -= PAUSE


async def beside(
    server: Server, *attacks: Attack, seconds: float = SECONDS, token: str | None = None
) -> Felt:
    """Attack the server for that long, each attack in a process of its own, and feel it as a bystander.

    The attackers are signed in to an account of their own, or to that of `token`. What was felt too much of
    is tried once more, unless aims are real: disks of shared machines stall for seconds, but rarely twice.
    """
    felt = await _beside(server, *attacks, seconds=seconds, token=token)
    if not LONG and felt.percentile(0.99) >= P99_SECONDS:
        print(f"\nonce more: {felt}")
        felt = await _beside(server, *attacks, seconds=seconds, token=token)
    return felt


async def _beside(server: Server, *attacks: Attack, seconds: float, token: str | None) -> Felt:
    felt = Felt(" + ".join(map(_name, attacks)) or "nothing")
    async with bystander(server) as operations, ApiClient.signed_in(server.url) as attacker:
        for operation in operations.values():
            for _ in range(WARM_UP):
                await operation()
        token = token or str(attacker.token)
        processes = [start(attack, server.port, token, seconds) for attack in attacks]
        try:
            over = asyncio.create_task(_end(processes, seconds))
            felt.latencies = {name: [] for name in operations}
            await asyncio.gather(*(_repeat(felt, name, operations[name], over) for name in operations))
            await over
        finally:
            for process in processes:
                process.kill()
                process.join()
    felt.peak_mb = peak_mb(server)
    return felt


def _name(attack: Attack) -> str:
    return str(getattr(attack, "func", attack).__name__)  # it may be a partial


async def _end(processes: Sequence[object], seconds: float) -> None:
    """Wait for the attackers; for the time itself where there are none."""
    if not processes:
        await asyncio.sleep(seconds)
    await asyncio.gather(*(asyncio.to_thread(process.join, seconds + GIVE_UP) for process in processes))  # type: ignore[attr-defined]


async def _repeat(felt: Felt, name: str, operation: Operation, over: asyncio.Task[None]) -> None:
    while not over.done():
        started = time.monotonic()
        try:
            async with asyncio.timeout(GIVE_UP):
                await operation()
        except Exception as error:  # noqa: BLE001 - whatever it is, the bystander was not served
            felt.failures.append(f"{name}: {error!r}")
        felt.latencies[name].append(time.monotonic() - started)
        await asyncio.sleep(PAUSE)


@asynccontextmanager
async def bystander(server: Server) -> AsyncIterator[dict[str, Operation]]:
    """What a well-behaved client of an account of its own does, by name."""
    async with ApiClient.signed_in(server.url) as api:
        session = str((await api.create_session())["id"])
        async with api.user_socket() as phone, api.user_socket() as daemon:
            daemon.answer("rpc-request", lambda request: request["params"])
            await daemon.emit("rpc-register", {"method": "echo"})
            await daemon.next_event("rpc-registered")

            async def call() -> None:
                answer = await phone.call("rpc-call", {"method": "echo", "params": "x"})
                assert {"ok": True, "result": "x"} == answer

            async def arrive() -> None:
                """A new connection, as a client that starts makes one."""
                assert 200 == (await exchange(server.port, "GET", "/health")).status

            async def post() -> None:
                await api.post_messages(session, ["hello"])
                await daemon.next_update("new-message")

            yield {"ping": lambda: phone.call("ping"), "rpc": call, "message": post, "arrival": arrive}


def peak_mb(server: Server) -> float:
    """The largest resident size that the server's process ever had, in MB; 0 where there is no /proc."""
    assert server.process is not None
    with contextlib.suppress(FileNotFoundError):
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000
    return 0.0


def resident_mb(server: Server) -> float:
    """The resident size of the server's process now, in MB; 0 where there is no /proc."""
    assert server.process is not None
    with contextlib.suppress(FileNotFoundError):
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000
    return 0.0
