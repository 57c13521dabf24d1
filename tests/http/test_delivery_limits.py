"""What a client may hold open at the gateway: bytes of a head, seconds for a request, connections."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.api.gateway import server_for
from gongshu.delivery.api.process import HEAD_BYTES_MAX, GuardedProtocol
from tests.gateways import START, World, free_port, open_gateway

ENOUGH_SECONDS = 10


class HastyProtocol(GuardedProtocol):
    """Limits small enough to reach in a test."""

    request_seconds_max = 0.2
    connections_max = 4


@pytest.fixture
def port(tmp_path) -> Iterator[int]:
    world = World(tmp_path / "var", lambda: START)
    world.publish()
    number = free_port()
    server = server_for(GatewayApp(lambda: open_gateway(world)), "127.0.0.1", number, http=HastyProtocol)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + ENOUGH_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        yield number
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=ENOUGH_SECONDS) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


HELLO = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n"


def test_a_connection_serves_many_requests(port):
    with connected(port) as connection:
        for _ in range(3):
            connection.sendall(HELLO)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("piece", [b"", b"GET /healthz HTTP/1.1\r\nhost:", b"POST /v1/products/p/verify HTTP/1.1\r\n"])
def test_a_client_that_never_finishes_its_request_is_left(port, piece):
    with connected(port) as connection:
        connection.sendall(piece)
        assert everything(connection) == b""


def test_a_client_that_drips_its_body_is_left(port):
    with connected(port) as connection:
        connection.sendall(b"POST /v1/products/product-1/verify HTTP/1.1\r\nhost: g\r\ncontent-length: 90\r\n\r\n{")
        assert everything(connection) == b""


@pytest.mark.parametrize("pieces", [1, 40])
def test_a_head_that_is_too_long_is_refused(port, pieces):
    line = b"x-filler: " + b"a" * (2 * HEAD_BYTES_MAX // 40) + b"\r\n"
    head = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n" + line * 40
    with connected(port) as connection:
        for start in range(0, len(head), len(head) // pieces):
            connection.sendall(head[start : start + len(head) // pieces])
        assert everything(connection).startswith(b"HTTP/1.1 431")


def test_one_connection_too_many_is_told_to_come_back(port):
    with connected(port) as first, connected(port) as second, connected(port) as third, connected(port) as fourth:
        for connection in (first, second, third, fourth):
            connection.sendall(HELLO)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        with connected(port) as fifth:
            answer = everything(fifth)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", b"G" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_http_is_refused_and_closed(port, request_bytes):
    with connected(port) as connection:
        connection.sendall(request_bytes)
        answer = everything(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
