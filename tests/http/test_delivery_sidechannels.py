"""What an answer tells beside its result: nothing by its size, by the steps it takes, or by where its record lies.

Steps are counted, not timed, so that a busy machine decides nothing: lines of our code, and calls of the libraries that hash,
look up and compare. The measurement by time is in ``benchmarks/sidechannel.py``.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import lmdb
import pytest

from gongshu.compute.adapters.artifacts import ArtifactReader
from gongshu.compute.rules.verification import compare_records
from gongshu.delivery.api.application import GatewayApp
from gongshu.metering.types import ResultCode
from tests.gateways import (
    DIFFERING,
    MATCHING,
    PRODUCT,
    START,
    UNKNOWN,
    World,
    call,
    headers,
    open_gateway,
    policy,
    serving,
)
from tests.hostile_calls import Hostile, ask

FIELDS = {"match": MATCHING, "mismatch": DIFFERING, "no_record": UNKNOWN}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", lambda: START, policy(calls_per_second_max=10**6))
    made.publish(contract_changes={"charges_no_record": True})
    return made


def request(name: str, request_id: str) -> Hostile:
    body = json.dumps(FIELDS[name], ensure_ascii=False).encode()
    given = [(key.encode(), value.encode()) for key, value in headers(request_id).items()]
    return Hostile("POST", f"/v1/products/{PRODUCT}/verify", given, [body])


def steps_of(work: Callable[[], Any]) -> tuple[Counter, Any]:
    """Return how often each line of our code ran and each function of a library was called while ``work`` was done."""
    seen: Counter[tuple[str, Any]] = Counter()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        code: CodeType = frame.f_code
        if "/gongshu/" not in code.co_filename:
            return None
        if event in {"line", "call"}:
            seen[code.co_filename.rpartition("/gongshu/")[2], frame.f_lineno] += 1
        return trace

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and "/gongshu/" in frame.f_code.co_filename:
            seen["library", argument.__name__] += 1

    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        return seen, work()
    finally:
        sys.settrace(None)
        sys.setprofile(None)


def test_each_result_takes_the_same_steps(world):
    """From the whole request to the answer, on the thread that serves."""
    with asyncio.Runner() as runner:
        app = GatewayApp(lambda: open_gateway(world))

        async def start() -> None:
            app.open()

        runner.run(start())
        for number, name in enumerate(FIELDS):  # the first calls open files and shards
            runner.run(ask(app, request(name, f"w{number}")))
        app._ticking.cancel()  # it runs beside the calls, whoever calls
        runner.run(asyncio.sleep(0))
        steps, answers = {}, {}
        for number, name in enumerate(FIELDS):
            asked = request(name, f"s{number}")
            steps[name], answers[name] = steps_of(lambda asked=asked: runner.run(ask(app, asked)))
        runner.run(app.close())
    assert [json.loads(heard.body)["result"] for heard in answers.values()] == list(FIELDS)
    assert steps["match"] == steps["mismatch"], dict(steps["match"] - steps["mismatch"])
    assert steps["match"] == steps["no_record"], dict(steps["match"] - steps["no_record"])
    assert sum(steps["match"].values()) > 50


def test_the_steps_of_a_look_up_do_not_depend_on_where_records_differ():
    stored = bytes(range(96))
    asked = [stored, b"x" * 32 + stored[32:], stored[:64] + b"x" * 32, b"x" * 96]
    counted = []
    for whole in asked:
        given = tuple(whole[at : at + 32] for at in (0, 32, 64))
        for records in ((stored,), ()):
            seen, _ = steps_of(lambda records=records, given=given: compare_records(records, given))
            counted.append(seen)
    for seen in counted:
        assert seen == counted[0]
    assert compare_records((), (b"\0" * 32,)) is ResultCode.NO_RECORD  # the zeros that stand in match nobody


def test_one_record_and_none_take_the_same_reads(world):
    with lmdb.open(str(world.artifact), subdir=False, readonly=True, lock=False) as file, file.begin() as tx:
        known = next(bytes(key)[:31] for key, _ in tx.cursor() if any(key))
    reader = ArtifactReader(world.artifact)
    there, _ = steps_of(lambda: reader.values(known))
    nobody, _ = steps_of(lambda: reader.values(b"\x07" * 31))
    assert there["library", "get"] == nobody["library", "get"] == 2
    reader.close()


def test_every_byte_of_size_is_the_same_for_each_result(world):
    """Status, headers, length of the body, and the place of the record that comes after."""

    async def work():
        async with serving(world) as client:
            answers, gaps = [], []
            for number, fields in enumerate(FIELDS.values()):
                answers.append(await call(client, f"s{number}", fields))
                after = await call(client, f"t{number}")
                gaps.append(place(after) - place(answers[-1]))
            return answers, gaps

    answers, gaps = asyncio.run(work())
    assert [answer.json()["result"] for answer in answers] == list(FIELDS)
    assert len({(answer.status_code, len(answer.content)) for answer in answers}) == 1
    assert len({tuple(answer.headers.raw) for answer in answers}) == 1
    assert len(set(gaps)) == 1


def place(answer) -> int:
    return int(answer.json()["receipt"]["call"].partition(":")[2])


def test_a_batch_has_one_size_whatever_its_items_say(world):
    async def work():
        async with serving(world) as client:
            found = []
            for number, name in enumerate(FIELDS):
                items = [{"id": f"b{number}{index}", "fields": FIELDS[name]} for index in range(5)]
                path = f"/v1/products/{PRODUCT}/batch"
                found.append(await client.post(path, json={"items": items}, headers=headers(f"batch{number}")))
            return found

    answers = asyncio.run(work())
    assert [answer.json()["items"][0]["result"] for answer in answers] == list(FIELDS)
    assert len({len(answer.content) for answer in answers}) == 1
