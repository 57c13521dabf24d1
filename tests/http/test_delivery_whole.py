"""Answers that go out in one piece are, byte for byte, what the server would have written of them step by step."""

import socket

import pytest

from gongshu.delivery.api import application
from gongshu.delivery.api.process import WHOLE
from tests.gateways import MATCHING, PRODUCT, World, headers
from tests.http.test_client import served, world  # noqa: F401 - a fixture


def exchange(port: int, requests: list[bytes]) -> bytes:
    """Send requests over one connection, the last of which closes it, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"".join(requests))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def request(number: int, *, version: str = "1.1", close: bool = False) -> bytes:
    body = b'{"credit_code": "%s", "name": "%s"}' % tuple(value.encode() for value in MATCHING.values())
    lines = [f"POST /v1/products/{PRODUCT}/verify HTTP/{version}", "host: gateway", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers(f"r{number}").items()]
    lines += ["connection: close"] if close else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def heads(answer: bytes) -> list[list[bytes]]:
    """Return the lines of each head."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        found.append(head.split(b"\r\n"))
        answer = rest[application.ANSWER_BYTES :]
    return found


@pytest.mark.parametrize("close", [True, False])
def test_whole_or_step_by_step_makes_no_difference(world: World, monkeypatch, close):  # noqa: F811
    asked = [request(1), request(2), request(3, version="1.1" if close else "1.0", close=close)]
    with served(world) as url:
        quick = exchange(int(url.rpartition(":")[2]), asked)
    monkeypatch.setattr(application, "WHOLE", f"not {WHOLE}")
    with served(world) as url:
        slow = exchange(int(url.rpartition(":")[2]), asked)
    assert heads(quick) == heads(slow)
    assert [head[0] for head in heads(quick)] == [b"HTTP/1.1 200 OK"] * 3
    assert b"connection: close" in heads(quick)[2]
    assert quick.count(b'"result":"match"') == slow.count(b'"result":"match"') == 6  # in the answer and in its receipt
