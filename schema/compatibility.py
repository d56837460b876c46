"""Which older releases may go on using a database that a later one has migrated: the database says it.

Imports nothing, because every start looks at it.
"""

from typing import Final

from schema.revisions import HEAD

TABLE: Final = "happy_SchemaCompatibility"
"""One row, written by migrations: the oldest revision whose code may use the database."""

DECLARED: Final = 'CREATE TABLE IF NOT EXISTS "happy_SchemaCompatibility" (oldest VARCHAR(32) NOT NULL)'
OLDEST: Final = 'SELECT max(oldest) FROM "happy_SchemaCompatibility"'
CLEAR: Final = 'DELETE FROM "happy_SchemaCompatibility"'
WRITE: Final = 'INSERT INTO "happy_SchemaCompatibility" (oldest) VALUES (:oldest)'


def usable(oldest: str | None) -> bool:
    """Whether this version may use a database with a later schema. None: the database does not say."""
    return oldest is not None and oldest <= HEAD


WARNING: Final = (
    "%s has schema %s, and this version knows none after %s: it goes on with what it knows;"
    " start the newer happy-server again for the rest"
)
