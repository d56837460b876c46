"""Sign-in and linking of devices (protocol: http#sign-in-and-device-linking)."""

import base64
import json
import os
from typing import Any

import pytest
import sqlalchemy as sa
from nacl.signing import SigningKey

from schema.tables import account_auth_requests, accounts, terminal_auth_requests
from tests.support.api_client import ApiClient, b64, sign_in_body
from tests.support.rows import Rows, move

MINUTE = 60_000
KINDS = [
    ("/v1/auth/request", "/v1/auth/response", terminal_auth_requests),
    ("/v1/auth/account/request", "/v1/auth/account/response", account_auth_requests),
]
each_kind = pytest.mark.parametrize(("ask", "approve", "table"), KINDS)


def new_key() -> str:
    return b64(os.urandom(32))


def claims(token: str) -> dict[str, Any]:
    """As the web app reads them: the middle part, plain base64."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


async def age(rows: Rows, table: sa.Table, key: str, minutes: int) -> None:
    for moment in (table.c.updated_at, table.c.picked_up_at):
        await move(rows, moment, -minutes * MINUTE, table.c.public_key == stored(key))


def stored(key: str) -> str:
    return base64.b64decode(key).hex().upper()


# -- sign-in -------------------------------------------------------------------------------------------


async def test_signing_in_creates_the_account_of_the_key_once(anonymous: ApiClient, rows: Rows) -> None:
    key = SigningKey.generate()

    first = await anonymous.post("/v1/auth", sign_in_body(key))
    second = await anonymous.post("/v1/auth", sign_in_body(key))

    assert {"success", "token"} == set(first)
    assert first["success"] is True
    assert first["token"] != second["token"]
    assert claims(first["token"])["sub"] == claims(second["token"])["sub"]
    mine = accounts.c.id == claims(first["token"])["sub"]
    assert [(bytes(key.verify_key).hex().upper(),)] == await rows(
        sa.select(accounts.c.public_key).where(mine)
    )


async def test_a_challenge_may_be_empty_and_base64_unpadded(anonymous: ApiClient) -> None:
    body = sign_in_body(SigningKey.generate(), b"")

    answer = await anonymous.post("/v1/auth", {name: text.rstrip("=") for name, text in body.items()})

    assert answer["success"]


async def test_the_same_body_signs_in_again_because_clients_choose_the_challenge(
    anonymous: ApiClient,
) -> None:
    body = sign_in_body(SigningKey.generate())

    assert [True, True] == [(await anonymous.post("/v1/auth", body))["success"] for _ in range(2)]


async def test_a_signature_of_something_else_is_refused(anonymous: ApiClient) -> None:
    body = {**sign_in_body(SigningKey.generate()), "challenge": b64(b"another")}

    assert {"error": "Invalid signature"} == await anonymous.post("/v1/auth", body, expect=401)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("publicKey", "!!!!"),
        ("publicKey", b64(b"x" * 31)),
        ("publicKey", ""),
        ("signature", b64(b"x" * 63)),
        ("signature", "a"),
        ("challenge", "ab-_"),
        ("challenge", "a b="),
    ],
)
async def test_undecodable_base64_and_keys_of_the_wrong_size_are_a_client_error_instead_of_a_500(
    anonymous: ApiClient, field: str, text: str
) -> None:
    """06 C12."""
    body = {**sign_in_body(SigningKey.generate()), field: text}

    assert {"error"} == set(await anonymous.post("/v1/auth", body, expect=400))


@pytest.mark.parametrize("field", ["publicKey", "challenge", "signature"])
async def test_every_field_of_a_sign_in_is_required_and_a_text(anonymous: ApiClient, field: str) -> None:
    body: dict[str, Any] = sign_in_body(SigningKey.generate())
    for value in (5, None):
        await anonymous.post("/v1/auth", {**body, field: value}, expect=400)
    del body[field]
    await anonymous.post("/v1/auth", body, expect=400)


# -- asking --------------------------------------------------------------------------------------------


@each_kind
async def test_a_device_polls_until_its_request_is_approved(
    api: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    key = new_key()

    assert [{"state": "requested"}] * 2 == [await anonymous.post(ask, {"publicKey": key}) for _ in range(2)]
    assert {"success": True} == await api.post(approve, {"publicKey": key, "response": "sealed"})
    answers = [await anonymous.post(ask, {"publicKey": key}) for _ in range(2)]

    assert {"state": "authorized", "token": answers[0]["token"], "response": "sealed"} == answers[0]
    assert answers[0]["token"] != answers[1]["token"]


@each_kind
async def test_the_token_a_device_picks_up_is_one_of_the_approving_account(
    server_url: str, api: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    key = new_key()
    session = await api.create_session()
    await anonymous.post(ask, {"publicKey": key})
    await api.post(approve, {"publicKey": key, "response": "r"})

    token = (await anonymous.post(ask, {"publicKey": key}))["token"]

    async with ApiClient(server_url, token=token) as device:
        assert [session["id"]] == [found["id"] for found in (await device.get("/v1/sessions"))["sessions"]]


async def test_only_the_token_of_a_terminal_names_its_request(
    api: ApiClient, anonymous: ApiClient, rows: Rows
) -> None:
    names = []
    key = new_key()
    for ask, approve, _ in KINDS:
        await anonymous.post(ask, {"publicKey": key})
        await api.post(approve, {"publicKey": key, "response": "r"})
        names.append(claims((await anonymous.post(ask, {"publicKey": key}))["token"]).get("session"))

    request = terminal_auth_requests.c
    ((asked,),) = await rows(sa.select(request.id).where(request.public_key == stored(key)))
    assert [asked, None] == names


@each_kind
@pytest.mark.parametrize("key", ["", b64(b"x" * 31), b64(b"x" * 33)])
async def test_a_key_of_the_wrong_size_is_refused(
    api: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table, key: str
) -> None:
    refused = {"error": "Invalid public key"}

    assert refused == await anonymous.post(ask, {"publicKey": key}, expect=401)
    assert refused == await api.post(approve, {"publicKey": key, "response": "r"}, expect=401)


@each_kind
async def test_an_undecodable_key_is_a_client_error_instead_of_a_500(
    api: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    await anonymous.post(ask, {"publicKey": "!!!!"}, expect=400)
    await api.post(approve, {"publicKey": "!!!!", "response": "r"}, expect=400)
    await anonymous.get("/v1/auth/request/status", publicKey="!!!!", expect=400)


@each_kind
async def test_an_answered_request_stops_handing_out_tokens_some_minutes_after_the_answer(
    api: ApiClient, anonymous: ApiClient, rows: Rows, ask: str, approve: str, table: sa.Table
) -> None:
    """06 B2: a screenshot of the code was worth a token for ever."""
    key = new_key()
    await anonymous.post(ask, {"publicKey": key})
    await api.post(approve, {"publicKey": key, "response": "r"})
    await age(rows, table, key, 11)

    assert {"state": "requested"} == await anonymous.post(ask, {"publicKey": key})


@each_kind
async def test_an_answer_was_handed_out_for_as_long_as_somebody_asked(
    api: ApiClient, anonymous: ApiClient, rows: Rows, ask: str, approve: str, table: sa.Table
) -> None:
    """Whoever had photographed the code could have the account's token for ten minutes more."""
    key = new_key()
    await anonymous.post(ask, {"publicKey": key})
    await api.post(approve, {"publicKey": key, "response": "r"})
    await age(rows, table, key, 9)
    for _ in range(2):
        assert "authorized" == (await anonymous.post(ask, {"publicKey": key}))["state"]

    await age(rows, table, key, 6)

    assert {"state": "requested"} == await anonymous.post(ask, {"publicKey": key})


