"""What the environment asks for, read once into plain data; nothing here opens or creates anything."""

import ipaddress
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

Flavor = Literal["light", "full"]
LogLevel = Literal["debug", "info", "warning", "error"]
Synchronous = Literal["FULL", "NORMAL"]
C = TypeVar("C", bound=str)

FLAVORS: Final[tuple[Flavor, ...]] = ("light", "full")
LOG_LEVELS: Final[tuple[LogLevel, ...]] = ("debug", "info", "warning", "error")
SYNCHRONOUS: Final[tuple[Synchronous, ...]] = ("FULL", "NORMAL")
PROVIDERS: Final = ("pglite", "postgres")
DATABASE_NAME: Final = "happy-server-light.sqlite"

_POSTGRES: Final = ("postgresql://", "postgres://")
_HIGHEST_PORT: Final = 65_535
_HIGHEST_COUNT: Final = 3_600
_LONGEST: Final = 15
_SWITCH: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}

# One assignment of a `.env` file, as the dotenv libraries read it: quoted values may span lines.
_ASSIGNMENT: Final = re.compile(
    r"""^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^#\n]*)[^\S\n]*(?:\#.*)?$""",
    re.MULTILINE,
)


class SettingsError(ValueError):
    """A variable cannot be used; the message names it and the value expected."""


class Secret(str):
    """A credential: its repr, and so the repr of settings and tracebacks with locals, does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Ui(Struct, frozen=True, kw_only=True):
    """A web app to serve. `config` is what its pages are told of this server."""

    folder: Path
    prefix: str
    config: dict[str, Any]


class GithubSettings(Struct, frozen=True, kw_only=True):
    """Linking and webhooks work as far as their credentials are set."""

    url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    return_url: str = "https://app.happy.engineering"
    client_id: str | None = None
    client_secret: Secret | None = None
    redirect_url: str | None = None
    webhook_secret: Secret | None = None


class VoiceSettings(Struct, frozen=True, kw_only=True):
    """Without a key to ElevenLabs nobody speaks, without one to RevenueCat nobody has a subscription."""

    elevenlabs_url: str = "https://api.elevenlabs.io"
    elevenlabs_key: Secret | None = None
    revenuecat_url: str = "https://api.revenuecat.com"
    revenuecat_key: Secret | None = None
    revenuecat_project: str = "proj493735ad"
    require_subscription: bool = False


class OutboundSettings(Struct, frozen=True, kw_only=True):
    """Other companies' services: where they are, and what opens them."""

    expo_url: str = "https://exp.host"
    private_avatars: bool = False
    """Whether a profile picture may come from our own network; for tests alone."""

    github: GithubSettings = GithubSettings()
    voice: VoiceSettings = VoiceSettings()


class RecoverySettings(Struct, frozen=True, kw_only=True):
    """How long and how much of what they miss is kept for clients that lost their connection."""

    seconds: int = 120
    """0: nothing is kept."""

    account_bytes: int = 1_000_000
    total_bytes: int = 64_000_000

    @property
    def kept_seconds(self) -> int:
        """A lost link is noticed within a minute; large packets that are on their way may delay that."""
        return self.seconds + 120


class Common(Struct, frozen=True, kw_only=True):
    """What both flavors need to know."""

    host: str
    port: int
    public_url: str | None
    ui: Ui | None
    metrics_port: int | None
    """None: no metrics are served."""

    log_level: LogLevel
    remote_debug_log: bool
    """Whether clients may write into a log file here; for development alone."""

    recovery: RecoverySettings = RecoverySettings()
    docs: bool = True
    """Whether the endpoints are documented at `/docs`."""

    outbound: OutboundSettings = OutboundSettings()


class Light(Common, frozen=True, kw_only=True):
    """One process, SQLite and local files."""

    data_dir: Path
    database: Path
    files_dir: Path
    synchronous: Synchronous
    secret: Secret | None
    """None: the one in the data directory, made on the first start."""


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
    """Where clients reach the store, when that is another address than ours to it."""


class Full(Common, frozen=True, kw_only=True):
    """Any number of processes on PostgreSQL; `files` is an object store or a local folder."""

    secret: Secret
    database_url: Secret
    redis_url: Secret | None
    files: S3 | Path
    shutdown_seconds: int = 20
    """How long an orderly end may take: balancers notice, connections move, requests finish."""


