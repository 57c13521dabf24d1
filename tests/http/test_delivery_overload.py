"""More than a gateway can do: it says so before its memory grows, leaves who is slow, and drains in order."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from gongshu.delivery.api import application
from gongshu.delivery.api.process import GuardedProtocol
from gongshu.delivery.rules import BATCH_BYTES_MAX, BODY_BYTES_MAX
from gongshu.metering import service as metering
from gongshu.metering.adapters.disk import LocalDisk
from gongshu.metering.types import ResultCode
from tests.gateways import MATCHING, PRODUCT, START, UNKNOWN, World, call, headers, policy, server_thread, serving

ENOUGH_SECONDS = 20
WAITING_MAX = 40
MANY = {"calls_max": 10**6, "calls_per_day_max": 10**6, "calls_per_second_max": 10**6}
PATH = f"/v1/products/{PRODUCT}/verify"


class StallingDisk(LocalDisk):
    """A disk that takes its time: nothing is written until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write once it may."""
        assert self.go.wait(ENOUGH_SECONDS)
        return super().write(descriptor, data, offset)


class ImpatientProtocol(GuardedProtocol):
    """Limits small enough to reach in a test."""

    stalled_seconds_max = 0.2


@pytest.fixture
def world(tmp_path) -> World:
    made = World(tmp_path / "var", lambda: START, policy(**MANY))
    made.publish()
    return made


@pytest.fixture
def port(world) -> Iterator[int]:
    with server_thread(world, http=ImpatientProtocol) as number:
        yield number


def test_while_the_disk_stalls_so_many_calls_wait_and_the_others_are_told_to_come_back(world):
    disk = StallingDisk()
    limits = metering.MeterLimits(waiting_records_max=WAITING_MAX)

    async def work() -> tuple[list[httpx.Response], list[httpx.Response], httpx.Response, dict[str, float]]:
        async with serving(world, limits=limits, disk=disk) as client:
            waiting = [asyncio.create_task(call(client, f"r{number}", UNKNOWN)) for number in range(WAITING_MAX)]
            while _on_their_way(client) < WAITING_MAX:  # noqa: ASYNC110 - only to have them under way
                await asyncio.sleep(0)
            turned = [await call(client, f"s{number}", UNKNOWN) for number in range(20)]
            refused = await call(client, "t", UNKNOWN, x_purpose="marketing")  # nor can a refusal be recorded
            states = {"waiting": _on_their_way(client)}
            disk.go.set()
            served = await asyncio.gather(*waiting)
            again = [await call(client, f"s{number}", UNKNOWN) for number in range(20)]
            return [*turned, refused], [*served, *again], await call(client, "t", UNKNOWN), states

    turned, served, last, states = asyncio.run(work())
    assert {(answer.status_code, answer.json()["code"]) for answer in turned} == {(503, "gateway-busy")}
    assert {answer.headers["retry-after"] for answer in turned} == {"1"}
    assert states["waiting"] == WAITING_MAX
    assert {answer.status_code for answer in served} == {200} == {last.status_code}
    assert sum(record.result is ResultCode.NO_RECORD for record in world.records()) == WAITING_MAX + 21


def _on_their_way(client: httpx.AsyncClient) -> int:
    return client._transport.app._gateway.meter.waiting


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=ENOUGH_SECONDS)


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_a_client_that_never_reads_its_answers_is_left(port):
    one = b"GET /metrics HTTP/1.1\r\nhost: gateway\r\n\r\n"
    with connected(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(one * 500_000)  # the answers are far more than all buffers between us hold
    with connected(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("action", "bytes_max"), [("verify", BODY_BYTES_MAX), ("batch", BATCH_BYTES_MAX)])
@pytest.mark.parametrize(("is_chunked", "is_known"), [(False, True), (True, True), (False, False)])
def test_of_a_body_that_is_too_long_only_so_much_is_read(port, action, bytes_max, is_chunked, is_known):
    given = headers("r1") | {"host": "gateway"}
    given["authorization"] += "" if is_known else "x"
    given |= {"transfer-encoding": "chunked"} if is_chunked else {"content-length": str(1 << 40)}
    lines = [f"POST /v1/products/{PRODUCT}/{action} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    piece = b"x" * 8192
    sent, far_more = 0, 64 << 20
    with connected(port) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        try:
            while sent < far_more:
                connection.sendall(b"2000\r\n" + piece + b"\r\n" if is_chunked else piece)
                sent += len(piece)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has answered and gone
        answer = everything(connection)
    assert sent < far_more
    assert answer == b"" or answer.startswith(
        b"HTTP/1.1 422" if is_known else b"HTTP/1.1 401"
    )  # a reset may overtake the answer


async def _batch(client: httpx.AsyncClient, number: int, **changes: str) -> httpx.Response:
    items = [{"id": f"b{number}-{place}", "fields": UNKNOWN} for place in range(3)]
    path = f"/v1/products/{PRODUCT}/batch"
    return await client.post(path, json={"items": items}, headers=headers(f"x{number}", **changes))


def test_only_so_many_batches_are_held_at_once_and_none_of_strangers(world, monkeypatch):
    monkeypatch.setattr(application, "BATCHES_AT_ONCE_MAX", 2)

    async def work() -> tuple[list[httpx.Response], httpx.Response, httpx.Response]:
        async with serving(world) as client:
            several = await asyncio.gather(*(_batch(client, number) for number in range(6)))
            return several, await _batch(client, 9, authorization="Bearer stranger"), await _batch(client, 10)

    several, stranger, later = asyncio.run(work())
    assert sorted(answer.status_code for answer in several) == [200, 200, 503, 503, 503, 503]
    assert {answer.headers.get("retry-after") for answer in several if answer.status_code == 503} == {"1"}
    assert (stranger.status_code, stranger.json()["code"]) == (401, "key-unknown")
    assert later.status_code == 200


def test_a_body_a_little_too_long_is_told_so_over_the_wire(port):
    answer = httpx.post(f"http://127.0.0.1:{port}{PATH}", content=b"x" * (BODY_BYTES_MAX + 1), headers=headers("r1"))
    assert (answer.status_code, answer.json()["code"]) == (422, "body-too-long")
    assert answer.headers["connection"] == "close"


def test_health_and_readiness_are_told_apart_while_the_policy_is_too_old(world):
    world.publish(age_seconds_max=-1)

    async def work() -> tuple[int, httpx.Response, httpx.Response]:
        async with serving(world) as client:
            return (
                (await client.get("/healthz")).status_code,
                await client.get("/readyz"),
                await call(client, "r1", MATCHING),
            )

    health, ready, answer = asyncio.run(work())
    assert (health, ready.status_code, ready.json()["code"]) == (200, 503, "snapshot-too-old")
    assert ready.headers["retry-after"] == answer.headers["retry-after"] == "1"
