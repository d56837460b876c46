"""Fetching and judging pictures that somebody else names (protocol: operations#avatar-processing)."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from happy.adapters.outbound import avatars, ssrf_guard
from happy.adapters.outbound.avatars import WebAvatars
from happy.adapters.outbound.http_client import HttpClient
from happy.domain.errors import HappyError, Invalid, TooLarge, Unavailable
from tests.support.outside_services import Answer, Upstream
from tests.support.pictures import jpeg, png

PICTURE = png(40, 20)


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
def source(web: HttpClient) -> WebAvatars:
    """A source for which every host is this one."""
    return WebAvatars(web, here, allow_private=True)


def url(upstream: Upstream, path: str = "/a.png", host: str = "pictures.example") -> str:
    return f"http://{host}:{upstream.port}{path}"


@pytest.mark.parametrize(
    ("content", "extension", "size"),
    [(PICTURE, "png", (40, 20)), (jpeg(30, 30), "jpg", (30, 30)), (png(300, 100, "P"), "png", (300, 100))],
)
async def test_a_picture_is_known_by_its_content(
    source: WebAvatars, upstream: Upstream, content: bytes, extension: str, size: tuple[int, int]
) -> None:
    upstream.on("GET", "/a.png", Answer(body=content, headers={"Content-Type": "text/plain"}))
    found = await source.fetch(url(upstream) + "?v=4#part")

    assert (content, extension, size) == (found.content, found.extension, (found.width, found.height))
    assert found.thumbhash
    (asked,) = upstream.asked()
    assert f"pictures.example:{upstream.port}" == asked.headers["host"]
    assert {"v": "4"} == asked.query
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    "address",
    [
        "ftp://{}/a.png",
        "file:///etc/passwd",
        "//{}/a.png",
        "http://u:p@{}/a.png",
        "http:///a.png",
        "http://[::1",
        "",
    ],
)
async def test_only_plain_web_addresses_are_fetched(
    source: WebAvatars, upstream: Upstream, address: str
) -> None:
    with pytest.raises(Invalid):
        await source.fetch(address.format(f"pictures.example:{upstream.port}"))
    assert [] == upstream.asked()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"]
)
async def test_avatars_are_not_fetched_from_the_servers_own_network(
    web: HttpClient, upstream: Upstream, host: str
) -> None:
    upstream.on("GET", "/a.png", Answer(body=PICTURE))

    source = WebAvatars(web)
    with pytest.raises(HappyError):
        await source.fetch(url(upstream, host=host))
    assert [] == upstream.asked()


async def test_a_redirect_into_our_own_network_is_not_followed(
    web: HttpClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ssrf_guard.addresses

    async def addresses(host: str, port: int, *_: object, allow_private: bool) -> list[str]:
        return await real(host, port, here, allow_private=host == "pictures.example")

    monkeypatch.setattr(avatars, "addresses", addresses)
    upstream.on("GET", "/a.png", Answer(302, headers={"Location": url(upstream, host="inside.example")}))

    with pytest.raises(Invalid, match="public internet"):
        await WebAvatars(web).fetch(url(upstream))
    assert 1 == len(upstream.asked())


async def test_the_address_that_was_checked_is_the_one_connected_to(
    web: HttpClient, upstream: Upstream
) -> None:
    asked: list[str] = []

    async def resolving(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    upstream.on("GET", "/a.png", Answer(body=PICTURE))
    await WebAvatars(web, resolving, allow_private=True).fetch(url(upstream, host="no-such-name.invalid"))

    assert ["no-such-name.invalid"] == asked


async def test_the_next_address_is_tried_when_one_does_not_answer(
    web: HttpClient, upstream: Upstream
) -> None:
    async def resolving(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    upstream.on("GET", "/a.png", Answer(body=PICTURE))

    assert PICTURE == (await WebAvatars(web, resolving, allow_private=True).fetch(url(upstream))).content


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/b.png", "b.png", "http://other.example:{port}/b.png"])
async def test_three_redirects_are_followed_by_hand(
    source: WebAvatars, upstream: Upstream, status: int, target: str
) -> None:
    upstream.on("GET", "/a.png", Answer(status, headers={"Location": target.format(port=upstream.port)}))
    upstream.on("GET", "/b.png", Answer(status, headers={"Location": "/c.png"}))
    upstream.on("GET", "/c.png", Answer(status, headers={"Location": "/d.png"}))
    upstream.on("GET", "/d.png", Answer(body=PICTURE))

    assert PICTURE == (await source.fetch(url(upstream))).content


async def test_four_redirects_are_too_many(source: WebAvatars, upstream: Upstream) -> None:
    upstream.on("GET", "/a.png", Answer(302, headers={"Location": "/a.png"}))

    with pytest.raises(Invalid, match="too many redirects"):
        await source.fetch(url(upstream))
    assert 4 == len(upstream.asked())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(500, body=PICTURE),
        Answer(204, body=b""),
        Answer(302, body=b""),
        Answer(302, headers={"Location": "http://[::1"}),
        Answer(body=PICTURE, cut=30),
        Answer(hang=True),
    ],
)
async def test_what_is_not_there_is_unavailable(
    source: WebAvatars, upstream: Upstream, answer: Answer
) -> None:
    upstream.on("GET", "/a.png", answer)

    with pytest.raises(Unavailable):
        await source.fetch(url(upstream))


async def test_an_unknown_host_is_unavailable(web: HttpClient) -> None:
    with pytest.raises(Unavailable):
        await WebAvatars(web).fetch("http://no-such-name.invalid/a.png")


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "5242881"}, {"Transfer-Encoding": "chunked"}])
async def test_more_than_5_megabytes_are_not_read(
    source: WebAvatars, upstream: Upstream, headers: dict[str, str]
) -> None:
    body = b"x" * (5 * 1024 * 1024 + 1)
    if "Transfer-Encoding" in headers:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    upstream.on("GET", "/a.png", Answer(body=body, headers=headers))

    with pytest.raises((TooLarge, Unavailable)):
        await source.fetch(url(upstream))


async def test_a_picture_that_trickles_in_is_given_up(
    source: WebAvatars, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatars, "FETCH_SECONDS", 0.3)
    upstream.on("GET", "/a.png", Answer(body=PICTURE, drip=0.05))

    with pytest.raises(Unavailable):
        await source.fetch(url(upstream))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a" + bytes(50),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\x10\0\0\0WEBP" + bytes(20),
        PICTURE[:8],
        PICTURE[:60],
        b"\xff\xd8\xff" + PICTURE,
        jpeg(10, 10)[:60],
        png(201, 1),
        png(1, 201),
        png(4001, 4000, "1"),
    ],
)
async def test_files_that_are_no_usable_picture_are_refused(
    source: WebAvatars, upstream: Upstream, content: bytes
) -> None:
    upstream.on("GET", "/a.png", Answer(body=content))

    with pytest.raises(Invalid):
        await source.fetch(url(upstream))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (100, 100)),
        ((460, 460), (100, 100)),
        ((200, 50), (100, 25)),
        ((50, 200), (25, 100)),
        ((200, 1), (100, 1)),  # half a pixel rounds up
        ((3000, 2000), (100, 67)),
        ((8, 1), (100, 13)),
    ],
)
def test_the_longer_side_gets_100_pixels(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert expected == avatars.scaled(*size)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_has_a_hash(mode: str) -> None:
    assert avatars.examine(png(20, 10, mode)).thumbhash


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_has_a_hash(mode: str) -> None:
    assert avatars.examine(jpeg(20, 10, mode)).thumbhash


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """The port of a server whose certificate nobody has signed, and the names it was called by."""
    names: list[str] = []
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: names.append(str(name))
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    yield server.server_port, names
    thread.join()
    server.server_close()


async def test_tls_is_spoken_with_the_name_although_the_address_is_connected_to(
    web: HttpClient, tls_server: tuple[int, list[str]]
) -> None:
    port, names = tls_server
    source = WebAvatars(web, here, allow_private=True)
    with pytest.raises(Unavailable):
        await source.fetch(f"https://pictures.example:{port}/a.png")

    assert ["pictures.example"] == names
