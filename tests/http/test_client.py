"""The consumer's client against the real gateway over a socket: signed or not, single or in batches, through lost answers."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from gongshu.base import signing
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import KeyId
from gongshu.client import AsyncClient, Client, Refused, Unanswered, is_worth_retrying, wait_seconds
from gongshu.delivery import service
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.api.gateway import server_for
from gongshu.delivery.service.signatures import opener_of, signing_secret
from gongshu.server.wiring import gateway_ports
from tests.gateways import MATCHING, PRODUCT, PURPOSE, SECRET, World, free_port, policy

KEY = "key-9"
OTHER = {**MATCHING, "name": "another name"}


@pytest.fixture
def world(tmp_path):
    clock, _ = gateway_ports(tmp_path / "var")
    made = World(tmp_path / "var", clock)
    ids = {sha256_hex(SECRET.encode()): KeyId("key-1"), sha256_hex(opener_of(KEY)): KeyId(KEY)}
    made.contract_changes = {"key_ids": ids, "signing_keys": frozenset({KeyId(KEY)})}
    made.publish()
    return made


@contextmanager
def served(world: World) -> Iterator[str]:
    """Serve over a real socket in a thread; stopped at the end."""
    port = free_port()
    app = GatewayApp(lambda: service.Gateway(world.home, "g1", world.clock, world.keys))
    server = server_for(app, "127.0.0.1", port)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def account(world: World, kind: str) -> dict[str, Any]:
    given: dict[str, Any] = {"product": PRODUCT, "purpose": PURPOSE}
    if kind == "plain":
        return given | {"key": SECRET}
    return given | {"key": signing_secret(world.keys, KEY), "key_id": KEY, "algorithm": kind}


@pytest.mark.parametrize("kind", ["plain", *signing.ALGORITHMS])
def test_a_consumer_verifies_one_record_and_many(world, kind):
    with served(world) as url, Client(url, **account(world, kind)) as client:
        answer = client.verify(MATCHING)
        assert (answer.result, answer.is_charged) == ("match", True)
        again = client.verify(MATCHING, request_id=answer.request_id)
        assert again.receipt["call"] == answer.receipt["call"]
        items = list(client.verify_all([MATCHING, OTHER] * 600))
        assert [item.result for item in items[:2]] == ["match", "mismatch"]
        assert len(items) == 1_200
    assert len(world.records()) == 1_201


@pytest.mark.parametrize("kind", ["plain", *signing.ALGORITHMS])
def test_a_consumer_leaves_many_records_and_fetches_the_results(world, kind):
    world.publish(policy=policy(calls_max=5_000, calls_per_day_max=5_000))
    rows = [(f"r{number}", MATCHING if number % 2 else OTHER) for number in range(1_500)]
    with served(world) as url, Client(url, **account(world, kind)) as client:
        task = client.submit_bulk(rows, request_id="bulk-1").task
        while (state := client.bulk_state(task)).status == "working":
            assert client.submit_bulk(rows, request_id="bulk-1").task == task
        items = client.bulk_results(task)
        assert client.drop_bulk(task).done == 1_500
        with pytest.raises(Refused, match="bulk-unknown"):
            client.bulk_state(task)
    assert (state.status, state.answered) == ("done", 1_500)
    assert [item.request_id for item in items] == [name for name, _ in rows]
    assert [item.result for item in items[:2]] == ["mismatch", "match"]


def test_the_asynchronous_client_does_the_same(world):
    async def work(url: str) -> tuple[str, list[str]]:
        async with AsyncClient(url, **account(world, "GONGSHU-HMAC-SM3")) as client:
            answers = await asyncio.gather(*(client.verify(MATCHING) for _ in range(20)))
            batch = await client.verify_batch([("a", MATCHING), ("b", OTHER)])
            return answers[0].result, [item.result for item in batch]

    with served(world) as url:
        assert asyncio.run(work(url)) == ("match", ["match", "mismatch"])
    assert len(world.records()) == 22


def test_a_refusal_says_what_would_make_it_right_and_is_not_repeated(world):
    world.publish(policy=policy(calls_max=1))
    with served(world) as url, Client(url, **account(world, "plain")) as client:
        client.verify(MATCHING)
        with pytest.raises(Refused) as used_up:
            client.verify(MATCHING)
        assert used_up.value.code == "calls-used-up"
        assert "operator" in used_up.value.fix
    assert len(world.records()) == 2


class Lossy(httpx.HTTPTransport):
    """Carries every request, and loses the first answers."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses, self.sent = losses, list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        response = super().handle_request(request)
        if self.losses:
            self.losses -= 1
            response.read()
            raise httpx.ReadTimeout("lost")
        return response


@pytest.mark.parametrize("kind", ["plain", "GONGSHU-HMAC-SHA256"])
def test_an_answer_that_got_lost_is_asked_for_again_and_charged_once(world, kind, monkeypatch):
    monkeypatch.setattr("gongshu.client.calls.time.sleep", lambda _: None)
    transport = Lossy(2)
    with served(world) as url, Client(url, transport=transport, **account(world, kind)) as client:
        assert client.verify(MATCHING).result == "match"
    assert len({request.headers["x-request-id"] for request in transport.sent}) == 1
    nonces = [request.headers.get("x-nonce") for request in transport.sent]
    assert len(set(nonces)) == (1 if kind == "plain" else 3)
    assert [record.is_charged for record in world.records()] == [True]


def test_a_gateway_that_is_away_leaves_the_request_id_to_the_caller(world, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr("gongshu.client.calls.time.sleep", waited.append)
    with (
        Client(f"http://127.0.0.1:{free_port()}", **account(world, "plain")) as client,
        pytest.raises(Unanswered) as unanswered,
    ):
        client.verify(MATCHING, request_id="mine-1")
    assert unanswered.value.request_id == "mine-1"
    assert waited == sorted(waited)
    assert len(waited) == 4


@pytest.mark.parametrize(
    ("status", "content", "again"),
    [
        (503, b'{"code": "gateway-busy"}', True), (429, b'{"code": "too-many-per-second"}', True), (502, b"<html>", True),
        (429, b'{"code": "calls-used-up"}', False), (429, b'{"code": "calls-used-up-today"}', False), (422, b"{}", False),
        (401, b"{}", False), (200, b"{}", False),
    ],
)  # fmt: skip
def test_only_what_may_pass_is_tried_again(status, content, again):
    assert is_worth_retrying(status, content) is again


def test_waiting_follows_the_gateway_and_is_bounded():
    assert wait_seconds(0, "7") == 7.0
    assert wait_seconds(20, "") == 30.0
    assert wait_seconds(0, "Tue, 01 Dec 2026") == 0.25
