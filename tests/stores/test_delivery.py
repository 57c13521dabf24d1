"""Keys and the snapshot, on both stores: what the control plane tells the gateways, and what it keeps to itself."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from gongshu.access.types import Actor
from gongshu.audit import service as audit
from gongshu.base.days import Period
from gongshu.base.decisions import Refused
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ConsentId, GrantId
from gongshu.base.paging import PageRequest
from gongshu.base.site import Site
from gongshu.consents import service as consents
from gongshu.consents.store import CONSENTS
from gongshu.consents.types import Consent, ConsentStatus, ConsentTerms
from gongshu.delivery import adapters, store
from gongshu.delivery import service as delivery
from gongshu.delivery.types import Answered, IncomingCall, Snapshot
from gongshu.grants import store as grants_store
from gongshu.grants.types import GrantStatus
from gongshu.metering.types import ResultCode
from gongshu.products import service as products
from gongshu.products import store as products_store
from gongshu.products.types import Contract, Definition, ProductKind
from tests import samples, world
from tests.gateways import DEFINITION, KNOWN, MATCHING, make_artifact
from tests.world import AUDITOR, BANK, OPERATOR

SHOP = samples.actor(samples.BUREAU, *BANK.roles)


@pytest.fixture
def contract(site: Site) -> Contract:
    """A signed contract for a verification product whose released file is there."""
    world.settle(site)
    listing = world.listed(site)
    with site.db.transaction() as tx:
        product = products.product_in(tx, listing.product_id)
        path = site.home / "releases" / product.release_id / "verification.lmdb"
        make_artifact(path, site.keys, KNOWN.items())
        served = replace(
            product, kind=ProductKind.VERIFY, definition=Definition(verification=DEFINITION), artifact_name=path.name,
            artifact_sha256=sha256_hex(path.read_bytes()),
        )  # fmt: skip
        products_store.PRODUCTS.save(tx, product, served)
    return world.contracted(site, listing)


def published(site: Site) -> Snapshot:
    """Read the snapshot as a gateway does."""
    return adapters.read_snapshot(site.home)


def entries(site: Site, action: str) -> list:
    return list(audit.list_entries(site, AUDITOR, PageRequest(), action=action).rows)


def refused(work) -> list[str]:
    with pytest.raises(Refused) as caught:
        work()
    return [reason.code for reason in caught.value.reasons]


def test_a_key_is_shown_once_kept_as_a_hash_and_published_at_once(site, contract):
    secret, key = delivery.create_key(site, BANK, contract.id)
    assert key.secret_sha256 == sha256_hex(secret.encode())
    (served,) = published(site).contracts
    assert served.key_ids == {key.secret_sha256: key.id}
    assert (served.id, served.digest, served.stop_code) == (contract.id, contract.digest, "")
    with site.db.reading() as tx:
        kept = [str(row) for row in tx.execute(store.KEYS.table.select())]
    assert secret not in "".join(kept) + adapters.snapshot_path(site.home).read_text()
    (entry,) = entries(site, "key.create")
    assert secret not in json.dumps(entry.facts)
    assert entry.origins == (contract.ref,)


@pytest.mark.parametrize(
    ("actor", "codes"), [(SHOP, ["not-found"]), (OPERATOR, ["permission-missing"]), (AUDITOR, ["permission-missing"])]
)
def test_only_the_consumer_of_a_contract_makes_its_keys(site, contract, actor, codes):
    assert refused(lambda: delivery.create_key(site, actor, contract.id)) == codes
    assert [entry.outcome for entry in entries(site, "key.create")] == ["denied"]
    with site.db.reading() as tx:
        assert store.KEYS.count(tx) == 0


def test_a_revoked_key_is_out_of_the_next_snapshot(site, contract):
    _, key = delivery.create_key(site, BANK, contract.id)
    before = published(site).number
    assert refused(lambda: delivery.revoke_key(site, SHOP, key.id)) == ["not-found"]
    assert delivery.revoke_key(site, BANK, key.id).revoked_at == site.now()
    assert published(site).number == before + 1
    assert published(site).contracts == ()
    assert refused(lambda: delivery.revoke_key(site, BANK, key.id)) == ["key-revoked-already"]
    assert [row.id for row in delivery.list_keys(site, BANK, contract.id, PageRequest()).rows] == [key.id]
    assert delivery.list_keys(site, SHOP, contract.id, PageRequest()).rows == ()


def test_a_snapshot_is_issued_again_only_when_it_grows_old(site, contract, clock):
    delivery.create_key(site, BANK, contract.id)
    first = published(site)
    delivery.publish_snapshot(site)
    assert published(site) == first
    clock.move(seconds=first.age_seconds_max / 2)
    delivery.publish_snapshot(site)
    again = published(site)
    assert (again.number, again.issued_at, again.contracts) == (first.number, site.now(), first.contracts)
    assert len(entries(site, "snapshot.publish")) == 1  # only what changed is a decision


def test_a_snapshot_after_the_clock_went_back_is_still_a_later_one(site, contract, clock):
    delivery.create_key(site, BANK, contract.id)
    first = published(site)
    clock.move(hours=-3)
    again = delivery.publish_snapshot(site)
    assert again.number > first.number


def test_a_forged_or_lost_snapshot_is_replaced_by_a_later_one(site, contract):
    delivery.create_key(site, BANK, contract.id)
    first = published(site)
    path = adapters.snapshot_path(site.home)
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":9'))
    with pytest.raises(adapters.SnapshotInvalid):
        published(site)
    delivery.publish_snapshot(site)
    assert (published(site).contracts, published(site).number) == (first.contracts, first.number)
    path.unlink()
    delivery.publish_snapshot(site)
    assert published(site).contracts == first.contracts


def end_grant(site: Site, grant_id: GrantId) -> None:
    with site.db.transaction() as tx:
        grant = grants_store.GRANTS.get(tx, grant_id)
        grants_store.GRANTS.save(tx, grant, replace(grant, status=GrantStatus.ENDED, ended_at=site.now()))


def test_the_end_of_a_grant_and_of_a_contract_are_told_apart(site, contract):
    delivery.create_key(site, BANK, contract.id)
    products.terminate_contract(site, BANK, contract.id, "不再需要")
    delivery.publish_snapshot(site)
    assert [served.stop_code for served in published(site).contracts] == ["contract-stopped"]
    end_grant(site, contract.terms.grant)
    delivery.publish_snapshot(site, is_whole=True)
    assert [served.stop_code for served in published(site).contracts] == ["grant-ended"]


def test_keys_under_an_ended_grant_are_named_for_disposal(site, contract):
    _, key = delivery.create_key(site, BANK, contract.id)
    with site.db.transaction() as tx:
        disposals = delivery.stop_under_in(tx, site, world.AGENCY, contract.terms.grant, "到期")
        assert delivery.stop_under_in(tx, site, world.AGENCY, GrantId("grant-other"), "到期") == ()
    assert [disposal.ref for disposal in disposals] == [key.ref]
    (entry,) = entries(site, "key.stop")
    assert entry.subject == key.ref


async def serve(site: Site, *calls: IncomingCall) -> list:
    gateway = delivery.Gateway(site.home, "g1", site.clock, site.keys)
    try:
        return [await gateway.answer(call) for call in calls]
    finally:
        await gateway.close()


def test_a_gateway_serves_what_was_published(site, contract):
    secret, _ = delivery.create_key(site, BANK, contract.id)
    path, body = f"/v1/products/{contract.terms.product_id}/verify", json.dumps(MATCHING).encode()
    (purpose,) = contract.terms.policy.purposes
    calls = [
        IncomingCall(path, secret.encode(), "r1", purpose, body),
        IncomingCall(path, secret.encode(), "r2", "another", body),
    ]
    answered, turned = asyncio.run(serve(site, *calls))
    assert isinstance(answered, Answered)
    assert answered.receipt.result is ResultCode.MATCH
    assert answered.receipt.product_digest == contract.terms.product.digest
    assert [reason.code for reason in turned.reasons] == ["purpose-not-agreed"]
    seen = delivery.list_calls(site, BANK, contract.id, PageRequest()).rows
    assert [(record.request_id, record.refusal_code) for record in seen] == [("r2", "purpose-not-agreed"), ("r1", "")]
    assert seen[1].position == answered.receipt.call


@pytest.mark.parametrize(
    ("actor", "may_see"), [(BANK, True), (OPERATOR, True), (AUDITOR, True), (world.AGENCY, True), (SHOP, False)]
)
def test_calls_are_listed_to_both_sides_and_to_supervisors(sqlite_site, actor: Actor, may_see):
    world.settle(sqlite_site)
    signed = world.contracted(sqlite_site, world.listed(sqlite_site))
    world.call(sqlite_site, signed, {ResultCode.MATCH: 2})
    if may_see:
        assert len(delivery.list_calls(sqlite_site, actor, signed.id, PageRequest()).rows) == 2
    else:
        assert refused(lambda: delivery.list_calls(sqlite_site, actor, signed.id, PageRequest())) == ["not-found"]


def test_a_contract_is_served_to_the_end_of_its_period_by_the_gateways_clock(site, contract, clock):
    secret, _ = delivery.create_key(site, BANK, contract.id)
    clock.move(seconds=(contract.terms.policy.period.end - site.now()) / timedelta(seconds=1))
    delivery.publish_snapshot(site)
    (served,) = published(site).contracts
    call = IncomingCall(
        f"/v1/products/{contract.terms.product_id}/verify", secret.encode(), "r1", contract.terms.policy.purposes[0],
        json.dumps(MATCHING).encode(),
    )  # fmt: skip
    (turned,) = asyncio.run(serve(site, call))
    assert (served.stop_code, [reason.code for reason in turned.reasons]) == ("", ["contract-expired"])


def consented(site: Site, contract: Contract, number: int, days: int = 30) -> Consent:
    """Put a consent under ``contract``."""
    terms = ConsentTerms(
        "a" * 64, contract.terms.consumer, contract.terms.policy.purposes[0], contract.terms.product_id,
        contract.terms.product.digest, Period(site.now(), site.now() + timedelta(days=days)),
    )  # fmt: skip
    consent = Consent(
        ConsentId(f"consent-{number}"), terms, contract.id, contract.terms.operator, OPERATOR.person,
        sha256_hex(b"code"), ConsentStatus.GIVEN, site.now(),
    )  # fmt: skip
    with site.db.transaction() as tx:
        CONSENTS.add(tx, consent)
    return consent


def test_a_withdrawal_rewrites_one_shard_and_is_left_out_once_time_has_ended_the_consent(site, contract, clock):
    delivery.create_key(site, BANK, contract.id)
    for number in (1, 2):
        consented(site, contract, number, days=number)
    consents.withdraw(site, OPERATOR, ConsentId("consent-1"))
    first = delivery.publish_snapshot(site)
    assert published(site).withdrawn == ("consent-1",)
    consents.withdraw_own(site, world.PUBLIC, ConsentId("consent-2"), "code")
    second = delivery.publish_snapshot(site)
    assert (second.number, second.contracts, second.products) == (first.number + 1, first.contracts, first.products)
    assert published(site).withdrawn == ("consent-1", "consent-2")
    clock.move(days=1)
    delivery.publish_snapshot(site, is_whole=True)
    assert published(site).withdrawn == ("consent-2",)
