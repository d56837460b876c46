"""Who may make an account, in every mode (protocol: http#registration)."""

import asyncio
import os
import re

import httpx
import pytest
import sqlalchemy as sa
from nacl.signing import SigningKey

from happy.domain.registration import MAX_WAITING_OF_ADDRESS
from happy.domain.values import MINUTE
from schema.tables import registration_requests
from tests.http.restricted import DAY, FRIEND, STRANGER, account_count, age, rows_of, servers
from tests.support.api_client import ApiClient, b64
from tests.support.commands import command
from tests.support.environments import Environment


def hex_of(key: SigningKey) -> str:
    return bytes(key.verify_key).hex().upper()


def code_in(refusal: httpx.Response) -> str:
    assert refusal.status_code == 403, refusal.text
    assert {"error"} == set(refusal.json())
    found = re.search(r"\b[0-9A-F]{4}-[0-9A-F]{4}\b", refusal.json()["error"])
    assert found, refusal.text
    return found[0]


# -- closed, first ---------------------------------------------------------------------------------------


async def test_a_closed_server_takes_nobody_new_and_keeps_those_it_has(environment: Environment) -> None:
    mine = SigningKey.generate()
    with servers(environment, "open") as server:
        assert 200 == (await server.sign_in(mine)).status_code
    with servers(environment, "closed") as server:
        refused = await server.sign_in()
        back = await server.sign_in(mine, STRANGER)
        async with ApiClient(server.urls[0], token=back.json()["token"]) as phone:
            terminal = b64(os.urandom(32))
            await phone.post("/v1/auth/request", {"publicKey": terminal, "supportsV2": True})
            await phone.post("/v1/auth/response", {"publicKey": terminal, "response": b64(b"sealed")})
            linked = await phone.post("/v1/auth/request", {"publicKey": terminal})

        assert (403, {"error": "This server takes no new accounts"}) == (refused.status_code, refused.json())
        assert 200 == back.status_code
        assert "authorized" == linked["state"]
        assert 1 == await account_count(server)


async def test_of_twenty_that_come_first_at_once_one_has_the_server(environment: Environment) -> None:
    keys = [SigningKey.generate() for _ in range(20)]
    with servers(environment, "first") as server:
        answers = await asyncio.gather(
            *(server.sign_in(key, replica=number % 2 - 1) for number, key in enumerate(keys))
        )
        statuses = [answer.status_code for answer in answers]
        winner = keys[statuses.index(200)]
        again, other = await server.sign_in(winner), await server.sign_in()

        assert sorted(statuses) == [200, *[403] * 19]
        assert 1 == await account_count(server)
        assert (200, 403) == (again.status_code, other.status_code)
        assert "has its account already" in other.json()["error"]


async def test_the_first_account_may_sign_in_twenty_times_at_once(environment: Environment) -> None:
    key = SigningKey.generate()
    with servers(environment, "first") as server:
        answers = await asyncio.gather(*(server.sign_in(key, replica=number % 2 - 1) for number in range(20)))

        assert {200} == {answer.status_code for answer in answers}
        assert 1 == await account_count(server)


async def test_listed_keys_are_let_in(environment: Environment) -> None:
    listed = SigningKey.generate()
    with servers(environment, "closed", HAPPY_REGISTRATION_KEYS=b64(bytes(listed.verify_key))) as server:
        assert [200, 403] == [
            (await server.sign_in(key)).status_code for key in (listed, SigningKey.generate())
        ]


# -- approve ---------------------------------------------------------------------------------------------


async def test_an_approved_key_signs_in_as_before(environment: Environment) -> None:
    key = SigningKey.generate()
    with servers(environment, "approve") as server:
        code = code_in(await server.sign_in(key))
        (waiting,) = (await server.command("accounts", "pending", "--json")).json
        table = (await server.command("accounts", "pending")).out
        approved = await server.command("accounts", "approve", code)
        welcome = await server.sign_in(key, STRANGER)
        left = await server.command("accounts", "pending")

        assert (hex_of(key), FRIEND, "waiting") == (
            waiting["publicKey"],
            waiting["address"],
            waiting["status"],
        )
        assert code in table
        assert f"Approved {code}" in approved.out
        assert 200 == welcome.status_code
        assert "Nobody is waiting.\n" == left.out


async def test_an_app_that_makes_a_new_key_for_each_try_is_approved_by_its_address(
    environment: Environment,
) -> None:
    """Installed apps do: what was approved is never seen again."""
    with servers(environment, "approve") as server:
        code = code_in(await server.sign_in())
        code_in(await server.sign_in())
        await server.command("accounts", "approve", code)
        stranger = await server.sign_in(address=STRANGER)
        friend = await server.sign_in()
        another = await server.sign_in()

        assert [403, 200, 403] == [stranger.status_code, friend.status_code, another.status_code]
        assert 1 == await account_count(server)


