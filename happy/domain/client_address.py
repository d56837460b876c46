"""Which client a request is from, and what it was sent to, when reverse proxies stand between.

Headers count only if the peer of the connection is a trusted proxy. A list is read from its right end, where
the nearest proxy wrote: the client is the first address from there that is no trusted proxy. What is left of
it was written by the client itself, and means nothing.

    peer 127.0.0.1, X-Forwarded-For: 1.2.3.4, 203.0.113.7, 10.0.0.2  ->  203.0.113.7
    peer 203.0.113.9 (not trusted), X-Forwarded-For: 1.2.3.4         ->  203.0.113.9
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from msgspec import Struct

from happy.limits import limit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Headers = Iterable[tuple[bytes, bytes]]

MAX_HOPS = limit(
    16, "forwarded addresses that are read, from the right", per="request", then="the others are ignored"
)
"""Elements of a list of forwarded addresses that are read, from the right."""

FORWARDED_BYTES = 4096
"""Bytes of a list of forwarded addresses that are read, from the right."""

IPV6_BITS = 64
"""Bits of an IPv6 address that identify a client: a household has all addresses of its /64."""

UNIX = "unix"
"""The address of a peer that has none: a process of this machine, by a Unix domain socket."""

FOR, PROTO, HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
FORWARDED, REAL_IP = b"forwarded", b"x-real-ip"
FORWARDING_HEADERS = frozenset({FOR, PROTO, HOST, FORWARDED, REAL_IP})
"""Each of them shows that a proxy passed a request on."""

_PORT = re.compile(r"\[([^\]]*)\](?::\w*)?|([^:\[\]]*):\w*")


class ClientAddress(Struct, frozen=True):
    """`text` is the IP address. `network` is what limits count by: an IPv4 address, or an IPv6 network."""

    text: str
    network: str
    local: bool = False
    """The client is a process of this machine, as far as one can know: no proxy passed its request on."""

    shared: bool = False
    """It is the address of a trusted proxy that does not say whom it speaks for: of many clients."""

    @property
    def own_network(self) -> str:
        """The network if it says anything about who the client is, else empty."""
        return "" if self.shared else self.network


LOCAL = ClientAddress(UNIX, UNIX, local=True)
"""A process of this machine."""


class Forwarding(Struct, frozen=True):
    """What the forwarding headers of one request say, empty where they say nothing.

    `hops` are the addresses of the client and of proxies, the nearest last.
    """

    present: bool = False
    hops: tuple[str, ...] = ()
    scheme: str = ""
    host: str = ""


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """An IP address with or without a port, quotes or zone; IPv4-mapped ones are IPv4. None for all else."""
    text = text.strip().strip('"')
    if (match := _PORT.fullmatch(text)) is not None:
        text = match[1] if match[1] is not None else match[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def network_of(address: Address) -> str:
    """What limits count by."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, IPV6_BITS), strict=False))


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the headers of this peer count. A peer without an address is trusted like 127.0.0.1."""
    address = parse_address(peer) or IPv4Address("127.0.0.1")
    return _within(address, trusted)


def read_forwarding(headers: Headers) -> Forwarding:
    """What the headers say, trusted or not. `Forwarded`, which is rare, comes after `X-Forwarded-*`."""
    found: dict[bytes, list[str]] = {}
    for name, value in headers:
        if (lower := name.lower()) in FORWARDING_HEADERS:
            found.setdefault(lower, []).append(value.decode("latin-1"))
    if not found:
        return Forwarding()
    parameters = [_parameters(element) for element in _elements(found.get(FORWARDED, []))]
    hops = _elements(found.get(FOR, [])) or [each.get("for", "") for each in parameters]
    first = parameters[0] if parameters else {}
    return Forwarding(
        present=True,
        hops=tuple(hops),
        scheme=_first(found.get(PROTO)) or first.get("proto", ""),
        host=_first(found.get(HOST)) or first.get("host", ""),
    )


def find_client(peer: str, forwarding: Forwarding, trusted: Sequence[Network]) -> ClientAddress:
    """The client of a request that came from `peer`; of what is no address, the nearest proxy that is one."""
    nearest = parse_address(peer)
    if not (forwarding.present and is_trusted(peer, trusted)):
        return _client(nearest, local=nearest is None or nearest.is_loopback)
    client = None
    for hop in reversed(forwarding.hops):
        address = parse_address(hop)
        client = address or client
        if address is None or not _within(address, trusted):
            break
    return _client(nearest, shared=True) if client is None else _client(client)


def _client(address: Address | None, *, local: bool = False, shared: bool = False) -> ClientAddress:
    if address is None:
        return ClientAddress(UNIX, UNIX, local=local, shared=shared)
    return ClientAddress(str(address), network_of(address), local=local, shared=shared)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _elements(lines: list[str]) -> list[str]:
    """The last elements of a list that may be spread over several header lines."""
    joined = ",".join(lines)[-FORWARDED_BYTES:]
    return [part.strip() for part in joined.rsplit(",", MAX_HOPS)][-MAX_HOPS:] if joined.strip() else []


def _parameters(element: str) -> dict[str, str]:
    """`for=192.0.2.60;proto=http` as a mapping."""
    pairs = (pair.partition("=") for pair in element.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _first(lines: list[str] | None) -> str:
    return lines[-1].partition(",")[0].strip() if lines else ""
