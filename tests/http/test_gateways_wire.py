"""Calls between gateways: connections are kept and replaced, answers are passed on as they come, and a hop is proved."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from gongshu.gateways.adapters.wire import BrokenOff, Peer, Unreachable
from gongshu.gateways.service.hops import Hops
from gongshu.gateways.types import Member
from gongshu.server.wiring import FileKeys

CALL = b"POST /v1/products/p/verify HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-receipt: r\r\n\r\nhello"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Taken:
    """Takes an answer."""

    def __init__(self) -> None:
        self.status, self.headers, self.parts = 0, {}, []

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = status, dict(headers)

    async def part(self, data: bytes) -> None:
        self.parts.append(data)

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


class Other:
    """Another gateway, as far as its connections go: answers with what it is told, each time the next one."""

    def __init__(self, *answers: bytes, closes_after: int = 10**6) -> None:
        self.answers, self.closes_after = answers, closes_after
        self.connections, self.calls = 0, 0
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Peer:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.peer = Peer(f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}")
        return self.peer

    async def __aexit__(self, *_: object) -> None:
        self.peer.close()
        self.server.close()
        await end(self.writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        for number in range(self.closes_after):
            try:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
            except asyncio.IncompleteReadError:
                break
            answer = self.answers[min(self.calls, len(self.answers) - 1)]
            self.calls += 1
            writer.write(answer)
            if number + 1 == self.closes_after or not answer or answer.endswith(b"cut"):
                break
        writer.close()


async def end(writers: list[asyncio.StreamWriter]) -> None:
    """Wait until connections are closed."""
    for writer in writers:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    for _ in range(3):
        await asyncio.sleep(0)


async def taken(peer: Peer, head: bytes = CALL) -> Taken:
    found = Taken()
    await peer.call(head, b"{}", found)
    return found


def test_one_connection_serves_many_calls():
    async def go() -> None:
        other = Other(ANSWER)
        async with other as peer:
            for _ in range(20):
                found = await taken(peer)
                assert (found.status, found.body, found.headers[b"x-receipt"]) == (200, b"hello", b"r")
        assert other.connections == 1

    asyncio.run(go())


def test_a_connection_that_was_closed_meanwhile_is_replaced():
    async def go() -> None:
        other = Other(ANSWER, closes_after=1)
        async with other as peer:
            for _ in range(3):
                assert (await taken(peer)).body == b"hello"
        assert other.connections == 3

    asyncio.run(go())


def test_an_answer_that_asks_to_close_is_the_last_of_its_connection():
    async def go() -> None:
        other = Other(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        async with other as peer:
            await taken(peer)
            await taken(peer)
        assert other.connections == 2

    asyncio.run(go())


def test_an_answer_in_chunks_is_passed_on():
    async def go() -> None:
        chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        async with Other(chunked) as peer:
            assert (await taken(peer)).body == b"abcde"

    asyncio.run(go())


def test_what_is_asked_with_head_has_no_body():
    async def go() -> None:
        async with Other(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n") as peer:
            found = await taken(peer, CALL.replace(b"POST", b"HEAD"))
            assert (found.status, found.headers[b"content-length"], found.body) == (200, b"5000", b"")

    asyncio.run(go())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n"])
def test_no_answer_is_said_to_be_none(answer):
    async def go() -> None:
        async with Other(answer, closes_after=1) as peer:
            with pytest.raises(Unreachable):
                await taken(peer)

    asyncio.run(go())


def test_nobody_there_is_said_to_be_nobody():
    async def go() -> None:
        other = Other(ANSWER)
        async with other as peer:
            pass
        with pytest.raises(Unreachable):
            await taken(peer)

    asyncio.run(go())


def test_an_answer_that_ends_early_is_not_taken_for_a_whole_one():
    async def go() -> None:
        async with Other(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\ncut") as peer:
            with pytest.raises(BrokenOff):
                await taken(peer)

    asyncio.run(go())


# ------------------------------------------------------------------------------------------------------------ the proof


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def forwarded(tmp_path, clock: Clock) -> tuple[str, list[tuple[bytes, bytes]], bytes]:
    """Forward a call and return what arrives: target, headers, body."""
    arrived: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def go() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            arrived.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(ANSWER)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        hops = Hops("g1", FileKeys(tmp_path / "keys"), clock)
        member = Member("g2", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "")
        headers = [(b"authorization", b"Bearer k"), (b"x-gongshu-hop-proof", b"forged"), (b"connection", b"close")]
        await hops.forward(member, "POST", "/v1/x?y=1", headers, b"{}", "10.9.8.7", "ab" * 32, Taken())
        hops.close()
        server.close()
        await end(writers)

    asyncio.run(go())
    first, *lines = arrived[0].decode().strip().split("\r\n")
    pairs = [(name.encode(), value.encode()) for name, _, value in (line.partition(": ") for line in lines)]
    return first.split(" ")[1], pairs, b"{}"


def test_a_call_that_another_gateway_handed_on_is_believed_with_its_callers_address(tmp_path):
    clock = Clock()
    target, headers, body = forwarded(tmp_path, clock)
    owner = Hops("g2", FileKeys(tmp_path / "keys"), clock)
    assert target == "/v1/x?y=1"
    assert [value for name, value in headers if name == b"authorization"] == [b"Bearer k"]
    assert b"connection" not in dict(headers)
    assert owner.came_from("POST", target, headers, body) == ("10.9.8.7", "ab" * 32)


def test_nothing_of_it_can_be_changed_and_it_is_good_for_a_minute_and_for_one_gateway(tmp_path):
    clock = Clock()
    target, headers, body = forwarded(tmp_path, clock)
    keys = FileKeys(tmp_path / "keys")
    owner = Hops("g2", keys, clock)
    assert owner.came_from("GET", target, headers, body) is None
    assert owner.came_from("POST", target + "0", headers, body) is None
    assert owner.came_from("POST", target, headers, b"[]") is None
    for changed in (b"x-gongshu-hop", b"x-gongshu-hop-address", b"x-gongshu-hop-certificate", b"x-gongshu-hop-at"):
        other = [(name, b"1" if name == changed else value) for name, value in headers]
        assert owner.came_from("POST", target, other, body) is None, changed
        assert owner.came_from("POST", target, [one for one in headers if one[0] != changed], body) is None
    assert Hops("g3", keys, clock).came_from("POST", target, headers, body) is None
    assert Hops("g2", FileKeys(tmp_path / "others"), clock).came_from("POST", target, headers, body) is None
    clock.now += timedelta(seconds=61)
    assert owner.came_from("POST", target, headers, body) is None
