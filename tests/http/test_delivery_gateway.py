"""The gateway over HTTP: what it answers, what it refuses, what it records, and what it never says."""

import asyncio
import errno
import json
import logging
import os
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

from gongshu.base.days import Period
from gongshu.delivery.api import application
from gongshu.metering.types import ResultCode
from gongshu.products.types import ProductKind
from tests.gateways import (
    CONTRACT,
    DIFFERING,
    MATCHING,
    PRODUCT,
    PURPOSE,
    START,
    UNKNOWN,
    World,
    call,
    headers,
    open_gateway,
    policy,
    serving,
)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self):
        return self.time


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", Clock())
    made.publish()
    return made


def run(work):
    return asyncio.run(work())


def test_match_mismatch_and_no_record_are_told_and_nothing_else(world):
    async def work():
        async with serving(world) as client:
            return [
                await call(client, f"r{index}", fields) for index, fields in enumerate([MATCHING, DIFFERING, UNKNOWN])
            ]

    answers = run(work)
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["result"] for answer in answers] == ["match", "mismatch", "no_record"]
    assert [answer.json()["receipt"]["is_charged"] for answer in answers] == [True, True, False]
    for answer, record in zip(answers, world.records(), strict=True):
        receipt = answer.json()["receipt"]
        assert set(answer.json()) == {"code", "result", "receipt"}
        assert (receipt["call"], receipt["contract"], receipt["product"]) == (record.position, CONTRACT, PRODUCT)
        assert receipt["snapshot"] == record.snapshot == 1


