"""Rows of a plain SQL dump: what `pg_dump` writes as COPY and as INSERT."""

import re
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from happy.adapters.imports.errors import SourceRefused
from happy.adapters.imports.sql_text import SqlText, Token, unescaped
from happy.adapters.imports.values import Value

ROWS_AT_ONCE: Final = 500
BATCH_CHARACTERS: Final = 1_000_000
_CONSTRAINTS: Final = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE"})
_COPY_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_WORDS: Final[dict[str, Value]] = {"NULL": None, "TRUE": True, "FALSE": False}
_END: Final = Token("other", ";")
_OPEN, _CLOSE, _COMMA, _DOT = (Token("other", text) for text in "(),.")


class Batch(NamedTuple):
    """Some rows of one table, with the columns that the dump names."""

    table: str
    columns: tuple[str, ...]
    rows: list[list[Value]]


class SqlDump:
    """Statements that are neither rows nor the columns of a table are skipped."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.text = SqlText(stream)
        self._columns: dict[str, tuple[str, ...]] = {}

    def batches(self) -> Iterator[Batch]:
        """All rows. Raises SourceRefused."""
        while (token := self.text.token()) is not None:
            match token:
                case ("other", "\\"):  # a command for psql
                    self.text.rest_of_line()
                case ("word", "INSERT"):
                    yield from self._insert()
                case ("word", "COPY"):
                    yield from self._copy()
                case ("word", "CREATE"):
                    self._create()
                case ("word", "SET"):
                    self._set()
                case _:
                    self._skip_from(token)
        if self.text.began_dump and not self.text.is_complete:
            raise SourceRefused(
                "it is cut short: the last line of pg_dump, `database dump complete`, is missing"
            )

    def _next(self) -> Token:
        token = self.text.token()
        if token is None:
            raise SourceRefused("it is cut short: a statement has no end")
        return token

    def _skip_from(self, token: Token) -> None:
        while token != _END:
            token = self._next()

    def _set(self) -> None:
        name = self._next()
        self._next()
        value = self._next()
        if name.value == "CLIENT_ENCODING" and value.value.upper() not in ("UTF8", "UTF-8", "SQL_ASCII"):
            raise SourceRefused(f"it is in {value.value}: dump with `pg_dump --encoding=UTF8`")
        if name.value == "STANDARD_CONFORMING_STRINGS" and value.value.upper() == "OFF":
            raise SourceRefused(
                "its strings are not those of standard SQL (standard_conforming_strings is off)"
            )
        self._skip_from(value)

    def _create(self) -> None:
        token = self._next()
        while token.kind == "word" and token.value in ("UNLOGGED", "TEMPORARY", "GLOBAL", "LOCAL"):
            token = self._next()
        if token != ("word", "TABLE"):
            self._skip_from(token)
            return
        name, token = self._name(self._next())
        if token == _OPEN:
            self._columns[name] = tuple(self._columns_of_table())
            token = self._next()
        self._skip_from(token)

    def _columns_of_table(self) -> Iterator[str]:
        """Each part between commas begins with the name of a column or a word that begins a constraint."""
        depth, begins = 1, True
        while depth:
            token = self._next()
            if begins and (
                token.kind == "name" or (token.kind == "word" and token.value not in _CONSTRAINTS)
            ):
                yield _folded(token)
            depth += (token == _OPEN) - (token == _CLOSE)
            begins = depth == 1 and token == _COMMA

    def _name(self, token: Token) -> tuple[str, Token]:
        """The last part of a qualified name, and the token behind it."""
        if token.kind == "word" and token.value in ("IF", "NOT", "EXISTS", "ONLY"):
            return self._name(self._next())
        name, behind = _folded(token), self._next()
        while behind == _DOT:
            name, behind = _folded(self._next()), self._next()
        return name, behind

    def _name_and_columns(self, token: Token) -> tuple[str, tuple[str, ...], Token]:
        name, token = self._name(token)
        if token != _OPEN:
            return name, self._columns.get(name, ()), token
        columns = []
        while token != _CLOSE:
            columns.append(_folded(self._next()))
            token = self._next()
        return name, tuple(columns), self._next()

    def _copy(self) -> Iterator[Batch]:
        table, columns, token = self._name_and_columns(self._next())
        source = self._next()
        if token != ("word", "FROM") or source != ("word", "STDIN"):
            self._skip_from(source)
            return
        if (behind := self._next()) != _END:
            raise SourceRefused(
                f"the rows of {table} are in a form of COPY ({behind.value}) that is not read"
            )
        rows = (_copied(line) for line in self.text.copied_lines())
        yield from self._in_batches(table, columns, rows)

    def _insert(self) -> Iterator[Batch]:
        self._next()
        table, columns, token = self._name_and_columns(self._next())
        while token != ("word", "VALUES"):
            if token.kind != "word":
                raise SourceRefused(f"an INSERT into {table} is in a form that is not read")
            token = self._next()
        yield from self._in_batches(table, columns, self._inserted(table))

    def _inserted(self, table: str) -> Iterator[list[Value]]:
        while (token := self._next()) == _OPEN:
            yield self._values(table)
            token = self._next()
            if token != _COMMA:
                break
        self._skip_from(token)

    def _values(self, table: str) -> list[Value]:
        values: list[Value] = []
        token = _COMMA
        while token == _COMMA:
            value, token = self._value(table)
            values.append(value)
        return values

    def _value(self, table: str) -> tuple[Value, Token]:
        token, sign = self._next(), ""
        if token.kind == "other" and token.value in "+-":
            sign, token = token.value, self._next()
        if token.kind in ("string", "number"):
            value: Value = sign + token.value
        elif token.kind == "word" and token.value in _WORDS:
            value = _WORDS[token.value]
        else:
            raise SourceRefused(f"a row of {table} has the value {token.value[:40]}, which is not read")
        return value, self._behind_value(table)

    def _behind_value(self, table: str) -> Token:
        """The comma or bracket behind a value; a type that it is cast to, such as `::bytea`, is passed."""
        token, depth = self._next(), 0
        while depth or token not in (_COMMA, _CLOSE):
            if token == _END:
                raise SourceRefused(f"a row of {table} has no end")
            depth += (token == _OPEN) - (token == _CLOSE)
            token = self._next()
        return token

    def _in_batches(
        self, table: str, columns: tuple[str, ...], rows: Iterator[list[Value]]
    ) -> Iterator[Batch]:
        batch: list[list[Value]] = []
        size = 0
        for row in rows:
            if not columns:
                raise SourceRefused(f"nothing says which columns rows of {table} have: dump the tables, too")
            batch.append(row)
            size += sum(len(value) for value in row if isinstance(value, str))
            if len(batch) == ROWS_AT_ONCE or size > BATCH_CHARACTERS:
                yield Batch(table, columns, batch)
                batch, size = [], 0
        if batch:
            yield Batch(table, columns, batch)


def _folded(token: Token) -> str:
    return token.value.lower() if token.kind == "word" else token.value


def _copied(line: str) -> list[Value]:
    if "\\" not in line:
        return [*line.split("\t")]
    return [None if part == r"\N" else _COPY_ESCAPE.sub(unescaped, part) for part in line.split("\t")]
