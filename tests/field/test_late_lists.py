"""A list that was on its way while something changed is not what the app goes on to draw."""

import pytest

from tests.e2e.app_view import AppView, State
from tests.e2e.conftest import Account
from tests.field.presence import (
    heartbeat,
    until_announced_active,
    until_announced_inactive,
    until_listed,
)
from tests.support.until import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

SECONDS = 40.0
"""10 s until changes are announced again, and a busy machine."""


async def test_what_ended_while_the_lists_were_loading_is_drawn_offline(account: Account) -> None:
    session = (await account.api.create_session())["id"]
    machine = (await account.api.register_machine())["id"]
    async with account.user() as phone:
        async with account.machine(machine), account.api.session_socket(session) as process:
            await process.emit("session-alive", heartbeat(session, thinking=True))
            await until_announced_active(phone, session)
            await until_listed(account.api, machine, active=True)
            sessions = (await account.api.get("/v1/sessions"))["sessions"]
            machines = await account.api.get("/v1/machines")
        for target in (session, machine):
            await until_announced_inactive(phone, target)
        seen, view = len(phone.events), AppView()
        view.list_sessions(sessions)  # they arrive only now
        view.list_machines(machines)
        drawn = (view.sessions[session], view.machines[machine])

        def is_drawn_offline() -> bool:
            nonlocal seen
            for event in phone.events[seen:]:
                seen += 1
                if event.name == "ephemeral":
                    view.ephemeral(event.payload)
            return (view.sessions[session], view.machines[machine]) == (State(online=False),) * 2

        await until(is_drawn_offline, SECONDS)

    assert (State(online=True),) * 2 == drawn


async def test_a_machine_that_came_online_while_the_list_was_loading_is_drawn_online(
    account: Account,
) -> None:
    machine = (await account.api.register_machine())["id"]
    async with account.user() as phone:
        machines = await account.api.get("/v1/machines")
        async with account.machine(machine):
            await until_announced_active(phone, machine)
            view = AppView()
            view.list_machines(machines)  # it arrives only now
            drawn = view.machines[machine]
            await until_announced_active(phone, machine, SECONDS)

    assert State(online=False) == drawn
