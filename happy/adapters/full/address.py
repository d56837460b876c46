"""Database addresses as people have them, in the terms of the driver."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from msgspec import Struct

from happy.domain.errors import StartupError

# Parameters that other clients of PostgreSQL understand, and that its own protocol does not.
FOREIGN = frozenset(
    {"connection_limit", "pool_timeout", "socket_timeout", "connect_timeout", "sslaccept", "sslidentity"}
)
YES = frozenset({"true", "1", "yes"})


class Address(Struct, frozen=True):
    """Where a database is. Behind a shared pooler no server session outlives a transaction."""

    url: str
    schema: str | None = None
    behind_pooler: bool = False

    @property
    def place(self) -> str:
        """Host and name, without credentials, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"

    @property
    def server_settings(self) -> dict[str, str]:
        """What a new connection asks the server for; a pooler would have to be told to let them pass."""
        if self.behind_pooler:
            return {}
        settings = {"application_name": "happy-server", "jit": "off"}
        if self.schema is not None:
            settings["search_path"] = f'"{self.schema}"'
        return settings


def parse(url: str) -> Address:
    """Understands `schema`, `pgbouncer` and `connection_limit` as well, which only other clients know.

    Raises StartupError for a schema that a pooler would not be told of.
    """
    parts = urlsplit(url)
    given = parse_qsl(parts.query)
    options = dict(given)
    kept = [(name, value) for name, value in given if name not in FOREIGN | {"schema", "pgbouncer"}]
    behind_pooler = options.get("pgbouncer", "").lower() in YES
    if behind_pooler and options.get("schema", "public") != "public":
        raise StartupError(
            "DATABASE_URL: schema= is a setting of the session, which pgbouncer=true leaves out:"
            " give the user of the database that search_path instead (ALTER ROLE ... SET search_path)"
        )
    return Address(
        url=parts._replace(scheme="postgresql", query=urlencode(kept)).geturl(),
        schema=options.get("schema"),
        behind_pooler=behind_pooler,
    )