@each_kind
async def test_a_request_that_nobody_answered_expires(
    api: ApiClient, anonymous: ApiClient, rows: Rows, ask: str, approve: str, table: sa.Table
) -> None:
    """06 B2."""
    key = new_key()
    await anonymous.post(ask, {"publicKey": key})
    await age(rows, table, key, 16)

    await api.post(approve, {"publicKey": key, "response": "r"}, expect=404)

    await anonymous.post(ask, {"publicKey": key})
    await api.post(approve, {"publicKey": key, "response": "r"})


# -- status --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [(True, False, True), (None, True, False), (False, True, False), ("absent", True, False)],
)
async def test_the_first_call_decides_whether_a_terminal_supports_the_second_version(
    anonymous: ApiClient, first: Any, second: bool, shown: bool
) -> None:
    key = new_key()
    await anonymous.post(
        "/v1/auth/request", {"publicKey": key, **({} if first == "absent" else {"supportsV2": first})}
    )
    await anonymous.post("/v1/auth/request", {"publicKey": key, "supportsV2": second})

    status = await anonymous.get("/v1/auth/request/status", publicKey=key)

    assert {"status": "pending", "supportsV2": shown} == status


async def test_an_answered_request_is_authorized_and_no_longer_has_supports_v2(
    api: ApiClient, anonymous: ApiClient
) -> None:
    key = new_key()
    await anonymous.post("/v1/auth/request", {"publicKey": key, "supportsV2": True})
    await api.post("/v1/auth/response", {"publicKey": key, "response": "r"})

    status = await anonymous.get("/v1/auth/request/status", publicKey=key)

    assert {"status": "authorized", "supportsV2": False} == status


