"""Inserts whole rows, large ones by COPY in pieces: of what an INSERT binds the driver has three copies."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from happy.adapters.archive.rows import RowFormat

LARGE: Final = 1_000_000
"""Characters or bytes of a value in a row that is copied."""

PIECE: Final = 256 * 1024
EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - times in the database have no zone either
ESCAPES: Final = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"))
TRUTHS: Final = {True: b"t", False: b"f"}
NULL: Final = b"\\N"


async def insert(connection: Any, table: RowFormat, rows: Sequence[Sequence[Any]]) -> None:
    """In a transaction of the caller. Raises asyncpg.DataError for what PostgreSQL cannot store."""
    small = [row for row in rows if not _is_large(row)]
    if small:
        await connection.executemany(table.insert("postgresql"), small)
    for row in rows:
        if _is_large(row):
            await connection.copy_to_table(table.name, columns=table.columns, source=_line(table, row))


def _is_large(row: Sequence[Any]) -> bool:
    return any(isinstance(value, str | bytes) and len(value) > LARGE for value in row)


async def _line(table: RowFormat, row: Sequence[Any]) -> AsyncIterator[bytes]:
    """In the text format of COPY."""
    for number, value in enumerate(row):
        if number:
            yield b"\t"
        for piece in [_moment(value)] if number in table.times else _pieces(value):
            yield piece
    yield b"\n"


def _pieces(value: Any) -> Iterator[bytes]:
    if value is None:
        yield NULL
    elif isinstance(value, bool):
        yield TRUTHS[value]
    elif isinstance(value, bytes):
        yield b"\\\\x"
        for start in range(0, len(value), PIECE):
            yield value[start : start + PIECE].hex().encode()
    else:
        text = str(value)
        for start in range(0, len(text), PIECE):
            yield _escaped(text[start : start + PIECE])


def _moment(value: int | None) -> bytes:
    if value is None:
        return NULL
    try:
        return (EPOCH + timedelta(milliseconds=value)).isoformat(" ").encode()
    except OverflowError:
        raise asyncpg.DataError(f"{value} ms is no time of the years 1 to 9999") from None


def _escaped(text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise asyncpg.DataError(str(error)) from None
    for character, escape in ESCAPES:
        encoded = encoded.replace(character, escape)
    return encoded
