"""Statements on uploaded files, which are profile pictures."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import uploaded_files

REUSABLE = (
    sa.select(
        uploaded_files.c.path,
        uploaded_files.c.width,
        uploaded_files.c.height,
        uploaded_files.c.thumbhash,
    )
    .where(
        uploaded_files.c.reuse_key == param("reuse_key"),
        uploaded_files.c.width.is_not(None),
        uploaded_files.c.height.is_not(None),
        uploaded_files.c.thumbhash.is_not(None),
    )
    .order_by(uploaded_files.c.created_at.desc(), uploaded_files.c.id.desc())
    .limit(sa.literal_column("1"))
)

ADD = sa.insert(uploaded_files).values(
    id=param("id"),
    account_id=param("account"),
    path=param("path"),
    width=param("width"),
    height=param("height"),
    thumbhash=param("thumbhash"),
    reuse_key=param("reuse_key"),
    created_at=param("now"),
    updated_at=param("now"),
)
