"""A server with accounts, sessions and machines that are the same in every run, for examples of commands.

Ids are fixed; times are so long before `now`, which is what a reader of the documentation takes for today.
"""

from typing import Any

import sqlalchemy as sa

from happy.domain.ids import first_id_of
from happy.domain.values import HOUR, MINUTE, Millis
from schema import tables
from tests.support.rows import Rows

DAY = 24 * HOUR
ADA, GRACE = "cmigd3vb1000001jx9v0h6n4e", "cmigd3w8d000101jxa1w2c8fd"
NEW, OLD, OLDEST = "cmigd5x0c000301jxk2v9q7sm", "cmigd4a7y000201jx0t1c5d8e", "cmbx1k2p0000101jx7c3m9d2z"
LAPTOP, DESKTOP = "0b9f3c52-8a1d-4c07-9d3e-5f6a7b8c9d01", "7d1e2f30-4b5a-4c6d-8e7f-90a1b2c3d4e5"
PHONE, TERMINAL = "0b0e6c1e-3f0b-4b9e-9c9f-6a3f1f0e2d11", "5f7c2c52-1a3e-4a5b-8a55-0d3cf3a9be40"
INVITE = "qx7k2m4d"


def account(now: int, account_id: str, key: str, days: int, **names: str) -> dict[str, Any]:
    begin = now - days * DAY
    return {
        "id": account_id,
        "public_key": key * 16,
        "created_at": begin,
        "updated_at": begin + 3 * HOUR,
        **names,
    }


def session(now: int, session_id: str, days: int, messages: int, idle: int) -> dict[str, Any]:
    """Made so many days ago, and not used for `idle` minutes."""
    return {
        "id": session_id,
        "tag": session_id,
        "account_id": ADA,
        "metadata": "encrypted",
        "seq": messages,
        "active": False,
        "created_at": now - days * DAY,
        "updated_at": now - idle * MINUTE,
        "last_active_at": now - idle * MINUTE,
    }


def machine(now: int, machine_id: str, days: int, idle: int) -> dict[str, Any]:
    times = {"created_at": now - days * DAY, "updated_at": now - days * DAY}
    return {
        "id": machine_id,
        "account_id": ADA,
        "metadata": "encrypted",
        "active": False,
        "last_active_at": now - idle * MINUTE,
        **times,
    }


def message(now: int, session_id: str, number: int, days: int) -> dict[str, Any]:
    """Stored so many days ago, early on that day in UTC."""
    at = (now // DAY - days) * DAY + number
    return {
        "id": f"{first_id_of(Millis(at))}{number:04}01jx{number:08}",
        "session_id": session_id,
        "seq": number,
        "content": '{"t":"encrypted","c":"c2VjcmV0"}',
        "created_at": at,
        "updated_at": at,
    }


def token_use(now: int, token_id: str, device: str, address: str, days: int) -> dict[str, Any]:
    begin = now - days * DAY
    return {
        "id": token_id,
        "account_id": ADA,
        "issued_at": begin,
        "device": device,
        "address": address,
        "first_seen_at": begin + 1_000,
        "last_seen_at": now - days * MINUTE,
    }


def request(now: int, key: str, address: str) -> dict[str, Any]:
    times = {"created_at": now - 3 * MINUTE, "updated_at": now - MINUTE}
    return {"public_key": key * 16, "address": address, "status": "waiting", **times}


def rows_of(now: int) -> list[tuple[sa.Table, list[dict[str, Any]]]]:
    invite = {"id": INVITE, "code_hash": "0" * 64, "uses": 1, "used": 0}
    return [
        (
            tables.accounts,
            [
                account(now, ADA, "5DB2", 8, username="ada", first_name="Ada", last_name="Lovelace"),
                account(now, GRACE, "A07C", 7),
            ],
        ),
        (
            tables.sessions,
            [
                session(now, NEW, 1, 12, 15),
                session(now, OLD, 8, 20, 2 * 24 * 60),
                session(now, OLDEST, 160, 0, 158 * 24 * 60),
            ],
        ),
        (
            tables.session_messages,
            [message(now, NEW, number, 0) for number in range(1, 13)]
            + [message(now, OLD, number, 3) for number in range(1, 21)],
        ),
        (tables.machines, [machine(now, LAPTOP, 8, 12), machine(now, DESKTOP, 30, 9 * 24 * 60)]),
        (
            tables.token_uses,
            [
                token_use(now, PHONE, "ios/1.7.0", "203.0.113.7", 8),
                token_use(now, TERMINAL, "cli-daemon/0.11", "198.51.100.9", 7),
            ],
        ),
        (
            tables.registration_requests,
            [request(now, "9F03", "203.0.113.8"), request(now, "77D1", "203.0.113.9")],
        ),
        (tables.invites, [invite | {"created_at": now - DAY, "expires_at": now + 6 * DAY}]),
    ]


async def fill(rows: Rows, now: int) -> None:
    """The rows of the examples, in a database that has none of them."""
    for table, found in rows_of(now):
        for row in found:
            await rows(sa.insert(table).values(row))
