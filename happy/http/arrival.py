"""How long a request may take to arrive, and how large its head may be, which uvicorn does not ask."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0
"""From its first byte to its last."""

HEAD_BYTES = 65_536
"""Together with what of a body came along."""

BODY_SECONDS = 60.0
"""Without another byte of it. A phone may lose its network that long."""


class BoundedHttp(HttpToolsProtocol):
    """Closes connections on which no request comes, or never a whole one."""

    _deadline: asyncio.TimerHandle | None = None
    _unread = 0  # bytes of a head that is not complete
    _in_body = False  # the head was complete, the request is not

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_body:
            self._expect(BODY_SECONDS)
        elif self._deadline is not None:
            self._unread += len(data)
            if self._unread > HEAD_BYTES:
                self._give_up()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._stop()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop()
        self._in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._stop()
        self._in_body = False
        super().handle_websocket_upgrade()

    def _expect(self, seconds: float) -> None:
        self._stop()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _stop(self) -> None:
        self._unread = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._in_body and self.flow.read_paused:  # it is we who take our time
            self._expect(BODY_SECONDS)
            return
        self._stop()
        self.transport.abort()
