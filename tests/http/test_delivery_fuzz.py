"""The gateway under hostile input: no fault of ours, no hang, and nothing of what was sent is said or logged again.

`make fuzz` asks many more, led by coverage.
"""

import asyncio
import json
import logging
import os
import random
import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gongshu.delivery.api.application import GatewayApp
from gongshu.metering.types import ANSWERED
from tests.gateways import MATCHING, PRODUCT, START, World, headers, open_gateway, policy, server_thread
from tests.hostile_calls import MARK, Heard, Hostile, Written, ask, check, hostile_call
from tests.served import ServedWorld, secret_of, write_table

SEED = int(os.environ.get("GONGSHU_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
EXAMPLES = int(os.environ.get("GONGSHU_FUZZ_EXAMPLES", "400"))
SOCKETS = EXAMPLES // 2
SECONDS_MAX = 20
MANY = {"calls_max": 10**7, "calls_per_day_max": 10**7, "calls_per_second_max": 10**7}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    made = World(tmp_path_factory.mktemp("fuzz") / "var", lambda: START, policy(**MANY))
    made.publish()
    return made


@pytest.fixture(scope="module")
def written() -> Iterator[Written]:
    handler, root = Written(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def asked(world, written):
    """Ask one gateway that lives as long as the module."""
    yield from _asking(world, written)


@pytest.fixture(scope="module")
def asked_for_files(written, tmp_path_factory):
    """The same for a gateway that delivers files."""
    home = tmp_path_factory.mktemp("files") / "var"
    file = write_table(home / "releases" / "release-1" / "table.parquet")
    made = ServedWorld(home, lambda: START, policy(**MANY), file=file)
    made.publish()
    yield from _asking(made, written)


def _asking(world: World, written: Written) -> Iterator[Callable[[Hostile], Heard]]:
    with asyncio.Runner() as runner:
        app = GatewayApp(lambda: open_gateway(world))

        async def start() -> None:
            app.open()

        runner.run(start())
        written.take()

        def one(request):
            heard = runner.run(ask(app, request))
            check(request, heard, written.take())
            return heard

        yield one
        runner.run(app.close())


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
@given(draw=st.randoms(use_true_random=False))
def test_whatever_is_asked_is_answered_plainly_and_told_to_nobody(asked, draw):
    asked(hostile_call(draw))


@settings(max_examples=EXAMPLES // 4, suppress_health_check=list(HealthCheck), deadline=None)
@given(draw=st.randoms(use_true_random=False))
def test_whatever_is_asked_of_files_is_answered_plainly_and_told_to_nobody(asked_for_files, draw):
    asked_for_files(hostile_call(draw, secret_of(0)))


def test_after_all_that_each_charge_has_an_answer_and_no_file_holds_what_was_sent(asked, world):
    draw, receipts, gone = random.Random(SEED), {}, False
    print(f"GONGSHU_SEED={SEED}")  # noqa: T201 - a seed is printed
    before = {record.position for record in world.records()}
    for _ in range(EXAMPLES):
        request = hostile_call(draw)
        heard = asked(request)
        gone = gone or not heard.messages
        if heard.status == 200 and heard.body.startswith(b'{"code"'):
            said = json.loads(heard.body)
            for receipt in [said["receipt"]] if "receipt" in said else said["items"]:
                receipts[receipt["call"]] = receipt
    answered = {record.position: record for record in world.records() if record.result in ANSWERED}
    assert {place for place in answered if place not in before} <= set(receipts)
    for place, record in answered.items():
        if place in receipts:
            assert receipts[place]["is_charged"] == record.is_charged
    for path in (world.home / "usage" / "g1").iterdir():
        assert MARK.encode() not in path.read_bytes()


# ------------------------------------------------------------------------------------------------------- raw sockets


def raw_call(draw: random.Random) -> bytes:
    """Return the bytes of a good request."""
    body = json.dumps(MATCHING).encode()
    given = headers(f"s{draw.randrange(99)}") | {"host": "gateway", "content-type": "application/json", "x-odd": MARK}
    if draw.random() < 0.3:
        given["transfer-encoding"] = "chunked"
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    else:
        given["content-length"] = str(len(body))
    lines = [f"POST /v1/products/{PRODUCT}/verify HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


ODD_PIECES = (
    b"\r\n", b"\n", b"\0", b": ", b"\r\n\r\n", b"chunked", b"content-length: 18446744073709551616\r\n", b"transfer-encoding: chunked\r\n",
    b"content-length: 3\r\n", b" HTTP/1.0", b"HTTP/2.0", b"ffffffffffffffff\r\n", b"-1\r\n", b"x" * 20_000, b"\xff\xfe", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"expect: 100-continue\r\n", b"upgrade: websocket\r\nconnection: upgrade\r\n",
)  # fmt: skip


def mangled(draw: random.Random) -> bytes:
    """Return requests one after the other with a few things wrong."""
    made = bytearray(b"".join(raw_call(draw) for _ in range(draw.randrange(1, 4))))
    for _ in range(draw.randrange(4)):
        place = draw.randrange(len(made))
        match draw.randrange(4):
            case 0:
                made[place] = draw.randrange(256)
            case 1:
                del made[place : place + draw.randrange(1, 40)]
            case 2:
                made[place:place] = draw.choice(ODD_PIECES)
            case _:
                made[place:place] = made[max(0, place - draw.randrange(1, 60)) : place]
    return bytes(made)


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_whatever_comes_over_a_socket_is_answered_or_closed(world, written, tmp_path):
    own = World(tmp_path / "var", lambda: START, policy(**MANY))
    own.publish()
    print(f"GONGSHU_SEED={SEED}")  # noqa: T201 - a seed is printed
    draw = random.Random(SEED)
    with server_thread(own) as port:
        for _ in range(SOCKETS):
            data = mangled(draw)
            with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as connection:
                try:
                    step = draw.choice([len(data), 700, 97])
                    for start in range(0, len(data), step):
                        connection.sendall(data[start : start + step])
                    connection.shutdown(socket.SHUT_WR)
                except (BrokenPipeError, ConnectionResetError, OSError):
                    pass  # it has turned us away already
                said = everything(connection)
            assert said == b"" or said.startswith(b"HTTP/1.1 ")
            assert MARK.encode() not in said
            for line in said.split(b"HTTP/1.1 ")[1:]:
                assert line[:1] in b"124", (data, said)
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")
            assert everything(connection).startswith(b"HTTP/1.1 200")
    logged = written.take()
    assert MARK not in logged
    assert "Traceback" not in logged
