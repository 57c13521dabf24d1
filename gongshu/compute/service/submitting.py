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
from gongshu.compute.rules import jobs, lookups, verification
from gongshu.compute.service import budgets
from gongshu.compute.service.clusters import choose_engine
from gongshu.compute.service.governing import (
    Governed,
    Parameters,
    decide_sql,
    find_entitlement_in,
    govern_in,
    named,
    unknown,
)
from gongshu.compute.types import (
    Engine,
    Job,
    JobPlan,
    JobStatus,
    LookupDefinition,
    Projection,
    Relation,
    VerificationDefinition,
)
from gongshu.scenarios.types import Entitlement

Plan = Callable[[Governed], Decision[JobPlan]]
Bar = Callable[[Transaction, Entitlement], Decision[Entitlement]]


def _no_bar(_tx: Transaction, entitlement: Entitlement) -> Decision[Entitlement]:
    return Permitted(entitlement)


def submit_sql(  # noqa: PLR0917 - as the room offers it
    site: Site,
    actor: Actor,
    entitlement_id: EntitlementId,
    title: str,
    sql: str,
    engine: Engine | None = None,
    parameters: Parameters = (),
) -> Job:
    """Submit one governed statement to be run on real data. A statement that the gate refuses is audited and raised.

    ``parameters`` are frozen with the statement. Without ``engine`` the amount of data decides: beyond a dated parameter it
    runs on Spark, where Spark is configured.
    """

    def plan(governed: Governed) -> Decision[JobPlan]:
        decision = decide_sql(governed, sql, parameters)
        if isinstance(decision, Denied):
            return decision
        chosen = choose_engine(site, governed, decision.value, engine)
        if isinstance(chosen, Denied):
            return chosen
        inputs = inputs_of(governed, tuple(p.relation for p in decision.value.projections))
        runs_on, query = chosen.value[0], decision.value
        terms = governed.thresholds
        return Permitted(jobs.plan_query(governed.entitlement.ref, sql, query, inputs, terms, runs_on, parameters))

    return submit(site, actor, entitlement_id, title, plan)


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

    return submit(site, actor, entitlement_id, title, plan)


def submit_lookup(
    site: Site, actor: Actor, entitlement_id: EntitlementId, title: str, definition: LookupDefinition
) -> Job:
    """Submit a look-up: who → tags, bands, scores. Keys need the use ``compare``, tags ``reveal`` after their masks."""
    outputs_max = site.parameters.number("lookup.outputs_max", site.today())
    values_max = site.parameters.number("lookup.values_max", site.today())

    def plan(governed: Governed) -> Decision[JobPlan]:
        decision = lookups.decide_lookup(governed.relations, definition, outputs_max=outputs_max, values_max=values_max)
        if isinstance(decision, Denied):
            return decision
        inputs = inputs_of(governed, (decision.value.relation,))
        return Permitted(jobs.plan_lookup(governed.entitlement.ref, decision.value, inputs, governed.thresholds))

    return submit(site, actor, entitlement_id, title, plan)


def inputs_of(governed: Governed, relations: tuple[str, ...]) -> tuple[Ref, ...]:
    """Return the resource versions behind ``relations``, by digest."""
    return tuple(governed.versions[name].ref for name in sorted(relations))


def projection_of(definition: VerificationDefinition, relation: Relation) -> Projection:
    """Return what a verification reads: the raw values of its columns, key field first."""
    fields = (verification.key_field(definition), *verification.compared_fields(definition))
    return Projection(relation.name, relation.resource, (), raws=tuple(field.column for field in fields))


def lookup_projection(definition: LookupDefinition, relation: Relation) -> Projection:
    """Return what a look-up reads: its tags as masked, then the raw values of its keys."""
    outputs = tuple(dict.fromkeys(output.column for output in definition.outputs))
    return Projection(relation.name, relation.resource, outputs, raws=tuple(key.column for key in definition.keys))


def submit(  # noqa: PLR0917 - as the services that submit call it
    site: Site, actor: Actor, entitlement_id: EntitlementId, title: str, plan: Plan, bar: Bar = _no_bar
) -> Job:
    """Submit a job that ``plan`` freezes or refuses; audited either way, and raised when refused.

    ``bar`` is asked first whether the entitlement may have one more job.
    """
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        decision = access.guard(
            actor,
            Permission.DEVELOP_JOB_SUBMIT,
            lambda: _decide(tx, site, actor, entitlement, entitlement_id, title, plan, bar),
        )
        subject = named(entitlement_id, entitlement)
        origins: tuple[Ref, ...] = ()
        if isinstance(decision, Permitted):
            job = decision.value
            subject, origins = job.ref, (job.plan.entitlement, *job.plan.inputs)
        audit.record(tx, site, actor=actor, action="job.submit", subject=subject, decision=decision, origins=origins)
        if isinstance(decision, Permitted):
            _record(tx, site, actor, entitlement, decision.value)
    return decision.value_or_raise()


def _decide(  # noqa: PLR0917 - what a decision looks at
    tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement | None, entitlement_id: str, title: str,
    plan: Plan, bar: Bar,
) -> Decision[Job]:  # fmt: skip
    if entitlement is None:
        return unknown(entitlement_id)
    governed, plain, free = govern_in(tx, site, entitlement), jobs.decide_title(title), bar(tx, entitlement)
    planned = governed if isinstance(governed, Denied) else plan(governed.value)
    if isinstance(planned, Denied) or isinstance(plain, Denied) or isinstance(free, Denied):
        return Denied(planned.reasons + plain.reasons + free.reasons)
    noise = budgets.decide_planned(entitlement.thresholds, planned.value)
    if isinstance(noise, Denied):
        return noise
    paid = budgets.paid_in(tx, planned.value)
    if paid is not None:
        return Permitted(paid)  # the same plan with new noise would be a second draw
    job = Job(
        id=JobId(site.ids.make("job")), plan=planned.value, entitlement=entitlement.id, submitted_by=actor.person,
        developer=actor.party, status=JobStatus.SUBMITTED, submitted_at=site.now(), title=plain.value,
        operator=entitlement.operator, grant=GrantId(entitlement.grant.id),
    )  # fmt: skip
    return budgets.decide_charge_in(tx, site, entitlement, job)


def _record(tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement | None, job: Job) -> None:
    """Store a new job and take its price from the budget. One that was paid for before stays as it is."""
    if entitlement is not None and store.JOBS.find(tx, job.id) is None:
        store.JOBS.add(tx, job)
        budgets.charge_in(tx, site, actor, entitlement, job)
