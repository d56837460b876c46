"""Statements on usage reports."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import usage_reports
from schema.types import Millis

_stored = [usage_reports.c.id, usage_reports.c.created_at, usage_reports.c.updated_at]


def SAVE(insert: Any) -> Any:
    statement = insert(usage_reports).values(
        id=param("id"),
        key=param("key"),
        account_id=param("account"),
        session_id=param("session"),
        data=param("data"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[
            usage_reports.c.account_id,
            usage_reports.c.session_id,
            usage_reports.c.key,
        ],
        set_={
            usage_reports.c.data: statement.excluded.data,
            usage_reports.c.updated_at: statement.excluded.updated_at,
        },
    ).returning(*_stored)


# Both databases let any number of rows have the same key without a session.
REPLACE_WITHOUT_SESSION = (
    sa.update(usage_reports)
    .where(
        usage_reports.c.account_id == param("account"),
        usage_reports.c.session_id.is_(None),
        usage_reports.c.key == param("key"),
    )
    .values(data=param("data"), updated_at=param("now"))
    .returning(*_stored)
)

_in_range = sa.and_(
    usage_reports.c.account_id == param("account"),
    usage_reports.c.created_at >= param("since", type_=Millis),
    usage_reports.c.created_at <= param("until", type_=Millis),
)
BETWEEN = sa.select(usage_reports.c.created_at, usage_reports.c.data).where(_in_range)
BETWEEN_OF_SESSION = BETWEEN.where(usage_reports.c.session_id == param("session"))
