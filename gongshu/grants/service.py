"""From an implementation plan to a grant in force, and to its end.

Refusals are recorded in the transaction that would have made the change. What an organisation may not know of is
answered with ``not-found``.
"""

from dataclasses import replace
from datetime import datetime

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.days import local_day
from gongshu.base.decisions import Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.ids import AgreementId, GrantId, PlanId, ResourceId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.grants import store
from gongshu.grants.rules import agreements, plans
from gongshu.grants.rules import grants as rules
from gongshu.grants.rules.terms import in_utc, not_offered
from gongshu.grants.types import (
    Agreement,
    AgreementStatus,
    CollectiveDecision,
    Disposal,
    ExitRecord,
    Grant,
    GrantStatus,
    GrantTerms,
    Mode,
    Part,
    Plan,
    PlanStatus,
    ResourceScope,
    ScopeFacts,
    SelectionMethod,
)
from gongshu.parties import service as parties
from gongshu.policies import service as policies
from gongshu.registry import service as registry

ID_CHARS_MAX = 80


def _ref(kind: str, object_id: str, found: Plan | Agreement | Grant | None) -> Ref:
    """Name an object in the log even when it is not there."""
    return Ref(kind, object_id[:ID_CHARS_MAX], "") if found is None else found.ref


# ----------------------------------------------------------------------------------------------------------- plans


