"""Several gateways under load: one is killed, comes back, another joins from a machine of its own, one leaves in order.

Every answered call is on record exactly once, wherever it was answered and however often it was sent; no count is exceeded.
"""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import httpx

from gongshu.gateways import service as gateways
from gongshu.metering.types import ANSWERED
from tests.spread import ADMINISTRATOR, Bank, Cluster, call, check_exactly_once, contract_ids

SEED = int(os.environ.get("GONGSHU_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
CONTRACTS, CALLS_MAX, CALLERS = 12, 100, 12
DURING = 40
"""Calls that are made while a gateway goes or comes."""
SHARED = ("request-digest", "request-signing", "verification", "gateway-hop")


def machine_of_its_own(cluster: Cluster, home: Path) -> Path:
    """Bring to another machine what an operator brings: the shared secrets and the control plane's public key."""
    (home / "keys").mkdir(parents=True)
    (home / "gateway").mkdir()
    for name in SHARED:
        cluster.world.keys.secret(name)
        shutil.copy(cluster.home / "keys" / name, home / "keys" / name)
    shutil.copy(cluster.home / "gateway" / "snapshot-signing.pub", home / "gateway" / "snapshot-signing.pub")
    return home


async def trouble(cluster: Cluster, bank: Bank, elsewhere: Path) -> None:
    """Kill, start again, join and leave while calls go on; each time wait until contracts are spread anew."""

    async def answered(more: int) -> None:
        wanted = len(bank.receipts) + more
        while len(bank.receipts) < wanted:
            bank.may_make = max(bank.may_make, bank.made + CALLERS)
            await asyncio.sleep(0.01)

    async def then(step: Callable[[], object], *members: str) -> None:
        bank.may_make = bank.made + DURING
        await asyncio.to_thread(step)
        await asyncio.to_thread(cluster.wait_until_spread, *members)
        bank.addresses[:] = [cluster.address(name) for name in members]
        await answered(20)

    def again(name: str) -> None:
        """Kill a process and start it at once, before anybody has noticed."""
        cluster.kill(name)
        cluster.start_control() if name == "control" else cluster.start(name)

    await answered(60)
    await then(lambda: again("g1"), "g1", "g2", "g3")
    await then(lambda: again("control"), "g1", "g2", "g3")
    await then(lambda: cluster.kill("g2"), "g1", "g3")
    await then(lambda: cluster.start("g2"), "g1", "g2", "g3")
    await then(lambda: cluster.join("g4", home=elsewhere), "g1", "g2", "g3", "g4")
    await then(lambda: cluster.kill("g3", signal.SIGTERM), "g1", "g2", "g4")
    await then(lambda: cluster.kill("g4", signal.SIGTERM), "g1", "g2")
    bank.is_over = True


def test_no_call_is_lost_or_charged_twice_while_gateways_come_and_go(tmp_path):
    print(f"GONGSHU_SEED={SEED}")  # noqa: T201 - a seed is printed
    with Cluster(tmp_path / "var", contracts=CONTRACTS, calls_max=CALLS_MAX) as cluster:
        cluster.join("g1", "g2", "g3")
        cluster.wait_until_spread("g1", "g2", "g3")
        addresses = [cluster.address(name) for name in ("g1", "g2", "g3")]
        bank = Bank(contract_ids(CONTRACTS), random.Random(SEED), addresses)

        async def play() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(bank.load(CALLERS))
                group.create_task(trouble(cluster, bank, machine_of_its_own(cluster, tmp_path / "elsewhere")))
            await bank.ask_again(40)
            await use_up(cluster, bank)

        asyncio.run(play())
        check_exactly_once(cluster, bank)
        ours = {path.name for path in (cluster.home / "usage" / "g4").glob("*.segment")}
        theirs = {path.name for path in (tmp_path / "elsewhere" / "usage" / "g4").glob("*.segment")}
        assert ours == theirs, "what was recorded elsewhere was not sent to the control plane"


async def use_up(cluster: Cluster, bank: Bank) -> None:
    """Call under one contract until nothing is left: exactly as many answers as were agreed, over all gateways together."""
    contract = bank.contracts[0]
    async with httpx.AsyncClient(timeout=20) as client:
        for number in range(CALLS_MAX + 1):
            found = await call(client, bank.addresses[number % 2], contract, f"last-{number}", number)
            if found.status_code != httpx.codes.OK:
                break
        assert found.json()["code"] == "calls-used-up"
    counted = [one for one in cluster.records() if one.contract == contract and one.result in ANSWERED]
    assert len(counted) == CALLS_MAX


def test_a_gateway_elsewhere_that_is_lost_is_waited_for_until_somebody_decides(tmp_path):
    """Nobody can read its disk: its contracts are not answered, and all others are."""
    with Cluster(tmp_path / "var", contracts=CONTRACTS) as cluster:
        cluster.join("g1")
        cluster.join("g2", home=machine_of_its_own(cluster, tmp_path / "elsewhere"))
        cluster.wait_until_spread("g1", "g2")
        ids = contract_ids(CONTRACTS)
        theirs = next(name for name in ids if cluster.owner(name) == "g2")
        ours = next(name for name in ids if cluster.owner(name) == "g1")

        async def code(contract: str, request_id: str) -> tuple[int, str]:
            async with httpx.AsyncClient(timeout=20) as client:
                found = await call(client, cluster.address("g1"), contract, request_id)
                return found.status_code, found.json().get("code", "")

        async def until_answered(contract: str, request_id: str) -> None:
            while (await code(contract, request_id))[0] != httpx.codes.OK:  # noqa: ASYNC110 - as a client does
                await asyncio.sleep(0.02)

        asyncio.run(until_answered(theirs, "r1"))  # one hop
        cluster.kill("g2")
        assert asyncio.run(code(theirs, "r2")) == (503, "peer-away")
        assert asyncio.run(code(ours, "r3"))[0] == httpx.codes.OK
        refused = write_off(cluster)
        assert refused == "lease-runs"
        while write_off(cluster):  # until its lease and the margin are over
            assert asyncio.run(code(ours, "r3"))[0] == httpx.codes.OK
        cluster.wait_until_spread("g1")
        asyncio.run(until_answered(theirs, "r4"))


def write_off(cluster: Cluster) -> str:
    """Try to give the gateway up; returns the code of the refusal."""
    from gongshu.base.decisions import Refused

    try:
        gateways.write_off_gateway(cluster.site, ADMINISTRATOR, "g2", "its disk is broken")
    except Refused as refused:
        return refused.reasons[0].code
    return ""
