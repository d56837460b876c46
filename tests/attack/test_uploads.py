"""Uploads of attachments that never end, or that begin again and again."""

import json
import time
from contextlib import ExitStack, suppress
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.attack.attacker import Attack, Target, connect, read_until, request
from tests.attack.bystander import beside
from tests.support.server_process import Server

MANY = 300
PIECE = b"x" * 900_000
JSON, OCTETS = "Content-Type: application/json", "Content-Type: application/octet-stream"


def _post(target: Target, path: str, body: object) -> dict[str, object]:
    content = json.dumps(body).encode()
    with target.connection() as connection:
        token, length = f"Authorization: Bearer {target.token}", f"Content-Length: {len(content)}"
        connection.sendall(request("POST", path, token, JSON, length, "Connection: close", body=content))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    given: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return given


def _upload(target: Target, length: int) -> bytes:
    """The head of a request that uploads so many bytes."""
    session = _post(target, "/v1/sessions", {"tag": "t", "metadata": "m"})["session"]
    assert isinstance(session, dict)
    path = f"/v1/sessions/{session['id']}/attachments/request-upload"
    offer = _post(target, path, {"filename": "a", "size": length})
    token = f"Authorization: Bearer {target.token}"
    return request("PUT", urlsplit(str(offer["uploadUrl"])).path, token, OCTETS, f"Content-Length: {length}")


def halves_of_uploads(target: Target) -> None:
    head = _upload(target, 2 * len(PIECE))
    with ExitStack() as stack:
        for _ in range(MANY):
            connection = stack.enter_context(connect(target.port))
            connection.settimeout(0.5)
            with suppress(OSError):
                connection.sendall(head + PIECE)
        while target.goes_on():
            time.sleep(0.1)


def one_upload_again_and_again(target: Target) -> None:
    head = _upload(target, 1)

    def upload() -> None:
        while target.goes_on():
            with suppress(OSError), target.connection() as connection:
                while target.goes_on():
                    connection.sendall(head + b"x")
                    read_until(connection, b"}")

    threads = [Thread(target=upload, daemon=True) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "attack", [halves_of_uploads, one_upload_again_and_again], ids=lambda attack: attack.__name__
)
async def test_uploads_without_end_are_not_felt_by_others(server: Server, attack: Attack) -> None:
    (await beside(server, attack)).check(peak_mb=150)
    if attack is one_upload_again_and_again:  # others hardly feel what it costs the disk
        assert "too many uploads" in server.log_text()