def write_plan(site: Site, actor: Actor, *, title: str, mode: Mode | None, parts: tuple[Part, ...]) -> Plan:
    """Write down an implementation plan (实施方案) as a draft; it may still be incomplete."""
    plan = Plan(
        id=PlanId(site.ids.make("plan")), agency=actor.party, applicant=actor.person, title=title.strip(), mode=mode,
        parts=tuple(parts), status=PlanStatus.DRAFT,
    )  # fmt: skip
    with site.db.transaction() as tx:
        decision: Decision[Plan] = access.guard(actor, Permission.AGENCY_PLAN_WRITE, lambda: Permitted(plan))
        audit.record(tx, site, actor=actor, action="plan.write", subject=plan.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.PLANS.add(tx, plan)
    return decision.value_or_raise()


def rewrite_plan(
    site: Site, actor: Actor, plan_id: PlanId, *, title: str, mode: Mode | None, parts: tuple[Part, ...]
) -> Plan:
    """Write a draft, or a plan that was sent back, anew."""
    with site.db.transaction() as tx:
        plan = _plan_of_agency(tx, actor, plan_id)
        decision = access.guard(
            actor, Permission.AGENCY_PLAN_WRITE,
            lambda: rules.unknown("plan", plan_id) if plan is None else plans.decide_rewrite_plan(
                plan, replace(plan, title=title.strip(), mode=mode, parts=tuple(parts), applicant=actor.person)
            ),
        )  # fmt: skip
        subject = decision.value.ref if isinstance(decision, Permitted) else _ref("plan", plan_id, plan)
        audit.record(tx, site, actor=actor, action="plan.rewrite", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and plan is not None:
            store.PLANS.save(tx, plan, decision.value)
    return decision.value_or_raise()


def submit_plan(site: Site, actor: Actor, plan_id: PlanId) -> Plan:
    """Submit a plan: all twelve parts, the mode and both product classes are there (27号 art.9)."""
    with site.db.transaction() as tx:
        plan = _plan_of_agency(tx, actor, plan_id)
        decision = access.guard(
            actor, Permission.AGENCY_PLAN_WRITE,
            lambda: rules.unknown("plan", plan_id) if plan is None else plans.decide_submit_plan(plan),
        )  # fmt: skip
        subject = _ref("plan", plan_id, plan)
        audit.record(tx, site, actor=actor, action="plan.submit", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and plan is not None:
            store.PLANS.save(tx, plan, decision.value)
    return decision.value_or_raise()


def decide_plan(  # noqa: PLR0917 - who decides on what, how, by which record, why
    site: Site,
    actor: Actor,
    plan_id: PlanId,
    approves: bool,  # noqa: FBT001 - the decision itself
    decision: CollectiveDecision | None,
    reason: str = "",
) -> Plan:
    """Approve or reject a plan by a collective decision, entered by somebody outside the agency (27号 art.11)."""
    with site.db.transaction() as tx:
        plan = _visible_plan(tx, actor, plan_id)
        outcome = access.guard(
            actor, Permission.AUTHORISE_PLAN_DECIDE,
            lambda: rules.unknown("plan", plan_id) if plan is None
            else plans.decide_plan(plan, actor, approves=approves, decision=decision, reason=reason),
        )  # fmt: skip
        action = "plan.approve" if approves else "plan.reject"
        subject = _ref("plan", plan_id, plan)
        audit.record(tx, site, actor=actor, action=action, subject=subject, decision=outcome)
        if isinstance(outcome, Permitted) and plan is not None:
            store.PLANS.save(tx, plan, outcome.value)
    return outcome.value_or_raise()


def _visible_plan(tx: Transaction, actor: Actor, plan_id: str) -> Plan | None:
    plan = store.PLANS.find(tx, plan_id)
    return plan if plan is not None and rules.sees_plan(actor, plan) else None


def _plan_of_agency(tx: Transaction, actor: Actor, plan_id: str) -> Plan | None:
    """Return the plan if the actor's own organisation wrote it: nobody else changes it."""
    plan = store.PLANS.find(tx, plan_id)
    return plan if plan is not None and plan.agency == actor.party else None


# ------------------------------------------------------------------------------------------------------ agreements


def propose_agreement(
    site: Site,
    actor: Actor,
    *,
    plan_id: PlanId,
    selection: SelectionMethod | None,
    terms: GrantTerms,
    parts: tuple[Part, ...],
) -> Agreement:
    """Draw up the agreement under an effective plan; everything that 27号 art.12–14 ask for must be in it."""
    settled = replace(terms, period=in_utc(terms.period))
    now = site.now()
    with site.db.transaction() as tx:
        plan = _plan_of_agency(tx, actor, plan_id)
        draft = Agreement(
            id=AgreementId(site.ids.make("agreement")), plan=_ref("plan", plan_id, plan), selection=selection,
            applicant=actor.person, terms=settled, parts=tuple(parts), status=AgreementStatus.DRAFT,
        )  # fmt: skip
        decision = access.guard(
            actor, Permission.AGENCY_AGREEMENT_WRITE,
            lambda: rules.unknown("plan", plan_id) if plan is None else agreements.decide_propose(
                draft, plan, parties.find_party_in(tx, settled.operator), _scope_facts(tx, site, settled),
                is_related=parties.are_related_in(tx, settled.operator, settled.agency),
                years_max=site.parameters.number("authorization.term.years_max", site.today()), now=now,
            ),
        )  # fmt: skip
        audit.record(
            tx, site, actor=actor, action="agreement.propose", subject=draft.ref, decision=decision,
            origins=(draft.plan, *(scope.registration for scope in settled.scope)),
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.AGREEMENTS.add(tx, decision.value)
    return decision.value_or_raise()


def _offer(tx: Transaction, site: Site, resource_id: ResourceId) -> tuple[ResourceScope | None, str, frozenset[str]]:
    """Return the widest scope of a resource now, what it lacks, and the columns of its registered version."""
    try:
        resource = catalog.resource_in(tx, resource_id)
    except Refused:
        return None, "unknown", frozenset()
    registration = registry.coded_for_in(tx, resource_id, site.today())
    if registration is None:
        return None, "uncoded", frozenset()
    if resource.policy is None:
        return None, "uses-unset", frozenset()
    version = catalog.version_in(tx, resource_id, registration.terms.version_number)
    columns = frozenset(column.name for column in version.manifest.columns)
    within = replace(resource.policy, columns=tuple(c for c in resource.policy.columns if c.column in columns))
    return ResourceScope(resource.id, resource.name, registration.ref, resource.supplier, within), "", columns


def _scope_facts(tx: Transaction, site: Site, settled: GrantTerms) -> tuple[ScopeFacts, ...]:
    facts = []
    for scope in settled.scope:
        offered, missing, columns = _offer(tx, site, scope.resource)
        if offered is None:
            facts.append(ScopeFacts(None, missing))
            continue
        wider = policies.excess(offered.policy, scope.policy)
        loosens = not policies.is_no_wider(offered.policy, scope.policy)
        facts.append(ScopeFacts(offered, "", columns, wider, loosens))
    return tuple(facts)


def offer_scope(site: Site, actor: Actor, resource_id: ResourceId) -> ResourceScope:
    """Return the widest scope that could be agreed for a registered resource now: what its provider allows."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        offered, missing, _ = _offer(tx, site, resource_id)
    if offered is None:
        not_offered(resource_id, missing).value_or_raise()
    return offered


def sign_agreement(
    site: Site, actor: Actor, agreement_id: AgreementId, decision: CollectiveDecision | None = None
) -> Agreement:
    """Sign for one's own side: first the agency, with its collective decision, then the operator (27号 art.13)."""
    now = site.now()
    with site.db.transaction() as tx:
        agreement = _visible_agreement(tx, actor, agreement_id)
        is_operator = (
            access.may(actor, Permission.OPERATE_AGREEMENT_SIGN)
            if agreement is None
            else actor.party == agreement.terms.operator
        )
        permission = Permission.OPERATE_AGREEMENT_SIGN if is_operator else Permission.AGENCY_AGREEMENT_SIGN
        outcome = access.guard(
            actor, permission, lambda: _decide_signature(agreement, actor, agreement_id, decision, site)
        )
        audit.record(
            tx, site, actor=actor, action="agreement.sign", subject=_ref("agreement", agreement_id, agreement),
            decision=outcome, origins=() if agreement is None else (agreement.plan,),
            facts={"side": "operator" if is_operator else "agency", "at": now.isoformat()},
        )  # fmt: skip
        if isinstance(outcome, Permitted) and agreement is not None:
            store.AGREEMENTS.save(tx, agreement, outcome.value)
    return outcome.value_or_raise()


def _decide_signature(
    agreement: Agreement | None, actor: Actor, agreement_id: str, decision: CollectiveDecision | None, site: Site
) -> Decision[Agreement]:
    if agreement is None:
        return rules.unknown("agreement", agreement_id)
    if actor.party == agreement.terms.operator:
        return agreements.decide_sign_for_operator(agreement, actor, site.now())
    if actor.party == agreement.terms.agency:
        return agreements.decide_sign_for_agency(agreement, actor, decision, site.now())
    return rules.unknown("agreement", agreement_id)


def withdraw_agreement(site: Site, actor: Actor, agreement_id: AgreementId, reason: str) -> Agreement:
    """Take an agreement back before the operator has signed."""
    with site.db.transaction() as tx:
        agreement = _agreement_of_agency(tx, actor, agreement_id)
        decision = access.guard(
            actor, Permission.AGENCY_AGREEMENT_WRITE,
            lambda: rules.unknown("agreement", agreement_id) if agreement is None
            else agreements.decide_withdraw(agreement, reason),
        )  # fmt: skip
        subject = _ref("agreement", agreement_id, agreement)
        audit.record(tx, site, actor=actor, action="agreement.withdraw", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and agreement is not None:
            store.AGREEMENTS.save(tx, agreement, decision.value)
    return decision.value_or_raise()


def _visible_agreement(tx: Transaction, actor: Actor, agreement_id: str) -> Agreement | None:
    agreement = store.AGREEMENTS.find(tx, agreement_id)
    return agreement if agreement is not None and rules.sees_terms(actor, agreement.terms) else None


def _agreement_of_agency(tx: Transaction, actor: Actor, agreement_id: str) -> Agreement | None:
    agreement = store.AGREEMENTS.find(tx, agreement_id)
    return agreement if agreement is not None and agreement.terms.agency == actor.party else None


# ---------------------------------------------------------------------------------------------------------- grants


def issue_grant(site: Site, actor: Actor, agreement_id: AgreementId) -> Grant:
    """Issue the grant of an agreement that both sides signed; its scope is checked against registry and provider again."""
    now = site.now()
    with site.db.transaction() as tx:
        agreement = _agreement_of_agency(tx, actor, agreement_id)
        grant_id = GrantId(site.ids.make("grant"))
        decision = access.guard(
            actor,
            Permission.AGENCY_GRANT_ISSUE,
            lambda: (
                rules.unknown("agreement", agreement_id)
                if agreement is None
                else _decide_issue(tx, site, actor, agreement, grant_id)
            ),
        )
        subject = decision.value.ref if isinstance(decision, Permitted) else Ref("grant", grant_id, "")
        origins: tuple[Ref, ...] = ()
        if agreement is not None:
            origins = (agreement.ref, *(scope.registration for scope in agreement.terms.scope))
        audit.record(
            tx, site, actor=actor, action="grant.issue", subject=subject, decision=decision, origins=origins,
            facts={"at": now.isoformat()},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.GRANTS.add(tx, decision.value)
    return decision.value_or_raise()


def _decide_issue(
    tx: Transaction, site: Site, actor: Actor, agreement: Agreement, grant_id: GrantId
) -> Decision[Grant]:
    now = site.now()
    grant = Grant(
        id=grant_id, agreement=agreement.ref, terms=agreement.terms, status=GrantStatus.ACTIVE, issued_by=actor.person,
        issued_at=now,
    )  # fmt: skip
    issued = store.find_grant_under(tx, agreement.id)
    return rules.decide_issue(grant, agreement, issued, _scope_facts(tx, site, agreement.terms), now)


def decide_end_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> Decision[Grant]:
    """Decide, without changing anything, whether ``actor`` may end the grant now: its own agency, once, with a reason.

    For the room above, which stops everything under the grant first and must record a refusal.
    """
    grant = store.GRANTS.find(tx, grant_id)
    if grant is None or grant.terms.agency != actor.party:
        refusal = rules.unknown("grant", grant_id)
        return access.guard(actor, Permission.AGENCY_GRANT_END, lambda: refusal)
    known = grant
    return access.guard(actor, Permission.AGENCY_GRANT_END, lambda: rules.decide_end(known, reason, site.now()))


def end_in(  # noqa: PLR0917 - every one of them goes into the record
    tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str, disposals: tuple[Disposal, ...]
) -> tuple[Grant, ExitRecord]:
    """End a grant and its agreement, and record what stopped with it; writes the audit entries of both.

    Raises ``Refused`` where ``decide_end_in`` denies, which undoes the caller's transaction.
    """
    ended = decide_end_in(tx, site, actor, grant_id, reason).value_or_raise()
    grant = store.GRANTS.get(tx, grant_id)
    store.GRANTS.save(tx, grant, ended)
    agreement = store.AGREEMENTS.get(tx, grant.agreement.id)
    store.AGREEMENTS.save(tx, agreement, agreements.end(agreement, ended.end_reason))
    record = rules.exit_record_of(ended, site.ids.make("exit"), disposals, site.now())
    store.EXIT_RECORDS.add(tx, record)
    permitted: Decision[Grant] = Permitted(ended)
    audit.record(
        tx, site, actor=actor, action="grant.end", subject=ended.ref, decision=permitted, origins=(ended.agreement,),
        facts={"disposals": str(len(disposals))},
    )  # fmt: skip
    audit.record(
        tx, site, actor=actor, action="exit_record.create", subject=record.ref, decision=permitted,
        origins=(ended.ref, *(disposal.ref for disposal in disposals)),
    )  # fmt: skip
    return ended, record


def grant_in(tx: Transaction, grant_id: GrantId) -> Grant:
    """Return a grant inside the caller's transaction; refused with ``not-found``."""
    grant = store.GRANTS.find(tx, grant_id)
    return rules.unknown("grant", grant_id).value_or_raise() if grant is None else grant


def find_grant_in(tx: Transaction, grant_id: GrantId) -> Grant | None:
    """Return a grant inside the caller's transaction, or ``None``."""
    return store.GRANTS.find(tx, grant_id)


def in_force_in(tx: Transaction, grant_id: GrantId, now: datetime) -> Decision[Grant]:
    """Decide whether the grant permits anything at ``now``; if not, why: its end, its term, a lapsed registration."""
    decision = rules.decide_in_force(grant_in(tx, grant_id), now)
    if isinstance(decision, Denied):
        return decision
    today = local_day(now)
    resources = [scope.resource for scope in decision.value.terms.scope]
    uncoded = tuple(resource for resource in resources if registry.coded_for_in(tx, resource, today) is None)
    return rules.decide_still_registered(decision.value, uncoded)


# --------------------------------------------------------------------------------------------------------- reading


def get_plan(site: Site, actor: Actor, plan_id: PlanId) -> Plan:
    """Return a plan that the actor may know of."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        plan = _visible_plan(tx, actor, plan_id)
    return rules.unknown("plan", plan_id).value_or_raise() if plan is None else plan


def list_plans(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Plan]:
    """Return plans that the actor may know of, newest first."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        return page_where(lambda ask: store.PLANS.page(tx, ask), lambda plan: rules.sees_plan(actor, plan), page)


def get_agreement(site: Site, actor: Actor, agreement_id: AgreementId) -> Agreement:
    """Return an agreement that the actor may know of."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        agreement = _visible_agreement(tx, actor, agreement_id)
    return rules.unknown("agreement", agreement_id).value_or_raise() if agreement is None else agreement


def list_agreements(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Agreement]:
    """Return agreements that the actor may know of, newest first."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        return page_where(
            lambda ask: store.AGREEMENTS.page(tx, ask), lambda made: rules.sees_terms(actor, made.terms), page
        )


def get_grant(site: Site, actor: Actor, grant_id: GrantId) -> Grant:
    """Return a grant that the actor may know of."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        grant = store.GRANTS.find(tx, grant_id)
    if grant is None or not rules.sees_terms(actor, grant.terms):
        return rules.unknown("grant", grant_id).value_or_raise()
    return grant


def list_grants(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Grant]:
    """Return grants that the actor may know of, newest first."""
    access.require(actor, Permission.READ_GRANT_VIEW)
    with site.db.reading() as tx:
        return page_where(
            lambda ask: store.GRANTS.page(tx, ask), lambda grant: rules.sees_terms(actor, grant.terms), page
        )


def exit_record(site: Site, actor: Actor, grant_id: GrantId) -> ExitRecord:
    """Return what was recorded when the grant ended; ``not-found`` while it is in force."""
    get_grant(site, actor, grant_id)
    with site.db.reading() as tx:
        record = store.find_exit_record(tx, grant_id)
    return rules.unknown("exit_record", grant_id).value_or_raise() if record is None else record
