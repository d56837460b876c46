"""Invites: a link lets somebody make an account (protocol: http#invites)."""

import asyncio
import io
import os
import re
import sys

import httpx
import segno
import sqlalchemy as sa

from happy.domain.registration import MAX_OPENINGS
from happy.domain.values import MINUTE
from schema.tables import accounts, invite_openings, invites
from tests.http.restricted import DAY, FRIEND, STRANGER, Server, age, rows_of, servers
from tests.support.environments import Environment


async def invite(server: Server, *options: str) -> tuple[str, str]:
    """The id and the path of a new invite."""
    made = (await server.command("invites", "create", "--json", *options)).json
    assert made["link"].startswith("https://happy.example/invite/")
    return made["invite"]["id"], made["link"].removeprefix("https://happy.example")


async def test_an_invite_lets_in_one_account_from_where_it_was_opened(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server)
        before = await server.sign_in()
        page = await server.get(path)
        looked_at = await server.sign_in()
        opened = await post_form(server, path)
        elsewhere = await server.sign_in(address=STRANGER)
        welcome = await server.sign_in()
        another = await server.sign_in()
        used_up = await server.get(path)

        assert [403, 403] == [before.status_code, looked_at.status_code]
        assert "need an invite" in before.json()["error"]
        assert [200, 200] == [page.status_code, opened.status_code]
        assert "<button>" in page.text
        assert "https://happy.example" in opened.text
        assert f"your present address, {FRIEND}" in opened.text
        assert [403, 200, 403] == [elsewhere.status_code, welcome.status_code, another.status_code]
        assert (404, True) == (used_up.status_code, "does not count" in used_up.text)


async def test_the_link_of_an_invite_has_the_path_of_the_servers_address(environment: Environment) -> None:
    with servers(environment, "invite", PUBLIC_URL="https://happy.example/relay") as server:
        link = (await server.command("invites", "create", "--json")).json["link"]
        path = link.removeprefix("https://happy.example")

        assert path.startswith("/relay/invite/")
        assert 200 == (await post_form(server, path)).status_code
        assert 200 == (await server.sign_in()).status_code


async def test_an_invite_for_three_lets_in_three_however_many_try_at_once(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server, "--uses", "3")
        for address in (FRIEND, STRANGER):
            await post_form(server, path, address)
        answers = await asyncio.gather(
            *(
                server.sign_in(address=(FRIEND, STRANGER)[number % 2], replica=number % 2 - 1)
                for number in range(10)
            )
        )
        (listed,) = (await server.command("invites", "list", "--json")).json

        assert [200] * 3 + [403] * 7 == sorted(answer.status_code for answer in answers)
        assert (3, 3) == (listed["uses"], listed["used"])


async def post_form(server: Server, path: str, address: str = FRIEND) -> httpx.Response:
    """As the browser sends a form without fields."""
    async with httpx.AsyncClient(base_url=server.urls[-1], trust_env=False, verify=False) as client:
        headers = {"X-Forwarded-For": address, "Content-Type": "text/plain", "Origin": "null"}
        return await client.post(path, headers=headers, content=b"", timeout=30)


async def test_an_opening_ends_after_a_quarter_of_an_hour_and_can_be_repeated(
    environment: Environment,
) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server)
        assert 200 == (await post_form(server, path)).status_code
        async with rows_of(server) as rows:
            await age(rows, invite_openings, 16 * MINUTE)
        late = await server.sign_in()
        await post_form(server, path)
        welcome = await server.sign_in()

        assert [403, 200] == [late.status_code, welcome.status_code]


