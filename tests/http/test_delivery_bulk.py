"""Bulk tasks: every item answered and recorded once, through restarts and kills, and nothing of them left in the clear."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId
from tests.gateways import (
    DIFFERING,
    MATCHING,
    PRODUCT,
    START,
    UNKNOWN,
    World,
    gateway_process,
    headers,
    policy,
    serving,
)

ITEMS = 2_300
FIELDS = (MATCHING, DIFFERING, UNKNOWN)
RESULTS = ("match", "mismatch", "no_record")
TURNS_MAX = 20_000


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", lambda: START, policy=policy(calls_max=10_000, calls_per_day_max=10_000))
    made.publish()
    return made


def items(number: int) -> dict:
    return {"items": [{"id": f"i{place}", "fields": FIELDS[place % 3]} for place in range(number)]}


async def send(http: httpx.AsyncClient, body: dict, request_id: str = "bulk-1", **changes: str) -> httpx.Response:
    return await http.post(f"/v1/products/{PRODUCT}/bulk", json=body, headers=headers(request_id, **changes))


async def state(http: httpx.AsyncClient, task: str) -> dict:
    return (await http.get(f"/v1/bulk/{task}", headers=headers(""))).json()


async def ended(http: httpx.AsyncClient, task: str) -> dict:
    """Look until the task has ended."""
    for _ in range(TURNS_MAX):
        told = await state(http, task)
        if told["status"] != "working":
            return told
        await asyncio.sleep(0)
    raise AssertionError(told)


async def results(http: httpx.AsyncClient, task: str) -> list[dict]:
    response = await http.get(f"/v1/bulk/{task}/results", headers=headers(""))
    return [json.loads(line) for line in response.text.splitlines()]


def played(world: World, play: Callable[[httpx.AsyncClient], Awaitable]):
    async def work():
        async with serving(world) as http:
            return await play(http)

    return asyncio.run(work())


def test_every_item_is_answered_in_order_and_recorded_once(world):
    async def play(http):
        response = await send(http, items(ITEMS))
        assert response.status_code == httpx.codes.ACCEPTED
        task = response.json()["task"]
        assert response.headers["location"] == f"/v1/bulk/{task}"
        return await ended(http, task), await results(http, task)

    told, lines = played(world, play)
    assert (told["status"], told["done"], told["answered"], told["stop_code"]) == ("done", ITEMS, ITEMS, "")
    assert [line["id"] for line in lines] == [f"i{place}" for place in range(ITEMS)]
    assert [line["result"] for line in lines] == [RESULTS[place % 3] for place in range(ITEMS)]
    assert [line["is_charged"] for line in lines[:3]] == [True, True, False]
    recorded = Counter(record.request_id for record in world.records())
    assert recorded == {f"i{place}": 1 for place in range(ITEMS)}


def test_the_same_request_is_the_same_task(world):
    async def play(http):
        first, again = await send(http, items(3)), await send(http, items(3))
        other = await send(http, items(4))
        await ended(http, first.json()["task"])
        later = await send(http, items(3))
        return first.json(), again.json(), other.json(), later.json()

    first, again, other, later = played(world, play)
    assert first["task"] == again["task"] == later["task"]
    assert other["code"] == "request-id-reused"
    assert later["status"] == "done"
    assert len(world.records()) == 3


def test_counts_hold_item_by_item(world):
    world.publish(policy=policy(calls_max=100))

    async def play(http):
        task = (await send(http, items(130))).json()["task"]
        return await ended(http, task), await results(http, task)

    told, lines = played(world, play)
    assert (told["done"], told["answered"]) == (130, 100)
    assert {line["error"] for line in lines[100:]} == {"calls-used-up"}
    assert not any(line["is_charged"] for line in lines[100:])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "batch-invalid"), ({"items": []}, "batch-size"), ({"items": [{"id": "a", "fields": {}}] * 2}, "batch-id-twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_makes_no_task(world, body, code):
    response = played(world, lambda http: send(http, body))
    assert response.json()["code"] == code
    assert not list((world.home / "bulk" / "g1").iterdir())


def test_a_purpose_that_is_not_agreed_makes_no_task(world):
    response = played(world, lambda http: send(http, items(2), x_purpose="other"))
    assert response.json()["code"] == "purpose-not-agreed"


def test_who_shows_no_known_key_cannot_make_the_gateway_read_much(world):
    response = played(world, lambda http: send(http, items(2), authorization="Bearer gsk_nobody"))
    assert response.json()["code"] == "key-unknown"
    assert response.headers["connection"] == "close"  # the body was not read to its end


def test_only_so_many_tasks_of_a_contract_are_under_way(world):
    async def play(http):
        made = [await send(http, items(ITEMS), f"b{number}") for number in range(6)]
        return [response.json().get("code") for response in made]

    codes = played(world, play)
    assert codes[:4] == [None] * 4
    assert set(codes[4:]) <= {None, "bulk-too-many"}


def test_a_task_waits_while_nothing_can_be_answered(world):
    world.publish(has_product=False)

    async def play(http):
        task = (await send(http, items(3))).json()["task"]
        for _ in range(100):
            told = await state(http, task)
        return task, told

    task, told = played(world, play)
    assert (told["status"], told["done"]) == ("working", 0)
    world.publish(has_product=True)
    told = played(world, lambda http: ended(http, task))
    assert (told["status"], told["answered"]) == ("done", 3)
    assert [record.result.value for record in world.records()] == list(RESULTS)  # no refusal of any attempt


def test_a_revoked_key_ends_the_task_and_what_was_not_asked_is_not_charged(world):
    async def play(http):
        task = (await send(http, items(ITEMS))).json()["task"]
        world.publish(contract_changes={"key_ids": {"f" * 64: KeyId("key-2")}})
        await http.get("/readyz")  # the snapshot is followed at once
        world_task = next((world.home / "bulk" / "g1").iterdir())
        for _ in range(TURNS_MAX):
            told, files = json.loads((world_task / "task.json").read_text()), list(world_task.glob("items-*"))
            if told["ended_at"] and not files:
                return told, task
            await asyncio.sleep(0)
        raise AssertionError(told)

    told, task = played(world, play)
    assert (told["id"], told["stop_code"]) == (task, "key-unknown")
    assert len(world.records()) < ITEMS


def test_another_contracts_key_finds_nothing(world):
    async def play(http):
        task = (await send(http, items(3))).json()["task"]
        await ended(http, task)
        snapshot = world.snapshot()
        other = replace(
            snapshot.contracts[0], id=ContractId("contract-2"), key_ids={sha256_hex(b"gsk_other"): KeyId("key-9")}
        )
        world.write(replace(snapshot, number=world.number + 1, contracts=(*snapshot.contracts, other)))
        await http.get("/readyz")
        stranger = headers("", authorization="Bearer gsk_other")
        asked = [
            await http.request(method, f"/v1/bulk/{task}{part}", headers=stranger)
            for method, part in (("GET", ""), ("GET", "/results"), ("DELETE", ""))
        ]
        return [response.json()["code"] for response in asked], await results(http, task)

    codes, lines = played(world, play)
    assert codes == ["bulk-unknown"] * 3
    assert len(lines) == 3


def test_files_hold_no_value_and_go_with_the_task(world):
    async def play(http):
        task = (await send(http, items(30))).json()["task"]
        folder = world.home / "bulk" / "g1" / task
        taken = b"".join(path.read_bytes() for path in folder.iterdir())
        await ended(http, task)
        kept = b"".join(path.read_bytes() for path in folder.iterdir())
        named = sorted(path.name for path in folder.iterdir())
        dropped = await http.delete(f"/v1/bulk/{task}", headers=headers(""))
        return taken + kept, named, dropped.status_code, folder.exists(), await state(http, task)

    data, named, status, is_there, told = played(world, play)
    values = [value for fields in FIELDS for value in fields.values()]
    assert not [value for value in values if value.encode() in data]
    assert b"mismatch" not in data
    assert named == ["results-00000", "task.json"]
    assert (status, is_there, told["code"]) == (200, False, "bulk-unknown")


def test_results_are_dropped_after_a_day(world):
    now = [START]
    world.clock = lambda: now[0]

    async def play(http):
        task = (await send(http, items(3))).json()["task"]
        await ended(http, task)
        now[0] = START + timedelta(hours=25)
        world.publish()
        await http.get("/readyz")
        second = (await send(http, items(1), "bulk-2")).json()["task"]  # work to wake up for
        await ended(http, second)
        return await state(http, task)

    assert played(world, play)["code"] == "bulk-unknown"


def test_a_part_that_was_changed_ends_the_task_and_says_so(world):
    async def begun(http):
        return (await send(http, items(ITEMS))).json()["task"]

    task = played(world, begun)
    folder = world.home / "bulk" / "g1" / task
    last = max(folder.glob("items-*"))
    raw = bytearray(last.read_bytes())
    raw[-1] ^= 1
    last.write_bytes(raw)
    told = played(world, lambda http: ended(http, task))
    assert (told["status"], told["stop_code"], told["done"]) == ("stopped", "bulk-damaged", 2_000)


def test_a_gateway_that_stops_and_starts_goes_on_and_charges_nothing_twice(world):
    draw = random.Random(20261121)

    async def some(http):
        for _ in range(draw.randrange(1, 40)):
            await http.get("/readyz")

    async def begun(http):
        task = (await send(http, items(ITEMS))).json()["task"]
        await some(http)
        return task

    task = played(world, begun)
    for _ in range(4):
        played(world, some)
    told, lines = played(world, lambda http: _both(http, task))
    assert told["done"] == ITEMS
    assert [line["result"] for line in lines] == [RESULTS[place % 3] for place in range(ITEMS)]
    recorded = Counter(record.request_id for record in world.records() if record.result.value in RESULTS)
    assert recorded == {f"i{place}": 1 for place in range(ITEMS)}


async def _both(http: httpx.AsyncClient, task: str) -> tuple[dict, list[dict]]:
    return await ended(http, task), await results(http, task)


def test_a_gateway_that_is_killed_goes_on_and_charges_nothing_twice(tmp_path):
    moment = datetime.now(UTC)
    limits = replace(
        policy(), period=replace(policy().period, start=moment - timedelta(days=1)), calls_max=10_000,
        calls_per_day_max=10_000,
    )  # fmt: skip
    world = World(tmp_path / "var", lambda: datetime.now(UTC), policy=limits)
    world.publish()
    log, task = tmp_path / "log", ""
    for _ in range(3):
        with gateway_process(world.home, log) as running, httpx.Client(base_url=running.url.split("/v1")[0]) as http:
            sent = http.post(f"/v1/products/{PRODUCT}/bulk", json=items(ITEMS), headers=headers("bulk-1"))
            task = sent.json()["task"]  # the process is killed at the end of the block
    with gateway_process(world.home, log) as running, httpx.Client(base_url=running.url.split("/v1")[0]) as http:
        for _ in range(TURNS_MAX):
            told = http.get(f"/v1/bulk/{task}", headers=headers("")).json()
            if told["status"] != "working":
                break
        lines = http.get(f"/v1/bulk/{task}/results", headers=headers("")).text.splitlines()
    assert (told["status"], told["done"], len(lines)) == ("done", ITEMS, ITEMS)
    recorded = Counter(record.request_id for record in world.records())
    assert recorded == {f"i{place}": 1 for place in range(ITEMS)}
