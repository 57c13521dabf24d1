"""An attacker with a good contract walks through ids: it learns of so many subjects as its counts allow, and of no more.

Whatever is refused looks the same for a subject that is there and for one that is not, and is refused before anything is looked up.
"""

import asyncio
import json
import os
import random
from dataclasses import dataclass, field

import httpx
import pytest

from gongshu.base.digest import sha256_hex
from gongshu.base.ids import KeyId
from gongshu.delivery.service.kinds import open_verification
from gongshu.products.types import ProductKind
from tests.gateways import KNOWN, PRODUCT, START, World, call, headers, policy, serving

SEED = int(os.environ.get("GONGSHU_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
CALLS_MAX = 25
OTHER_SECRET = "gsk_other"
PATH = f"/v1/products/{PRODUCT}"
THERE = next(iter(KNOWN))
NOBODY = "91350000MA8888888X"


@dataclass
class Looked:
    """What was looked up in the artifact: nothing else of the gateway can tell who is there."""

    inputs: list[str] = field(default_factory=list)

    def openers(self) -> dict:
        """Return what opens a verification and keeps count."""

        def opener(*given):
            answer = open_verification(*given)

            def counting(fields):
                self.inputs.append(fields["credit_code"])
                return answer(fields)

            return counting

        return {ProductKind.VERIFY: opener}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", lambda: START, policy(calls_max=CALLS_MAX, calls_per_second_max=10**6))
    ids = {
        sha256_hex(secret.encode()): KeyId(name) for name, secret in (("key-1", "gsk_bank"), ("key-2", OTHER_SECRET))
    }
    made.publish(contract_changes={"key_ids": ids})
    return made


def subject(number: int) -> dict[str, str]:
    """Return input about one of very many ids; some of them are there."""
    code = THERE if number % 7 == 0 else f"91350000MA{number:07d}X"
    return {"credit_code": code, "name": f"企业{number}"}


class Attacker:
    """Tries everything that a caller can, and keeps what it learned."""

    def __init__(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        self.client, self.draw, self.number = client, draw, 0
        self.learned: dict[str, str] = {}
        self.answered: set[str] = set()

    def fresh(self) -> dict[str, str]:
        self.number += 1
        return subject(self.number)

    def note(self, fields: dict[str, str], said: dict) -> None:
        if said.get("result") in {"match", "mismatch", "no_record"}:
            self.learned[json.dumps(fields)] = said["result"]
            self.answered.add(said.get("call") or said["receipt"]["call"])

    async def single(self, **changes: str) -> None:
        fields = self.fresh()
        request_id = self.draw.choice([f"e{self.number}", f"e{self.draw.randrange(1, self.number + 1)}", "same", ""])
        answer = await call(self.client, request_id, fields, **changes)
        self.note(fields, answer.json())

    async def batch(self) -> None:
        items = [self.fresh() for _ in range(self.draw.randrange(1, 12))]
        ids = [self.draw.choice([f"b{self.number}-{place}", f"e{place}", f"b1-{place}"]) for place in range(len(items))]
        body = {"items": [{"id": name, "fields": fields} for name, fields in zip(ids, items, strict=True)]}
        answer = await self.client.post(f"{PATH}/batch", json=body, headers=headers(f"x{self.number}"))
        for fields, said in zip(items, answer.json().get("items", []), strict=False):
            self.note(fields, said)

    async def at_once(self) -> None:
        await asyncio.gather(*(self.single() for _ in range(8)))

    async def odd(self) -> None:
        """Other methods, conditions, ranges, purposes, overrides."""
        fields = self.fresh()
        method = self.draw.choice(["GET", "HEAD", "OPTIONS", "PUT", "POST"])
        extra = self.draw.choice(
            [
                {"if-none-match": "*"}, {"if-match": "0"}, {"range": "bytes=0-1"}, {"x-http-method-override": "HEAD"}, {"expect": "x"},
                {"x-purpose": "marketing"}, {"x-request-id": "!"}, {"authorization": f"Bearer {OTHER_SECRET}"}, {"prefer": "count=none"},
            ]
        )  # fmt: skip
        given = headers(f"o{self.number}") | extra
        answer = await self.client.request(method, f"{PATH}/verify", json=fields, headers=given)
        if answer.content and answer.headers["content-type"].endswith("json"):
            self.note(fields, answer.json())

    async def attack(self, rounds: int) -> None:
        ways = [
            self.single,
            self.batch,
            self.at_once,
            self.odd,
            lambda: self.single(authorization=f"Bearer {OTHER_SECRET}"),
        ]
        for _ in range(rounds):
            await self.draw.choice(ways)()


@pytest.mark.parametrize("part", range(3))
def test_no_way_of_asking_learns_more_than_the_contract_counts(world, part):
    print(f"GONGSHU_SEED={SEED}")  # noqa: T201 - a seed is printed
    looked = Looked()

    async def work() -> list[Attacker]:
        attackers = []
        for restart in range(2):  # a restart of the gateway gives nothing back
            async with serving(world, openers=looked.openers()) as client:
                attackers.append(Attacker(client, random.Random(f"{SEED}/{part}/{restart}")))
                attackers[-1].number = restart * 1000
                await attackers[-1].attack(40)
        return attackers

    first, second = asyncio.run(work())
    learned, answered = first.learned | second.learned, first.answered | second.answered
    assert len(looked.inputs) == len(answered) == CALLS_MAX  # it had them all, and not one more
    assert len(learned) <= CALLS_MAX
    assert sum(record.result.value in {"match", "mismatch", "no_record"} for record in world.records()) == CALLS_MAX


REFUSED = [
    ("counts used up", {}, {"calls_max": 0}, {}), ("used up today", {}, {"calls_per_day_max": 0}, {}),
    ("too fast", {}, {"calls_per_second_max": 0}, {}), ("another purpose", {"x_purpose": "marketing"}, {}, {}),
    ("no key", {"authorization": ""}, {}, {}), ("a wrong key", {"authorization": "Bearer x"}, {}, {}),
    ("an odd id", {"x_request_id": "!"}, {}, {}), ("stopped", {}, {}, {"stop_code": "contract-stopped"}),
    ("a network", {}, {"addresses": ("203.0.113.0/24",)}, {}), ("signed only", {}, {"is_signed_only": True}, {}),
    ("a certificate", {}, {"certificates": ("0" * 64,)}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "limits", "contract"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_refusal_is_the_same_for_who_is_there_and_who_is_not(world, given, limits, contract):
    looked = Looked()
    world.publish(policy=policy(**limits), contract_changes=world.contract_changes | contract)

    async def work() -> list[httpx.Response]:
        async with serving(world, openers=looked.openers()) as client:
            found = []
            for place, code in enumerate((THERE, NOBODY)):
                fields = {"credit_code": code, "name": "云江茶业有限公司"}
                found.append(await call(client, f"r{place}", fields, **given))
            return found

    answers = asyncio.run(work())
    assert answers[0].status_code == answers[1].status_code >= 400
    said = [answer.text.replace(answer.json()["call"] or "—", "") for answer in answers]
    assert said[0] == said[1]
    there, nobody = (
        {**answer.headers, "content-length": ""} for answer in answers
    )  # the place of the record has more digits
    assert there == nobody
    assert looked.inputs == []


def test_an_id_used_again_for_another_subject_tells_nothing_of_it(world):
    looked = Looked()

    async def work() -> list[dict]:
        async with serving(world, openers=looked.openers()) as client:
            await call(client, "same", {"credit_code": "91350000MA7777777X", "name": "甲"})
            return [
                (await call(client, "same", {"credit_code": code, "name": "云江茶业有限公司"})).json() | {"call": ""}
                for code in (THERE, NOBODY)
            ]

    first, second = asyncio.run(work())
    assert first == second
    assert looked.inputs == ["91350000MA7777777X"]