def test_the_answers_have_the_same_size_and_shape(world):
    async def work():
        async with serving(world) as client:
            return [
                await call(client, f"r{index}", fields) for index, fields in enumerate([MATCHING, DIFFERING, UNKNOWN])
            ]

    answers = run(work)
    assert len({len(answer.content) for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert len({tuple(answer.json()["receipt"]) for answer in answers}) == 1


DAY = timedelta(days=1)


@dataclass
class Refusal:
    """A way to be refused: what differs from a call that is served, and what is answered."""

    name: str
    status: int
    code: str
    number: int
    given: dict[str, str] = field(default_factory=dict)
    fields: dict = field(default_factory=lambda: MATCHING)
    changes: dict = field(default_factory=dict)
    is_recorded: bool = True


def stopped(code: str) -> dict:
    return {"contract_changes": {"stop_code": code}}


def limited(**changes) -> dict:
    return {"policy": policy(**changes)}


REFUSALS = [
    Refusal("no-key", 401, "key-missing", 12001, {"authorization": ""}, is_recorded=False),
    Refusal("not-a-bearer", 401, "key-missing", 12001, {"authorization": "Basic abc"}, is_recorded=False),
    Refusal("unknown-key", 401, "key-unknown", 12001, {"authorization": "Bearer wrong"}, is_recorded=False),
    Refusal("no-request-id", 422, "request-id-missing", 11005, {"x_request_id": ""}),
    Refusal("odd-request-id", 422, "request-id-invalid", 11003, {"x_request_id": "a b"}),
    Refusal("no-purpose", 422, "purpose-missing", 11005, {"x_purpose": ""}),
    Refusal("other-purpose", 403, "purpose-not-agreed", 12001, {"x_purpose": "marketing"}),
    Refusal("not-begun", 403, "contract-not-yet", 12001, changes=limited(period=Period(START + DAY, START + 2 * DAY))),
    Refusal("expired", 403, "contract-expired", 12002, changes=limited(period=Period(START - DAY, START))),
    Refusal("stopped", 403, "contract-stopped", 12002, changes=stopped("contract-stopped")),
    Refusal("grant-ended", 403, "grant-ended", 12002, changes=stopped("grant-ended")),
    Refusal("no-calls-left", 429, "calls-used-up", 12007, changes=limited(calls_max=0)),
    Refusal("none-left-today", 429, "calls-used-up-today", 12008, changes=limited(calls_per_day_max=0)),
    Refusal("too-fast", 429, "too-many-per-second", 12010, changes=limited(calls_per_second_max=0)),
    Refusal("missing-field", 422, "call-field-missing", 11005, fields={"name": "甲"}),
    Refusal("unknown-field", 422, "call-fields-unknown", 11003, fields=MATCHING | {"phone": "1"}),
    Refusal("long-field", 422, "call-field-too-long", 11004, fields=MATCHING | {"name": "x" * 300}),
    Refusal("not-texts", 422, "body-invalid", 11003, fields={"credit_code": 1}),
    Refusal("blank-field", 422, "call-field-missing", 11005, fields=MATCHING | {"name": "\u3000\u200a"}),
    Refusal("old-snapshot", 503, "snapshot-too-old", 12005, changes={"age_seconds_max": -1}, is_recorded=False),
    Refusal("product-away", 503, "product-unavailable", 12005, changes={"has_product": False}, is_recorded=False),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_a_refusal_has_a_stable_code_and_is_never_charged(world, case):
    world.publish(**case.changes)

    async def work():
        async with serving(world) as client:
            return await call(client, "r1", case.fields, **case.given)

    answer = run(work)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["ndi_code"]) == (case.status, case.code, case.number)
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(reason["what"]["zh"] and reason["fix"]["en"] for reason in problem["reasons"])
    records = world.records()
    assert len(records) == case.is_recorded
    assert problem["call"] == (records[0].position if records else "")
    assert not any(record.is_charged for record in records)
    assert [record.refusal_code for record in records] == [case.code] * case.is_recorded
    if case.status in {429, 503} and case.code not in {"calls-used-up", "calls-used-up-today"}:
        assert int(answer.headers["retry-after"]) > 0


def test_all_reasons_are_told_at_once(world):
    world.publish(policy=policy(calls_max=0, period=Period(START - DAY, START)))

    async def work():
        async with serving(world) as client:
            return await call(client, "?", {"name": "甲"}, x_purpose="marketing")

    assert {reason["code"] for reason in run(work).json()["reasons"]} == {
        "purpose-not-agreed", "contract-expired", "calls-used-up", "request-id-invalid", "call-field-missing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/products/product-1/verify", 404), ("POST", "/v1/products", 404), ("POST", "/", 404),
        ("DELETE", "/healthz", 404), ("POST", "/v1/products/product-2/verify", 404), ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
    ],
)  # fmt: skip
def test_only_the_products_of_the_contract_have_an_address(world, method, path, status):
    async def work():
        async with serving(world) as client:
            return await client.request(method, path, headers=headers("r1"), json=MATCHING)

    assert run(work).status_code == status


def test_the_purpose_may_stand_in_the_body(world):
    async def work():
        async with serving(world) as client:
            return await call(client, "r1", MATCHING | {"purpose": PURPOSE}, x_purpose="")

    assert run(work).json()["result"] == "match"


# ------------------------------------------------------------------------------------------------------- request ids


def test_a_request_id_seen_again_gets_the_same_answer_and_is_charged_once(world):
    async def work():
        async with serving(world) as client:
            at_once = await asyncio.gather(*(call(client, "r1") for _ in range(5)))
            later = await call(client, "r1")
        async with serving(world) as client:  # after a restart
            return [*at_once, later, await call(client, "r1")]

    answers = run(work)
    assert len({answer.content for answer in answers}) == 1
    assert len(world.records()) == 1


def test_a_request_id_seen_again_is_served_although_the_calls_are_used_up(world):
    world.publish(policy=policy(calls_max=1))

    async def work():
        async with serving(world) as client:
            return [await call(client, name) for name in ("r1", "r2", "r1")]

    first, refused, again = run(work)
    assert refused.json()["code"] == "calls-used-up"
    assert again.content == first.content


