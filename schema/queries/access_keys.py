"""Statements on access keys, one per account, machine and session."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import access_keys, machines, sessions

_own = sa.and_(
    access_keys.c.account_id == param("account"),
    access_keys.c.session_id == param("session"),
    access_keys.c.machine_id == param("machine"),
)

REACHABLE = (
    sa.select(sessions.c.id)
    .join(machines, machines.c.account_id == sessions.c.account_id)
    .where(
        sessions.c.id == param("session"),
        machines.c.id == param("machine"),
        sessions.c.account_id == param("account"),
        machines.c.deleted_at.is_(None),
    )
)
# Access keys of deleted sessions and machines are removed later, in batches.
_there = sa.and_(_own, sa.exists(REACHABLE))

GET = sa.select(
    access_keys.c.data, access_keys.c.data_version, access_keys.c.created_at, access_keys.c.updated_at
).where(_there)


def ADD(insert: Any) -> Any:
    return (
        insert(access_keys)
        .values(
            id=param("id"),
            account_id=param("account"),
            session_id=param("session"),
            machine_id=param("machine"),
            data=param("data"),
            data_version=sa.literal_column("1"),
            created_at=param("now"),
            updated_at=param("now"),
        )
        .on_conflict_do_nothing(
            index_elements=[
                access_keys.c.account_id,
                access_keys.c.machine_id,
                access_keys.c.session_id,
            ]
        )
        .returning(access_keys.c.id)
    )


SWAP = (
    sa.update(access_keys)
    .where(_there, access_keys.c.data_version == param("expected"))
    .values(data=param("data"), data_version=access_keys.c.data_version + 1, updated_at=param("now"))
    .returning(access_keys.c.data.label("value"), access_keys.c.data_version.label("version"))
)
