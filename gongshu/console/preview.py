"""What the end of a grant would stop, gathered from the rooms' lists before anything happens."""

from collections.abc import Iterator
from dataclasses import dataclass

from gongshu.access.types import Actor
from gongshu.base.ids import GrantId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.types import JobStatus
from gongshu.egress import service as egress
from gongshu.egress.types import OutputStatus
from gongshu.products import service as products
from gongshu.products.types import ContractStatus, ListingStatus, ProductStatus
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import EntitlementStatus

EVERY = PageRequest(limit=PAGE_ROWS_MAX)
HAS_LEFT = {OutputStatus.RELEASED, OutputStatus.REJECTED, OutputStatus.VOID, OutputStatus.STOPPED}


@dataclass(frozen=True)
class Stop:
    """One object that would stop: its kind as ``Ref.kind`` names it, its id, its title."""

    kind: str
    id: str
    title: str


def stops_of(site: Site, actor: Actor, grant_id: GrantId) -> tuple[Stop, ...]:
    """Return what runs under a grant now, from the developer's side to the consumer's."""
    return tuple(_stops(site, actor, grant_id))


def _stops(site: Site, actor: Actor, grant_id: GrantId) -> Iterator[Stop]:
    entitlements = {
        one.id: one for one in scenarios.list_entitlements(site, actor, EVERY).rows if one.grant.id == grant_id
    }
    for entitlement in entitlements.values():
        if entitlement.status is EntitlementStatus.ACTIVE:
            yield Stop("entitlement", entitlement.id, entitlement.title)
    for job in compute.list_jobs(site, actor, EVERY).rows:
        if job.entitlement in entitlements and job.status in {JobStatus.SUBMITTED, JobStatus.RUNNING}:
            yield Stop("job", job.id, job.title)
    for output in egress.list_outputs(site, actor, EVERY).rows:
        if output.entitlement in entitlements and output.status not in HAS_LEFT:
            yield Stop("output", output.id, output.title)
    made = {one.id: one for one in products.list_products(site, actor, EVERY).rows if one.grant == grant_id}
    for product in made.values():
        if product.status is ProductStatus.ACTIVE:
            yield Stop("product", product.id, product.title)
    for listing in products.list_listings(site, actor, EVERY, listed_only=False).rows:
        if listing.product_id in made and listing.status is ListingStatus.LISTED:
            yield Stop("listing", listing.id, listing.title)
    for contract in products.list_contracts(site, actor, EVERY).rows:
        if contract.terms.grant == grant_id and contract.status is not ContractStatus.TERMINATED:
            yield Stop("contract", contract.id, contract.code)