def test_a_request_id_seen_with_another_body_is_refused(world):
    async def work():
        async with serving(world) as client:
            await call(client, "r1")
            return await call(client, "r1", DIFFERING)

    answer = run(work)
    assert (answer.status_code, answer.json()["code"]) == (409, "request-id-reused")
    assert [record.result for record in world.records()] == [ResultCode.MATCH, ResultCode.REFUSED]


def test_a_refused_call_may_be_tried_again_with_its_request_id(world):
    async def work():
        async with serving(world) as client:
            refused = await call(client, "r1", x_purpose="marketing")
            return refused, await call(client, "r1")

    refused, served = run(work)
    assert (refused.status_code, served.status_code) == (403, 200)


def test_after_the_end_of_the_grant_not_even_an_earlier_answer_is_given(world):
    async def work():
        async with serving(world) as client:
            await call(client, "r1")
            world.publish(contract_changes={"stop_code": "grant-ended"})
            return await call(client, "r1")

    assert run(work).json()["code"] == "grant-ended"


# ------------------------------------------------------------------------------------------------------------ limits


def test_counts_are_exact_under_concurrency_and_after_a_restart(world):
    world.publish(policy=policy(calls_max=50, calls_per_day_max=30))

    async def burst(start: int, count: int) -> list[int]:
        async with serving(world) as client:
            names = range(start, start + count)
            answers = await asyncio.gather(*(call(client, f"r{name}", UNKNOWN) for name in names))
            return [answer.status_code for answer in answers]

    async def work():
        first = await burst(0, 20)
        second = await burst(100, 40)
        world.clock.time += DAY
        world.publish()
        return first, second, await burst(200, 40)

    first, second, third = run(work)
    assert first.count(200) == 20
    assert second.count(200) == 10  # 30 a day
    assert third.count(200) == 20  # 50 in all
    assert sum(record.result is ResultCode.NO_RECORD for record in world.records()) == 50


def test_a_day_ends_at_midnight_in_china(world):
    world.publish(policy=policy(calls_per_day_max=1))

    async def work():
        async with serving(world) as client:
            codes = [(await call(client, "r1")).status_code, (await call(client, "r2")).status_code]
            world.clock.time = START.replace(hour=15, minute=59, second=59)
            codes.append((await call(client, "r3")).status_code)
            world.publish()
            world.clock.time += timedelta(seconds=1)
            return [*codes, (await call(client, "r4")).status_code]

    world.age_seconds_max = 10**6
    world.publish()
    assert run(work) == [200, 429, 429, 200]


def test_so_many_calls_per_second_and_no_more(world):
    world.publish(policy=policy(calls_per_second_max=3))
    moment = [100.2]

    async def work():
        async with serving(world, monotonic=lambda: moment[0]) as client:
            codes = [(await call(client, f"r{index}")).status_code for index in range(5)]
            moment[0] = 101.0
            return [*codes, (await call(client, "r9")).status_code]

    assert run(work) == [200, 200, 200, 429, 429, 200]


def test_a_period_ends_exactly_by_the_clock(world):
    end = START + timedelta(minutes=10)
    world.publish(policy=policy(period=Period(START, end)))

    async def work():
        async with serving(world) as client:
            world.clock.time = end - timedelta(microseconds=1)
            last = await call(client, "r1")
            world.clock.time = end
            return last.status_code, (await call(client, "r2")).json()["code"]

    assert run(work) == (200, "contract-expired")


# ------------------------------------------------------------------------------------------------------ never a value

ODD = "诡异的输入⟦7341⟧"


