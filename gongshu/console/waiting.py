"""What waits for somebody: every object whose next step is theirs, found by asking the rooms' own lists."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Refused
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Site
from gongshu.catalog import service as catalog
from gongshu.compute import service as compute
from gongshu.compute.types import JobStatus
from gongshu.console.labels import Word, word
from gongshu.egress import service as egress
from gongshu.egress.types import OutputStatus
from gongshu.grants import service as grants
from gongshu.grants.types import AgreementStatus, GrantStatus, PlanStatus
from gongshu.products import service as products
from gongshu.products.types import ContractStatus, ListingStatus, OrderStatus, ProductStatus
from gongshu.registry import service as registry
from gongshu.registry.types import RegistrationStatus
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import EntitlementStatus, ScenarioStatus

EVERY = PageRequest(limit=PAGE_ROWS_MAX)


@dataclass(frozen=True)
class Task:
    """One thing to do: the verb, the object's title, where to do it, and its last day if there is one."""

    verb: Word
    title: str
    path: str
    icon: str
    due: date | None = None


def _supplier(site: Site, actor: Actor) -> Iterator[Task]:
    filed = {one.terms.resource: one for one in registry.list_registrations(site, actor, EVERY).rows}
    for resource in catalog.list_resources(site, actor, EVERY).rows:
        if resource.supplier != actor.party:
            continue
        path, title = f"/resources/{resource.id}", resource.title
        if not resource.latest_version:
            yield Task(word("task", "Upload the files"), title, path, "upload")
        elif not resource.grades:
            yield Task(word("task", "Confirm the grades"), title, f"{path}/classify", "tag")
        elif resource.policy is None:
            yield Task(word("task", "Set the uses"), title, f"{path}/uses", "checklist")
        elif resource.id not in filed:
            yield Task(word("task", "Register the resource"), title, f"{path}/register", "certificate")
    for one in filed.values():
        if one.status is RegistrationStatus.RETURNED and one.terms.registrant == actor.party:
            yield Task(word("task", "Supplement and file again"), one.terms.title, f"/registrations/{one.id}", "edit")


def _registrar(site: Site, actor: Actor) -> Iterator[Task]:
    steps = {
        RegistrationStatus.SUBMITTED: word("task", "Accept or return"),
        RegistrationStatus.ACCEPTED: word("task", "Finish the formal review"),
        RegistrationStatus.OBJECTED: word("task", "Decide on the objection"),
    }
    for one in registry.list_registrations(site, actor, EVERY).rows:
        path = f"/registrations/{one.id}"
        if one.status in steps:
            yield Task(steps[one.status], one.terms.title, path, "certificate", one.due)
        elif one.status is RegistrationStatus.PUBLICITY and one.publicity_ends and site.today() > one.publicity_ends:
            yield Task(word("task", "Assign the code"), one.terms.title, path, "certificate")


def _authorising_body(site: Site, actor: Actor) -> Iterator[Task]:
    for plan in grants.list_plans(site, actor, EVERY).rows:
        if plan.status is PlanStatus.SUBMITTED:
            yield Task(word("task", "Decide on the plan"), plan.title, f"/plans/{plan.id}", "gavel")


def _agency(site: Site, actor: Actor) -> Iterator[Task]:
    agreements = grants.list_agreements(site, actor, EVERY).rows
    granted = {grant.agreement.id for grant in grants.list_grants(site, actor, EVERY).rows}
    agreed = {agreement.plan.id for agreement in agreements}
    for plan in grants.list_plans(site, actor, EVERY).rows:
        if plan.status is PlanStatus.DRAFT:
            yield Task(word("task", "Submit the plan"), plan.title, f"/plans/{plan.id}", "send")
        elif plan.status is PlanStatus.REJECTED:
            yield Task(word("task", "Rewrite the plan"), plan.title, f"/plans/{plan.id}", "edit")
        elif plan.status is PlanStatus.EFFECTIVE and plan.id not in agreed:
            path = f"/agreements/write?plan={plan.id}"
            yield Task(word("task", "Draw up the agreement"), plan.title, path, "writing-sign")
    for agreement in agreements:
        title, path = ", ".join(agreement.terms.purposes), f"/agreements/{agreement.id}"
        if agreement.status is AgreementStatus.PROPOSED:
            yield Task(word("task", "Sign the agreement"), title, path, "writing-sign")
        elif agreement.status is AgreementStatus.EFFECTIVE and agreement.id not in granted:
            yield Task(word("task", "Issue the grant"), title, path, "shield-check")
    for scenario in scenarios.list_scenarios(site, actor, EVERY).rows:
        if scenario.status is ScenarioStatus.SCORED:
            yield Task(
                word("task", "Decide on the scenario"), scenario.terms.title, f"/scenarios/{scenario.id}", "route"
            )


