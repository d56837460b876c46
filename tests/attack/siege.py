"""All attacks at once, for long, beside honest clients: nobody is cut off, nothing is lost, memory is flat.

`python -m tests.attack.siege --seconds 3600 --flavor full` prints what the honest clients felt and what the
server took, and ends with 1 if a client was disconnected or refused, an acknowledged message is not there
once and in order, or memory or disk grew. Needs Linux (addresses of attackers, /proc) and Node.js.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from msgspec import Struct, field

from tests.attack.all_attacks import Attacker, attacked
from tests.attack.siege_clients import Felt, asking, cut_off, real_client
from tests.attack.siege_watch import ERROR, WARNING, Watch, complaints, watched
from tests.e2e.crowd import DEVICES, Crowd, crowd
from tests.e2e.crowd_writers import Pace
from tests.e2e.new_server import new_server
from tests.e2e.program import options, verdict
from tests.support.redis_server import own_redis
from tests.support.server_process import Server, free_port, temporary_home

QUOTA_MB = 50
VARIABLES = {
    "HAPPY_TRUSTED_PROXIES": "none",  # attackers and clients have loopback addresses, none is a proxy
    "HAPPY_QUOTAS": f"bytes={QUOTA_MB}M,sessions=200",
    "METRICS_ENABLED": "true",
}
PEAK_MB = 600.0
GROWTH_MB = 30.0
"""Of memory in the second half."""

WARM_SECONDS = 240.0
"""Shorter runs end before memory is what it will be."""

HONEST_MB = 100.0
"""What honest clients may write in an hour, and what every account may have beside its messages."""

SETTLE_SECONDS = 2.0
PACE = Pace(pause=1.0, patient=False, slowest=60.0, acknowledged=60.0)


class Outcome(Struct):
    problems: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    acknowledged: int = 0


async def run(server: Server, home: Path, *, seconds: float, seed: int, cli: bool = True) -> Outcome:
    """Start the server and attack it for so long; `cli`: with the published client among the honest ones."""
    server.variables |= {**VARIABLES, "METRICS_PORT": str(free_port())}
    outcome = Outcome()
    felt = Felt()
    async with server, crowd(server.url, sockets=DEVICES, seed=seed, pace=PACE) as many:
        async with many.traffic(), _others(server, many, home, felt, outcome, cli=cli):
            async with watched(server) as watch, attacked(server.url) as attackers:
                await asyncio.sleep(seconds)
                _judge_attackers(attackers, outcome)
            await asyncio.sleep(SETTLE_SECONDS)
            outcome.problems += cut_off(many)
        await many.nudge()
        outcome.problems += [*await many.problems(), *felt.problems()]
        outcome.lines += [many.summary(), str(felt)]
        await _judge_server(server, watch, len(attackers), outcome)
    outcome.acknowledged = sum(
        len(texts) for house in many.households for texts in house.ledger.promised.values()
    )
    return outcome


@contextlib.asynccontextmanager
async def _others(
    server: Server, many: Crowd, home: Path, felt: Felt, outcome: Outcome, *, cli: bool
) -> AsyncIterator[None]:
    (household,) = many.households
    async with contextlib.AsyncExitStack() as stack:
        if cli:
            real = await stack.enter_async_context(real_client(server, home))
            stack.callback(lambda: outcome.problems.extend(real.failures))
            await stack.enter_async_context(real.talking(felt))
        await stack.enter_async_context(asking(household.api, household.ledger.sessions[0], felt))
        yield


def _judge_attackers(attackers: list[Attacker], outcome: Outcome) -> None:
    outcome.problems += [f"{one.name} attacks no more" for one in attackers if not one.attacks]
    spent = sorted(((one.cpu_seconds, one.name) for one in attackers), reverse=True)
    most = ", ".join(f"{name} {cpu:.0f}" for cpu, name in spent[:5])
    outcome.lines.append(
        f"{len(attackers)} attackers spent {sum(cpu for cpu, _ in spent):.0f} s of CPU ({most})"
    )


async def _judge_server(server: Server, watch: Watch, attackers: int, outcome: Outcome) -> None:
    log = server.log_text()
    outcome.lines += [str(watch), f"refused: {_counts(await _refused(server))}"]
    outcome.lines.append(f"warnings: {_counts(complaints(log, WARNING))}")
    outcome.problems += [
        f"{count} errors in the log: {what}" for what, count in complaints(log, ERROR).items()
    ]
    if max(watch.memory) > PEAK_MB:
        outcome.problems.append(f"memory: {max(watch.memory):.0f} MB")
    if len(watch.memory) > WARM_SECONDS and watch.growth > GROWTH_MB:
        outcome.problems.append(f"memory grew by {watch.growth:.0f} MB in the second half")
    if watch.disk[-1] > (bound := HONEST_MB + attackers * (QUOTA_MB + 20)):
        outcome.problems.append(f"the database has {watch.disk[-1]:.0f} MB, not {bound:.0f}")
    if watch.log[-1] > HONEST_MB:
        outcome.problems.append(f"the log has {watch.log[-1]:.0f} MB")


async def _refused(server: Server) -> Counter[str]:
    """What the server counted of refusals, by kind."""
    url = f"http://127.0.0.1:{server.variables['METRICS_PORT']}/metrics"
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=60) as http:
        text = (await http.get(url)).text
    found: Counter[str] = Counter()
    for line in text.splitlines():
        name, _, rest = line.partition("_total{")
        if name in {"peers_refused", "rate_limited_requests", "account_limits_reached"}:
            labels, _, value = rest.rpartition("} ")
            found[f"{name} {labels.split('=')[-1].strip(chr(34))}"] = int(float(value))
    return found


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.most_common()) or "nothing"


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "tests.attack.siege")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--flavor", choices=["light", "full"], default="light")
    parser.add_argument("--no-cli", action="store_true", help="without the published command-line client")
    return parser.parse_args()


async def main() -> int:
    given = _arguments()
    home = temporary_home()
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(new_server(given.flavor, home))
        if given.flavor == "full":
            server.variables["REDIS_URL"] = stack.enter_context(own_redis(home)).url
        outcome = await run(server, home, seconds=given.seconds, seed=given.seed, cli=not given.no_cli)
    print(f"{given.seconds:.0f} s on {given.flavor}, seed {given.seed}")
    print("\n".join(f"  {line}" for line in outcome.lines))
    if not outcome.problems:
        shutil.rmtree(home)
    return verdict(outcome.problems, server.log)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
