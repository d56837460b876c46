"""Little that is sent and causes much: events to many sockets of one account, and answers of some MB."""

import json
import select
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import cycle
from socket import socket
from threading import Thread

import pytest

from tests.attack.attacker import Attack, Target, frame, read_until, request
from tests.attack.bystander import PEAK_MB, beside
from tests.support.server_process import Server

SOCKETS = 300
"""Of the account, which receive everything."""

SENDERS = 5
READERS = 30
ASKING, AHEAD = 20, 32
"""Sockets, and events that each has unanswered."""

LARGE = 4_000_000
JSON = "Content-Type: application/json"


def _post(target: Target, path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    with target.connection() as connection:
        token = f"Authorization: Bearer {target.token}"
        head = request("POST", path, token, JSON, f"Content-Length: {len(content)}", "Connection: close")
        connection.sendall(head + content)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def _session(target: Target, tag: str = "t", metadata: str = "m") -> str:
    answer = _post(target, "/v1/sessions", {"tag": tag, "metadata": metadata})
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["session"]["id"])


@contextmanager
def _receivers(target: Target) -> Iterator[None]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(target.signed_in()) for _ in range(SOCKETS)]
        thread = Thread(target=_drain, args=(target, sockets), daemon=True)
        thread.start()
        yield
        thread.join()


def _drain(target: Target, sockets: list[socket]) -> None:
    while target.goes_on():
        for one in select.select(sockets, [], [], 0.1)[0]:
            if not one.recv(65_536):
                sockets.remove(one)


