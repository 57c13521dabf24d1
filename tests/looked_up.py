"""A look-up product made, released, listed and contracted for real: everything that a consent is given for."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.digest import Ref
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.rules.synthetic import credit_code
from gongshu.compute.types import LookupDefinition, LookupKey, LookupOutput
from gongshu.consents import service as consents
from gongshu.consents.types import GivenConsent
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.egress.types import ReviewKind
from gongshu.grants import store as grants_store
from gongshu.grants.types import Agreement, AgreementStatus, SelectionMethod
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party
from gongshu.policies.types import Use
from gongshu.products import service as products
from gongshu.products.types import Contract, ProductKind
from tests import governed_site, samples, world
from tests.governed_site import DEVELOPER, ENTITLEMENT
from tests.world import BANK, CODES, CONFORMITY, OPERATOR, SECURITY

LOOKUP = LookupDefinition(
    "enterprise",
    (LookupKey("code", "信用代码"),),
    (LookupOutput("status", "状态"), LookupOutput("capital", "注册资本", ("20", "50", "200"))),
)
REVEALING = governed_site.policy(
    columns=tuple(
        replace(c, uses=c.uses | {Use.REVEAL}) if c.column == "注册资本" else c for c in governed_site.policy().columns
    )
)
OTHER_BANK = samples.actor(samples.BUREAU, Role.CONSUMER)
SUBJECT = {"code": credit_code(5)}
OTHER = {"code": credit_code(9)}
NOBODY = {"code": credit_code(10**6)}


@dataclass(frozen=True)
class Sold:
    """A contract for the look-up and the secret of a key to it."""

    contract: Contract
    secret: str

    @property
    def path(self) -> str:
        """Where it is called."""
        return f"/v1/products/{self.contract.terms.product_id}/lookup"

    def headers(self, request_id: str, **changes: str) -> dict[str, str]:
        """Return the headers of a call."""
        made = {"authorization": f"Bearer {self.secret}", "x-request-id": request_id, "x-purpose": samples.PURPOSE}
        return made | {name.replace("_", "-"): value for name, value in changes.items() if value}

    async def call(
        self, client: httpx.AsyncClient, request_id: str, consent: str, fields: Any = None, **changes: str
    ) -> httpx.Response:
        """Make one call."""
        head = self.headers(request_id, x_consent=consent, **changes)
        return await client.post(self.path, json=SUBJECT if fields is None else fields, headers=head)


def settle(site: Site) -> None:
    """Put organisations, resource, grant and entitlement in place; capital may be seen, in bands."""
    governed_site.settle(site, REVEALING)
    with site.db.transaction() as tx:
        for party, code in CODES.items():
            parties_store.PARTIES.add(tx, Party(party, f"单位 {party}", code, frozenset(Role), "350100"))
        grant = grants_store.GRANTS.all(tx)[0]
        agreement = Agreement(
            id="agreement-1", plan=Ref("plan", "plan-1", "d"), selection=SelectionMethod.OPEN_TENDER, applicant="a",
            terms=grant.terms, parts=(), status=AgreementStatus.EFFECTIVE,
        )  # fmt: skip
        grants_store.AGREEMENTS.add(tx, agreement)
        grants_store.GRANTS.save(tx, grant, replace(grant, agreement=agreement.ref))


def listed(site: Site, definition: LookupDefinition = LOOKUP) -> str:
    """Make, review, release and list the look-up; return the id of its listing."""
    job = compute.run_job(site, compute.submit_lookup(site, DEVELOPER, ENTITLEMENT, "企业标签", definition).id)
    output = egress.submit_for_review(site, DEVELOPER, egress.collect(site, job.id).id, "标签查询")
    for actor, kind in ((SECURITY, ReviewKind.SECURITY), (CONFORMITY, ReviewKind.CONFORMITY)):
        egress.vote(site, actor, output.id, kind, output.digest, approves=True, reason="符合要求")
    release = egress.release(site, OPERATOR, output.id)
    product = products.define_product(site, OPERATOR, release_id=release.id, title="企业标签", summary="状态与资本区间")
    assert product.kind is ProductKind.LOOKUP
    tiers = samples.listing().tiers
    return products.list_product(site, OPERATOR, product.id, tiers=tiers, charges_no_record=False).id


def sold(site: Site, listing_id: str, consumer: Actor = BANK) -> Sold:
    """Sign a contract with ``consumer`` and make a key."""
    listing = products.get_listing(site, OPERATOR, listing_id)
    contract = world.contracted(site, listing, consumer)
    secret, _ = delivery.create_key(site, consumer, contract.id)
    return Sold(contract, secret)


def agreed(site: Site, contract: Contract, subject: dict[str, str] | None = None, days: int = 30) -> GivenConsent:
    """Record the consent of ``subject`` at the desk."""
    return consents.give(site, OPERATOR, contract.id, subject or SUBJECT, days, is_confirmed=True)


def period_of(site: Site, days: int) -> Period:
    """Return so many days from now."""
    return Period(site.now(), site.now() + timedelta(days=days))
