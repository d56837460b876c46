"""Other companies' services in miniature: a server that answers as it was told and keeps what it was asked.

with Upstream() as upstream:
    upstream.on("GET", "/user", Answer(json={"login": "ada"}))
    ...
    (asked,) = upstream.asked("/user")
"""

import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Answer:
    """What to say. `hang` says nothing at all, `cut` ends the connection after so many bytes of the body."""

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: int | None = None
    drip: float | None = None
    """Seconds between the bytes of the body."""

    @property
    def content(self) -> bytes:
        return json.dumps(self.json).encode() if self.body is None else self.body


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Upstream:
    """Answers are used up one after the other; the last one for a path stays. Everything else is 404."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._asked: list[Asked] = []
        self._released = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="upstream")
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path] = list(answers)

    def asked(self, path: str | None = None) -> Sequence[Asked]:
        """The requests so far, of one path or of all."""
        return [asked for asked in self._asked if path in (None, asked.path)]

    def reset(self) -> None:
        """Forget every answer and every request, and let go of who is kept waiting."""
        self._answers.clear()
        self._asked.clear()
        self._released.set()
        self._released = threading.Event()

    def _answer(self, asked: Asked) -> Answer:
        self._asked.append(asked)
        answers = self._answers.get((asked.method, asked.path), [Answer(404, json={"message": "Not Found"})])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        released = self.server.upstream._released
        answer = self.server.upstream._answer(self._read())
        if answer.hang:
            released.wait(30)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.content)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self._send(answer, released)
        except OSError:  # the client did not want to hear more
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - its answers have an empty body
    do_POST = do_GET  # noqa: N815 - the name that the library looks for

    def _send(self, answer: Answer, released: threading.Event) -> None:
        if answer.drip is None:
            self.wfile.write(answer.content[: answer.cut])
        else:
            for byte in answer.content:
                self.wfile.write(bytes([byte]))
                if released.wait(answer.drip):
                    break
        if answer.cut is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _read(self) -> Asked:
        url = urlsplit(self.path)
        length = int(self.headers.get("content-length", 0))
        return Asked(
            method=self.command,
            path=unquote(url.path),
            query={name: values[-1] for name, values in parse_qs(url.query).items()},
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )

    def log_message(self, *_: object) -> None:
        pass


def everything_at(upstream: Upstream) -> dict[str, str]:
    """The variables of a server that finds all its outside services there, with credentials for each."""
    return {
        "HAPPY_EXPO_URL": f"{upstream.url}/expo",
        "HAPPY_GITHUB_URL": f"{upstream.url}/github",
        "HAPPY_GITHUB_API_URL": f"{upstream.url}/github-api",
        "HAPPY_ELEVENLABS_URL": f"{upstream.url}/elevenlabs",
        "HAPPY_REVENUECAT_URL": f"{upstream.url}/revenuecat",
        "HAPPY_AVATAR_PRIVATE_HOSTS": "true",
        "GITHUB_CLIENT_ID": "Iv1.client",
        "GITHUB_CLIENT_SECRET": "client s3cret",
        "GITHUB_REDIRECT_URI": "https://happy.example/v1/connect/github/callback",
        "GITHUB_APP_ID": "1",
        "GITHUB_PRIVATE_KEY": "-----BEGIN",
        "GITHUB_WEBHOOK_SECRET": "w3bhook",
        "ELEVENLABS_API_KEY": "el-key",
        "REVENUECAT_API_KEY": "rc-key",
    }
