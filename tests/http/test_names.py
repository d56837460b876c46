"""Names that clients choose have a length (protocol: http#limits)."""

from typing import Any

import pytest

from happy.domain.names import MAX_NAME
from tests.support.api_client import ApiClient

LONGEST, TOO_LONG = "x" * MAX_NAME, "x" * (MAX_NAME + 1)
PROBLEM = f"Too big: expected string to have <={MAX_NAME} characters"


def bodies(name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, the field that the answer names, and a body with this name in it."""
    return [
        ("/v1/sessions", "tag", {"tag": name, "metadata": ""}),
        ("/v1/machines", "id", {"id": name, "metadata": ""}),
        ("/v1/push-tokens", "token", {"token": name}),
        ("/v1/kv", "mutations/0/key", {"mutations": [{"key": name, "value": "eA==", "version": -1}]}),
        ("/v1/kv/bulk", "keys/0", {"keys": [name]}),
    ]


@pytest.mark.parametrize(("path", "field", "body"), bodies(TOO_LONG))
async def test_a_longer_name_is_refused(api: ApiClient, path: str, field: str, body: dict[str, Any]) -> None:
    answer = await api.post(path, body, expect=400)

    assert f"body/{field} {PROBLEM}" == answer["message"]


@pytest.mark.parametrize(("path", "field", "body"), bodies(LONGEST))
async def test_the_longest_name_is_taken(api: ApiClient, path: str, field: str, body: dict[str, Any]) -> None:
    await api.post(path, body)


async def test_a_longer_local_id_is_refused(api: ApiClient) -> None:
    session = (await api.create_session())["id"]
    path = f"/v3/sessions/{session}/messages"

    await api.post(path, {"messages": [{"content": "", "localId": TOO_LONG}]}, expect=400)
    await api.post(path, {"messages": [{"content": "", "localId": LONGEST}]})
