"""An agent whose answer was under way when its connection was cut is given the prompts sent meanwhile."""

from typing import Any

import pytest

from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Agent:
    """What command-line clients do with the messages of their session: they read on from `read_up_to`."""

    def __init__(self, api: ApiClient, sid: str, version: str, *, minds_receipts: bool) -> None:
        self.given: list[str] = []
        self.read_up_to = 0
        self._api = api
        self._path = f"/v3/sessions/{sid}/messages"
        self._headers = {"X-Happy-Client": f"cli-coding-session/{version}"}
        self._minds_receipts = minds_receipts

    async def post(self, text: str) -> None:
        body = {"messages": [{"content": text, "localId": text}]}
        response = await self._api.request("POST", self._path, json=body, headers=self._headers)
        assert response.status_code == 200
        if self._minds_receipts:
            self._move([row["seq"] for row in response.json()["messages"]])

    async def read(self) -> None:
        query = {"after_seq": self.read_up_to, "limit": 100}
        response = await self._api.request("GET", self._path, params=query, headers=self._headers)
        rows: list[dict[str, Any]] = response.json()["messages"]
        self.given += [row["content"]["c"] for row in rows if row["content"]["c"].startswith("prompt")]
        self._move([row["seq"] for row in rows])

    def _move(self, numbers: list[int]) -> None:
        self.read_up_to = max([self.read_up_to, *numbers])


@pytest.mark.parametrize(("version", "minds_receipts"), [("1.2.0", True), ("1.2.5", False)])
async def test_prompts_sent_while_an_answer_of_the_agent_was_under_way_are_read(
    account: Account, version: str, minds_receipts: bool
) -> None:
    """Client 1.2.0 went on reading behind the number of its own answer, and missed what came before that."""
    sid = str((await account.api.create_session())["id"])
    agent = Agent(account.api, sid, version, minds_receipts=minds_receipts)
    await account.api.post_messages(sid, ["prompt 1"])
    await agent.read()
    await account.api.post_messages(sid, ["prompt 2", "prompt 3"])
    await agent.post("an answer to 1, repeated since the connection was cut")
    await agent.read()

    assert agent.given == ["prompt 1", "prompt 2", "prompt 3"]


@pytest.mark.parametrize(
    "client", ["cli-coding-session/1.2.5", "cli-coding-session/1.2.10", "web/1.7.0", None]
)
async def test_all_other_clients_receive_the_seq_of_their_own_messages(
    account: Account, client: str | None
) -> None:
    sid = str((await account.api.create_session())["id"])
    body = {"messages": [{"content": "text", "localId": "one"}]}
    headers = {} if client is None else {"X-Happy-Client": client}
    response = await account.api.request("POST", f"/v3/sessions/{sid}/messages", json=body, headers=headers)

    assert [row["seq"] for row in response.json()["messages"]] == [1]