def load(
    environ: Mapping[str, str], *, flavor: str | None = None, dotenv: Path | None = None
) -> Light | Full:
    """Settings of the flavor that is named or follows from the variables. Raises SettingsError.

    The light flavor takes what `environ` lacks from the file `dotenv`, if there is one.
    """
    chosen = _flavor(_Variables(environ), flavor)
    if chosen == "full":
        return _full(_Variables(environ))
    return _light(_Variables({**_read_dotenv(dotenv), **environ}))


class _Variables:
    """Variables by name; blank ones count as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def secret(self, name: str) -> Secret | None:
        """Verbatim, spaces included: keys derive from exactly these characters."""
        return Secret(self._environ[name]) if self.text(name) else None

    def required(self, name: str) -> Secret:
        value = self.secret(name)
        if value is None:
            raise SettingsError(f"Missing required env var: {name}")
        return value

    def credential(self, name: str) -> Secret | None:
        """Without the spaces around it: it goes into headers."""
        text = self.text(name)
        return Secret(text) if text else None

    def switch(self, name: str, usually: str = "false") -> bool:
        text = (self.text(name) or usually).lower()
        if text not in _SWITCH:
            raise _unusable(name, "true or false", text)
        return _SWITCH[text]

    def choice(self, name: str, options: tuple[C, ...], default: C) -> C:
        text = self.text(name)
        for option in options:
            if option == (text or default):
                return option
        raise _unusable(name, " or ".join(options), text)

    def port(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _HIGHEST_PORT):
            raise _unusable(name, f"a port from 1 to {_HIGHEST_PORT}", text)
        return int(text)

    def count(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _HIGHEST_COUNT):
            raise _unusable(name, f"a number from 1 to {_HIGHEST_COUNT}", text)
        return int(text)

    def number(self, name: str, default: int, *, most: int) -> int:
        text = self.text(name) or str(default)
        if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST and int(text) <= most):
            raise _unusable(name, f"a whole number from 0 to {most}", text)
        return int(text)

    def address(self, name: str, default: str) -> str:
        text = self.text(name) or default
        try:
            return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))
        except ValueError:
            raise _unusable(name, "an IP address to listen on, such as 0.0.0.0 or 127.0.0.1", text) from None

    def web_address(self, name: str) -> str | None:
        text = self.text(name)
        if text is not None and not text.startswith(("http://", "https://")):
            raise _unusable(name, "an address such as https://happy.example.org", text)
        return text.rstrip("/") if text else None

    def newest(self, name: str, legacy: str) -> str:
        """The name that is in use: a blank new variable hides the one it replaces."""
        return name if name in self._environ else legacy

    def folder(self, name: str) -> Path | None:
        text = self.text(name)
        return self.path(name, text) if text else None

    def path(self, name: str, text: str) -> Path:
        try:
            return Path(text).expanduser().absolute()
        except RuntimeError:
            raise SettingsError(f"{name}: expected a folder, and the home directory is unknown") from None


def _unusable(name: str, expected: str, text: str | None) -> SettingsError:
    return SettingsError(f"{name}: expected {expected}, got {text!r}")


def _flavor(variables: _Variables, named: str | None) -> Flavor:
    if named is not None:
        return _Variables({"--flavor": named}).choice("--flavor", FLAVORS, "light")
    if variables.text("HAPPY_FLAVOR"):
        return variables.choice("HAPPY_FLAVOR", FLAVORS, "light")
    names_postgres = (variables.text("DATABASE_URL") or "").startswith(_POSTGRES)
    provider = variables.choice("DB_PROVIDER", PROVIDERS, "postgres" if names_postgres else "pglite")
    return "full" if provider == "postgres" else "light"


def _common(variables: _Variables) -> Common:
    metrics = variables.text("METRICS_ENABLED") != "false"
    return Common(
        host=variables.address("HOST", "0.0.0.0"),  # noqa: S104 - phones on the same network must reach it
        port=variables.port("PORT") or 3005,
        public_url=variables.web_address("PUBLIC_URL"),
        ui=_ui(variables),
        metrics_port=(variables.port("METRICS_PORT") or 9090) if metrics else None,
        log_level=variables.choice("HAPPY_LOG_LEVEL", LOG_LEVELS, "info"),
        recovery=_recovery(variables),
        docs=variables.switch("HAPPY_DOCS", usually="true"),
        remote_debug_log=variables.text("DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING") is not None,
        outbound=_outbound(variables),
    )


def _recovery(variables: _Variables) -> RecoverySettings:
    usual = RecoverySettings()
    return RecoverySettings(
        seconds=variables.number("HAPPY_RECOVERY_SECONDS", usual.seconds, most=600),
        account_bytes=variables.number("HAPPY_RECOVERY_ACCOUNT_BYTES", usual.account_bytes, most=3_000_000),
        total_bytes=variables.number("HAPPY_RECOVERY_TOTAL_BYTES", usual.total_bytes, most=10**12),
    )


def _outbound(variables: _Variables) -> OutboundSettings:
    usual = OutboundSettings()
    return OutboundSettings(
        expo_url=variables.web_address("HAPPY_EXPO_URL") or usual.expo_url,
        private_avatars=variables.switch("HAPPY_AVATAR_PRIVATE_HOSTS"),
        github=_github(variables, usual.github),
        voice=VoiceSettings(
            elevenlabs_url=variables.web_address("HAPPY_ELEVENLABS_URL") or usual.voice.elevenlabs_url,
            elevenlabs_key=variables.credential("ELEVENLABS_API_KEY"),
            revenuecat_url=variables.web_address("HAPPY_REVENUECAT_URL") or usual.voice.revenuecat_url,
            revenuecat_key=variables.credential("REVENUECAT_API_KEY"),
            revenuecat_project=variables.text("HAPPY_REVENUECAT_PROJECT") or usual.voice.revenuecat_project,
            require_subscription=variables.switch("HAPPY_VOICE_REQUIRE_SUBSCRIPTION"),
        ),
    )


def _github(variables: _Variables, usual: GithubSettings) -> GithubSettings:
    """The redirect address has two names in use. Webhooks are on when all is known about the app."""
    client_id, redirect_url = variables.text("GITHUB_CLIENT_ID"), variables.text("GITHUB_REDIRECT_URL")
    redirect_url = redirect_url or variables.text("GITHUB_REDIRECT_URI")
    client_secret = variables.credential("GITHUB_CLIENT_SECRET")
    app = (variables.text("GITHUB_APP_ID"), variables.text("GITHUB_PRIVATE_KEY"))
    complete = all((client_id, client_secret, redirect_url, *app))
    return GithubSettings(
        url=variables.web_address("HAPPY_GITHUB_URL") or usual.url,
        api_url=variables.web_address("HAPPY_GITHUB_API_URL") or usual.api_url,
        return_url=variables.web_address("HAPPY_APP_URL") or usual.return_url,
        client_id=client_id,
        client_secret=client_secret,
        redirect_url=redirect_url,
        webhook_secret=variables.credential("GITHUB_WEBHOOK_SECRET") if complete else None,
    )


def _ui(variables: _Variables) -> Ui | None:
    """The folder that is named, or else a `webapp` folder that holds a page."""
    named = variables.folder(variables.newest("HAPPY_SERVER_UI_DIR", "HAPPY_SERVER_LIGHT_UI_DIR"))
    folder = named or next(filter(_holds_page, _webapps(variables)), None)
    if folder is None:
        return None
    prefix_name = variables.newest("HAPPY_SERVER_UI_PREFIX", "HAPPY_SERVER_LIGHT_UI_PREFIX")
    prefix = variables.text(prefix_name) or "/"
    if not prefix.startswith("/"):
        raise _unusable(prefix_name, "a path that begins with /", prefix)
    return Ui(folder=folder, prefix=prefix.removesuffix("/") or "/", config=_ui_config(variables))


def _webapps(variables: _Variables) -> Iterator[Path]:
    configured = variables.folder("HAPPY_STATIC_DIR")
    if configured is not None:
        yield configured
    yield Path("webapp").absolute()
    yield Path(sys.argv[0]).absolute().parent / "webapp"


def _holds_page(folder: Path) -> bool:
    return (folder / "index.html").is_file()


def _ui_config(variables: _Variables) -> dict[str, Any]:
    """What is to be injected; text that is no JSON object is ignored, as it always has been."""
    try:
        config = msgspec.json.decode(variables.text("HAPPY_INJECT_HTML_CONFIG") or "{}")
    except msgspec.DecodeError:
        return {}
    return config if isinstance(config, dict) else {}


def _light(variables: _Variables) -> Light:
    embedded = variables.text("DB_PROVIDER") == "pglite"  # started by a launcher of the embedded server
    data_dir = variables.folder("HAPPY_SERVER_LIGHT_DATA_DIR")
    if data_dir is None and embedded:
        data_dir = variables.folder("DATA_DIR") or Path("data").absolute()
    if data_dir is None:
        data_dir = variables.path("HAPPY_SERVER_LIGHT_DATA_DIR", "~/.happy/server-light")
    return Light(
        **asdict(_common(variables)),
        data_dir=data_dir,
        database=_sqlite_file(variables, ignore_postgres=embedded) or data_dir / DATABASE_NAME,
        files_dir=variables.folder("HAPPY_SERVER_LIGHT_FILES_DIR") or data_dir / "files",
        synchronous=variables.choice("HAPPY_SQLITE_SYNCHRONOUS", SYNCHRONOUS, "FULL"),
        secret=variables.secret("HANDY_MASTER_SECRET"),
    )


def _sqlite_file(variables: _Variables, *, ignore_postgres: bool) -> Path | None:
    url = variables.text("DATABASE_URL")
    if url is None or (ignore_postgres and url.startswith(_POSTGRES)):
        return None
    location = url.removeprefix("file:").partition("?")[0]
    if not url.startswith("file:") or not location.strip("/"):
        # Not repeated in the message: an address of another kind may hold a password.
        raise SettingsError("DATABASE_URL: expected file:<path of the SQLite database> for the light flavor")
    return variables.path("DATABASE_URL", location.removeprefix("//"))


def _full(variables: _Variables) -> Full:
    if variables.secret("HANDY_MASTER_SECRET") is None:
        raise SettingsError("HANDY_MASTER_SECRET is required")
    database_url = variables.secret("DATABASE_URL")
    if database_url is None or not database_url.startswith(_POSTGRES):
        raise SettingsError(
            "DATABASE_URL: expected postgresql://user:password@host/database for the full flavor"
        )
    redis_url = variables.secret("REDIS_URL")
    if redis_url is not None and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("REDIS_URL: expected redis://host:6379")
    return Full(
        **asdict(_common(variables)),
        secret=variables.required("HANDY_MASTER_SECRET"),
        database_url=database_url,
        redis_url=redis_url,
        shutdown_seconds=variables.count("HAPPY_SHUTDOWN_SECONDS") or 20,
        files=_s3(variables) or (variables.folder("DATA_DIR") or Path("data").absolute()) / "files",
    )


def _s3(variables: _Variables) -> S3 | None:
    host = variables.text("S3_HOST")
    if host is None:
        return None
    return S3(
        host=host,
        port=variables.port("S3_PORT"),
        use_ssl=variables.text("S3_USE_SSL") in (None, "true"),
        region=variables.text("S3_REGION") or "us-east-1",
        bucket=str(variables.required("S3_BUCKET")),
        access_key=variables.required("S3_ACCESS_KEY"),
        secret_key=variables.required("S3_SECRET_KEY"),
        public_url=str(variables.required("S3_PUBLIC_URL")).strip().rstrip("/"),
        public_endpoint=variables.web_address("HAPPY_S3_PUBLIC_ENDPOINT"),
    )


def _read_dotenv(file: Path | None) -> dict[str, str]:
    if file is None or not file.is_file():
        return {}
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: expected a readable text file in UTF-8 ({error})") from None
    return {name: _unquote(value.strip()) for name, value in _ASSIGNMENT.findall(text)}


def _unquote(value: str) -> str:
    if len(value) < len('""') or value[0] != value[-1] or value[0] not in "\"'`":
        return value
    inner = value[1:-1]
    return inner.replace("\\n", "\n").replace("\\r", "\r") if value[0] == '"' else inner
