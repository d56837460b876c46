"""The bystander itself: content with a server that nobody attacks, and not with one that does not answer."""

import os
import signal
import sys
import time
from functools import partial

import pytest

from tests.attack.attacker import Target
from tests.attack.bystander import beside
from tests.support.server_process import Server

STOPPED_SECONDS = 1.5


def nothing(target: Target) -> None:
    time.sleep(0.05)


def stop(process: int, target: Target) -> None:
    """Once, and for longer than the attack may last."""
    os.kill(process, signal.SIGSTOP)
    time.sleep(STOPPED_SECONDS)
    os.kill(process, signal.SIGCONT)
    time.sleep(STOPPED_SECONDS)


async def test_a_server_that_nobody_attacks_passes(server: Server) -> None:
    felt = await beside(server, nothing, seconds=1.5)
    felt.check()


async def test_a_server_that_stops_for_a_while_does_not_pass(server: Server) -> None:
    assert server.process is not None
    felt = await beside(server, partial(stop, server.process.pid), seconds=2.0)

    assert felt.percentile(1.0) > STOPPED_SECONDS / 2
    assert felt.peak_mb > 0 or sys.platform != "linux"
    with pytest.raises(AssertionError):
        felt.check()
