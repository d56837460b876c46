"""Statements on the backups that servers make by themselves."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import backups
from schema.types import Millis

_target = backups.c.target == param("target")
_holder = backups.c.held_by == param("holder")


def CLAIM(insert: Any) -> Any:
    """Also extends what the holder has already."""
    statement = insert(backups).values(
        target=param("target"), held_by=param("holder"), held_until=param("until")
    )
    free = backups.c.held_until <= param("now", type_=Millis)
    return statement.on_conflict_do_update(
        index_elements=[backups.c.target],
        set_={
            backups.c.held_by: statement.excluded.held_by,
            backups.c.held_until: statement.excluded.held_until,
        },
        where=free | (backups.c.held_by == statement.excluded.held_by),
    ).returning(backups.c.target)


RELEASE = sa.update(backups).values(held_until=param("until")).where(_target, _holder)

RECORD = (
    sa.update(backups)
    .values(
        made_at=param("made_at"), name=param("name"), bytes=param("bytes"), milliseconds=param("milliseconds")
    )
    .where(_target)
)

LAST = sa.select(backups.c.made_at, backups.c.name, backups.c.bytes, backups.c.milliseconds).where(
    _target, backups.c.made_at.is_not(None)
)
