"""The fixtures of the end-to-end tests: servers as processes of their own, and the official client."""

from tests.e2e.conftest import (
    _node_is_there,
    account,
    client,
    own_server,
    pair,
    pytest_runtest_makereport,
    replicas,
    server,
    stranger,
)

__all__ = [
    "_node_is_there",
    "account",
    "client",
    "own_server",
    "pair",
    "pytest_runtest_makereport",
    "replicas",
    "server",
    "stranger",
]
