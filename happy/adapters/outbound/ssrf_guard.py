"""SSRF guard: a host in a URL from a client must resolve to public addresses."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from happy.domain.errors import Invalid, Unavailable
from happy.limits import limit

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_ADDRESSES: Final = limit(
    4, "addresses of a foreign host that are tried", per="host", then="others are not tried"
)
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a host, by the system's resolver. Raises OSError, UnicodeError for invalid names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def addresses(
    host: str, port: int, resolving: Resolve = resolve, *, allow_private: bool = False
) -> list[str]:
    """Addresses that may be connected to. Raises Invalid when there is none, Unavailable for no such host."""
    try:
        found = await resolving(host, port)
    except (OSError, UnicodeError) as error:
        raise Unavailable("a host could not be found") from error
    accepted = [address for address in found if allow_private or is_public(address)]
    if not accepted:
        raise Invalid("the host is not on the public internet")
    return accepted[:MAX_ADDRESSES]


def is_public(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:  # with a zone, so link-local
        return False
    return all(
        part.is_global and not (part.is_multicast or part.is_reserved or _is_site_local(part))
        for part in _with_embedded(address)
    )


def _is_site_local(address: Address) -> bool:
    return isinstance(address, IPv6Address) and address.is_site_local


def _with_embedded(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses embedded in it (NAT64, mapped, 6to4, Teredo)."""
    if isinstance(address, IPv4Address):
        return [address]
    if address in _TRANSLATED:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    return [address, *(inner for inner in carried if inner is not None)]
