"""Consent at the gateway, for a verification that asks for it: offline, from the snapshot, and closed when in doubt."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from gongshu.base.days import Period
from gongshu.base.ids import ConsentId, ContractId, PartyId, PersonId
from gongshu.consents import rules
from gongshu.consents import service as consents
from gongshu.consents.types import Consent, ConsentStatus, ConsentTerms
from gongshu.delivery.types import Snapshot
from gongshu.products.types import Definition
from tests.gateways import DEFINITION, DIFFERING, MATCHING, PRODUCT, PURPOSE, START, UNKNOWN, World, call, serving

NEEDING = Definition(verification=replace(DEFINITION, needs_consent=True))


@dataclass
class AskingWorld(World):
    """A world whose product needs consent."""

    withdrawn: tuple[str, ...] = ()
    has_key: bool = True

    def snapshot(self) -> Snapshot:
        """Return the snapshot as it would be published now."""
        made = super().snapshot()
        (product,) = made.products
        key = consents.public_key(self.keys).hex() if self.has_key else ""
        asking = replace(product, definition=NEEDING, needs_consent=True)
        return replace(made, products=(asking,), withdrawn=self.withdrawn, consent_key=key)

    def token(self, number: int = 1, fields: dict[str, str] = MATCHING) -> str:
        """Return the token of a consent that the subject of ``fields`` gave."""
        subject = consents.subject_of(NEEDING, consents.subject_secret(self.keys), fields)
        terms = ConsentTerms(
            subject.hex(), PartyId("bank"), PURPOSE, PRODUCT, "ab" * 32, Period(START, START + timedelta(days=9))
        )
        consent = Consent(
            ConsentId(f"consent-{number}"), terms, ContractId("contract-1"), PartyId("operator"), PersonId("desk"),
            "cd" * 32, ConsentStatus.GIVEN, START,
        )  # fmt: skip
        return rules.token_of(consent, self.keys.secret(consents.SIGNING_SECRET))


@pytest.fixture
def world(tmp_path):
    made = AskingWorld(tmp_path / "var", lambda: START)
    made.contract_changes = {"product_digest": "ab" * 32}
    made.publish()
    return made


def run(world, work):
    async def inside():
        async with serving(world) as client:
            return await work(client)

    return asyncio.run(inside())


def codes(answer) -> list[str]:
    return [] if answer.status_code == 200 else [reason["code"] for reason in answer.json()["reasons"]]


def test_a_verification_that_asks_for_consent_is_answered_with_it_and_refused_without(world):
    async def work(client):
        token, unknown = world.token(), world.token(2, UNKNOWN)
        return [
            await call(client, "r1", MATCHING, x_consent=token),
            await call(client, "r2", DIFFERING, x_consent=token),  # the same subject under another name
            await call(client, "r3", UNKNOWN, x_consent=unknown),
            await call(client, "r4", MATCHING),
            await call(client, "r5", MATCHING, x_consent=unknown),
        ]

    answers = run(world, work)
    assert [a.json().get("result") for a in answers[:3]] == ["match", "mismatch", "no_record"]
    assert len({len(answer.content) for answer in answers[:3]}) == 1
    assert [codes(answer) for answer in answers[3:]] == [["consent-missing"], ["consent-other-subject"]]


def test_a_token_that_was_believed_is_refused_from_the_snapshot_on_that_tells_of_its_withdrawal(world):
    async def work(client):
        token, other = world.token(1), world.token(2)
        before = await call(client, "r1", MATCHING, x_consent=token)
        world.publish(withdrawn=("consent-1", "consent-9"))
        return (
            before,
            await call(client, "r2", MATCHING, x_consent=token),
            await call(client, "r3", MATCHING, x_consent=other),
        )

    before, after, other = run(world, work)
    assert [codes(answer) for answer in (before, after, other)] == [[], ["consent-withdrawn"], []]


def test_without_the_key_of_the_snapshot_nothing_is_believed(world):
    world.publish(has_key=False)
    token = world.token()
    assert codes(run(world, lambda client: call(client, "r1", MATCHING, x_consent=token))) == ["consent-invalid"]


def test_when_the_list_of_withdrawals_is_damaged_nobody_is_asked_about(world):
    world.publish(withdrawn=("consent-9",))
    shards = {path for path in (world.home / "gateway" / "shards").iterdir() if b"consent-9" in path.read_bytes()}
    assert shards
    for path in shards:
        path.write_bytes(b"")
    token = world.token()
    answer = run(world, lambda client: call(client, "r1", MATCHING, x_consent=token))
    assert (answer.status_code, codes(answer)) == (503, ["snapshot-damaged"])