def _at_once(works: Iterable[Callable[[], None]]) -> None:
    """Each in a thread, until all have ended."""
    threads = [Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _flood(target: Target, packets: list[str]) -> None:
    with _receivers(target), ExitStack() as stack:
        senders = [stack.enter_context(target.signed_in()) for _ in range(SENDERS)]
        data = b"".join(frame(packet.encode()) for packet in packets)
        _at_once([partial(_send, target, sender, data) for sender in senders])


def _send(target: Target, sender: socket, data: bytes) -> None:
    try:
        while target.goes_on():
            sender.sendall(data)
    except OSError:
        return


def heartbeats_to_many_sockets(target: Target) -> None:
    session = _session(target)
    _flood(target, [f'42["session-alive",{{"sid":"{session}","time":1}}]'] * 500)


def heartbeats_of_unknown_sessions(target: Target) -> None:
    """Each is looked up; their sockets wait for the database, and with them whoever came after them."""
    packets = "".join(f'42["session-alive",{{"sid":"{number}","time":1}}]\n' for number in range(1_000))
    data = b"".join(frame(packet.encode()) for packet in packets.split())
    with ExitStack() as stack:
        senders = [stack.enter_context(target.signed_in()) for _ in range(SOCKETS)]
        _at_once([partial(_send, target, sender, data) for sender in senders])


def messages_to_many_sockets(target: Target) -> None:
    session = _session(target)
    _flood(target, [f'42["message",{{"sid":"{session}","message":"YQ=="}}]'] * 200)


def _read(path: str, end: bytes, target: Target) -> None:
    _at_once([partial(_read_again, path, end, target)] * READERS)


def _read_again(path: str, end: bytes, target: Target) -> None:
    try:
        with target.connection() as connection:
            while target.goes_on():
                connection.sendall(request("GET", path, f"Authorization: Bearer {target.token}"))
                read_until(connection, end)
    except OSError:
        time.sleep(0.01)


def _post_again(path: str, body: object, connections: int, target: Target) -> None:
    """Over so many connections; the answers are read."""
    content = json.dumps(body).encode()
    headers = (f"Authorization: Bearer {target.token}", JSON, f"Content-Length: {len(content)}")
    head = request("POST", path, *headers, "Connection: close")

    def post() -> None:
        while target.goes_on():
            with suppress(OSError), target.connection() as connection:
                connection.sendall(head + content)
                while connection.recv(1_000_000):
                    pass

    _at_once([post] * connections)


def conflicts_of_settings(target: Target) -> None:
    """Each is answered with the 4 MB that are stored."""
    _post(target, "/v1/account/settings", {"settings": "x" * LARGE, "expectedVersion": 0})
    _post_again("/v1/account/settings", {"settings": "x", "expectedVersion": 7}, READERS, target)


def sessions_that_exist(target: Target) -> None:
    """Each is answered with the 4 MB that are stored."""
    _session(target, metadata="x" * LARGE)
    _post_again("/v1/sessions", {"tag": "t", "metadata": "m"}, READERS, target)


def _ask_again(packets: list[str], target: Target) -> None:
    """Over many sockets, some events ahead; each is answered with the 4 MB that are stored."""

    def ask() -> None:
        with suppress(OSError), target.signed_in() as socket:
            unread = 0
            for packet in cycle(packets):
                socket.sendall(frame(packet.encode()))
                unread += LARGE
                while unread > AHEAD * LARGE:
                    unread -= len(socket.recv(1_000_000)) or unread
                if not target.goes_on():
                    return

    _at_once([ask] * ASKING)


def large_artifacts_over_sockets(target: Target) -> None:
    artifact = str(uuid.uuid5(uuid.NAMESPACE_OID, target.token))
    body = {"id": artifact, "header": "", "body": "A" * LARGE, "dataEncryptionKey": ""}
    _post(target, "/v1/artifacts", body)
    part = '{"data":"","expectedVersion":7}'
    read = f'421["artifact-read",{{"artifactId":"{artifact}"}}]'
    update = f'422["artifact-update",{{"artifactId":"{artifact}","body":{part}}}]'
    _ask_again([read, update], target)


def conflicts_over_sockets(target: Target) -> None:
    session = _session(target, metadata="x" * LARGE)
    _ask_again([f'421["update-metadata",{{"sid":"{session}","metadata":"m","expectedVersion":7}}]'], target)


def sums_of_many_names(target: Target) -> None:
    """Of 60,000 names."""
    with target.signed_in() as socket:
        for report in range(1_000):
            names = ",".join(f'"{report}-{number}":1' for number in range(60))
            figures = f'{{"key":"{report}","tokens":{{"total":1,{names}}},"cost":{{"total":1}}}}'
            socket.sendall(frame(f'42["usage-report",{figures}]'.encode()))
        socket.sendall(frame(b'421["ping"]'))
        read_until(socket, b"431[")
    _post_again("/v1/usage/query", {}, 10, target)


def push_notifications(target: Target) -> None:
    _post(target, "/v1/push-tokens", {"token": "ExponentPushToken[x]"})
    path = f"/v1/sessions/{_session(target)}/push-event"
    _post_again(path, {"kind": "done", "title": "t", "body": "b"}, 100, target)


def pages_of_messages(target: Target) -> None:
    """Of 2 MB each."""
    session = _session(target)
    path = f"/v3/sessions/{session}/messages"
    for batch in range(10):
        messages = [{"content": "A" * 4000, "localId": f"{batch}-{number}"} for number in range(50)]
        _post(target, path, {"messages": messages})
    _read(f"{path}?limit=500", b'"hasMore"', target)


def lists_of_sessions(target: Target) -> None:
    """Of 1.5 MB each."""
    for number in range(150):
        _session(target, str(number), "A" * 10_000)
    _read("/v1/sessions", b"}]}", target)


@pytest.mark.parametrize(
    "attack",
    [
        heartbeats_to_many_sockets,
        heartbeats_of_unknown_sessions,
        messages_to_many_sockets,
        pages_of_messages,
        lists_of_sessions,
        conflicts_of_settings,
        sessions_that_exist,
        large_artifacts_over_sockets,
        conflicts_over_sockets,
        sums_of_many_names,
        push_notifications,
    ],
    ids=lambda attack: attack.__name__,
)
async def test_what_little_of_one_account_causes_is_not_waited_for_by_others(
    server: Server, attack: Attack
) -> None:
    # Without slots for an account's requests, the answers to conflicts take 220 MB on the light flavor.
    (await beside(server, attack)).check(peak_mb=150 if attack is conflicts_of_settings else PEAK_MB)
