"""Batches: every item is a call of its own, exact in its count, with an answer that tells by nothing but its result."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from gongshu.delivery.service.batches import ITEM_BYTES
from tests.gateways import MATCHING, PRODUCT, START, World, headers, policy, serving

PATH = f"/v1/products/{PRODUCT}/batch"
OTHER = {**MATCHING, "name": "another name"}
ABSENT = {**MATCHING, "credit_code": "91000000000000000X"}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", lambda: START)
    made.publish()
    return made


def item(name: str, fields: dict[str, str] = MATCHING) -> dict[str, Any]:
    return {"id": name, "fields": fields}


def post(world: World, *bodies: Any, **changes: str) -> list[httpx.Response]:
    """Send batches one after the other."""

    async def work() -> list[httpx.Response]:
        async with serving(world) as client:
            return [
                await client.post(
                    PATH, headers={**headers(f"b{n}", **changes), "content-type": "application/json"},
                    content=body if isinstance(body, bytes) else json.dumps({"items": body}),
                )
                for n, body in enumerate(bodies)
            ]  # fmt: skip

    return asyncio.run(work())


def told(response: httpx.Response) -> list[tuple[str, str, str, bool]]:
    return [(i["id"], i["result"], i["error"], i["is_charged"]) for i in response.json()["items"]]


def test_each_item_is_answered_in_its_place_and_recorded(world):
    (answer,) = post(world, [item("a"), item("b", OTHER), item("c", ABSENT), item("d", {"credit_code": "x"})])
    assert told(answer) == [
        ("a", "match", "", True), ("b", "mismatch", "", True), ("c", "no_record", "", False),
        ("d", "refused", "call-field-missing", False),
    ]  # fmt: skip
    records = world.records()
    assert [(r.request_id, r.result.value, r.refusal_code) for r in records] == [
        ("a", "match", ""), ("b", "mismatch", ""), ("c", "no_record", ""), ("d", "refused", "call-field-missing"),
    ]  # fmt: skip
    assert [i["call"] for i in answer.json()["items"]] == [r.position for r in records]


def test_all_results_have_the_same_length(world):
    (answer,) = post(world, [item("a"), item("b", OTHER), item("c", ABSENT)])
    parts = answer.content.partition(b'"items":[')[2].split(b",{")
    lengths = {len(part.removeprefix(b"{").rstrip(b"]}")) for part in (p.partition(b"}")[0] for p in parts)}
    assert len(answer.content.partition(b'"items":[')[2]) == 3 * (ITEM_BYTES + 1) + 2 + 2
    assert lengths


def test_a_repeated_batch_gets_the_same_answers_and_is_charged_once(world):
    items = [item("a"), item("b", OTHER)]
    first, second = post(world, items, items)
    assert first.json()["items"] == second.json()["items"]
    assert len(world.records()) == 2
    changed = post(world, [item("a", OTHER), item("z")])[0]
    assert [i["error"] for i in changed.json()["items"]] == ["request-id-reused", ""]


def test_counts_are_exact_to_the_item(world):
    world.publish(policy=policy(calls_max=5, calls_per_day_max=5))
    first, second = post(world, [item(f"a{n}") for n in range(3)], [item(f"b{n}") for n in range(4)])
    assert [i["error"] for i in first.json()["items"]] == ["", "", ""]
    assert [i["error"] for i in second.json()["items"]] == ["", "", "calls-used-up", "calls-used-up"]
    assert sum(r.is_charged for r in world.records()) == 5


@pytest.mark.parametrize(
    ("body", "changes", "code"),
    [
        (b"", {}, "body-empty"), (b"[]", {}, "batch-invalid"), (b'{"items": [{"id": 3, "fields": {}}]}', {}, "batch-invalid"),
        ([], {}, "batch-size"), ([item(f"i{n}") for n in range(1_001)], {}, "batch-size"),
        ([item("a"), item("a")], {}, "batch-id-twice"), ([item("a")], {"x_purpose": "other"}, "purpose-not-agreed"),
        (b'{"items": "' + b"x" * (1 << 20) + b'"}', {}, "body-too-long"), ([item("a")], {"authorization": ""}, "key-missing"),
        ([item("a")], {"x_request_id": ""}, "request-id-missing"),
    ],
)  # fmt: skip
def test_what_concerns_all_items_refuses_all(world, body, changes, code):
    (answer,) = post(world, body, **changes)
    assert answer.json()["code"] == code
    assert all(not r.is_charged for r in world.records())


def test_a_bad_id_is_refused_alone_and_not_repeated(world):
    (answer,) = post(world, [item("a b<script>"), item("ok")])
    assert told(answer)[0][:3] == ("", "refused", "request-id-invalid")
    assert told(answer)[1][:2] == ("ok", "match")
    assert b"script" not in answer.content
    assert [r.request_id for r in world.records()] == ["", "ok"]


def test_fields_that_were_not_agreed_are_refused_item_by_item(world):
    world.publish(policy=policy(fields=("credit_code",)))
    (answer,) = post(world, [item("a")])
    assert told(answer)[0][2] == "fields-not-agreed"
