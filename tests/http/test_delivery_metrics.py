"""What the gateway tells of itself: counts that are right, to this machine alone, and nothing of any call."""

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gongshu.delivery.api.application import GatewayApp
from tests.gateways import MATCHING, START, World, call, open_gateway


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", lambda: START)
    made.publish()
    return made


def told(world: World, client: str = "127.0.0.1", **headers: str) -> httpx.Response:
    async def work() -> httpx.Response:
        app = GatewayApp(lambda: open_gateway(world))
        app.open()
        transport = httpx.ASGITransport(app=app, client=(client, 4321))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
                for number in range(3):
                    await call(http, f"r{number}")
                await call(http, "r3", {**MATCHING, "name": "another name"})
                await call(http, "r4", x_purpose="other")
                await call(http, "r5", authorization="Bearer gsk_nobody")
                return await http.get("/metrics", headers=headers)
        finally:
            await app.close()

    return asyncio.run(work())


def test_calls_are_counted_by_result_and_refusal(world):
    response = told(world)
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    counted = {labels: value for (name, labels), value in samples.items() if name == "gongshu_gateway_calls_total"}
    assert counted == {
        (("code", ""), ("result", "match")): 3.0, (("code", ""), ("result", "mismatch")): 1.0,
        (("code", "purpose-not-agreed"), ("result", "refused")): 1.0, (("code", "key-unknown"), ("result", "refused")): 1.0,
    }  # fmt: skip
    assert samples["gongshu_gateway_request_seconds_count", ()] == 6.0
    assert samples["gongshu_gateway_ready", ()] == 1.0
    assert samples["gongshu_gateway_snapshot_number", ()] == 1.0
    assert samples["gongshu_gateway_waiting_records", ()] == 0.0


def test_nothing_of_a_call_is_in_them(world):
    text = told(world).text
    sent = [*MATCHING.values(), "r1", "another name", "gsk_", "contract-", "product-", "127.0.0.1"]
    assert not [value for value in sent if value in text]


@pytest.mark.parametrize(
    ("client", "headers"), [("203.0.113.1", {}), ("127.0.0.1", {"x-forwarded-for": "203.0.113.1"})]
)
def test_others_are_told_nothing(world, client, headers):
    assert told(world, client, **headers).json()["code"] == "gateway-route-unknown"
