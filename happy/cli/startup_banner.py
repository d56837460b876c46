"""The startup banner: where the data is, and the URLs by which clients reach the server."""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence

from happy import __version__
from happy.settings import Light

ALL_INTERFACES = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
LOOPBACK = ("127.0.0.1", "::1")

# One address of each kind of network a phone may share with this machine: the internet's documentation block,
# the three private ranges, and the range of carrier and mesh networks.
DESTINATIONS = ("192.0.2.1", "10.255.255.254", "172.31.255.254", "192.168.255.254", "100.100.100.100")

ACCOUNTS: Mapping[str, str] = {
    "open": "whoever reaches this server can make one"
    " (HAPPY_REGISTRATION=first, approve, invite or closed changes that)",
    "first": "the first that is made is the only one (HAPPY_REGISTRATION=first)",
    "approve": "new ones wait for `happy-server accounts approve` (HAPPY_REGISTRATION=approve)",
    "invite": "new ones need a link of `happy-server invites create` (HAPPY_REGISTRATION=invite)",
    "closed": "nobody makes a new one (HAPPY_REGISTRATION=closed)",
}
"""Who may make an account, by the mode of registration."""


def startup_banner(settings: Light, lan_addresses: Iterable[str]) -> str:
    reachable = _addresses(settings, lan_addresses)
    best = _best(settings, reachable)
    rows = [
        ("data", f"{settings.data_dir}  (database, files and secret: back it up as a whole)"),
        *([("public", settings.public_url)] if settings.public_url else []),
        ("address", reachable[0]),
        *(("network", address) for address in reachable[1:]),
        ("terminal", f"HAPPY_SERVER_URL={best} happy"),
        ("app", f"enter {best} as its custom server"),
        ("accounts", ACCOUNTS[settings.registration.mode]),
    ]
    if settings.host in LOOPBACK:
        rows.append(
            ("note", f"HOST={settings.host}: other machines and phones reach it only through a proxy")
        )
    if (settings.data_dir / "pglite").is_dir():
        rows.append(("note", f"{settings.data_dir / 'pglite'} belongs to another server and is not read:"))
        rows.append(("", f"`happy-server import {settings.data_dir}` says how its data get in"))
    return "\n".join(
        [f"Happy Server {__version__} is ready.", *(f"  {name:<10}{text}" for name, text in rows), ""]
    )


def best_address(settings: Light, lan_addresses: Iterable[str]) -> str:
    """The URL to give to other devices."""
    return _best(settings, _addresses(settings, lan_addresses))


def _best(settings: Light, reachable: Sequence[str]) -> str:
    return settings.public_url or reachable[min(1, len(reachable) - 1)]


def lan_addresses(destinations: Sequence[str] = DESTINATIONS) -> list[str]:
    """Source addresses that the routing table would choose for `destinations`; no packet is sent."""
    return list(dict.fromkeys(_sources(destinations)))


def _sources(destinations: Sequence[str]) -> Iterator[str]:
    for destination in destinations:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((destination, 9))
            except OSError:
                continue
            source = str(probe.getsockname()[0])
        if not source.startswith(("127.", "0.")):
            yield source


def _addresses(settings: Light, lan_addresses: Iterable[str]) -> list[str]:
    """The URLs of the server: for this machine first, then for others."""
    if settings.host in ALL_INTERFACES:
        return [
            _url("localhost", settings.port),
            *(_url(address, settings.port) for address in lan_addresses),
        ]
    return [_url("localhost" if settings.host in LOOPBACK else settings.host, settings.port)]


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
