"""What carries messages and calls from one machine to another."""

import asyncio
import contextlib
import ssl
from collections import deque
from typing import Protocol
from urllib.parse import urlsplit

import httptools
import httpx
import msgspec

ANSWER_SECONDS_MAX = 5.0
HAND_OVER_SECONDS_MAX = 60.0
CONNECT_SECONDS_MAX = 1.0
CALL_SECONDS_MAX = 15.0
CONNECTIONS_PER_PEER_MAX = 64
WAITING_PER_PEER_MAX = 512
READ_BYTES = 1 << 16


class Unreachable(Exception):  # noqa: N818 - a circumstance
    """The other side did not answer, or refused; the message is a code."""


class Wire:
    """Sends signed messages over HTTP and returns what is answered. TLS where the address says https."""

    def __init__(self) -> None:
        """Open no connection yet."""
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False)

    async def post(self, address: str, data: bytes, seconds_max: float = ANSWER_SECONDS_MAX) -> bytes:
        """Return the answer to a message; ``Unreachable`` when there is none."""
        try:
            answer = await self._client.post(address, content=data, timeout=seconds_max)
        except httpx.HTTPError as error:
            raise Unreachable(type(error).__name__) from None
        if answer.status_code != httpx.codes.OK:
            raise Unreachable(_code_in(answer))
        return answer.content

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()


def _code_in(answer: httpx.Response) -> str:
    try:
        return str(msgspec.json.decode(answer.content)["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status {answer.status_code}"


class BrokenOff(Exception):  # noqa: N818 - a circumstance
    """The other side ended in the middle of an answer."""


# ------------------------------------------------------------------------------------------------------ forwarded calls


class Relay(Protocol):
    """Takes the answer of the gateway that a call was handed to, as it comes."""

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head has come."""

    async def part(self, data: bytes) -> None:
        """A part of the body has come."""


class _Answer:
    """What the parser has found so far."""

    def __init__(self, *, has_body: bool) -> None:
        self._has_body = has_body  # what is asked with HEAD has none
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        self.has_head = self.is_begun = self.is_whole = False
        self.is_last = not has_body  # nothing more comes over this connection

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value))
        if name == b"connection" and value.lower() != b"keep-alive":
            self.is_last = True

    def on_headers_complete(self) -> None:
        self.has_head, self.is_whole = True, not self._has_body

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True


class Peer:
    """Connections to one gateway, kept open and used by one call at a time; so many, and so many calls that wait for one."""

    def __init__(self, address: str) -> None:
        """Open nothing yet."""
        parts = urlsplit(address)
        self._host, self._is_tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._secure = ssl.create_default_context() if self._is_tls else None
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._places = asyncio.Semaphore(CONNECTIONS_PER_PEER_MAX)
        self._waiting = 0

    async def call(self, head: bytes, body: bytes, relay: Relay) -> None:
        """Send a call and give its answer to ``relay``; ``Unreachable`` when there is none, ``BrokenOff`` when it ends early."""
        if self._waiting >= WAITING_PER_PEER_MAX:
            raise Unreachable("busy")
        self._waiting += 1
        try:
            async with self._places:
                await self._exchange(head, body, relay)
        except (OSError, TimeoutError, EOFError, httptools.HttpParserError) as error:
            raise Unreachable(type(error).__name__) from None
        finally:
            self._waiting -= 1

    async def _exchange(self, head: bytes, body: bytes, relay: Relay) -> None:
        if self._free:
            connection = self._free.pop()
            with contextlib.suppress(OSError, EOFError):  # the other side closes what was idle: then a fresh one
                await self._once(connection, head, body, relay)
                return
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            connection = await asyncio.open_connection(self._host, self._port, ssl=self._secure)
        await self._once(connection, head, body, relay)

    async def _once(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], head: bytes, body: bytes, relay: Relay
    ) -> None:
        reader, writer = connection
        answer = _Answer(has_body=not head.startswith(b"HEAD "))
        parser = httptools.HttpResponseParser(answer)
        is_kept = False
        try:
            writer.write(head + body)
            while not answer.is_whole:
                parser.feed_data(await _read(reader))
                await _pass_on(answer, parser.get_status_code(), relay)
            is_kept = not answer.is_last
        except (OSError, TimeoutError, EOFError, httptools.HttpParserError) as error:
            if answer.is_begun:
                raise BrokenOff(type(error).__name__) from None
            raise
        finally:
            if is_kept:
                self._free.append(connection)
            else:
                writer.close()

    def close(self) -> None:
        """Close what is open."""
        while self._free:
            self._free.pop()[1].close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(CALL_SECONDS_MAX):
        data = await reader.read(READ_BYTES)
    if not data:
        raise EOFError
    return data


async def _pass_on(answer: _Answer, status: int, relay: Relay) -> None:
    if answer.has_head and not answer.is_begun:
        answer.is_begun = True
        await relay.begin(status, answer.headers)
    if answer.parts:
        data = b"".join(answer.parts)
        answer.parts.clear()
        await relay.part(data)