async def test_a_revoked_or_expired_invite_lets_nobody_in_also_if_it_is_open(
    environment: Environment,
) -> None:
    with servers(environment, "invite") as server:
        revoked, path = await invite(server)
        _, other = await invite(server)
        await post_form(server, path)
        await server.command("invites", "revoke", revoked, "--yes")
        after_revocation = await server.sign_in()
        await post_form(server, other)
        async with rows_of(server) as rows:
            await age(rows, invites, 8 * DAY)
        after_expiry = await server.sign_in()
        pages = [(await post_form(server, each)).status_code for each in (path, other, "/invite/unknown")]
        table = (await server.command("invites", "list")).out
        unknown = await server.command("invites", "revoke", revoked, "--yes")

        assert [403, 403] == [after_revocation.status_code, after_expiry.status_code]
        assert [404, 404, 404] == pages
        assert "expired" in table
        assert (1, True) == (unknown.code, "there is no invite" in unknown.err)


async def test_an_invite_is_open_for_few_addresses_at_a_time(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server)
        for number in range(MAX_OPENINGS + 2):
            await post_form(server, path, f"203.0.113.{number}")
        async with rows_of(server) as rows:
            ((count,),) = await rows(sa.select(sa.func.count()).select_from(invite_openings))

        assert MAX_OPENINGS == count


async def test_the_page_of_an_invite_runs_and_fetches_nothing_and_is_kept_by_nobody(
    environment: Environment,
) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server)
        page = await server.get(path)

        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert "no-store" == page.headers["cache-control"]
        assert "no-referrer" == page.headers["referrer-policy"]
        assert "<script" not in page.text


async def test_invites_count_in_their_mode_alone(environment: Environment) -> None:
    with servers(environment, "closed") as server:
        made = await server.command("invites", "create", "--json")
        path = made.json["link"].removeprefix("https://happy.example")

        assert "HAPPY_REGISTRATION=invite, not closed" in made.err
        assert 404 == (await post_form(server, path)).status_code
        assert 403 == (await server.sign_in()).status_code


async def test_the_database_does_not_hold_what_opens_an_invite(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server)
        async with rows_of(server) as rows:
            ((stored, name),) = await rows(sa.select(invites.c.code_hash, invites.c.id))

        code = path.removeprefix("/invite/")
        assert code not in stored
        assert name not in code


async def test_the_qr_code_of_an_invite_is_drawn_on_a_terminal(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        screen = await on_terminal(server, "invites", "create")
    (link,) = re.findall(r"^link +(https://\S+)", screen, re.MULTILINE)
    drawn = io.StringIO()
    segno.make(link, micro=False).terminal(drawn, border=2, compact=True)

    assert drawn.getvalue().strip() in screen


async def on_terminal(server: Server, *arguments: str) -> str:
    master, slave = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "happy", "--flavor", server.environment.flavor, *arguments),
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8", **server.environment.variables},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = await asyncio.to_thread(read_all, master)
    assert 0 == await process.wait(), shown
    return shown.decode().replace("\r\n", "\n")


def read_all(master: int) -> bytes:
    """Until the program has closed the terminal, which is an error of this end."""
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:
        pass
    finally:
        os.close(master)
    return shown


async def test_the_audit_log_tells_who_opened_an_invite_and_came_in_by_it(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        name, path = await invite(server)
        await post_form(server, path)
        await server.sign_in()
        created, opened, came = (await server.command("audit", "--json")).json
        async with rows_of(server) as rows:
            ((account,),) = await rows(sa.select(accounts.c.id))

    assert ("command line", "invite.create") == (created["actor"], created["action"])
    assert ("client", "invite.open", f"invite {name}", f"for {FRIEND}") == tuple(
        opened[part] for part in ("actor", "action", "subject", "detail")
    )
    assert ("client", "account.create", account) == (came["actor"], came["action"], came["subject"])
    assert came["detail"].startswith(f"invite {name}, key ")
    assert came["detail"].endswith(f"from {FRIEND}")


async def test_openings_of_an_invite_do_not_crowd_out_the_audit_log(environment: Environment) -> None:
    with servers(environment, "invite") as server:
        _, path = await invite(server)
        for number in range(MAX_OPENINGS + 2):
            await post_form(server, path, f"203.0.113.{number}")
        entries = (await server.command("audit", "--json")).json

    assert MAX_OPENINGS == [entry["action"] for entry in entries].count("invite.open")
