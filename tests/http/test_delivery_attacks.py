"""Attacks on what the gateway believes of a caller: its signature, its address, its key, and the snapshot behind them."""

import asyncio
import json
import random
from datetime import timedelta

import httpx
import pytest

from gongshu.base import signing
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import KeyId
from gongshu.delivery import adapters
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.service.signatures import opener_of, signing_secret
from tests.gateways import (
    CONTRACT,
    MATCHING,
    PRODUCT,
    PURPOSE,
    SECRET,
    START,
    World,
    headers,
    open_gateway,
    policy,
    serving,
)

KEY = "key-9"
PATH = f"/v1/products/{PRODUCT}/verify"
DAY = 86_400


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self):
        return self.time


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", Clock())
    ids = {sha256_hex(SECRET.encode()): KeyId("key-1"), sha256_hex(opener_of(KEY)): KeyId(KEY)}
    changes = {"key_ids": ids, "signing_keys": frozenset({KeyId(KEY)})}
    made.publish(contract_changes=changes, age_seconds_max=300 * DAY)
    return made


def signed(world: World, name: str, *, path: str = PATH, stamp: str = "", purpose: str = PURPOSE) -> dict[str, str]:
    """Return the headers of a signed call."""
    stamp, nonce = stamp or str(int(world.clock().timestamp())), f"nonce-{name:0>12}"
    text = signing.text_to_sign(
        signing.DEFAULT_ALGORITHM, "POST", path, stamp, nonce, name, purpose, json.dumps(MATCHING).encode()
    )
    signature = signing.signature_of(signing.DEFAULT_ALGORITHM, signing_secret(world.keys, KEY).encode(), text)
    return {
        "authorization": signing.header_of(signing.DEFAULT_ALGORITHM, KEY, signature), "x-request-id": name,
        "x-purpose": purpose, "x-timestamp": stamp, "x-nonce": nonce,
    }  # fmt: skip


async def post(client: httpx.AsyncClient, head, path: str = PATH) -> str:
    """Make a call and return its result, or the code of its refusal."""
    answer = (await client.post(path, headers=head, content=json.dumps(MATCHING).encode())).json()
    return answer.get("result") or answer["code"]


# --------------------------------------------------------------------------------------------------------- signatures


@pytest.mark.parametrize("jump", [timedelta(minutes=7), timedelta(days=1), timedelta(days=31)])
def test_a_clock_that_jumps_there_and_back_lets_no_call_be_replayed(world, jump):
    async def work() -> list[str]:
        async with serving(world) as client:
            first = signed(world, "r1")
            said = [await post(client, first)]
            for number in range(4):  # so many calls, each after a jump, that the nonce is forgotten
                world.clock.time += jump
                said.append(await post(client, signed(world, f"s{number}")))
            world.clock.time = START + timedelta(seconds=1)
            return [*said, await post(client, first)]

    said = asyncio.run(work())
    assert said[:-1] == ["match"] * 5
    assert said[-1] in {"signature-stale", "nonce-repeated"}


def test_a_clock_that_jumps_back_forgets_no_nonce_and_fills_no_memory(world):
    async def work() -> tuple[list[str], int]:
        async with serving(world) as client:
            world.clock.time = START + timedelta(days=30)
            await post(client, signed(world, "r0"))
            world.clock.time = START + timedelta(days=1)
            said = []
            for number in range(30):
                world.clock.time += timedelta(minutes=7)
                head = signed(world, f"t{number}")
                said += [await post(client, head), await post(client, head)]
            signatures = client._transport.app._gateway._signatures
            return said, len(signatures._recent) + len(signatures._older)

    said, kept = asyncio.run(work())
    assert set(said[1::2]) <= {"nonce-repeated", "signature-stale"}
    assert kept < 10


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head | {"authorization": head["authorization"].replace("SHA256", "SM3")},
        lambda head: head | {"authorization": head["authorization"][:-64] + head["authorization"][-64:].upper()},
        lambda head: head | {"authorization": head["authorization"] + ","},
        lambda head: head | {"authorization": head["authorization"].replace("Key=key-9", "Key=key-1")},
        lambda head: head | {"x-timestamp": "+" + head["x-timestamp"]},
        lambda head: head | {"x-timestamp": "0" + head["x-timestamp"]},
        lambda head: head | {"x-timestamp": "9" * 40},
        lambda head: head | {"x-nonce": head["x-nonce"].upper()},
        lambda head: head | {"x-purpose": ""},
        lambda head: head | {"x-request-id": "other"},
    ],
)  # fmt: skip
def test_no_other_form_of_a_signed_call_is_believed(world, change):
    async def work() -> str:
        async with serving(world) as client:
            return await post(client, change(signed(world, "r1")))

    assert asyncio.run(work()) in {"signature-invalid", "key-missing", "key-unknown"}
    assert world.records() == []


