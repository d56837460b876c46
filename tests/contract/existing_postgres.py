"""Builds PostgreSQL databases as other servers of this protocol leave them behind.

protocol: data-model#tables
"""

from typing import Any

import asyncpg

from tests.contract.data_model import DATA_MODEL, columns_of, indexes_of, keys_of

MOMENT = "2024-11-22 14:37:11.123"
STATUS = "CREATE TYPE \"RelationshipStatus\" AS ENUM ('none', 'requested', 'pending', 'friend', 'rejected')"
BOOKKEEPING = """
CREATE TABLE _migrations (id text PRIMARY KEY, checksum text NOT NULL, finished_at timestamptz, name text);
INSERT INTO _migrations VALUES ('1', 'abc', '2024-11-22T14:00:00Z', 'init')
"""
PARENTS = {
    "accountId": "Account-id",
    "responseAccountId": "Account-id",
    "userId": "Account-id",
    "fromUserId": "Account-id",
    "toUserId": "Account-id",
    "githubUserId": "GithubUser-id",
    "sessionId": "Session-id",
    "machineId": "Machine-id",
}
VALUES = {
    "integer": "7",
    "bigint": str(2**40),
    "boolean": "true",
    '"RelationshipStatus"': "'friend'",
    "timestamp(3) without time zone": f"'{MOMENT}'",
}


def quoted(names: str) -> str:
    """Column names of the model with quotes, their direction kept."""
    parts = (name.split(" ") for name in names.split(", "))
    return ", ".join(" ".join([f'"{name}"', *direction]) for name, *direction in parts)


def value(table: str, column: str, type_: str) -> str:
    if type_ == "text":
        return f"'{PARENTS.get(column, f'{table}-{column}')}'"
    if type_ == "jsonb":
        return f"""'{{"t":"{table} {column}"}}'"""
    if type_ == "bytea":
        return f"'\\x00ff{len(column):02x}'"
    return VALUES[type_]


def ddl() -> list[str]:
    made = [STATUS]
    for table in DATA_MODEL:
        columns = [
            f'"{name}" {type_}{" NOT NULL" if required else ""}{f" DEFAULT {default}" if default else ""}'
            for name, type_, required, default in columns_of(table)
        ]
        key = f'CONSTRAINT "{table}_pkey" PRIMARY KEY ({quoted(DATA_MODEL[table].primary_key)})'
        made.append(f'CREATE TABLE "{table}" ({", ".join([*columns, key])})')
        for name, unique, listed in sorted(indexes_of(table)):
            if not name.endswith("_pkey"):
                kind = "UNIQUE INDEX" if unique else "INDEX"
                made.append(f'CREATE {kind} "{name}" ON "{table}" ({quoted(listed)})')
    return made


def foreign_keys() -> list[str]:
    made = []
    for table in DATA_MODEL:
        for name, definition in sorted(keys_of(table)):
            columns, target = definition.split(" -> ")
            other, rest = target.split("(")
            theirs, ondelete = rest.split(") ")
            made.append(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY ({quoted(columns)})'
                f' REFERENCES "{other}" ({quoted(theirs)}) ON UPDATE CASCADE ON DELETE {ondelete}'
            )
    return made


def inserts() -> list[str]:
    """One full row in each table; the foreign keys come later."""
    return [
        f'INSERT INTO "{table}" VALUES ({", ".join(value(table, n, t) for n, t, _, _ in columns_of(table))})'
        for table in DATA_MODEL
    ]


async def build(url: str, *statements: str) -> None:
    """A database with one full row in each table, then changed by `statements`."""
    connection = await asyncpg.connect(url)
    for statement in [*ddl(), *inserts(), *foreign_keys(), BOOKKEEPING, *statements]:
        await connection.execute(statement)
    await connection.close()


def is_ours(table: str, column: str) -> bool:
    """Whether no other server of this protocol knows the column."""
    return table in DATA_MODEL and column not in {name for name, *_ in columns_of(table)}


async def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in every table, bookkeeping included, but for the columns that we added."""
    connection = await asyncpg.connect(url)
    names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = {
        name: [
            tuple(value for column, value in row.items() if not is_ours(name, column))
            for row in await connection.fetch(f'SELECT * FROM "{name}"')
        ]
        for (name,) in names
    }
    await connection.close()
    return rows


async def definitions(url: str) -> set[str]:
    """Columns, keys and indexes in the server's own words."""
    connection = await asyncpg.connect(url)
    found = await connection.fetch(
        """
        SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable
                || ' ' || coalesce(column_default, '') || ' ' || coalesce(datetime_precision::text, '')
            FROM information_schema.columns WHERE table_schema = 'public'
        """
    )
    await connection.close()
    return {row[0] for row in found}
