"""Whatever is sent to the gateway, it answers with a known status, repeats nothing, and keeps its counts."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from gongshu.metering.types import ANSWERED
from tests.gateways import DIFFERING, MATCHING, PRODUCT, START, UNKNOWN, World, call, headers, policy, serving

MARK = "⟦7341⟧"
KNOWN_STATUSES = {200, 401, 403, 404, 409, 422, 429}

texts = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: text + MARK)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from(["name"]), inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(st.sampled_from(["credit_code", "name", "purpose"]) | texts, texts, max_size=4)
bodies = (values | fields).map(lambda value: json.dumps(value, ensure_ascii=False).encode()) | st.binary(max_size=60)
header_values = st.binary(max_size=30).map(lambda raw: bytes(b for b in raw if b > 31 and b != 127) + MARK.encode())


@settings(max_examples=60)
@given(body=bodies, odd=st.dictionaries(st.sampled_from(["authorization", "x-request-id", "x-purpose"]), header_values))
def test_whatever_is_sent_gets_a_known_answer_that_repeats_nothing(body, odd):
    with TemporaryDirectory() as folder:
        world = World(Path(folder), lambda: START)
        world.publish()

        async def work() -> httpx.Response:
            async with serving(world) as client:
                given_headers = {name: value.encode() for name, value in headers("r1").items()} | odd
                return await client.post(f"/v1/products/{PRODUCT}/verify", content=body, headers=given_headers)

        answer = asyncio.run(work())
        assert answer.status_code in KNOWN_STATUSES
        assert "7341" not in answer.text
        for path in (world.home / "usage" / "g1").iterdir():
            assert b"7341" not in path.read_bytes()


steps = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "call", "again", "restart", "day"]), st.integers(0, 9),
        st.sampled_from([MATCHING, DIFFERING, UNKNOWN]),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=25)
@given(steps=steps, calls_max=st.integers(1, 8), calls_per_day_max=st.integers(1, 4))
def test_counts_are_those_of_a_plain_list_of_calls(steps, calls_max, calls_per_day_max):
    with TemporaryDirectory() as folder:
        clock = [START]
        world = World(Path(folder), lambda: clock[0], age_seconds_max=10**8)
        world.publish(policy=policy(calls_max=calls_max, calls_per_day_max=calls_per_day_max))
        served: dict[str, tuple[int, dict, bytes]] = {}
        day, number = 0, 0

        async def one(client: httpx.AsyncClient, request_id: str, asked: dict) -> None:
            answer = await call(client, request_id, asked)
            if request_id in served:
                same = served[request_id][1] == asked
                assert answer.content == served[request_id][2] if same else answer.status_code == 409
                return
            today = sum(other == day for other, _, _ in served.values())
            may = len(served) < calls_max and today < calls_per_day_max
            assert answer.status_code == (200 if may else 429)
            if may:
                served[request_id] = (day, asked, answer.content)

        async def work() -> None:
            nonlocal day, number
            left = iter(steps)
            more = True
            while more:
                more = False
                async with serving(world) as client:
                    for action, which, asked in left:
                        if action == "restart":
                            more = True
                            break
                        if action == "day":
                            day += 1
                            clock[0] += timedelta(days=1)
                        elif action == "again" and number:
                            await one(client, f"r{which % number}", asked)
                        else:
                            await one(client, f"r{number}", asked)
                            number += 1

        asyncio.run(work())
        assert sum(record.result in ANSWERED for record in world.records()) == len(served)
