"""The systemd unit of a server, with as few rights as it needs; text only, nothing is written or run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from happy.settings import Flavor

NAME: Final = "happy-server"
UNIT: Final = f"{NAME}.service"
MADE_BY: Final = "# Made by `happy-server service install`; changes belong into `systemctl edit`."
STATE: Final = Path("/var/lib") / NAME

COMMON: Final = """\
# Connections are open files; the server takes as many as it may have.
LimitNOFILE=524288
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
"""What every service manager can enforce, also that of a user without rights of its own."""

SYSTEM: Final = """\
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
"""
"""What needs the system's service manager."""

MIGRATES: Final = """\
# A migration takes as long as it takes.
TimeoutStartSec=infinity
"""

SETTINGS: Final = """\
# Settings of the server, NAME=value (docs/operating.md); values with spaces in double quotes.
# Restart it after a change: systemctl {manager}restart happy-server
"""
LIGHT_SETTINGS: Final = """\
#HOST=127.0.0.1
#PUBLIC_URL=https://happy.example.org
#HAPPY_REGISTRATION=first
"""
FULL_SETTINGS: Final = """\
#DATABASE_URL=postgresql://user:password@host/database
#REDIS_URL=redis://127.0.0.1:6379
#HANDY_MASTER_SECRET=
#PUBLIC_URL=https://happy.example.org
"""


@dataclass(frozen=True, slots=True)
class Service:
    """A server that systemd runs, for the whole machine or (`home`) for one user."""

    flavor: Flavor
    python: str
    """The interpreter that has the server installed."""
    memory: str
    """The most it may use, as systemd writes it: `1G`."""
    home: Path | None = None
    config: Path = Path("/etc")
    """Where settings are: `/etc`, or the user's configuration folder."""

    @property
    def unit_file(self) -> Path:
        folder = "system" if self.home is None else "user"
        return self.config / "systemd" / folder / UNIT

    @property
    def user_file(self) -> Path | None:
        """What makes the user that the server runs as, by systemd-sysusers."""
        return self.config / "sysusers.d" / f"{NAME}.conf" if self.home is None else None

    @property
    def settings_file(self) -> Path:
        return self.config / NAME / "environment"

    @property
    def data(self) -> Path:
        """Where the server keeps what it stores itself, unless the settings say otherwise."""
        return STATE if self.home is None else self.home / ".happy" / f"server-{self.flavor}"

    def command(self, name: str) -> str:
        return f"{quoted(self.python)} -m happy {name} --flavor {self.flavor}"

    def unit(self) -> str:
        return f"{MADE_BY}\n{self._about()}\n[Service]\n{self._process()}{self._rights()}\n{self._install()}"

    def user(self) -> str:
        return f'u {NAME} - "Happy Server" {STATE}\n'

    def settings(self) -> str:
        """A first settings file: where the data is, and what most people set, as comments."""
        manager = "" if self.home is None else "--user "
        variable = "HAPPY_SERVER_LIGHT_DATA_DIR" if self.flavor == "light" else "DATA_DIR"
        more = LIGHT_SETTINGS if self.flavor == "light" else FULL_SETTINGS
        return f'{SETTINGS.format(manager=manager)}{variable}="{self.data}"\n{more}'

    def _about(self) -> str:
        network = (
            "Wants=network-online.target\nAfter=network-online.target postgresql.service redis.service\n"
        )
        return (
            f"[Unit]\nDescription=Happy Server ({self.flavor})\n"
            f"{network if self.home is None else ''}"
            "# A database may take longer to start than the server, which is tried again until then.\n"
            "StartLimitIntervalSec=0\n"
        )

    def _process(self) -> str:
        migrate = f"{MIGRATES}ExecStartPre={self.command('migrate')}\n" if self.flavor == "full" else ""
        return (
            "Type=exec\n"
            f"EnvironmentFile=-{specifiers(self.settings_file)}\n"
            "Environment=PYTHONUNBUFFERED=1\n"
            f"{migrate}ExecStart={self.command('serve')}\n"
            "Restart=on-failure\nRestartSec=5\n"
            "# Exit code 2 is a usage error, which a restart does not cure.\nRestartPreventExitStatus=2\n"
            "# An orderly end takes up to 20 s, or HAPPY_SHUTDOWN_SECONDS.\n"
            f"TimeoutStopSec=45\nKillMode=mixed\nMemoryMax={self.memory}\n"
        )

    def _rights(self) -> str:
        if self.home is not None:
            return f"WorkingDirectory={specifiers(self.settings_file.parent)}\n{COMMON}"
        own = (
            f"User={NAME}\nGroup={NAME}\n"
            f"StateDirectory={NAME}\nStateDirectoryMode=0700\nWorkingDirectory={STATE}\n"
        )
        return f"{own}{COMMON}{SYSTEM}"

    def _install(self) -> str:
        return f"[Install]\nWantedBy={'multi-user' if self.home is None else 'default'}.target\n"


def specifiers(value: Path | str) -> str:
    """Literally, where systemd replaces `%`."""
    return str(value).replace("%", "%%")


def quoted(path: str) -> str:
    """The program of a command line, literally; systemd takes none with quotes or a backslash."""
    escaped = specifiers(path)
    return f'"{escaped}"' if " " in path else escaped
