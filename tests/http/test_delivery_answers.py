"""Kinds that take longer: answered in threads, and yet counted exactly, charged once, and turned away when too many wait."""

import asyncio
import threading

import pytest

from gongshu.delivery.service import threads
from gongshu.delivery.types import Outcome
from gongshu.metering.types import ResultCode
from gongshu.products.types import ProductKind
from tests.gateways import PRODUCT, START, policy, serving
from tests.served import ServedWorld, headers_of, write_table

CONTENT = b'{"rows":[["a",1]]}'
PATH = f"/v1/products/{PRODUCT}/query"


@pytest.fixture
def world(tmp_path):
    home = tmp_path / "var"
    made = ServedWorld(
        home, lambda: START, kind=ProductKind.QUERY, file=write_table(home / "releases" / "r" / "t.parquet")
    )
    made.publish()
    return made


class Slow:
    """Answers once it is let go, and tells when it was asked."""

    def __init__(self) -> None:
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)

    def open(self, *_):
        def answer(fields):
            self.entered.release()
            assert self.gate.wait(20)
            return Outcome(ResultCode.SERVED, CONTENT)

        return answer


def run(world, slow, work):
    async def inside():
        async with serving(world, openers={ProductKind.QUERY: slow.open}) as client:
            return await work(client)

    return asyncio.run(inside())


async def ask(client, request_id):
    return await client.post(PATH, json={}, headers=headers_of(request_id))


async def until(slow, asked):
    for _ in range(asked):
        assert await asyncio.to_thread(slow.entered.acquire, timeout=20)


def test_the_content_stands_beside_the_receipt_and_a_repeat_gives_the_same(world):
    slow = Slow()
    slow.gate.set()

    async def work(client):
        return [await ask(client, "r1"), await ask(client, "r1")]

    first, again = run(world, slow, work)
    assert first.status_code == 200
    assert (first.json()["content"], first.json()["result"]) == ({"rows": [["a", 1]]}, "served")
    assert again.content == first.content
    (record,) = world.records()
    assert (record.result, record.is_charged) == (ResultCode.SERVED, True)


def test_of_many_slow_calls_at_once_no_more_are_answered_than_were_agreed(world):
    world.publish(policy=policy(calls_max=2))
    slow = Slow()

    async def work(client):
        calls = [asyncio.create_task(ask(client, f"r{n}")) for n in range(4)]
        await until(slow, 4)  # all were let through: nothing was used up yet
        slow.gate.set()
        return await asyncio.gather(*calls)

    answers = run(world, slow, work)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    assert sorted(r.result.value for r in world.records()) == ["refused", "refused", "served", "served"]


def test_a_request_id_that_is_sent_twice_at_once_is_charged_once(world):
    slow = Slow()

    async def work(client):
        calls = [asyncio.create_task(ask(client, "r1")) for _ in range(2)]
        await until(slow, 2)
        slow.gate.set()
        return await asyncio.gather(*calls)

    first, second = run(world, slow, work)
    assert first.json()["receipt"] == second.json()["receipt"]
    assert len(world.records()) == 1


def test_when_too_many_wait_the_next_is_turned_away_and_not_recorded(world, monkeypatch):
    monkeypatch.setattr(threads.Threads.__init__, "__defaults__", (1, 1))
    slow = Slow()

    async def work(client):
        running = asyncio.create_task(ask(client, "r1"))
        await until(slow, 1)
        turned = await ask(client, "r2")
        slow.gate.set()
        return await running, turned

    served, turned = run(world, slow, work)
    assert served.status_code == 200
    assert (turned.status_code, turned.json()["code"], turned.headers["retry-after"]) == (503, "gateway-busy", "1")
    assert [record.request_id for record in world.records()] == ["r1"]


def test_the_action_of_another_kind_is_no_address_of_the_product(world):
    slow = Slow()
    slow.gate.set()

    async def work(client):
        body = {"json": {}, "headers": headers_of("r1")}
        return [
            await client.post(f"/v1/products/{PRODUCT}/{action}", **body) for action in ("verify", "lookup", "predict")
        ]

    assert {(a.status_code, a.json()["code"]) for a in run(world, slow, work)} == {(404, "product-unknown")}
