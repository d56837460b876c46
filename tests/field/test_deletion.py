"""Deleting what is large: gone at once for everybody, in nobody's way, and finished after a restart."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from happy.settings import load
from schema.tables import access_keys, session_messages, sessions, usage_reports
from tests.support import filling
from tests.support.api_client import ApiClient
from tests.support.rows import Rows, open_rows
from tests.support.server_process import Server
from tests.support.until import until

MANY = 40_000


@pytest.fixture
async def rows(own_server: Server) -> AsyncIterator[Rows]:
    async with open_rows(load(own_server.variables, flavor=own_server.flavor)) as opened:
        yield opened


@pytest.fixture
async def api(own_server: Server) -> AsyncIterator[ApiClient]:
    async with ApiClient.signed_in(own_server.url) as client:
        yield client


async def long_session(api: ApiClient, rows: Rows, tag: str | None = None) -> str:
    """A session with many messages, stored without asking the server for each."""
    session_id: str = (await api.create_session(tag))["id"]
    await filling.messages(rows, session_messages, filling.text(session_id), filling.numbers(MANY))
    await rows(sa.update(sessions).where(sessions.c.id == session_id).values(seq=MANY))
    return session_id


async def left(rows: Rows, table: sa.Table, session_id: str) -> int:
    ((count,),) = await rows(sa.select(sa.func.count()).where(table.c.session_id == session_id))
    return int(count)


async def until_gone(rows: Rows, session_id: str) -> None:
    """The session's row goes last."""

    async def is_gone() -> bool:
        return not await rows(sa.select(sessions.c.id).where(sessions.c.id == session_id))

    await until(is_gone, 60)
    for table in (session_messages, usage_reports, access_keys):
        assert 0 == await left(rows, table, session_id)


async def test_deleting_a_long_session_makes_no_other_writer_wait(api: ApiClient, rows: Rows) -> None:
    long, other = await long_session(api, rows), (await api.create_session())["id"]
    await api.delete(f"/v1/sessions/{long}")
    await api.post_messages(other, ["written meanwhile"])

    assert 0 < await left(rows, session_messages, long)
    await until_gone(rows, long)


async def test_a_restart_in_between_finishes_a_deletion(
    own_server: Server, api: ApiClient, rows: Rows
) -> None:
    long = await long_session(api, rows)
    await api.delete(f"/v1/sessions/{long}")
    own_server.kill()

    assert 0 < await left(rows, session_messages, long)
    await own_server.start()
    await until_gone(rows, long)


async def test_nothing_of_a_deleted_session_is_shown_while_its_rows_are_still_there(
    api: ApiClient, rows: Rows
) -> None:
    long = await long_session(api, rows, tag="tag")
    machine = (await api.register_machine())["id"]
    key = f"/v1/access-keys/{long}/{machine}"
    await api.post(key, {"data": "secret"})
    async with api.user_socket() as phone:
        await api.delete(f"/v1/sessions/{long}")
        assert long == (await phone.next_update("delete-session"))["sid"]
        lists = [await api.get(path) for path in ("/v1/sessions", "/v2/sessions", "/v2/sessions/active")]

    assert [[], [], []] == [each["sessions"] for each in lists]
    await api.get(f"/v3/sessions/{long}/messages", after_seq=0, expect=404)
    await api.get(f"/v1/sessions/{long}/messages", expect=404)
    await api.get(key, expect=404)
    await api.delete(f"/v1/sessions/{long}", expect=404)
    again = await api.create_session("tag")
    assert long != again["id"]
    assert 0 == again["seq"]
    await until_gone(rows, long)
    assert [again["id"]] == [each["id"] for each in (await api.get("/v1/sessions"))["sessions"]]


async def test_a_machine_with_thousands_of_access_keys_is_gone_at_once(api: ApiClient, rows: Rows) -> None:
    session, machine = (await api.create_session())["id"], (await api.register_machine())["id"]
    ((account,),) = await rows(sa.select(sessions.c.account_id).where(sessions.c.id == session))
    name, text, moment = filling.named(f"{session}-", filling.numbers(2_000)), filling.text, filling.moment
    common = {"id": name, "account_id": text(account), "created_at": moment(1), "updated_at": moment(1)}
    session_row = {"tag": name, "metadata": text("m"), "last_active_at": moment(1)}
    await filling.insert(rows, sessions, {**common, **session_row})
    key_row = {"session_id": name, "machine_id": text(machine), "data": text("secret")}
    await filling.insert(rows, access_keys, {**common, **key_row})
    await api.delete(f"/v1/machines/{machine}")

    assert [] == await api.get("/v1/machines")
    await api.get(f"/v1/access-keys/{session}-1/{machine}", expect=404)
    await api.register_machine(machine)
    answer = await api.get(f"/v1/access-keys/{session}-1/{machine}")
    assert {"accessKey": None} == answer
