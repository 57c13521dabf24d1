"""A site on which the lower rooms have done their part: organisations, a grant, an entitlement, a job that succeeded.

The objects are put straight into the stores; how they come about is those rooms' own tests' affair.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.digest import Ref
from gongshu.base.ids import JobId, KeyId, PartyId
from gongshu.base.money import Tier
from gongshu.base.site import Site
from gongshu.compute import store as compute_store
from gongshu.compute.types import Job, JobKind, OutputFile
from gongshu.egress import service as egress
from gongshu.egress.adapters import files
from gongshu.egress.types import Output, Release, ReviewKind
from gongshu.grants import store as grants_store
from gongshu.grants.types import Agreement, AgreementStatus, SelectionMethod
from gongshu.metering import service as metering
from gongshu.metering.types import ResultCode, StoredRecord
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party
from gongshu.products import service as products
from gongshu.products.types import PLAIN, Contract, Listing, Pricing
from gongshu.scenarios import store as scenarios_store
from tests import samples

CODES = {
    samples.OPERATOR: "91350000MA0000000F", samples.AGENCY: "11450000MA0000001H", samples.SUPPLIER: "11450100MA0000003W",
    samples.DEVELOPER: "91110000MA0000004X", samples.BANK: "91370200MA0000005H", samples.BUREAU: "91330300MA00000069",
}  # fmt: skip

OPERATOR = samples.actor(samples.OPERATOR, Role.OPERATOR)
DEVELOPER = samples.actor(samples.DEVELOPER, Role.DEVELOPER)
BANK = samples.actor(samples.BANK, Role.CONSUMER)
AGENCY = samples.actor(samples.AGENCY, Role.IMPLEMENTING_AGENCY)
SECURITY = samples.actor(samples.BUREAU, Role.REVIEWER, person="security-reviewer")
CONFORMITY = samples.actor(samples.BUREAU, Role.REVIEWER, person="conformity-reviewer")
AUDITOR = samples.actor("auditor", Role.AUDITOR)
PUBLIC = samples.actor("public", Role.PUBLIC)

GROUPS = "SELECT 'region ' || i AS region, 20 + i AS enterprises FROM range(6) t(i)"


def settle(site: Site) -> None:
    """Put organisations, agreement, grant and entitlement in place."""
    agreement = Agreement(
        id="agreement-1", plan=Ref("plan", "plan-1", "d"), selection=SelectionMethod.OPEN_TENDER, applicant="a",
        terms=samples.grant().terms, parts=(), status=AgreementStatus.EFFECTIVE,
    )  # fmt: skip
    with site.db.transaction() as tx:
        for party, code in CODES.items():
            affiliates = frozenset({PartyId("daughter")}) if party == samples.DEVELOPER else frozenset()
            parties_store.PARTIES.add(
                tx, Party(party, f"单位 {party}", code, frozenset(Role), "350100", affiliates=affiliates)
            )
        parties_store.PARTIES.add(tx, Party(PartyId("daughter"), "子公司", "9" * 18, frozenset(), "350100"))
        grants_store.AGREEMENTS.add(tx, agreement)
        grants_store.GRANTS.add(tx, replace(samples.grant(), agreement=agreement.ref))
        scenarios_store.ENTITLEMENTS.add(tx, samples.entitlement())


def run_job(site: Site, query: str = GROUPS, *, number: int = 1, name: str = "table.parquet") -> Job:
    """Put a job in place that succeeded and wrote the rows of ``query``."""
    folder = site.home / "outputs" / f"job-{number}"
    folder.mkdir(parents=True)
    path = folder / name
    with duckdb.connect() as engine:
        relation = engine.sql(query)
        rows = len(relation.fetchall())
        relation.write_parquet(str(path))
    file = OutputFile(name, files.sha256_of(path), path.stat().st_size, rows)
    job = samples.job(JobKind.SQL, id=JobId(f"job-{number}"), files=(file,))
    with site.db.transaction() as tx:
        compute_store.JOBS.add(tx, job)
    return job


def quarantined(site: Site, output: Output) -> Path:
    """Return the path of the one file of an output."""
    return site.home / "outputs" / output.job_id / output.files[0].name


def flip_a_byte(path: Path) -> None:
    """Change one bit of a file behind everybody's back."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))


def submitted(site: Site, *, number: int = 1) -> Output:
    """Return an output that awaits its reviews."""
    output = egress.collect(site, run_job(site, number=number).id)
    return egress.submit_for_review(site, DEVELOPER, output.id, "按区域统计，供普惠金融使用")


def cast(site: Site, output: Output, actor, kind: ReviewKind, *, approves: bool = True, digest: str = "") -> Output:
    """Vote as ``actor``."""
    return egress.vote(site, actor, output.id, kind, digest or output.digest, approves=approves, reason="符合要求")


def approved(site: Site, *, number: int = 1) -> Output:
    """Return an output that both reviewers approved."""
    output = submitted(site, number=number)
    cast(site, output, SECURITY, ReviewKind.SECURITY)
    return cast(site, output, CONFORMITY, ReviewKind.CONFORMITY)


def released(site: Site, *, number: int = 1) -> Release:
    """Return a release."""
    return egress.release(site, OPERATOR, approved(site, number=number).id)


# ---------------------------------------------------------------------------------------------------------- market


def listed(
    site: Site, *, number: int = 1, tiers: tuple[Tier, ...] = samples.listing().tiers, pricing: Pricing = PLAIN
) -> Listing:
    """Return a listing of a product made from a fresh release."""
    release = released(site, number=number)
    product = products.define_product(site, OPERATOR, release_id=release.id, title="企业区域分布", summary="按区域统计")
    return products.list_product(site, OPERATOR, product.id, tiers=tiers, charges_no_record=False, pricing=pricing)


def contracted(site: Site, listing: Listing, consumer: Actor = BANK) -> Contract:
    """Return a contract that both sides signed."""
    now = site.now()
    policy = samples.policy(period=Period(now, now + timedelta(days=200)), calls_max=100_000)
    order = products.place_order(site, consumer, listing.id, policy)
    drawn = products.draw_up_contract(site, OPERATOR, order.id)
    products.sign_contract(site, OPERATOR, drawn.id)
    return products.sign_contract(site, consumer, drawn.id)


def call(site: Site, contract: Contract, results: dict[ResultCode, int], *, gateway: str = "gw1") -> list[str]:
    """Make calls under a contract, seal and collect them; return their positions."""

    async def make() -> list[str]:
        meter = metering.open_meter(site.home, gateway, site.clock)
        pending = []
        for number, result in enumerate(code for code, times in results.items() for _ in range(times)):
            record = StoredRecord(
                site.now(), f"{gateway}-{number}", "q" * 64, contract.id, contract.digest, contract.terms.product_id,
                KeyId("key-1"), 1, result, "", result in {ResultCode.MATCH, ResultCode.MISMATCH},
            )  # fmt: skip
            pending.append(meter.append(record))
        for _, durable in pending:
            await durable
        await meter.seal()
        await meter.close()
        return [position for position, _ in pending]

    positions = asyncio.run(make())
    metering.collect(site)
    return positions
