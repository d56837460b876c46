"""Which addresses belong to the internet, and which to a network that is nobody else's business."""

import pytest

from happy.adapters.outbound.ssrf_guard import MAX_ADDRESSES, addresses, is_public
from happy.domain.errors import Invalid, Unavailable


@pytest.mark.parametrize("address", ["8.8.8.8", "140.82.121.3", "2606:50c0:8000::154", "64:ff9b::8c52:7903"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "",
    ],
)
def test_everything_else_is_not(address: str) -> None:
    assert not is_public(address)


async def many(host: str, port: int) -> list[str]:
    return ["10.0.0.1", *(f"8.8.8.{number}" for number in range(9))]


async def private(host: str, port: int) -> list[str]:
    return ["127.0.0.1", "::1"]


async def nowhere(host: str, port: int) -> list[str]:
    raise OSError("no such host")


async def test_private_addresses_of_a_host_are_passed_over() -> None:
    found = await addresses("example.org", 443, many)

    assert [f"8.8.8.{number}" for number in range(MAX_ADDRESSES)] == found


async def test_a_host_inside_is_refused_unless_that_is_allowed() -> None:
    with pytest.raises(Invalid):
        await addresses("example.org", 443, private)

    assert ["127.0.0.1", "::1"] == await addresses("example.org", 443, private, allow_private=True)


async def test_a_host_that_does_not_exist_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await addresses("example.org", 443, nowhere)
    with pytest.raises(Unavailable):
        await addresses("x" * 300, 443)


async def test_the_system_resolves_addresses_as_themselves() -> None:
    assert ["127.0.0.1"] == await addresses("127.0.0.1", 80, allow_private=True)
