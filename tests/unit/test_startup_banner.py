"""What a person reads at the start."""

import ipaddress
from pathlib import Path

import pytest

from happy.cli.startup_banner import lan_addresses, startup_banner
from happy.settings import Light, load
from happy.settings.model import REGISTRATION


def settings(**variables: str) -> Light:
    light = load({"HAPPY_SERVER_LIGHT_DATA_DIR": "/srv/happy", **variables}, flavor="light")
    assert isinstance(light, Light)
    return light


def rows(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()[1:]]


def test_the_banner_names_the_data_directory_and_how_clients_connect() -> None:
    expected = [
        "data /srv/happy (database, files and secret: back it up as a whole)",
        "address http://localhost:3005",
        "network http://192.168.1.20:3005",
        "network http://10.8.0.2:3005",
        "terminal HAPPY_SERVER_URL=http://192.168.1.20:3005 happy",
        "app enter http://192.168.1.20:3005 as its custom server",
        (
            "accounts whoever reaches this server can make one"
            " (HAPPY_REGISTRATION=first, approve, invite or closed changes that)"
        ),
    ]

    assert expected == rows(startup_banner(settings(), ["192.168.1.20", "10.8.0.2"]))


@pytest.mark.parametrize("mode", REGISTRATION)
def test_it_says_who_may_make_an_account(mode: str) -> None:
    (line,) = [
        line for line in rows(startup_banner(settings(HAPPY_REGISTRATION=mode), [])) if "accounts" in line
    ]

    assert "HAPPY_REGISTRATION=" in line
    assert (mode == "open") == ("whoever reaches this server" in line)


def test_without_a_network_this_machine_can_still_use_it() -> None:
    text = startup_banner(settings(PORT="4000"), [])

    assert "HAPPY_SERVER_URL=http://localhost:4000 happy" in text
    assert "network" not in text


def test_a_public_address_is_the_one_to_give_to_clients() -> None:
    text = startup_banner(settings(PUBLIC_URL="https://happy.example.org/"), ["192.168.1.20"])

    assert "HAPPY_SERVER_URL=https://happy.example.org happy" in text
    assert "public https://happy.example.org" in rows(text)


def test_a_loopback_address_is_not_offered_to_phones() -> None:
    text = startup_banner(settings(HOST="127.0.0.1"), ["192.168.1.20"])

    assert "192.168.1.20" not in text
    assert "only through a proxy" in text


@pytest.mark.parametrize(
    ("host", "address"), [("192.168.1.20", "192.168.1.20"), ("2001:db8::1", "[2001:db8::1]")]
)
def test_one_address_listened_on_is_the_one_offered(host: str, address: str) -> None:
    text = startup_banner(settings(HOST=host), ["10.0.0.1"])

    assert f"HAPPY_SERVER_URL=http://{address}:3005 happy" in text
    assert "10.0.0.1" not in text


def test_data_of_the_embedded_server_is_pointed_out_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pglite").mkdir()
    text = startup_banner(settings(HAPPY_SERVER_LIGHT_DATA_DIR=str(tmp_path)), [])

    assert f"{tmp_path}/pglite belongs to another server and is not read:" in text
    assert f"`happy-server import {tmp_path}` says how its data get in" in text


def test_own_addresses_are_found_without_sending_anything() -> None:
    found = lan_addresses()

    assert len(set(found)) == len(found)
    assert all(not ipaddress.ip_address(address).is_loopback for address in found)
    assert [] == lan_addresses(["127.0.0.1"])