def test_what_was_signed_for_one_path_is_worth_nothing_on_another(world):
    async def work() -> list[str]:
        async with serving(world) as client:
            return [
                await post(client, signed(world, "r1"), path) for path in (f"/v1/products/{PRODUCT}/batch", PATH + "/")
            ]

    assert asyncio.run(work()) == ["signature-invalid", "gateway-route-unknown"]


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer signing:{KEY}", f"Bearer {sha256_hex(SECRET.encode())}", f"Bearer  {SECRET}", f"Bearer {SECRET} ", "Bearer ",
        f"Bearer {SECRET}\x00", f"Basic {SECRET}", SECRET, f"GONGSHU-HMAC-SHA256 Key={KEY}, Signature={'0' * 64}",
    ],
)  # fmt: skip
def test_nothing_but_the_secret_itself_opens_a_contract(world, authorization):
    async def work() -> str:
        async with serving(world) as client:
            return await post(
                client, [*headers("r1", authorization="").items(), ("authorization", authorization.encode())]
            )

    assert asyncio.run(work()) in {"key-unknown", "key-missing", "signature-invalid"}
    assert world.records() == []


# ------------------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("forwarded", "said"),
    [
        (["10.1.2.3, 198.51.100.9"], "address-not-agreed"), (["198.51.100.9, 10.1.2.3"], "match"),
        (["10.1.2.3", "198.51.100.9"], "address-not-agreed"), (["10.1.2.3,"], "address-not-agreed"),
        (["10.1.2.3:4711"], "address-not-agreed"), (["::ffff:10.1.2.3"], "match"), (["10.1.2.3%0"], "address-not-agreed"),
        (["010.1.2.3"], "address-not-agreed"), (["０.1.2.3"], "address-not-agreed"), ([], "address-not-agreed"),
    ],
)  # fmt: skip
def test_only_the_hop_that_the_proxy_saw_counts(world, forwarded, said):
    world.publish(policy=policy(addresses=("10.0.0.0/8",)))

    async def work() -> str:
        app = GatewayApp(lambda: open_gateway(world), frozenset({"203.0.113.1"}))
        app.open()
        transport = httpx.ASGITransport(app=app, client=("203.0.113.1", 4321))
        given = [*headers("r1").items(), *(("x-forwarded-for", value.encode()) for value in forwarded)]
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                return await post(client, given)
        finally:
            await app.close()

    assert asyncio.run(work()) == said


# ------------------------------------------------------------------------------------------------------------- snapshot


@pytest.mark.parametrize("seed", range(20))
def test_no_byte_of_a_snapshot_can_be_changed(world, seed):
    """Head and shards: whatever is flipped, cut or swapped, what is served is what was signed, or nothing."""
    draw = random.Random(seed)
    folder = world.home / "gateway"
    shards = sorted((folder / "shards").iterdir())
    path = draw.choice([folder / "snapshot.json", *shards])
    data = bytearray(path.read_bytes())
    match draw.randrange(3):
        case 0:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        case 1:
            del data[draw.randrange(len(data)) :]
        case _:
            data = bytearray(
                draw.choice(shards).read_bytes() if path not in shards else shards[0].read_bytes() + b"\xc0"
            )
    path.write_bytes(data)

    async def work() -> str:
        async with serving(world) as client:
            return await post(client, headers("r1"))

    assert asyncio.run(work()) in {"snapshot-missing", "snapshot-damaged", "product-unknown"}
    assert not any(record.is_charged for record in world.records())


def test_the_shard_of_an_earlier_head_gives_nothing_back_that_was_taken(world):
    """An attacker who can write files puts back the shard in which its key was still good, under the new name and the old."""
    old = {path.name: path.read_bytes() for path in (world.home / "gateway" / "shards").iterdir()}
    world.publish(contract_changes={"stop_code": "contract-stopped"})
    for path in (world.home / "gateway" / "shards").iterdir():
        if path.name not in old:
            path.write_bytes(old[draw_one(old)])

    async def work() -> str:
        async with serving(world) as client:
            return await post(client, headers("r1"))

    assert asyncio.run(work()) in {"snapshot-damaged", "contract-stopped"}
    assert adapters.snapshot_path(world.home).exists()
    assert {record.contract for record in world.records()} <= {CONTRACT}


def draw_one(old: dict[str, bytes]) -> str:
    return max(old, key=lambda name: len(old[name]))
