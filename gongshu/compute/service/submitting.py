"""Submitting a job for real: the gate decides, and code and inputs are frozen by digest."""

from collections.abc import Callable

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import EntitlementId, GrantId, JobId
from gongshu.base.site import Site, Transaction
from gongshu.compute import store
from gongshu.compute.rules import jobs, verification
from gongshu.compute.service.governing import Governed, decide_sql, find_entitlement_in, govern_in, named, unknown
from gongshu.compute.types import Job, JobPlan, JobStatus, Projection, Relation, VerificationDefinition
from gongshu.scenarios.types import Entitlement

Plan = Callable[[Governed], Decision[JobPlan]]


def submit_sql(site: Site, actor: Actor, entitlement_id: EntitlementId, title: str, sql: str) -> Job:
    """Submit one governed statement to be run on real data. A statement that the gate refuses is audited and raised."""

    def plan(governed: Governed) -> Decision[JobPlan]:
        decision = decide_sql(governed, sql)
        if isinstance(decision, Denied):
            return decision
        inputs = inputs_of(governed, tuple(p.relation for p in decision.value.projections))
        return Permitted(jobs.plan_query(governed.entitlement.ref, sql, decision.value, inputs, governed.thresholds))

    return _submit(site, actor, entitlement_id, title, plan)


def submit_verification(
    site: Site, actor: Actor, entitlement_id: EntitlementId, title: str, definition: VerificationDefinition
) -> Job:
    """Submit a verification: input fields → match, mismatch or no record. Every column needs the use ``compare``.

    Exactly one field is the key, and it is required; at least one more required field is compared with it.
    """

    def plan(governed: Governed) -> Decision[JobPlan]:
        decision = verification.decide_definition(governed.relations, definition)
        if isinstance(decision, Denied):
            return decision
        inputs = inputs_of(governed, (decision.value.relation,))
        return Permitted(jobs.plan_verification(governed.entitlement.ref, decision.value, inputs, governed.thresholds))

    return _submit(site, actor, entitlement_id, title, plan)


def inputs_of(governed: Governed, relations: tuple[str, ...]) -> tuple[Ref, ...]:
    """Return the resource versions behind ``relations``, by digest."""
    return tuple(governed.versions[name].ref for name in sorted(relations))


def projection_of(definition: VerificationDefinition, relation: Relation) -> Projection:
    """Return what a verification reads: the raw values of its columns, key field first."""
    fields = (verification.key_field(definition), *verification.compared_fields(definition))
    return Projection(relation.name, relation.resource, (), raws=tuple(field.column for field in fields))


def _submit(site: Site, actor: Actor, entitlement_id: EntitlementId, title: str, plan: Plan) -> Job:
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        decision = access.guard(
            actor,
            Permission.DEVELOP_JOB_SUBMIT,
            lambda: _decide(tx, site, actor, entitlement, entitlement_id, title, plan),
        )
        subject = named(entitlement_id, entitlement)
        origins: tuple[Ref, ...] = ()
        if isinstance(decision, Permitted):
            job = decision.value
            subject, origins = job.ref, (job.plan.entitlement, *job.plan.inputs)
        audit.record(tx, site, actor=actor, action="job.submit", subject=subject, decision=decision, origins=origins)
        if isinstance(decision, Permitted):
            store.JOBS.add(tx, decision.value)
    return decision.value_or_raise()


def _decide(  # noqa: PLR0917 - what a decision looks at
    tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement | None, entitlement_id: str, title: str,
    plan: Plan,
) -> Decision[Job]:  # fmt: skip
    if entitlement is None:
        return unknown(entitlement_id)
    governed, plain = govern_in(tx, site, entitlement), jobs.decide_title(title)
    planned = governed if isinstance(governed, Denied) else plan(governed.value)
    if isinstance(planned, Denied) or isinstance(plain, Denied):
        return Denied(planned.reasons + plain.reasons)
    return Permitted(
        Job(
            id=JobId(site.ids.make("job")), plan=planned.value, entitlement=entitlement.id, submitted_by=actor.person,
            developer=actor.party, status=JobStatus.SUBMITTED, submitted_at=site.now(), title=plain.value,
            operator=entitlement.operator, grant=GrantId(entitlement.grant.id),
        )
    )  # fmt: skip
