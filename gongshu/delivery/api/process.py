"""Limits on what a client may hold open at the gateway."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES_MAX = 16 * 1024
REQUEST_SECONDS_MAX = 10.0
STALLED_SECONDS_MAX = 30.0
CONNECTIONS_MAX = 4096

_HEAD_START, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"


class JoinedWrites(asyncio.Transport):
    """Sends head and body of a response in one system call: the server writes them one after the other."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Write to ``transport``."""
        super().__init__()
        self._transport, self._head = transport, b""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Keep the head of a response until its body comes."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data.startswith(_HEAD_START) and not data.startswith(_CONTINUE):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()


WHOLE = "gongshu.whole"
"""The extension of the scope by which an application sends a whole answer: head and body, as they go onto the wire."""


def whole_answers(cycle: RequestResponseCycle, transport: asyncio.Transport) -> Callable[[bytes], bool]:
    """Return what sends a whole answer at once: what ``send`` would do in two steps, without looking at each header again.

    It returns ``False``, and does nothing, where the server has more to do: the connection ends with this answer, an answer was begun,
    or the client does not read.
    """

    def send(answer: bytes) -> bool:
        if cycle.disconnected:
            return True  # nobody is there
        if not cycle.keep_alive or cycle.response_started or cycle.flow.write_paused or cycle.default_headers:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        transport.write(answer)
        cycle.message_event.set()
        cycle.on_response()
        return True

    return send


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits: bytes of a request's head, seconds for a whole request and without reading, connections."""

    request_seconds_max = REQUEST_SECONDS_MAX
    stalled_seconds_max = STALLED_SECONDS_MAX
    connections_max = CONNECTIONS_MAX
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _joined: JoinedWrites

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Turn away what is too much, and wait only so long for the first request."""
        super().connection_made(transport)
        self._joined = JoinedWrites(transport)
        if len(self.connections) > self.connections_max:
            transport.write(_FULL)
            transport.close()
        else:
            self._deadline = self.loop.call_later(self.request_seconds_max, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._drop_deadline()
        self._drop_stalled()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait only so long for a client that does not read what it asked for."""
        super().pause_writing()
        self._drop_stalled()
        self._stalled = self.loop.call_later(self.stalled_seconds_max, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._drop_stalled()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse; a request that is not whole yet has a deadline, and its head a greatest length."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # there is none before the first request
        if cycle is None or cycle.scope is not self.scope:  # within a head
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()
        elif not cycle.more_body:
            self._head_bytes = 0
            if self._deadline is not None:
                self._drop_deadline()
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds_max, self._give_up)

    def on_headers_complete(self) -> None:
        """Let the answer go out in one piece."""
        super().on_headers_complete()
        self.cycle.transport = self._joined
        extensions: dict[str, Any] = {WHOLE: whole_answers(self.cycle, self.transport)}
        self.scope["extensions"] = extensions

    def on_response_complete(self) -> None:
        """Send what is left of an answer without a body."""
        self._joined.flush()
        super().on_response_complete()

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _drop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._stalled is not None:  # closing would wait for a client that does not read
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.close()
