"""Messages that compress as badly as ciphertexts do, made by the databases themselves."""

from typing import Any

import sqlalchemy as sa

from schema.tables import session_messages, sessions
from schema.types import Json
from tests.support import filling
from tests.support.filling import moment, named, numbers, text
from tests.support.rows import Rows

NOW = 1_750_000_000_000
IN_EACH = 500
"""Messages of a session."""

MD5 = 32
LONGEST = 40_000
"""In characters: a longer one repeats itself on PostgreSQL, too far away for its compression to notice."""


async def add(
    rows: Rows, account: str, count: int, size: int, *, light: bool, prefix: str = "random"
) -> None:
    """So many messages of that many characters, in sessions of their own."""
    index = numbers(max(1, count // IN_EACH)) - 1
    columns = {
        "id": named(f"{prefix}-", index),
        "tag": named(f"{prefix}-", index),
        "account_id": text(account),
        "metadata": text("m" * 300),
        "seq": sa.literal(IN_EACH, sa.Integer),
        "active": sa.false(),
        "last_active_at": moment(NOW),
        "created_at": moment(NOW),
        "updated_at": moment(NOW),
    }
    await filling.insert(rows, sessions, columns)
    number = numbers(count) - 1
    await filling.insert(rows, session_messages, _messages(prefix, number, _random(size, light=light)))


def _messages(prefix: str, number: Any, content: Any) -> dict[str, Any]:
    document = text('{"t":"encrypted","c":"').concat(content).concat(text('"}'))
    return {
        "id": named(f"{prefix}-message-", number),
        "session_id": named(f"{prefix}-", number // IN_EACH),
        "local_id": named(f"{prefix}-local-", number),
        "seq": number % IN_EACH + 1,
        "content": Json().bind_expression(document),
        "created_at": moment(NOW),
        "updated_at": moment(NOW),
    }


def _random(size: int, *, light: bool) -> Any:
    if light:
        return sa.func.hex(sa.func.randomblob(size // 2), type_=sa.Text)
    parts = [sa.func.md5(sa.cast(sa.func.random(), sa.Text)) for _ in range(min(size, LONGEST) // MD5)]
    whole = [sa.func.concat(*parts[first : first + 50]) for first in range(0, len(parts), 50)]
    return sa.func.repeat(sa.func.concat(*whole), max(1, size // LONGEST), type_=sa.Text)
