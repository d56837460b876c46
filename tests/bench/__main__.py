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
from tests.bench import (
    backup_scenarios,
    growth_scenarios,
    http_scenarios,
    idle_scenarios,
    in_flight_scenarios,
    moving_scenarios,
    process_scenarios,
    realtime_scenarios,
    replica_scenarios,
    sync_scenarios,
    yardstick,
)
from tests.bench.figures import HEAD, Figure, best, line
from tests.bench.server import Flavor, LeftOut, Run

Scenario = Callable[[Run], Awaitable[list[Figure]]]

SCENARIOS: dict[str, Scenario] = {
    "append-1": http_scenarios.append_one_writer,
    "append-32": http_scenarios.append_many_writers,
    "append-batch": http_scenarios.append_batches,
    "page": http_scenarios.page,
    "sessions": http_scenarios.list_sessions,
    "artifacts": sync_scenarios.list_artifacts,
    "kv": sync_scenarios.kv_batches,
    "alive": realtime_scenarios.session_alive,
    "alive-crowd": realtime_scenarios.session_alive_in_a_crowd,
    "upload": sync_scenarios.upload,
    "message-1": realtime_scenarios.message_one_sender,
    "message-32": realtime_scenarios.message_many_senders,
    "message-8": in_flight_scenarios.against_writers,
    "fan-out": realtime_scenarios.fan_out,
    "rpc-1": realtime_scenarios.rpc_one,
    "rpc-32": realtime_scenarios.rpc_many,
    "arrivals": process_scenarios.arrivals,
    "storm": process_scenarios.storm,
    "idle": idle_scenarios.idle,
    "growth": growth_scenarios.growth,
    "backup": backup_scenarios.beside_backup,
    "moving": moving_scenarios.memory,
}
"""For both flavors."""

FURTHER: dict[Flavor, dict[str, Scenario]] = {
    "light": {"start": process_scenarios.start, "node": yardstick.against_node},
    "full": {"replicas-update": replica_scenarios.updates, "replicas-rpc": replica_scenarios.calls},
}


def main() -> None:
    asked = options()
    run = Run(asked.seconds, asked.flavor, asked.messages, asked.rest)
    figures: list[Figure] = []
    print(f"{asked.flavor}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"load {os.getloadavg()[0]:.1f}, best of {asked.rounds}")  # fmt: skip
    print(HEAD)
    for figure in measure(run, asked.only, asked.rounds):
        print(line(figure), flush=True)
        figures.append(figure)
    print(f"\nWritten to {write(figures, asked)}")


def options() -> argparse.Namespace:
    names = [*SCENARIOS, *FURTHER["light"], *FURTHER["full"]]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--flavor", choices=FURTHER, default="light", help="full: on PostgreSQL and Redis")
    parser.add_argument("--only", action="append", choices=names, help="this scenario; may be repeated")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts (default: 3)")
    parser.add_argument("--rounds", type=int, default=1, help="run each scenario so often, keep the best")
    parser.add_argument("--messages", type=int, default=1_000_000, help="the large database of growth (10^6)")
    parser.add_argument("--rest", type=float, default=60.0, help="seconds of rest in growth (60)")
    parser.add_argument("--json", type=Path, help="where to write the figures (default: bench-results/)")
    asked = parser.parse_args()
    for name in asked.only or ():
        if name not in SCENARIOS | FURTHER[asked.flavor]:
            parser.error(f"{name} is not a scenario of the {asked.flavor} flavor")
    return asked


def measure(run: Run, only: list[str] | None, rounds: int) -> Iterator[Figure]:
    """Each scenario on servers and an event loop of its own."""
    scenarios = SCENARIOS | FURTHER[run.flavor]
    for name in only or scenarios:
        try:
            results = [uvloop.run(_run(scenarios[name], run)) for _ in range(rounds)]
        except LeftOut as reason:
            print(f"{name} is left out: {reason}")
            continue
        yield from map(best, zip(*results, strict=True))


async def _run(scenario: Scenario, run: Run) -> list[Figure]:
    return await scenario(run)


def write(figures: list[Figure], asked: argparse.Namespace) -> Path:
    file: Path = asked.json or Path("bench-results") / time.strftime("%Y-%m-%d-%H%M%S.json")
    report = {
        "version": __version__,
        "flavor": asked.flavor,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "seconds": asked.seconds,
        "rounds": asked.rounds,
        "figures": figures,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return file


if __name__ == "__main__":
    main()
