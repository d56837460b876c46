"""The short version of `make siege`."""

import contextlib
from pathlib import Path

import pytest

from tests.attack import siege
from tests.support.environments import Environment
from tests.support.nodejs import node
from tests.support.redis_server import own_redis
from tests.support.server_process import Server

SECONDS = 20.0


@pytest.mark.timeout(600)
async def test_clients_are_served_and_lose_nothing_while_every_attack_goes_on(
    environment: Environment, tmp_path: Path
) -> None:
    node()
    with contextlib.ExitStack() as stack:
        variables = dict(environment.variables)
        if environment.flavor == "full":
            variables["REDIS_URL"] = stack.enter_context(own_redis(tmp_path)).url
        server = Server(tmp_path / "home", flavor=environment.flavor, variables=variables)
        outcome = await siege.run(server, tmp_path, seconds=SECONDS, seed=1, cli=False)

    assert outcome.problems == []
    assert outcome.acknowledged > 0
