"""Statements on artifacts."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.listings import Listing
from schema.tables import artifacts
from schema.types import Blob

_own = sa.and_(artifacts.c.id == param("artifact"), artifacts.c.account_id == param("account"))
_columns = [
    artifacts.c.id,
    artifacts.c.header,
    artifacts.c.header_version,
    artifacts.c.body,
    artifacts.c.body_version,
    artifacts.c.data_encryption_key,
    artifacts.c.seq,
    artifacts.c.created_at,
    artifacts.c.updated_at,
]
_summary = [column for column in _columns if column.key not in {"body", "body_version"}]


def ADD(insert: Any) -> Any:
    return (
        insert(artifacts)
        .values(account_id=param("account"), **{column.key: param(column.key) for column in _columns})
        .on_conflict_do_nothing(index_elements=[artifacts.c.id])
        .returning(artifacts.c.id)
    )


GET = sa.select(*_columns).where(_own)

SUMMARY = sa.select(*_summary).where(_own)

OWNED = Listing(
    sa.select(*_summary)
    .where(artifacts.c.account_id == param("account"))
    .order_by(artifacts.c.updated_at.desc(), artifacts.c.id)
    .limit(param("limit", type_=sa.Integer)),
    artifacts.c.id,
    artifacts.c.header,
    artifacts.c.data_encryption_key,
)


def _part(name: str) -> tuple[Any, dict[str, Any]]:
    """The condition on one part and its new values; a part whose parameters are null is not changed."""
    value, version = artifacts.c[name], artifacts.c[f"{name}_version"]
    expected = param(f"{name}_expected", type_=sa.Integer)
    written = sa.func.coalesce(param(name, type_=Blob), value)
    return version == sa.func.coalesce(expected, version), {
        name: written,
        f"{name}_version": sa.func.coalesce(expected + 1, version),
    }


_header_matches, _header = _part("header")
_body_matches, _body = _part("body")

EDIT = (
    sa.update(artifacts)
    .where(_own, _header_matches, _body_matches)
    .values(**_header, **_body, seq=artifacts.c.seq + 1, updated_at=param("now"))
    .returning(*_columns)
)

DELETE = sa.delete(artifacts).where(_own).returning(artifacts.c.id)