async def test_one_approval_is_good_for_one_account_however_many_try_at_once(
    environment: Environment,
) -> None:
    with servers(environment, "approve") as server:
        await server.command("accounts", "approve", code_in(await server.sign_in()))
        answers = await asyncio.gather(*(server.sign_in(replica=number % 2 - 1) for number in range(10)))

        assert [200, *[403] * 9] == sorted(answer.status_code for answer in answers)


async def test_who_was_refused_is_told_and_not_listed_again(environment: Environment) -> None:
    with servers(environment, "approve") as server:
        code = code_in(await server.sign_in())
        await server.command("accounts", "refuse", code)
        again = await server.sign_in()
        listed = (await server.command("accounts", "pending", "--json")).json

        assert (403, "Whoever runs this server has refused the account") == (
            again.status_code,
            again.json()["error"],
        )
        assert ["refused"] == [request["status"] for request in listed]


async def test_a_key_may_be_approved_before_it_comes(environment: Environment) -> None:
    key = SigningKey.generate()
    with servers(environment, "approve") as server:
        await server.command("accounts", "approve", b64(bytes(key.verify_key)))
        assert 200 == (await server.sign_in(key)).status_code


async def test_an_approval_counts_for_a_day_and_a_request_waits_for_a_week(environment: Environment) -> None:
    key = SigningKey.generate()
    with servers(environment, "approve") as server:
        await server.command("accounts", "approve", code_in(await server.sign_in(key)))
        async with rows_of(server) as rows:
            await age(rows, registration_requests, DAY + MINUTE)
            late = await server.sign_in(key)
            waiting = (await server.command("accounts", "pending", "--json")).json
            await age(rows, registration_requests, 7 * DAY + MINUTE)
        gone = await server.command("accounts", "pending")

        code_in(late)
        assert ["waiting"] == [request["status"] for request in waiting]
        assert "Nobody is waiting.\n" == gone.out


async def test_an_address_has_few_requests_and_the_oldest_gives_way(environment: Environment) -> None:
    with servers(environment, "approve") as server:
        keys = [SigningKey.generate() for _ in range(MAX_WAITING_OF_ADDRESS + 3)]
        for key in keys:
            code_in(await server.sign_in(key))
        code_in(await server.sign_in(address=STRANGER))
        async with rows_of(server) as rows:
            requests = registration_requests
            kept = await rows(sa.select(requests.c.public_key).where(requests.c.address == FRIEND))

        assert {hex_of(key) for key in keys[3:]} == {public_key for (public_key,) in kept}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("approve", "ABCD-0123"), "has no request"),
        (("refuse", "ABCD-0123"), "has no request"),
        (("approve", "nobody"), "is no code such as 1A2B-3C4D"),
    ],
)
async def test_a_decision_about_nobody_is_one_line(
    environment: Environment, arguments: tuple[str, ...], problem: str
) -> None:
    await command(environment, "migrate")
    ended = await command(environment, "accounts", *arguments)

    assert (1, "") == (ended.code, ended.out)
    assert problem in ended.err
    assert 1 == ended.err.count("\n")


# -- seen ------------------------------------------------------------------------------------------------


async def test_a_refusal_is_a_line_in_the_log_without_the_key(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    key = SigningKey.generate()
    with caplog.at_level("INFO", "happy"), servers(environment, "approve") as server:
        code = code_in(await server.sign_in(key))
    (line,) = [
        record.getMessage() for record in caplog.records if "no account was made" in record.getMessage()
    ]

    assert f"no account was made: waiting, key {code}, from {FRIEND}" == line
    assert hex_of(key)[8:20] not in caplog.text


@pytest.mark.parametrize(("mode", "reason"), [("first", "the first account"), ("approve", "approved")])
async def test_who_was_let_in_and_why_is_in_the_audit_log(
    environment: Environment, mode: str, reason: str
) -> None:
    key = SigningKey.generate()
    with servers(environment, mode) as server:
        if mode == "approve":
            code = code_in(await server.sign_in(key))
            await server.command("accounts", "approve", code)
        assert 200 == (await server.sign_in(key)).status_code
        *_, came = (await server.command("audit", "--json")).json

    code = f"{hex_of(key)[:4]}-{hex_of(key)[4:8]}"
    assert ("client", "account.create", f"{reason}, key {code}, from {FRIEND}") == (
        came["actor"],
        came["action"],
        came["detail"],
    )