def _operator(site: Site, actor: Actor) -> Iterator[Task]:
    for agreement in grants.list_agreements(site, actor, EVERY).rows:
        if agreement.status is AgreementStatus.SIGNED_BY_AGENCY:
            title = ", ".join(agreement.terms.purposes)
            yield Task(word("task", "Sign the agreement"), title, f"/agreements/{agreement.id}", "writing-sign")
    asked = {scenario.terms.grant for scenario in scenarios.list_scenarios(site, actor, EVERY).rows}
    for grant in grants.list_grants(site, actor, EVERY).rows:
        if grant.status is GrantStatus.ACTIVE and grant.id not in asked:
            title = ", ".join(grant.terms.purposes)
            yield Task(word("task", "Apply for a scenario"), title, f"/scenarios/apply?grant={grant.id}", "route")
    outputs = egress.list_outputs(site, actor, EVERY).rows
    titles = {output.release: output.title for output in outputs}
    for output in outputs:
        if output.status is not OutputStatus.APPROVED:
            continue
        yield Task(
            word("task", "Release the output"), output.title or output.id, f"/outputs/{output.id}", "rubber-stamp"
        )
    made = products.list_products(site, actor, EVERY).rows
    listed = {listing.product_id for listing in products.list_listings(site, actor, EVERY, listed_only=False).rows}
    used = {product.release_id for product in made}
    for release in egress.list_releases(site, actor, EVERY).rows:
        if release.id not in used:
            yield Task(
                word("task", "Define a product"),
                titles.get(release.id) or release.id,
                f"/releases/{release.id}",
                "package",
            )
    for product in made:
        if product.status is ProductStatus.ACTIVE and product.id not in listed:
            yield Task(word("task", "List the product"), product.title, f"/products/{product.id}", "tag")
    yield from _operator_contracts(site, actor)


def _operator_contracts(site: Site, actor: Actor) -> Iterator[Task]:
    for order in products.list_orders(site, actor, EVERY).rows:
        if order.status is OrderStatus.PLACED:
            yield Task(word("task", "Draw up the contract"), order.id, f"/orders/{order.id}", "file-certificate")
    for contract in products.list_contracts(site, actor, EVERY).rows:
        if contract.status is ContractStatus.NEGOTIATING:
            yield Task(word("task", "Sign the contract"), contract.code, f"/contracts/{contract.id}", "writing-sign")


def _assessor(site: Site, actor: Actor) -> Iterator[Task]:
    for scenario in scenarios.list_scenarios(site, actor, EVERY).rows:
        has_scored = any(score.assessor == actor.person for score in scenario.scores)
        if scenario.status is ScenarioStatus.SUBMITTED and not has_scored:
            yield Task(word("task", "Score the scenario"), scenario.terms.title, f"/scenarios/{scenario.id}", "scale")


def _developer(site: Site, actor: Actor) -> Iterator[Task]:
    jobs = compute.list_jobs(site, actor, EVERY).rows
    worked = {job.entitlement for job in jobs}
    for entitlement in scenarios.list_entitlements(site, actor, EVERY).rows:
        if entitlement.status is EntitlementStatus.ACTIVE and entitlement.id not in worked:
            path = f"/entitlements/{entitlement.id}"
            yield Task(word("task", "Start to work with the entitlement"), entitlement.title, path, "code")
    for output in egress.list_outputs(site, actor, EVERY, status=OutputStatus.QUARANTINED).rows:
        title = output.title or output.id
        yield Task(word("task", "Submit for review"), title, f"/outputs/{output.id}", "send")
    for job in jobs:
        if job.status in {JobStatus.SUBMITTED, JobStatus.RUNNING}:
            yield Task(word("task", "Wait for the job"), job.title or job.id, f"/jobs/{job.id}", "clock")


def _reviewer(site: Site, actor: Actor) -> Iterator[Task]:
    for output in egress.list_outputs(site, actor, EVERY, status=OutputStatus.IN_REVIEW).rows:
        if not any(vote.reviewer == actor.person for vote in output.votes):
            title = output.title or output.id
            yield Task(word("task", "Review the output"), title, f"/outputs/{output.id}", "rubber-stamp")


def _consumer(site: Site, actor: Actor) -> Iterator[Task]:
    contracts = products.list_contracts(site, actor, EVERY).rows
    for contract in contracts:
        if contract.status is ContractStatus.SIGNED_BY_OPERATOR:
            yield Task(word("task", "Sign the contract"), contract.code, f"/contracts/{contract.id}", "writing-sign")
    ordered = {order.listing_id for order in products.list_orders(site, actor, EVERY).rows}
    for listing in products.list_listings(site, actor, EVERY).rows:
        if listing.status is ListingStatus.LISTED and listing.id not in ordered:
            yield Task(word("task", "Look at the offer"), listing.title, f"/market/{listing.id}", "shopping-cart")


BY_ROLE: dict[Role, Callable[[Site, Actor], Iterator[Task]]] = {
    Role.SUPPLIER: _supplier, Role.REGISTRAR: _registrar, Role.AUTHORISING_BODY: _authorising_body,
    Role.IMPLEMENTING_AGENCY: _agency, Role.OPERATOR: _operator, Role.ASSESSOR: _assessor,
    Role.DEVELOPER: _developer, Role.REVIEWER: _reviewer, Role.CONSUMER: _consumer,
}  # fmt: skip


def tasks_of(site: Site, actor: Actor) -> list[Task]:
    """Return what waits for ``actor``, those with a last day first."""
    found: dict[str, Task] = {}
    for role in sorted(actor.roles & BY_ROLE.keys()):
        try:
            found.update((f"{task.path} {task.verb}", task) for task in BY_ROLE[role](site, actor))
        except Refused:
            continue  # somebody who may not see a list has nothing to do there
    return sorted(found.values(), key=lambda task: (task.due is None, task.due or date.max))
