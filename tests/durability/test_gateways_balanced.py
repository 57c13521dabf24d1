"""Gateways behind HAProxy, with the configuration of the example: where calls land, and what a caller cannot pretend."""

import asyncio
import shutil

import httpx
import pytest

from examples.three_gateways.balancer import balancing
from tests.gateways import free_port
from tests.spread import Cluster, call, contract_ids, headers_of

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is missing: apt-get install haproxy")
CONTRACTS = 8


def forwarded(cluster: Cluster) -> int:
    """Return how many calls went one hop further."""
    total = 0
    for name in ("g1", "g2"):
        for line in httpx.get(f"{cluster.address(name)}/metrics").text.splitlines():
            total += int(float(line.split()[1])) if line.startswith("gongshu_gateway_calls_forwarded ") else 0
    return total


def test_calls_land_right_when_a_client_says_where_and_go_one_hop_when_it_does_not(tmp_path):
    with Cluster(tmp_path / "var", contracts=CONTRACTS) as cluster:
        cluster.join("g1", "g2")
        cluster.wait_until_spread("g1", "g2")
        ports = {name: cluster.ports[name] for name in ("g1", "g2")}
        with balancing(free_port(), ports, tmp_path) as address:
            asyncio.run(calls(cluster, address))


async def calls(cluster: Cluster, address: str) -> None:
    owners: dict[str, str] = {}
    async with httpx.AsyncClient(timeout=20) as client:
        for number, contract in enumerate(contract_ids(CONTRACTS)):
            answer = await call(client, address, contract, "r1", number)
            assert answer.status_code == httpx.codes.OK, answer.text
            if "x-gongshu-gateway" in answer.headers:
                owners[contract] = answer.headers["x-gongshu-gateway"]
                assert owners[contract] == cluster.owner(contract)
        assert forwarded(cluster) == len(owners)
        for number, contract in enumerate(contract_ids(CONTRACTS)):
            hint = {"x-gongshu-gateway": owners[contract]} if contract in owners else {}
            again = await client.post(
                f"{address}/v1/products/product-1/verify", headers=headers_of(contract, "r2") | hint, json={"a": "b"}
            )
            assert again.json()["code"] == "call-field-missing", number
        assert forwarded(cluster) == len(owners)  # none more
        # What a caller pretends: that it is a gateway, or that it may speak to one.
        contract = contract_ids(CONTRACTS)[0]
        pretended = headers_of(contract, "r3") | {"x-gongshu-hop": "g2", "x-gongshu-hop-address": "10.0.0.1"}
        direct = await client.post(f"{cluster.address('g1')}/v1/products/product-1/verify", headers=pretended, json={})
        assert (direct.status_code, direct.json()["code"]) == (401, "gateway-unknown")
        for path in ("/link/hand-over", "/metrics"):
            assert (await client.post(f"{address}{path}")).status_code == httpx.codes.FORBIDDEN
        assert (await client.post(f"{cluster.address('g1')}/link/hand-over", content=b"x")).status_code == 401