def test_nothing_that_was_sent_is_repeated_or_logged(world, caplog):
    caplog.set_level(logging.DEBUG)
    bodies = [
        {"credit_code": ODD, "name": ODD}, {ODD: ODD}, {"credit_code": ODD, "name": ODD * 60}, {"name": [ODD]}, [ODD],
        MATCHING | {"purpose": ODD},
    ]  # fmt: skip

    async def work():
        texts = []
        async with serving(world) as client:
            for index, body in enumerate(bodies):
                texts.append((await call(client, f"r{index}", body)).text)
                texts.append((await call(client, f"s{index}", body, x_purpose="")).text)
            odd = ODD.encode()
            path = f"/v1/products/{PRODUCT}/verify"
            for given in ({"x-purpose": odd}, {"x-request-id": odd}, {"authorization": b"Bearer " + odd}):
                full = {name: value.encode() for name, value in headers("r").items()} | given
                texts.append((await client.post(path, content=odd, headers=full)).text)
        return texts

    texts = run(work)
    said = "".join(texts) + caplog.text
    assert ODD not in said
    assert json.dumps(ODD)[1:-1] not in said
    assert "7341" not in said
    for path in (world.home / "usage" / "g1").iterdir():
        content = path.read_bytes()
        assert ODD.encode() not in content
        assert MATCHING["name"].encode() not in content


def test_a_look_up_that_fails_is_not_charged_and_tells_nothing(world, caplog):
    def open_broken(*_):
        def lookup(fields):
            raise RuntimeError(fields["name"])

        return lookup

    async def work():
        async with serving(world, openers={ProductKind.VERIFY: open_broken}) as client:
            return await call(client, "r1", MATCHING | {"name": ODD})

    answer = run(work)
    assert (answer.status_code, answer.json()["code"], answer.json()["ndi_code"]) == (500, "call-failed", 13000)
    assert ODD not in answer.text + caplog.text
    (record,) = world.records()
    assert (record.result, record.is_charged, record.refusal_code) == (ResultCode.ERROR, False, "call-failed")


def test_a_full_disk_stops_charging_and_answering_until_there_is_room(world, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    async def work():
        async with serving(world) as client:
            with monkeypatch.context() as patched:
                patched.setattr(os, "pwritev", full)
                refused = await asyncio.gather(*(call(client, f"r{index}") for index in range(3)))
                unrefused = await call(client, "r9", x_purpose="marketing")
            return [*refused, unrefused], await call(client, "r0")

    refused, served = run(work)
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "disk-full")] * 4
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert served.json()["result"] == "match"
    assert [record.request_id for record in world.records()] == ["r0"]


def test_a_failed_disk_makes_the_gateway_unready(world, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "broken")

    async def work():
        async with serving(world) as client:
            monkeypatch.setattr(os, "pwritev", broken)
            answers = [await call(client, "r1"), await call(client, "r2")]
            return [*answers, await client.get("/readyz"), await client.get("/healthz")]

    assert [answer.status_code for answer in run(work)] == [503, 503, 503, 200]


def test_too_many_calls_at_once_are_told_to_come_back(world, monkeypatch):
    monkeypatch.setattr(application, "CALLS_AT_ONCE_MAX", 2)

    async def work():
        async with serving(world) as client:
            return await asyncio.gather(*(call(client, f"r{index}") for index in range(6)))

    answers = run(work)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503, 503]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 503} == {"gateway-busy"}
    assert len(world.records()) == 2


def test_a_gateway_that_cannot_have_its_folder_does_not_start(world):
    async def work():
        async with serving(world):
            sent = []
            app = application.GatewayApp(lambda: open_gateway(world))

            async def receive():
                return {"type": "lifespan.startup"}

            async def send(message):
                sent.append(message)

            await app({"type": "lifespan"}, receive, send)
            return sent

    (message,) = run(work)
    assert message["type"] == "lifespan.startup.failed"
    assert "MeterLocked" in message["message"]


def test_a_long_body_is_refused_before_it_is_read(world):
    async def work():
        async with serving(world) as client:
            return await client.post(f"/v1/products/{PRODUCT}/verify", content=b"x" * 40_000, headers=headers("r1"))

    answer = run(work)
    assert (answer.status_code, answer.json()["code"], answer.json()["ndi_code"]) == (422, "body-too-long", 11004)
    assert isinstance(answer, httpx.Response)
