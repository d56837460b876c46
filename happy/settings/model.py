"""Settings as plain structs."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from happy.limits import limit
from happy.quotas import Quotas
from happy.rates import Rates

Flavor = Literal["light", "full"]
LogLevel = Literal["debug", "info", "warning", "error"]
Addressing = Literal["path", "host"]
Registration = Literal["open", "first", "approve", "invite", "closed"]
Synchronous = Literal["FULL", "NORMAL"]

FLAVORS: Final[tuple[Flavor, ...]] = ("light", "full")
LOG_LEVELS: Final[tuple[LogLevel, ...]] = ("debug", "info", "warning", "error")
SYNCHRONOUS: Final[tuple[Synchronous, ...]] = ("FULL", "NORMAL")
REGISTRATION: Final[tuple[Registration, ...]] = ("open", "first", "approve", "invite", "closed")
ADDRESSINGS: Final[tuple[Addressing, ...]] = ("path", "host")
PROVIDERS: Final = ("pglite", "postgres")
DATABASE_NAME: Final = "happy-server-light.sqlite"


class SettingsError(ValueError):
    """A variable cannot be used; the message names it and the value expected."""


class Secret(str):
    """A credential: its repr, and so the repr of settings and tracebacks with locals, does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Ui(Struct, frozen=True, kw_only=True):
    """A web app to serve. `config` is injected into its pages."""

    folder: Path
    prefix: str
    config: dict[str, Any]


class GithubSettings(Struct, frozen=True, kw_only=True):
    """Linking and webhooks work as far as their credentials are set."""

    url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    return_url: str | None = None
    """None: the web app that is served here, or else the public one."""

    client_id: str | None = None
    client_secret: Secret | None = None
    redirect_url: str | None = None
    webhook_secret: Secret | None = None


class VoiceSettings(Struct, frozen=True, kw_only=True):
    """API keys; without that of ElevenLabs there is no voice, without that of RevenueCat no subscription."""

    elevenlabs_url: str = "https://api.elevenlabs.io"
    elevenlabs_key: Secret | None = None
    revenuecat_url: str = "https://api.revenuecat.com"
    revenuecat_key: Secret | None = None
    revenuecat_project: str = "proj493735ad"
    require_subscription: bool = False


class OutboundSettings(Struct, frozen=True, kw_only=True):
    """Services of other companies: their URLs and credentials."""

    expo_url: str = "https://exp.host"
    private_avatars: bool = False
    """Whether profile pictures may be fetched from private addresses; for tests alone."""

    github: GithubSettings = GithubSettings()
    voice: VoiceSettings = VoiceSettings()


class RegistrationSettings(Struct, frozen=True, kw_only=True):
    """Who may make an account; those with one of the `keys` (upper-case hex) always may."""

    mode: Registration = "open"
    keys: tuple[str, ...] = ()


class RecoverySettings(Struct, frozen=True, kw_only=True):
    """How long, in s, and how much history is kept for connection state recovery."""

    seconds: int = limit(
        120,
        "s that a client may be away and still be given what it missed",
        per="connection",
        then="not recovered: reads again",
        setting="HAPPY_RECOVERY_SECONDS",
    )
    """0: no recovery."""

    account_bytes: int = 1_000_000
    total_bytes: int = 64_000_000

    @property
    def kept_seconds(self) -> int:
        """A lost link is noticed within a minute; large packets that are on their way may delay that."""
        return self.seconds + 120


LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
PRIVATE: Final = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
)
"""Networks that the internet does not reach: of a household, of containers, of a provider's own proxies."""

NEARBY: Final = tuple(ip_network(text) for text in (*LOOPBACK, *PRIVATE))


class S3(Struct, frozen=True, kw_only=True):
    """An object store that speaks S3."""

    host: str
    port: int | None
    use_ssl: bool
    region: str
    bucket: str
    access_key: Secret
    secret_key: Secret
    public_url: str
    public_endpoint: str | None = None
    """URL of the store for clients, if it differs from the one for this server."""

    addressing: Addressing | None = None
    """Whether the bucket is part of the path or of the host; None: whichever works."""

    authority: Path | None = None
    """The certificate that the store's own must lead to; None: one of a public authority."""


class BackupSettings(Struct, frozen=True, kw_only=True):
    """Backups that the server makes by itself, and the object store that `s3://` stands for."""

    target: str | None = None
    """A folder, or `s3://bucket/prefix`; None: the server makes none by itself."""

    every_seconds: int = 86_400
    keep: tuple[int, int, int] = (7, 4, 6)
    """Of how many days, weeks and months the last one is kept."""

    with_files: bool = False
    """Whether the files of an object store are copied."""

    passphrase: Secret | None = None
    """Seals the master secret into each of them; None: it is not in them."""

    store: S3 | None = None
    """Where `s3://` leads to, without a bucket; None: no store is configured."""


class Common(Struct, frozen=True, kw_only=True):
    """Settings of both flavors."""

    host: str
    port: int
    public_url: str | None
    ui: Ui | None
    metrics_port: int | None
    """None: no metrics are served."""

    log_level: LogLevel
    remote_debug_log: bool
    """Whether clients may write into a log file here; for development alone."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = NEARBY
    """Peers whose `Forwarded` and `X-Forwarded-*` headers count."""

    connections: int | None = None
    """Connections of one replica; None: as many as files and memory allow."""

    connections_per_address: int | None = None
    """None: the usual number."""

    cors_origins: tuple[str, ...] | None = None
    """Origins whose pages may use this server; None: all."""

    registration: RegistrationSettings = RegistrationSettings()
    quotas: Quotas = Quotas()
    """How much accounts may store."""

    rates: Rates = Rates()
    """Rates of requests of addresses and accounts."""

    token_days: int | None = None
    """For how many days after its issue a token is accepted; None: for ever."""

    recovery: RecoverySettings = RecoverySettings()
    docs: bool = True
    """Whether the endpoints are documented at `/docs`."""

    outbound: OutboundSettings = OutboundSettings()
    backups: BackupSettings = BackupSettings()

    previous_secrets: tuple[Secret, ...] = ()
    """Master secrets whose tokens and sealed values are still accepted."""

    previous_secrets_file: Path | None = None
    """More of them, one a line."""

    allow_weak_secret: bool = False
    """Whether a master secret that can be guessed is a warning instead of a refusal."""

    warnings: tuple[str, ...] = ()
    """Warnings about variables that were ignored; one line each, without values."""


class Light(Common, frozen=True, kw_only=True):
    """One process, SQLite and local files."""

    data_dir: Path
    database: Path
    files_dir: Path
    synchronous: Synchronous
    secret: Secret | None
    """None: the one in the data directory, made on the first start."""


class Full(Common, frozen=True, kw_only=True):
    """Any number of processes on PostgreSQL; `files` is an object store or a local folder."""

    secret: Secret
    database_url: Secret
    redis_url: Secret | None
    redis_authority: Path | None = None
    """The certificate that Redis' own must lead to; None: one that the address names, or the system's."""

    files: S3 | Path
    postgres_connections: int | None = None
    """How many connections to PostgreSQL at most; None: what the address says, or the usual number."""

    shutdown_seconds: int = 20
    """Timeout of a graceful shutdown in s: balancers notice, connections move, requests finish."""
