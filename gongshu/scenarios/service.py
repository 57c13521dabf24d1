"""Applications for scenarios, their blind scores, and the entitlements that come of them."""

from dataclasses import replace
from datetime import datetime

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import EntitlementId, GrantId, PartyId, ScenarioId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.grants import service as grants
from gongshu.grants.types import Disposal, DisposalKind, Grant
from gongshu.parties import service as parties
from gongshu.policies import service as policies
from gongshu.policies.types import Protection, Use
from gongshu.scenarios import rules, store
from gongshu.scenarios.types import (
    Entitlement,
    EntitlementStatus,
    ResourceEntitlement,
    Scenario,
    ScenarioStatus,
    ScenarioTerms,
    Score,
    ScoreSummary,
)

ID_CHARS_MAX = 80


def _ref(kind: str, object_id: str, found: Scenario | Entitlement | None) -> Ref:
    """Name an object in the log even when it is not there."""
    return Ref(kind, object_id[:ID_CHARS_MAX], "") if found is None else found.ref


# ------------------------------------------------------------------------------------------------------ application


def apply(site: Site, actor: Actor, *, terms: ScenarioTerms) -> Scenario:
    """Apply for one scenario under a grant: one purpose, columns with uses and necessity, a developer, a period."""
    settled = replace(terms, period=rules.in_utc(terms.period))
    scenario = Scenario(
        id=ScenarioId(site.ids.make("scenario")), applicant=actor.person, operator=actor.party, terms=settled,
        status=ScenarioStatus.SUBMITTED, submitted_at=site.now(),
    )  # fmt: skip
    with site.db.transaction() as tx:
        grant = grants.find_grant_in(tx, settled.grant)
        known = grant if grant is not None and grant.terms.operator == actor.party else None
        decision = access.guard(
            actor,
            Permission.OPERATE_SCENARIO_APPLY,
            lambda: (
                rules.unknown("grant", settled.grant) if known is None else _decide_apply(tx, site, scenario, known)
            ),
        )
        audit.record(
            tx, site, actor=actor, action="scenario.apply", subject=scenario.ref, decision=decision,
            origins=() if known is None else (known.ref,),
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.SCENARIOS.add(tx, scenario)
    return decision.value_or_raise()


def _decide_apply(tx: Transaction, site: Site, scenario: Scenario, grant: Grant) -> Decision[Scenario]:
    developer = scenario.terms.developer
    return rules.decide_apply(
        scenario, grant, in_force=grants.in_force_in(tx, grant.id, site.now()), wider=_wider(scenario, grant),
        developer=parties.find_party_in(tx, developer),
        is_developer_related=parties.are_related_in(tx, developer, scenario.operator), now=site.now(),
    )  # fmt: skip


def _wider(scenario: Scenario, grant: Grant) -> dict[tuple[str, str], frozenset[Use]]:
    """Return the uses asked for beyond the grant, by resource and column."""
    return {
        (str(scope.resource), column): uses
        for scope in grant.terms.scope
        for column, uses in policies.excess(
            scope.policy, rules.policy_of(scenario.terms.needs, scope.resource, scope.policy)
        )
    }


# ---------------------------------------------------------------------------------------------------------- scoring


def score(
    site: Site, actor: Actor, scenario_id: ScenarioId, points: dict[str, int], reasons: dict[str, str]
) -> Scenario:
    """Score an application once, blindly, with a reason per criterion; assessors with a tie are refused."""
    given = Score(assessor=actor.person, party=actor.party, points=dict(points), reasons=dict(reasons))
    with site.db.transaction() as tx:
        scenario = _visible(tx, actor, scenario_id)

        def case() -> Decision[Scenario]:
            if scenario is None:
                return rules.unknown("scenario", scenario_id)
            return rules.decide_score(
                scenario, given, conflicts=_conflicts(tx, actor.party, scenario),
                criteria=rules.criteria_of(site.parameters, site.today()),
                scores_min=site.parameters.number("scenario.scores_min", site.today()),
            )  # fmt: skip

        decision = access.guard(actor, Permission.ASSESS_SCENARIO_SCORE, case)
        subject = _ref("scenario", scenario_id, scenario)
        audit.record(tx, site, actor=actor, action="scenario.score", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and scenario is not None:
            store.SCENARIOS.save(tx, scenario, decision.value)
    return rules.shown_to(actor, decision.value_or_raise())


def _conflicts(tx: Transaction, assessor: PartyId, scenario: Scenario) -> tuple[str, ...]:
    agency = grants.grant_in(tx, scenario.terms.grant).terms.agency
    involved = dict.fromkeys((scenario.operator, scenario.terms.developer, agency))
    return tuple(party for party in involved if parties.are_related_in(tx, assessor, party))


def get_score_summary(site: Site, actor: Actor, scenario_id: ScenarioId) -> ScoreSummary:
    """Return averages and reasons per criterion, without names; empty until enough scores are in."""
    scenario = get_scenario(site, actor, scenario_id)
    today = site.today()
    with site.db.reading() as tx:
        full = store.SCENARIOS.get(tx, scenario.id)
    return rules.summary_of(
        full, rules.criteria_of(site.parameters, today),
        scores_min=site.parameters.number("scenario.scores_min", today),
        points_pass=site.parameters.number("scenario.points_pass", today),
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------- decision


def decide(
    site: Site, actor: Actor, scenario_id: ScenarioId, *, approves: bool, reason: str = "",
    protection: Protection | None = None,
) -> Entitlement | Scenario:  # fmt: skip
    """Approve an application, which makes its entitlement; or reject it, which returns the scenario with the reason.

    ``protection`` is what the agency demands beside the thresholds; ``None``: what the parameters of the day say.
    """
    demanded = rules.protection_of(site.parameters, site.today()) if protection is None else protection
    with site.db.transaction() as tx:
        scenario = _visible(tx, actor, scenario_id)
        grant = None if scenario is None else grants.grant_in(tx, scenario.terms.grant)

        def case() -> Decision[Scenario]:
            if scenario is None or grant is None or grant.terms.agency != actor.party:
                return rules.unknown("scenario", scenario_id)
            limits = rules.noise_limits_of(site.parameters, site.today())
            total = rules.summed_columns(scenario.terms.needs)
            protected = policies.decide_protection(demanded, limits, total)
            decided = rules.decide_scenario(
                scenario, actor, approves=approves, reason=reason, in_force=grants.in_force_in(tx, grant.id, site.now()),
                scores_min=site.parameters.number("scenario.scores_min", site.today()),
                points_pass=site.parameters.number("scenario.points_pass", site.today()), now=site.now(),
            )  # fmt: skip
            return Denied(decided.reasons + protected.reasons) if approves and protected.reasons else decided

        decision = access.guard(actor, Permission.AGENCY_SCENARIO_APPROVE, case)
        action = "scenario.approve" if approves else "scenario.reject"
        subject = _ref("scenario", scenario_id, scenario)
        audit.record(tx, site, actor=actor, action=action, subject=subject, decision=decision)
        if not isinstance(decision, Permitted) or scenario is None or grant is None:
            made = None
        else:
            store.SCENARIOS.save(tx, scenario, decision.value)
            made = _entitle(tx, site, actor, decision.value, grant, demanded) if approves else None
    return made if made is not None else decision.value_or_raise()


def _entitle(  # noqa: PLR0917 - what an entitlement is made of
    tx: Transaction, site: Site, actor: Actor, scenario: Scenario, grant: Grant, protection: Protection
) -> Entitlement:
    """Make the entitlement: the grant narrowed to the needs, with the thresholds of the day."""
    terms = scenario.terms
    wanted = {need.resource for need in terms.needs}
    resources = tuple(
        ResourceEntitlement(
            resource=scope.resource, name=scope.name, supplier=scope.supplier, registration=scope.registration,
            policy=policies.narrow(scope.policy, rules.policy_of(terms.needs, scope.resource, scope.policy)),
        )
        for scope in grant.terms.scope
        if scope.resource in wanted
    )  # fmt: skip
    entitlement = Entitlement(
        id=EntitlementId(site.ids.make("entitlement")), grant=grant.ref, scenario=scenario.ref,
        operator=scenario.operator, developer=terms.developer, title=terms.title, purpose=terms.purpose,
        product_class=terms.product_class, resources=resources,
        thresholds=rules.thresholds_of(site.parameters, site.today(), protection),
        price=rules.price_of(grant, terms.product_class), period=terms.period, status=EntitlementStatus.ACTIVE,
    )  # fmt: skip
    permitted: Decision[Entitlement] = Permitted(entitlement)
    audit.record(
        tx, site, actor=actor, action="entitlement.create", subject=entitlement.ref, decision=permitted,
        origins=(scenario.ref, grant.ref),
    )  # fmt: skip
    store.ENTITLEMENTS.add(tx, entitlement)
    return entitlement


# ----------------------------------------------------------------------------------------------------- entitlements


def entitlement_in(tx: Transaction, entitlement_id: EntitlementId) -> Entitlement:
    """Return an entitlement inside the caller's transaction; refused with ``not-found``."""
    return store.ENTITLEMENTS.get(tx, entitlement_id)


def is_usable_in(tx: Transaction, entitlement_id: EntitlementId, now: datetime) -> Decision[Entitlement]:
    """Decide whether an entitlement permits anything at ``now``, asking its grant and registrations; else say why."""
    entitlement = store.ENTITLEMENTS.get(tx, entitlement_id)
    in_force = grants.in_force_in(tx, GrantId(entitlement.grant.id), now)
    return rules.decide_usable(entitlement, in_force, now)


def stop_under_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> tuple[Disposal, ...]:
    """End every entitlement under a grant, in the transaction that ends it; each with its own audit entry."""
    disposals = []
    for entitlement in store.active_under(tx, grant_id):
        decision = rules.decide_end_entitlement(entitlement, reason, site.now())
        audit.record(
            tx, site, actor=actor, action="entitlement.end", subject=entitlement.ref, decision=decision,
            origins=(entitlement.grant,),
        )  # fmt: skip
        store.ENTITLEMENTS.save(tx, entitlement, decision.value_or_raise())
        duty = "停止访问；沙箱内的数据视图和中间结果予以销毁"
        disposals.append(Disposal(DisposalKind.ENTITLEMENT, entitlement.ref, duty))
    return tuple(disposals)


# --------------------------------------------------------------------------------------------------------- reading


def _agency(tx: Transaction, grant_id: str) -> str:
    grant = grants.find_grant_in(tx, GrantId(grant_id))
    return "" if grant is None else grant.terms.agency


def _visible(tx: Transaction, actor: Actor, scenario_id: str) -> Scenario | None:
    scenario = store.SCENARIOS.find(tx, scenario_id)
    is_seen = scenario is not None and rules.sees(actor, scenario, _agency(tx, scenario.terms.grant))
    return scenario if is_seen else None


def get_scenario(site: Site, actor: Actor, scenario_id: ScenarioId) -> Scenario:
    """Return an application that the actor may know of; others' scores only once enough are in."""
    access.require(actor, Permission.READ_SCENARIO_VIEW)
    with site.db.reading() as tx:
        scenario = _visible(tx, actor, scenario_id)
    if scenario is None:
        return rules.unknown("scenario", scenario_id).value_or_raise()
    return rules.shown_to(actor, scenario)


def list_scenarios(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Scenario]:
    """Return applications that the actor may know of, newest first."""
    access.require(actor, Permission.READ_SCENARIO_VIEW)
    with site.db.reading() as tx:
        found = page_where(
            lambda ask: store.SCENARIOS.page(tx, ask),
            lambda made: rules.sees(actor, made, _agency(tx, made.terms.grant)),
            page,
        )
    return Page(tuple(rules.shown_to(actor, scenario) for scenario in found.rows), found.next_after)


def get_entitlement(site: Site, actor: Actor, entitlement_id: EntitlementId) -> Entitlement:
    """Return an entitlement that the actor may know of."""
    access.require(actor, Permission.READ_SCENARIO_VIEW)
    with site.db.reading() as tx:
        found = store.ENTITLEMENTS.find(tx, entitlement_id)
        is_seen = found is not None and rules.sees_entitlement(actor, found, _agency(tx, found.grant.id))
    if found is None or not is_seen:
        return rules.unknown("entitlement", entitlement_id).value_or_raise()
    return found


def list_entitlements(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Entitlement]:
    """Return entitlements that the actor may know of, newest first."""
    access.require(actor, Permission.READ_SCENARIO_VIEW)
    with site.db.reading() as tx:
        return page_where(
            lambda ask: store.ENTITLEMENTS.page(tx, ask),
            lambda made: rules.sees_entitlement(actor, made, _agency(tx, made.grant.id)),
            page,
        )
