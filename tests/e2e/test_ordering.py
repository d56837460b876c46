"""What arrives before what: protocol: realtime#ordering-guarantees, with the official client."""

import asyncio

import pytest

from tests.e2e.conftest import Account
from tests.support.official_client import OfficialSocket

pytestmark = pytest.mark.asyncio(loop_scope="session")


def arrived(socket: OfficialSocket) -> list[str]:
    """What reached the socket, in order, by name."""
    return [entry.name for entry in socket.log]


async def test_the_update_comes_before_the_acknowledgement(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    mid = (await account.api.register_machine())["id"]
    async with account.session(sid) as session, account.machine(mid) as daemon:
        for version in range(20):
            await session.call("update-metadata", {"sid": sid, "metadata": "m", "expectedVersion": version})
            await session.call("update-state", {"sid": sid, "agentState": "s", "expectedVersion": version})
            await daemon.call(
                "machine-update-state", {"machineId": mid, "daemonState": "d", "expectedVersion": version}
            )

        assert arrived(session) == ["update", "ack of update-metadata", "update", "ack of update-state"] * 20
        assert arrived(daemon) == ["update", "ack of machine-update-state"] * 20


async def test_events_of_a_post_arrive_in_order_before_its_answer(account: Account) -> None:
    """Before the answer leaves the server, that is: here the phone asks for a ping right behind it."""
    sid = (await account.api.create_session())["id"]
    async with account.user() as phone:
        for batch in range(10):
            await account.api.post_messages(sid, [f"{batch}-{number}" for number in range(50)])
            await phone.call("ping")

            assert len(phone.updates()) == 50 * (batch + 1)
    assert [body["message"]["seq"] for body in phone.updates()] == list(range(1, 501))


async def test_messages_of_one_socket_keep_their_order(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        await asyncio.gather(
            *(session.emit("message", {"sid": sid, "message": str(number)}) for number in range(200))
        )
        bodies = [await phone.next_update() for _ in range(200)]

    assert [body["message"]["content"]["c"] for body in bodies] == [str(number) for number in range(200)]
    assert [body["message"]["seq"] for body in bodies] == list(range(1, 201))


async def test_what_one_socket_sends_of_one_session_keeps_its_order(account: Account) -> None:
    """Messages share commits; an update waits for those before it, and those behind it for the update."""
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session, account.user() as phone:
        sent: list[tuple[str, dict[str, object]]] = []
        for version in range(20):
            sent += [
                ("message", {"sid": sid, "message": "m"}),
                ("message", {"sid": sid, "message": "m"}),
                ("update-state", {"sid": sid, "agentState": "s", "expectedVersion": version}),
                ("update-metadata", {"sid": sid, "metadata": "m", "expectedVersion": version}),
            ]
        await asyncio.gather(*(session.emit(name, payload) for name, payload in sent))
        bodies = [await phone.next_update() for _ in sent]

    shown = [
        (body["t"], next((part for part in ("agentState", "metadata") if part in body), ""))
        for body in bodies
    ]
    assert (
        shown
        == [
            ("new-message", ""),
            ("new-message", ""),
            ("update-session", "agentState"),
            ("update-session", "metadata"),
        ]
        * 20
    )


async def test_a_ping_is_answered_when_all_before_it_is_stored(account: Account) -> None:
    """The command-line client asks for one before it ends, then leaves."""
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as session:
        await asyncio.gather(*(session.emit("message", {"sid": sid, "message": "m"}) for _ in range(100)))
        await session.call("ping")

        assert 100 == len(await account.api.messages(sid))


async def test_writers_at_once_are_pushed_in_the_order_of_their_numbers(account: Account) -> None:
    """Clients take a push only if it is the next number; an out-of-order push costs them a request."""
    sid = (await account.api.create_session())["id"]
    async with account.session(sid) as one, account.session(sid) as two, account.user() as phone:
        posts = [account.api.post_messages(sid, [f"p{number}", "second"]) for number in range(40)]
        emits = [
            socket.call("message", {"sid": sid, "message": f"m{number}"})
            for number in range(20)
            for socket in (one, two)
        ]
        await asyncio.gather(*posts, *emits)
        seen = [(await phone.next_update())["message"]["seq"] for _ in range(120)]

    assert seen == list(range(1, 121))


async def test_events_right_after_connecting_are_not_lost(account: Account) -> None:
    """Clients emit what they buffered at once; the handlers must be ready before the CONNECT answer."""
    sid = (await account.api.create_session())["id"]
    async with account.user() as phone:
        for number in range(10):
            session = account.session(sid)
            connecting = asyncio.create_task(session.connect())
            await asyncio.sleep(0)  # the order to open is written, the connection is not there yet
            await session.emit("message", {"sid": sid, "message": str(number)})
            await connecting
            await session.close()
        bodies = [await phone.next_update("new-message") for _ in range(10)]

    assert [body["message"]["content"]["c"] for body in bodies] == [str(number) for number in range(10)]
