"""Whose request it is behind proxies, and which URL it was sent to; wrong settings are named once."""

import logging
from ipaddress import ip_network

import pytest

from happy.domain.client_address import (
    FORWARDED_BYTES,
    MAX_HOPS,
    ClientAddress,
    Headers,
    find_client,
    parse_address,
    read_forwarding,
)
from happy.services.client_addresses import ClientAddresses
from happy.settings.model import NEARBY

FOR, PROTO, HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
PROXY = "10.0.0.2"


def client(peer: str, *headers: tuple[bytes, bytes], trusted: tuple[str, ...] | None = None) -> ClientAddress:
    networks = NEARBY if trusted is None else tuple(map(ip_network, trusted))
    return find_client(peer, read_forwarding(headers), networks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:4711 ", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("192.0.2.256", None),
        ("192.0.2.1, 192.0.2.2", None),
        ("[]:1", None),
        (":" * 1000, None),
        ("1" * 5000, None),
    ],
)
def test_an_address_may_have_a_port_brackets_quotes_or_a_zone(text: str, expected: str | None) -> None:
    address = parse_address(text)

    assert expected == (None if address is None else str(address))


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (b"203.0.113.7", "203.0.113.7"),
        (b"203.0.113.7:50123", "203.0.113.7"),
        (b"1.2.3.4, 203.0.113.7", "203.0.113.7"),
        (b"1.2.3.4, 203.0.113.7, 10.0.0.9, 127.0.0.1", "203.0.113.7"),
        (b"192.168.1.50", "192.168.1.50"),
        (b"garbage, 203.0.113.7", "203.0.113.7"),
        (b"203.0.113.7, unknown, 192.168.1.1", "192.168.1.1"),
        (b"'\"<>, 2001:db8::7", "2001:db8::7"),
        (b"9.9.9.9, " * 5000 + b"203.0.113.7", "203.0.113.7"),
        (b"203.0.113.7," + b"10.0.0.9," * MAX_HOPS + b"10.0.0.9", "10.0.0.9"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(forwarded: bytes, expected: str) -> None:
    assert expected == client(PROXY, (FOR, forwarded)).text


def test_header_lines_are_one_list() -> None:
    assert "203.0.113.7" == client(PROXY, (b"X-Forwarded-For", b"1.2.3.4"), (FOR, b"203.0.113.7")).text


def test_anybody_could_choose_his_address_with_a_header() -> None:
    expected = ClientAddress("203.0.113.9", "203.0.113.9")

    assert expected == client("203.0.113.9", (FOR, b"1.2.3.4"), (b"forwarded", b"for=1.2.3.4"))
    assert ClientAddress("10.0.0.2", "10.0.0.2") == client(PROXY, (FOR, b"1.2.3.4"), trusted=())


def test_forwarded_counts_where_there_is_no_x_forwarded_for() -> None:
    chain = b'For="[2001:db8::17]:4711";proto=https;host=happy.example, for=10.0.0.9'

    assert "2001:db8::17" == client(PROXY, (b"forwarded", chain)).text
    assert "203.0.113.7" == client(PROXY, (b"forwarded", chain), (FOR, b"203.0.113.7")).text
    assert ("https", "happy.example") == (
        (said := read_forwarding([(b"forwarded", chain)])).scheme,
        said.host,
    )


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    first, second = client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::1")

    assert "2001:db8:1:2::/64" == first.network == second.network
    assert "2001:db8:1:3::/64" == client("2001:db8:1:3::1").network
    assert "192.0.2.1" == client("::ffff:192.0.2.1").network


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
def test_a_process_of_this_machine_is_local_unless_a_proxy_passed_its_request_on(peer: str) -> None:
    assert client(peer).local
    assert not client(peer, (FOR, b"203.0.113.7")).local
    assert not client(peer, (FOR, b"127.0.0.1")).local
    assert not client(peer, (PROTO, b"https")).local
    assert not client("192.168.1.50").local


@pytest.mark.parametrize(
    "header", [(FOR, b""), (FOR, b"unknown"), (PROTO, b"https"), (b"x-real-ip", b"1.1.1.1")]
)
def test_a_proxy_that_does_not_say_whose_request_it_is_shares_its_address(
    header: tuple[bytes, bytes],
) -> None:
    assert ClientAddress(PROXY, PROXY, shared=True) == client(PROXY, header)


def test_a_socket_of_this_machine_has_no_address() -> None:
    assert ClientAddress("unix", "unix", local=True) == client("")
    assert "203.0.113.7" == client("", (FOR, b"203.0.113.7")).text


def test_a_list_is_read_up_to_a_length() -> None:
    flood = b"1.2.3.4," * FORWARDED_BYTES + b"203.0.113.7"

    assert sum(map(len, read_forwarding([(FOR, flood)]).hops)) <= FORWARDED_BYTES


# ---- the URL that a client used


@pytest.mark.parametrize(
    ("peer", "public_url", "headers", "expected"),
    [
        (PROXY, None, [(b"host", b"inner:3005")], "http://inner:3005"),
        (PROXY, None, [(b"host", b"inner"), (PROTO, b"https")], "https://inner"),
        (PROXY, None, [(b"host", b"inner"), (PROTO, b"https, http"), (HOST, b"a, b")], "https://a"),
        (PROXY, None, [(b"host", b"inner"), (b"forwarded", b"proto=https;host=a")], "https://a"),
        ("8.8.8.8", None, [(b"host", b"inner"), (PROTO, b"https"), (HOST, b"evil")], "http://inner"),
        (PROXY, "https://x/y", [(b"host", b"inner"), (HOST, b"a")], "https://x/y"),
        (PROXY, None, [], "http://localhost:3005"),
    ],
)
def test_the_url_is_that_of_the_outermost_trusted_proxy(
    peer: str, public_url: str | None, headers: Headers, expected: str
) -> None:
    assert expected == ClientAddresses(NEARBY, public_url).origin(peer, headers)


# ---- wrong settings


def test_an_unknown_proxy_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(NEARBY)
    for number in range(100):
        addresses.of("203.0.113.9", [(FOR, b"1.2.3.%d" % number)])
        addresses.origin("203.0.113.9", [(PROTO, b"https")])

    (record,) = caplog.records
    assert logging.WARNING == record.levelno
    assert "203.0.113.9 " in record.getMessage()
    assert "HAPPY_TRUSTED_PROXIES" in record.getMessage()


def test_strangers_with_such_headers_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(NEARBY)
    for number in range(100):
        addresses.of(f"203.0.113.{number}", [(FOR, b"1.2.3.4")])

    assert 3 == len(caplog.records)


def test_a_proxy_that_hides_its_clients_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(NEARBY)
    for _ in range(100):
        addresses.of("127.0.0.1", [(PROTO, b"https"), (HOST, b"happy.example")])

    (record,) = caplog.records
    assert "the reverse proxy at 127.0.0.1 " in record.getMessage()
    assert "X-Forwarded-For" in record.getMessage()


def test_a_request_for_the_https_url_has_passed_a_proxy(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(NEARBY, "https://happy.example/base")

    assert addresses.of("127.0.0.1", [(b"host", b"Happy.example")]).shared
    assert "the reverse proxy at 127.0.0.1 " in caplog.text
    assert addresses.of("127.0.0.1", [(b"host", b"localhost:3005")]).local


def test_a_silent_proxy_at_a_public_address_was_not_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """Every client had its address: one limit for all of them."""
    addresses = ClientAddresses(NEARBY, "https://happy.example")
    for _ in range(2):
        client = addresses.of("203.0.113.9", [(b"host", b"happy.example")])

    assert ("203.0.113.9", False) == (client.text, client.shared)
    assert 1 == caplog.text.count("the reverse proxy at 203.0.113.9 does not say whose requests")
    addresses.of("203.0.113.10", [(b"host", b"198.51.100.1:3005")])
    assert "203.0.113.10" not in caplog.text


def test_a_household_and_its_proxy_give_no_reason_for_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(NEARBY, "https://happy.example")
    addresses.of("192.168.1.50", [(b"host", b"192.168.1.2:3005")])
    addresses.of("203.0.113.9", [(b"host", b"198.51.100.1:3005")])
    addresses.of("172.17.0.1", [(b"host", b"happy.example"), (FOR, b"192.168.1.50")])
    addresses.of("127.0.0.1", [(b"host", b"happy.example"), (FOR, b"127.0.0.1")])

    assert [] == caplog.records