@pytest.mark.parametrize("key", ["", b64(b"x" * 31), b64(b"x" * 32)])
async def test_the_status_of_an_unknown_key_is_not_found(anonymous: ApiClient, key: str) -> None:
    status = await anonymous.get("/v1/auth/request/status", publicKey=key)

    assert {"status": "not_found", "supportsV2": False} == status


async def test_supports_v2_is_a_boolean(anonymous: ApiClient) -> None:
    await anonymous.post("/v1/auth/request", {"publicKey": new_key(), "supportsV2": "yes"}, expect=400)


# -- approving -----------------------------------------------------------------------------------------


@each_kind
async def test_an_unknown_request_cannot_be_approved(
    api: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    answer = await api.post(approve, {"publicKey": new_key(), "response": "r"}, expect=404)

    assert {"error": "Request not found"} == answer


@each_kind
async def test_the_first_approval_stays(
    api: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    key = new_key()
    await anonymous.post(ask, {"publicKey": key})

    answers = [await api.post(approve, {"publicKey": key, "response": text}) for text in ("first", "second")]

    assert [{"success": True}] * 2 == answers
    assert "first" == (await anonymous.post(ask, {"publicKey": key}))["response"]


@each_kind
async def test_a_second_approving_account_gets_a_conflict(
    api: ApiClient, stranger: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    """06 B3: the person whose terminal was bound to another account was told success."""
    key = new_key()
    await anonymous.post(ask, {"publicKey": key})
    await stranger.post(approve, {"publicKey": key, "response": "theirs"})

    await api.post(approve, {"publicKey": key, "response": "mine"}, expect=409)

    assert "theirs" == (await anonymous.post(ask, {"publicKey": key}))["response"]


@each_kind
async def test_an_empty_answer_leaves_the_request_open_for_anybody(
    api: ApiClient, stranger: ApiClient, anonymous: ApiClient, ask: str, approve: str, table: sa.Table
) -> None:
    key = new_key()
    await anonymous.post(ask, {"publicKey": key})
    await stranger.post(approve, {"publicKey": key, "response": ""})
    assert {"state": "requested"} == await anonymous.post(ask, {"publicKey": key})

    await api.post(approve, {"publicKey": key, "response": "r"})

    assert "r" == (await anonymous.post(ask, {"publicKey": key}))["response"]
