"""Run the scenarios one after another, print a table, keep the figures in a JSON file."""

import argparse
import os
import platform
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import uvloop

from happy import __version__
from tests.bench import http_scenarios, process_scenarios, realtime_scenarios, sync_scenarios
from tests.bench.figures import HEAD, Figure, best, line

Scenario = Callable[[float], Awaitable[list[Figure]]]

SCENARIOS: dict[str, Scenario] = {
    "append-1": http_scenarios.append_one_writer,
    "append-32": http_scenarios.append_many_writers,
    "append-batch": http_scenarios.append_batches,
    "page": http_scenarios.page,
    "sessions": http_scenarios.list_sessions,
    "artifacts": sync_scenarios.list_artifacts,
    "kv": sync_scenarios.kv_batches,
    "alive": sync_scenarios.session_alive,
    "upload": sync_scenarios.upload,
    "message-1": realtime_scenarios.message_one_sender,
    "message-32": realtime_scenarios.message_many_senders,
    "fan-out": realtime_scenarios.fan_out,
    "rpc-1": realtime_scenarios.rpc_one,
    "rpc-32": realtime_scenarios.rpc_many,
    "storm": process_scenarios.storm,
    "memory": process_scenarios.memory,
    "start": process_scenarios.start,
}


def main() -> None:
    asked = options()
    figures: list[Figure] = []
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}, "
          f"best of {asked.rounds}")  # fmt: skip
    print(HEAD)
    for figure in measure(asked.only or list(SCENARIOS), asked.seconds, asked.rounds):
        print(line(figure), flush=True)
        figures.append(figure)
    print(f"\nWritten to {write(figures, asked)}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario; may be repeated")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts (default: 3)")
    parser.add_argument("--rounds", type=int, default=1, help="run each scenario so often, keep the best")
    parser.add_argument("--json", type=Path, help="where to write the figures (default: bench-results/)")
    return parser.parse_args()


def measure(names: list[str], seconds: float, rounds: int) -> Iterator[Figure]:
    """Each scenario on a server and an event loop of its own."""
    for name in names:
        results = [uvloop.run(_run(SCENARIOS[name], seconds)) for _ in range(rounds)]
        yield from map(best, zip(*results, strict=True))


async def _run(scenario: Scenario, seconds: float) -> list[Figure]:
    return await scenario(seconds)


def write(figures: list[Figure], asked: argparse.Namespace) -> Path:
    file: Path = asked.json or Path("bench-results") / time.strftime("%Y-%m-%d-%H%M%S.json")
    report = {
        "version": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "seconds": asked.seconds,
        "rounds": asked.rounds,
        "figures": figures,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return file


if __name__ == "__main__":
    main()
