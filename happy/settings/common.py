"""Settings that both flavors have."""

import re
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final

import msgspec

from happy import quotas
from happy.quotas import Quotas, parse_quotas
from happy.rates import KINDS, SETTING, Rates, parse_rates
from happy.settings.backups import read_backups
from happy.settings.environ import Variables, unusable
from happy.settings.model import (
    LOG_LEVELS,
    LOOPBACK,
    NEARBY,
    PRIVATE,
    Common,
    GithubSettings,
    OutboundSettings,
    RecoverySettings,
    Ui,
    VoiceSettings,
)
from happy.settings.registration import read_registration

ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s@?#*]+")


def read_common(variables: Variables) -> Common:
    metrics = variables.text("METRICS_ENABLED") != "false"
    return Common(
        host=variables.address("HOST", "0.0.0.0"),  # noqa: S104 - phones on the same network must reach it
        port=variables.port("PORT") or 3005,
        public_url=variables.public_address("PUBLIC_URL"),
        ui=_ui(variables),
        metrics_port=(variables.port("METRICS_PORT") or 9090) if metrics else None,
        log_level=variables.choice("HAPPY_LOG_LEVEL", LOG_LEVELS, "info"),
        trusted_proxies=_trusted_proxies(variables),
        connections=variables.count("HAPPY_MAX_CONNECTIONS"),
        connections_per_address=variables.count("HAPPY_MAX_CONNECTIONS_PER_ADDRESS"),
        cors_origins=_cors_origins(variables),
        registration=read_registration(variables),
        rates=_rates(variables),
        quotas=_quotas(variables),
        token_days=variables.count("HAPPY_TOKEN_DAYS"),
        recovery=_recovery(variables),
        docs=variables.switch("HAPPY_DOCS", usually="true"),
        remote_debug_log=variables.text("DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING") is not None,
        outbound=_outbound(variables),
        backups=read_backups(variables),
        previous_secrets=variables.secrets("HANDY_MASTER_SECRET_PREVIOUS"),
        previous_secrets_file=variables.folder("HANDY_MASTER_SECRET_PREVIOUS_FILE"),
        allow_weak_secret=variables.switch("HAPPY_ALLOW_WEAK_SECRET"),
    )


def _trusted_proxies(variables: Variables) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks, or the words `loopback`, `private` and `none`, with commas between."""
    name = "HAPPY_TRUSTED_PROXIES"
    text = variables.text(name)
    if text is None:
        return NEARBY
    words = [word for part in text.split(",") if (word := part.strip().lower())]
    if words == ["none"]:
        return ()
    meant = {"loopback": LOOPBACK, "private": PRIVATE}
    try:
        return tuple(ip_network(each, strict=False) for word in words for each in meant.get(word, (word,)))
    except ValueError:
        raise unusable(name, "networks such as 203.0.113.0/24, loopback, private, or none", text) from None


def _cors_origins(variables: Variables) -> tuple[str, ...] | None:
    """As browsers send them, with commas between; `*` for all."""
    name = "HAPPY_CORS_ORIGINS"
    text = variables.text(name) or "*"
    origins = tuple(word for part in text.split(",") if (word := part.strip().rstrip("/").lower()))
    if origins == ("*",):
        return None
    if not origins or not all(map(ORIGIN.fullmatch, origins)):
        raise unusable(name, "* or origins such as https://happy.example.org,http://localhost:8081", text)
    return origins


def _quotas(variables: Variables) -> Quotas:
    text = variables.text(quotas.SETTING)
    try:
        return parse_quotas(text or "")
    except ValueError:
        expected = f"quotas such as bytes=10G,sessions=2k, of {', '.join(quotas.KINDS)}"
        raise unusable(quotas.SETTING, expected, text) from None


def _rates(variables: Variables) -> Rates:
    text = variables.text(SETTING)
    try:
        return parse_rates(text or "")
    except ValueError:
        kinds = ", ".join(KINDS)
        raise unusable(
            SETTING, f"off, or rates such as sign-ins=10/m or calls=off, of {kinds}", text
        ) from None


def _recovery(variables: Variables) -> RecoverySettings:
    usual = RecoverySettings()
    return RecoverySettings(
        seconds=variables.number("HAPPY_RECOVERY_SECONDS", usual.seconds, most=600),
        account_bytes=variables.number("HAPPY_RECOVERY_ACCOUNT_BYTES", usual.account_bytes, most=3_000_000),
        total_bytes=variables.number("HAPPY_RECOVERY_TOTAL_BYTES", usual.total_bytes, most=10**12),
    )


def _outbound(variables: Variables) -> OutboundSettings:
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


def _github(variables: Variables, usual: GithubSettings) -> GithubSettings:
    """The redirect address has two names in use. Webhooks are on when all is known about the app."""
    client_id, redirect_url = variables.text("GITHUB_CLIENT_ID"), variables.text("GITHUB_REDIRECT_URL")
    redirect_url = redirect_url or variables.text("GITHUB_REDIRECT_URI")
    client_secret = variables.credential("GITHUB_CLIENT_SECRET")
    app = (variables.text("GITHUB_APP_ID"), variables.text("GITHUB_PRIVATE_KEY"))
    complete = all((client_id, client_secret, redirect_url, *app))
    return GithubSettings(
        url=variables.web_address("HAPPY_GITHUB_URL") or usual.url,
        api_url=variables.web_address("HAPPY_GITHUB_API_URL") or usual.api_url,
        return_url=variables.web_address("HAPPY_APP_URL"),
        client_id=client_id,
        client_secret=client_secret,
        redirect_url=redirect_url,
        webhook_secret=variables.credential("GITHUB_WEBHOOK_SECRET") if complete else None,
    )


def _ui(variables: Variables) -> Ui | None:
    """The folder that is named, or else a `webapp` folder that holds a page."""
    named = variables.folder(variables.newest("HAPPY_SERVER_UI_DIR", "HAPPY_SERVER_LIGHT_UI_DIR"))
    folder = named or next(filter(_holds_page, _webapps(variables)), None)
    if folder is None:
        return None
    prefix_name = variables.newest("HAPPY_SERVER_UI_PREFIX", "HAPPY_SERVER_LIGHT_UI_PREFIX")
    prefix = variables.text(prefix_name) or "/"
    if not prefix.startswith("/"):
        raise unusable(prefix_name, "a path that begins with /", prefix)
    return Ui(folder=folder, prefix=prefix.removesuffix("/") or "/", config=_ui_config(variables))


def _webapps(variables: Variables) -> Iterator[Path]:
    configured = variables.folder("HAPPY_STATIC_DIR")
    if configured is not None:
        yield configured
    yield Path("webapp").absolute()
    yield Path(sys.argv[0]).absolute().parent / "webapp"


def _holds_page(folder: Path) -> bool:
    return (folder / "index.html").is_file()


def _ui_config(variables: Variables) -> dict[str, Any]:
    """What is to be injected; text that is no JSON object is ignored, as it always has been."""
    try:
        config = msgspec.json.decode(variables.text("HAPPY_INJECT_HTML_CONFIG") or "{}")
    except msgspec.DecodeError:
        return {}
    return config if isinstance(config, dict) else {}
