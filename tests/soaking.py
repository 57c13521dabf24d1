"""Load of every sort on a gateway with many contracts, for as long as wanted: does its memory stay flat?"""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gongshu.base import signing
from gongshu.base.days import Period
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId
from gongshu.delivery.service.signatures import opener_of, signing_secret
from gongshu.delivery.types import Snapshot
from tests.gateways import DIFFERING, MATCHING, PRODUCT, PURPOSE, UNKNOWN, World, policy

CONTRACTS = 300
FIELDS = (MATCHING, DIFFERING, UNKNOWN)
LARGE = 10**9
VERIFY, BATCH = f"/v1/products/{PRODUCT}/verify", f"/v1/products/{PRODUCT}/batch"


def secret_of(number: int) -> str:
    """Return the secret of a contract's plain key."""
    return f"gsk_soak_{number}"


@dataclass
class ManyContracts(World):
    """A gateway's world with many contracts for one product, each with a plain and a signing key."""

    many: int = CONTRACTS

    def snapshot(self) -> Snapshot:
        """Return the snapshot as it would be published now."""
        made = super().snapshot()
        (one,) = made.contracts
        contracts = []
        for number in range(self.many):
            signs = f"sign-{number}"
            keys = {
                sha256_hex(secret_of(number).encode()): KeyId(f"key-{number}"), sha256_hex(opener_of(signs)): KeyId(signs),
            }  # fmt: skip
            contracts.append(
                replace(one, id=ContractId(f"contract-{number}"), key_ids=keys, signing_keys=frozenset({KeyId(signs)}))
            )
        return replace(made, contracts=tuple(contracts))


def make_world(home: Path, clock: Any, start: datetime, many: int = CONTRACTS) -> ManyContracts:
    """Return a world whose contracts last and whose limits nobody reaches, but for calls per second."""
    period = Period(start - timedelta(days=30), start + timedelta(days=300))
    limits = {"calls_max": LARGE, "calls_per_day_max": LARGE, "calls_per_second_max": 50}
    made = ManyContracts(home, clock, policy(period=period, **limits), many=many)
    made.publish(age_seconds_max=300 * 86_400)
    return made


def requests(world: ManyContracts, draw: random.Random, prefix: str) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Yield path, headers and body of calls without end: plain, signed, replayed, repeated, refused, unknown, in batches."""
    number, last = 0, ("", {}, b"")
    secrets = {f"sign-{one}": signing_secret(world.keys, f"sign-{one}").encode() for one in range(world.many)}
    while True:
        number += 1
        request_id, contract = f"{prefix}{number}", draw.randrange(world.many)
        head = {"authorization": f"Bearer {secret_of(contract)}", "x-request-id": request_id, "x-purpose": PURPOSE}
        body, path = json.dumps(draw.choice(FIELDS)).encode(), VERIFY
        match draw.randrange(10):
            case 0:
                items = [{"id": f"{request_id}-{place}", "fields": draw.choice(FIELDS)} for place in range(20)]
                path, body = BATCH, json.dumps({"items": items}).encode()
            case 1:
                head["authorization"] = f"Bearer stranger-{prefix}{number}"
            case 2:
                head["x-purpose"] = f"other-{number}"
            case 3:
                body = json.dumps({f"field{number}": "x"}).encode()
            case 4 | 5:
                key, stamp, nonce = (
                    f"sign-{contract}",
                    str(int(world.clock().timestamp())),
                    f"nonce-{prefix}-{number:0>12}",
                )
                text = signing.text_to_sign(
                    signing.DEFAULT_ALGORITHM, "POST", path, stamp, nonce, request_id, PURPOSE, body
                )
                signature = signing.signature_of(signing.DEFAULT_ALGORITHM, secrets[key], text)
                head["authorization"] = signing.header_of(signing.DEFAULT_ALGORITHM, key, signature)
                head |= {"x-timestamp": stamp, "x-nonce": nonce}
            case 6 if last[0]:
                path, head, body = last  # the very same again: a repeated id, or a replayed nonce
        last = (path, head, body)
        yield path, head, body


def wire(path: str, head: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: gateway", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in head.items())]).encode() + b"\r\n\r\n" + body


async def load(world: ManyContracts, port: int, seed: str, until: asyncio.Event) -> int:
    """Ask on one connection after the other until told; returns how many answers came."""
    draw, answers = random.Random(seed), 0
    asked = requests(world, draw, seed)
    while not until.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(draw.randrange(1, 400)):
            writer.write(wire(*next(asked)))
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
            answers += 1
            if until.is_set() or "connection: close" in head:
                break
        writer.close()
    return answers


def resident_bytes(process: int) -> int:
    """Return how much memory of the machine a process has."""
    fields = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


def serve(home: Path, port: int, log: Path) -> None:
    """Run a gateway that forgets request ids and nonces quickly, so that its memory soon is as large as it gets."""
    import os
    import time

    from gongshu.delivery.api.application import GatewayApp
    from gongshu.delivery.api.gateway import server_for
    from gongshu.delivery.service import signatures
    from gongshu.metering import service as metering
    from tests.gateways import open_gateway

    signatures.WINDOW = timedelta(
        seconds=-40
    )  # with the skew that is allowed, a generation of nonces lasts twenty seconds

    with log.open("ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    world = ManyContracts(home, lambda: datetime.now(UTC))
    limits = metering.MeterLimits(segment_bytes_max=4 << 20, segment_seconds_max=5, window_seconds=5)
    app = GatewayApp(lambda: open_gateway(world, limits=limits, monotonic=time.monotonic))
    server_for(app, "127.0.0.1", port).run()
