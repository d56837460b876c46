"""Few requests begin at once; addresses take turns."""

import asyncio

from happy.http.framework.request_turns import RequestTurns


async def test_few_requests_do_not_wait() -> None:
    turns = RequestTurns(2)
    for _ in range(2):
        await turns.turn(lambda: "a")
        await turns.turn(lambda: "b")
        await asyncio.sleep(0)


async def test_requests_of_many_connections_take_turns_by_address() -> None:
    turns, begun = RequestTurns(2), list[str]()

    async def ask(address: str) -> None:
        await turns.turn(lambda: address)
        begun.append(address)

    tasks = [asyncio.create_task(ask(address)) for address in "aaaaaaab"]
    await asyncio.gather(*tasks)

    assert list("aaabaaaa") == begun
