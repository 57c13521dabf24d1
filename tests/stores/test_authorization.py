"""Registration, grant and entitlement through the real services, on both stores."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.days import Period
from gongshu.base.decisions import Denied, Permitted, Refused
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.paging import PageRequest
from gongshu.catalog import store as catalog_store
from gongshu.grants import service as grants
from gongshu.grants.types import (
    AgreementStatus,
    DisposalKind,
    GrantStatus,
    Mode,
    PlanStatus,
    ProductClass,
)
from gongshu.parties import service as parties
from gongshu.parties.types import ANONYMOUS
from gongshu.policies.types import (
    Clamp,
    ContributionBounds,
    Noise,
    NoiseMechanism,
    Protection,
    Rounding,
    Use,
)
from gongshu.registry import service as registry
from gongshu.registry.types import CancellationGround, RegistrationStatus
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Need, Scenario, ScenarioStatus
from tests import authorization as way


@pytest.fixture
def actors(site):
    return way.found_city(site)


@pytest.fixture
def registration(site, actors, clock):
    return way.register(site, actors, clock)


@pytest.fixture
def grant(site, actors, registration):
    return way.issue(site, actors, registration)


def codes_of(call):
    with pytest.raises(Refused) as refused:
        call()
    return [reason.code for reason in refused.value.reasons]


def last_entry(site):
    auditor = Actor(ANONYMOUS.person, ANONYMOUS.party, frozenset({Role.AUDITOR}))
    return audit.list_entries(site, auditor, PageRequest(limit=1)).rows[0]


# ---------------------------------------------------------------------------------------------------- registration


def test_a_resource_is_accepted_reviewed_shown_and_coded(site, actors, clock):
    filed = way.submit(site, actors)
    assert (filed.status, str(filed.due), filed.terms.version.id) == (
        RegistrationStatus.SUBMITTED,
        "2026-03-05",
        "version-1",
    )
    accepted = registry.accept(site, actors["registrar"], filed.id)
    assert str(accepted.due) == "2026-03-30"
    shown = registry.pass_review(site, actors["registrar"], filed.id)
    assert str(shown.publicity_ends) == "2026-03-16"
    (notice,) = registry.list_publicity(site).rows
    assert (notice.id, notice.items.registrant, notice.ends) == (filed.id, "bureau", shown.publicity_ends)
    assert codes_of(lambda: registry.assign_code(site, actors["registrar"], filed.id)) == ["publicity-running"]
    assert last_entry(site).reasons[0].code == "publicity-running"
    clock.move(days=15)
    coded = registry.assign_code(site, actors["registrar"], filed.id)
    assert coded.ref == filed.ref
    record = registry.find_public(site, coded.code.lower())
    assert (record.is_trial, str(record.valid_until), record.items.title) == (True, "2029-03-17", "企业登记")
    assert registry.find_public(site, coded.code[:-1] + ("1" if coded.code.endswith("0") else "0")) is None
    assert registry.list_publicity(site).rows == ()
    with site.db.reading() as tx:
        assert registry.coded_for_in(tx, way.RESOURCE, site.today()) == coded
        assert registry.registration_in(tx, coded.id) == coded


def test_a_resource_of_somebody_else_is_not_found_and_a_missing_version_is_not_deposited(site, actors):
    stranger = replace(actors["supplier"], party=PartyId("agency"))
    submit = lambda actor, number: registry.submit(  # noqa: E731
        site, actor, resource_id=way.RESOURCE, version_number=number, title="t", summary="s", materials=way.materials()
    )
    assert codes_of(lambda: submit(stranger, 1)) == ["not-found"]
    assert last_entry(site).action == "registration.submit"
    assert codes_of(lambda: submit(actors["supplier"], 2)) == ["not-deposited"]
    assert codes_of(lambda: submit(actors["registrar"], 1)) == ["permission-missing"]


def test_a_return_is_supplemented_and_starts_a_new_receipt_date(site, actors, clock):
    filed = way.submit(site, actors)
    registry.return_for_supplement(site, actors["registrar"], filed.id, ("简介过短",))
    clock.move(days=7)
    again = registry.resubmit(
        site, actors["supplier"], filed.id, title="企业登记", summary="更长的简介", materials=way.materials()
    )
    assert (again.received_at, str(again.due)) == (clock(), "2026-03-12")
    assert again.digest != filed.digest
    again_with_more = lambda: registry.return_for_supplement(  # noqa: E731
        site, actors["registrar"], filed.id, ("新的问题",)
    )
    assert codes_of(again_with_more) == ["defects-told-once"]
    other = replace(actors["supplier"], party=PartyId("agency"))
    resubmit = lambda: registry.resubmit(site, other, filed.id, title="t", summary="s", materials=())  # noqa: E731
    assert codes_of(resubmit) == ["not-found"]
    registry.accept(site, actors["registrar"], filed.id)
    refused = registry.refuse(site, actors["registrar"], filed.id, "来源不合法")
    assert (refused.status, refused.end_reason) == (RegistrationStatus.TERMINATED, "来源不合法")
    assert way.submit(site, actors).status is RegistrationStatus.SUBMITTED


def test_anybody_with_a_name_objects_and_a_dismissal_resumes_the_publicity(site, actors, clock):
    filed = way.submit(site, actors)
    registry.accept(site, actors["registrar"], filed.id)
    assert codes_of(lambda: registry.object_to(site, actors["bank"], filed.id, "证据")) == ["not-found"]
    registry.pass_review(site, actors["registrar"], filed.id)
    assert codes_of(lambda: registry.object_to(site, ANONYMOUS, filed.id, "证据")) == ["objection-anonymous"]
    assert last_entry(site).action == "registration.object"
    clock.move(days=7)
    registry.object_to(site, actors["bank"], filed.id, "名称有误")
    clock.move(days=7)
    resumed = registry.decide_objection(site, actors["registrar"], filed.id, upholds=False, reason="不成立")
    assert (str(resumed.publicity_ends), resumed.objector) == ("2026-03-23", actors["bank"].person)
    registry.object_to(site, actors["bank"], filed.id, "新的证据")
    ended = registry.decide_objection(site, actors["registrar"], filed.id, upholds=True, reason="成立")
    assert ended.status is RegistrationStatus.TERMINATED


def test_whoever_belongs_to_the_registrant_does_not_review_it(site, actors):
    filed = way.submit(site, actors)
    own = replace(actors["registrar"], party=PartyId("bureau"))
    assert codes_of(lambda: registry.accept(site, own, filed.id)) == ["registrar-is-registrant"]
    administrator = Actor(PersonId("a"), PartyId("x"), frozenset({Role.PLATFORM_ADMINISTRATOR}))
    parties.declare_affiliates(site, administrator, PartyId("registrar"), [PartyId("bureau")])
    assert codes_of(lambda: registry.accept(site, actors["registrar"], filed.id)) == ["registrar-is-registrant"]
    assert codes_of(lambda: registry.accept(site, actors["bank"], filed.id)) == ["permission-missing"]
    assert codes_of(lambda: registry.accept(site, actors["registrar"], "nothing")) == ["not-found"]


def test_cases_are_read_by_those_involved_and_overdue_ones_say_so(site, actors, clock):
    filed = way.submit(site, actors)
    for login in ("supplier", "registrar", "auditor", "government", "agency"):
        assert registry.get_registration(site, actors[login], filed.id) == filed
        assert registry.list_registrations(site, actors[login]).rows == (filed,)
    for login in ("bank", "operator", "developer"):
        assert codes_of(lambda login=login: registry.get_registration(site, actors[login], filed.id)) == ["not-found"]
        assert registry.list_registrations(site, actors[login]).rows == ()
    clock.move(days=4)
    assert registry.list_registrations(site, actors["registrar"]).rows[0].is_overdue(site.today())


def test_a_registration_that_is_not_renewed_lapses_and_stops_the_grant(site, actors, clock, grant, registration):
    assert registry.lapse_expired(site) == ()
    entitlement = way.entitle(site, actors, grant)
    with site.db.reading() as tx:
        assert isinstance(scenarios.is_usable_in(tx, entitlement.id, site.now()), Permitted)
        later = site.now() + timedelta(days=3 * 366)
        assert isinstance(scenarios.is_usable_in(tx, entitlement.id, later), Denied)
    clock.move(days=3 * 366)
    (lapsed,) = registry.lapse_expired(site)
    assert (lapsed.status, lapsed.id) == (RegistrationStatus.LAPSED, registration.id)
    assert last_entry(site).person == "system"
    assert registry.find_public(site, registration.code) is None


def test_a_cancelled_registration_stops_the_grant_at_once(site, actors, grant, registration):
    registry.cancel(site, actors["registrar"], registration.id, ground=CancellationGround.BY_LAW, reason="依法注销")
    with site.db.reading() as tx:
        decision = grants.in_force_in(tx, grant.id, site.now())
    assert [reason.code for reason in decision.reasons] == ["grant-not-in-force"]
    apply = lambda: scenarios.apply(site, actors["operator"], terms=way.scenario_terms(grant, site.now()))  # noqa: E731
    assert codes_of(apply) == ["grant-not-in-force"]


# ----------------------------------------------------------------------------------------------------------- grant


def test_a_plan_is_written_sent_back_rewritten_and_approved(site, actors):
    agency, government = actors["agency"], actors["government"]
    plan = grants.write_plan(site, agency, title="", mode=None, parts=())
    assert codes_of(lambda: grants.get_plan(site, government, plan.id)) == ["not-found"]
    assert codes_of(lambda: grants.decide_plan(site, government, plan.id, True, way.DECISION)) == ["not-found"]
    assert set(codes_of(lambda: grants.submit_plan(site, agency, plan.id))) == {
        "title-missing",
        "mode-missing",
        "part-missing",
    }
    grants.rewrite_plan(site, agency, plan.id, title="方案", mode=Mode.SCENARIO, parts=way.plan_parts())
    grants.submit_plan(site, agency, plan.id)
    assert grants.list_plans(site, government).rows[0].status is PlanStatus.SUBMITTED
    grants.decide_plan(site, government, plan.id, False, None, "收益分配不清")
    grants.rewrite_plan(site, agency, plan.id, title="方案", mode=Mode.SCENARIO, parts=way.plan_parts())
    grants.submit_plan(site, agency, plan.id)
    own = replace(government, party=agency.party)
    assert codes_of(lambda: grants.decide_plan(site, own, plan.id, True, way.DECISION)) == ["approver-of-applicant"]
    assert last_entry(site).reasons[0].code == "approver-of-applicant"
    assert codes_of(lambda: grants.decide_plan(site, government, plan.id, True, None)) == ["plan-decision-missing"]
    effective = grants.decide_plan(site, government, plan.id, True, way.DECISION)
    assert (effective.status, effective.decided_by) == (PlanStatus.EFFECTIVE, government.person)
    other = replace(agency, party=PartyId("elsewhere"))
    for call in (
        lambda: grants.submit_plan(site, other, plan.id),
        lambda: grants.rewrite_plan(site, other, plan.id, title="", mode=None, parts=()),
        lambda: grants.get_plan(site, other, plan.id),
    ):
        assert codes_of(call) == ["not-found"]


def test_the_terms_are_checked_against_registry_provider_and_operator(site, actors, registration):
    plan, terms = way.approve_plan(site, actors), way.grant_terms(registration)

    def refused(**changed):
        return codes_of(lambda: way.propose(site, actors, plan, replace(terms, **changed)))

    assert refused(period=Period(way.START, way.START + timedelta(days=6 * 366))) == ["term-too-long"]
    assert refused(operator=PartyId("nobody")) == ["operator-unfit"]
    assert refused(operator=PartyId("agency")) == ["operator-unfit"] * 2
    scope = terms.scope[0]
    assert refused(scope=(replace(scope, resource="other"),)) == ["resource-not-registered"]
    year = replace(way.POLICY.of("year"), uses=frozenset({Use.REVEAL}))
    assert refused(scope=(replace(scope, policy=replace(way.POLICY, columns=(year,))),)) == ["scope-wider"]
    stranger = replace(year, column="secret")
    assert refused(scope=(replace(scope, policy=replace(way.POLICY, columns=(stranger,))),)) == ["scope-column-unknown"]
    assert refused(scope=(replace(scope, policy=replace(way.POLICY, unit=())),)) == ["scope-loosens-protection"]
    assert refused(scope=(replace(scope, registration=plan.ref),)) == ["scope-not-as-registered"]
    assert last_entry(site).action == "agreement.propose"
    assert grants.list_agreements(site, actors["agency"]).rows == ()
    assert grants.offer_scope(site, actors["agency"], way.RESOURCE) == scope
    assert codes_of(lambda: grants.offer_scope(site, actors["agency"], "other")) == ["resource-not-registered"]


def test_no_grant_over_a_resource_without_a_code_or_uses(site, actors):
    plan = way.approve_plan(site, actors)
    filed = way.submit(site, actors)
    assert codes_of(lambda: way.propose(site, actors, plan, way.grant_terms(filed))) == ["resource-not-registered"]


def test_both_sides_sign_in_order_and_the_grant_is_issued_once(site, actors, registration):
    plan = way.approve_plan(site, actors)
    agreement = way.propose(site, actors, plan, way.grant_terms(registration))
    sign = grants.sign_agreement
    assert codes_of(lambda: sign(site, actors["operator"], agreement.id)) == ["wrong-status"]
    assert codes_of(lambda: sign(site, actors["agency-head"], agreement.id)) == ["agreement-decision-missing"]
    assert codes_of(lambda: sign(site, actors["other-operator"], agreement.id)) == ["not-found"]
    assert codes_of(lambda: sign(site, actors["supplier"], agreement.id, way.DECISION)) == ["permission-missing"]
    assert codes_of(lambda: grants.issue_grant(site, actors["agency"], agreement.id)) == ["wrong-status"]
    sign(site, actors["agency-head"], agreement.id, way.DECISION)
    signed = sign(site, actors["operator"], agreement.id)
    assert (signed.status, signed.ref) == (AgreementStatus.EFFECTIVE, agreement.ref)
    other = replace(actors["agency"], party=PartyId("elsewhere"))
    assert codes_of(lambda: grants.issue_grant(site, other, agreement.id)) == ["not-found"]
    grant = grants.issue_grant(site, actors["agency"], agreement.id)
    assert codes_of(lambda: grants.issue_grant(site, actors["agency"], agreement.id)) == ["grant-issued"]
    assert grants.get_grant(site, actors["operator"], grant.id) == grant
    assert codes_of(lambda: grants.get_grant(site, actors["other-operator"], grant.id)) == ["not-found"]
    assert codes_of(lambda: grants.exit_record(site, actors["agency"], grant.id)) == ["not-found"]
    assert grants.list_grants(site, actors["supplier"]).rows == (grant,)
    assert grants.get_agreement(site, actors["operator"], agreement.id).status is AgreementStatus.EFFECTIVE


def test_an_agreement_is_withdrawn_until_the_operator_has_signed(site, actors, registration):
    plan = way.approve_plan(site, actors)
    agreement = way.propose(site, actors, plan, way.grant_terms(registration))
    other = replace(actors["agency"], party=PartyId("elsewhere"))
    assert codes_of(lambda: grants.withdraw_agreement(site, other, agreement.id, "有误")) == ["not-found"]
    withdrawn = grants.withdraw_agreement(site, actors["agency"], agreement.id, "有误")
    assert (withdrawn.status, withdrawn.end_reason) == (AgreementStatus.ENDED, "有误")
    sign = lambda: grants.sign_agreement(site, actors["agency-head"], agreement.id, way.DECISION)  # noqa: E731
    assert codes_of(sign) == ["wrong-status"]


def test_a_provider_that_narrowed_its_uses_meanwhile_is_not_overruled(site, actors, registration):
    plan = way.approve_plan(site, actors)
    agreement = way.propose(site, actors, plan, way.grant_terms(registration))
    grants.sign_agreement(site, actors["agency-head"], agreement.id, way.DECISION)
    grants.sign_agreement(site, actors["operator"], agreement.id)
    with site.db.transaction() as tx:
        resource = catalog_store.RESOURCES.get(tx, way.RESOURCE)
        narrower = replace(resource.policy, columns=resource.policy.columns[:1])
        catalog_store.RESOURCES.save(tx, resource, replace(resource, policy=narrower))
    assert set(codes_of(lambda: grants.issue_grant(site, actors["agency"], agreement.id))) == {"scope-wider"}


def test_an_end_acts_at_once_and_is_recorded_with_what_stopped(site, actors, grant):
    entitlement = way.entitle(site, actors, grant)
    with site.db.transaction() as tx:
        disposals = scenarios.stop_under_in(tx, site, actors["agency"], grant.id, "违约")
        ended, record = grants.end_in(tx, site, actors["agency"], grant.id, "违约", disposals)
    assert (ended.status, ended.ref) == (GrantStatus.ENDED, grant.ref)
    assert [(d.kind, d.ref) for d in record.disposals] == [(DisposalKind.ENTITLEMENT, entitlement.ref)]
    assert grants.exit_record(site, actors["operator"], grant.id) == record
    with site.db.reading() as tx:
        decision = scenarios.is_usable_in(tx, entitlement.id, site.now())
        assert [reason.code for reason in decision.reasons] == ["entitlement-ended", "grant-not-in-force"]
        again = grants.decide_end_in(tx, site, actors["agency"], grant.id, "再次")
        assert [reason.code for reason in again.reasons] == ["wrong-status"]
    agreement = grants.get_agreement(site, actors["agency"], grant.agreement.id)
    assert (agreement.status, agreement.end_reason) == (AgreementStatus.ENDED, "违约")


def test_a_refused_end_changes_nothing(site, actors, grant):
    other = replace(actors["agency"], party=PartyId("elsewhere"))
    with site.db.reading() as tx:
        assert [r.code for r in grants.decide_end_in(tx, site, other, grant.id, "x").reasons] == ["not-found"]
        operator = grants.decide_end_in(tx, site, actors["operator"], grant.id, "x")
        assert [reason.code for reason in operator.reasons] == ["permission-missing"]
    with pytest.raises(Refused), site.db.transaction() as tx:
        grants.end_in(tx, site, actors["agency"], grant.id, " ", ())
    assert grants.get_grant(site, actors["agency"], grant.id) == grant


# -------------------------------------------------------------------------------------------------------- scenario


def test_an_approved_scenario_becomes_an_entitlement_narrower_than_the_grant(site, actors, grant):
    entitlement = way.entitle(site, actors, grant)
    (resource,) = entitlement.resources
    assert {c.column: c.uses for c in resource.policy.columns} == {"code": {Use.COMPARE}, "region": {Use.GROUP}}
    assert (resource.policy.unit, entitlement.thresholds.units_min) == (("code",), 10)
    assert (entitlement.grant, entitlement.price) == (grant.ref, grant.terms.price)
    assert scenarios.get_entitlement(site, actors["developer"], entitlement.id) == entitlement
    assert scenarios.list_entitlements(site, actors["operator"]).rows == (entitlement,)
    with site.db.reading() as tx:
        assert scenarios.entitlement_in(tx, entitlement.id) == entitlement
    free = way.entitle(site, actors, grant, product_class=ProductClass.PUBLIC, purpose="public_service")
    assert free.price.ceiling_minor == 0


def test_an_approval_states_what_is_demanded_beside_the_thresholds(site, actors, grant):
    filed = scenarios.apply(site, actors["operator"], terms=way.scenario_terms(grant, site.now()))
    for number in (1, 2, 3):
        way.score(site, actors, filed, number)
    approve = partial(scenarios.decide, site, actors["agency"], filed.id, approves=True)
    noise = Noise(NoiseMechanism.LAPLACE, 500, 1000, 5000, 5000, (Clamp(way.RESOURCE, "code", 0, 9),))
    wrong = Protection(rounding=Rounding(1), noise=noise)
    assert codes_of(lambda: approve(protection=wrong)) == [
        "rounding-wrong", "noise-beside-rounding", "noise-without-bounds", "clamp-wrong",
    ]  # fmt: skip
    made = approve(protection=Protection(ContributionBounds(2, 3), Rounding(5, redact_max=7)))
    assert made.thresholds.protection == Protection(ContributionBounds(2, 3), Rounding(5, redact_max=7))
    assert scenarios.get_entitlement(site, actors["developer"], made.id) == made


def test_asking_beyond_the_grant_is_refused_by_name(site, actors, grant):
    def refused(actor="operator", **changed):
        terms = way.scenario_terms(grant, site.now(), **changed)
        return codes_of(lambda: scenarios.apply(site, actors[actor], terms=terms))

    assert refused(needs=(Need(way.RESOURCE, "secret", frozenset({Use.GROUP}), "想看"),)) == ["need-beyond-grant"]
    assert refused(needs=(Need(way.RESOURCE, "name", frozenset({Use.REVEAL}), "想看"),)) == ["need-beyond-grant"]
    assert dict(last_entry(site).reasons[0].facts)["column"] == "name"
    assert refused(developer=PartyId("nobody")) == ["developer-unknown"]
    assert refused(actor="other-operator") == ["not-found"]
    assert refused(actor="developer") == ["permission-missing"]


def test_scores_are_blind_and_no_decision_is_taken_before_they_are_in(site, actors, grant):
    operator, agency = actors["operator"], actors["agency"]
    filed = scenarios.apply(site, operator, terms=way.scenario_terms(grant, site.now()))
    for number in (1, 2):
        mine = way.score(site, actors, filed, number)
        assert [given.assessor for given in mine.scores] == [actors[f"assessor-{number}"].person]
    assert scenarios.get_scenario(site, operator, filed.id).scores == ()
    assert scenarios.get_score_summary(site, operator, filed.id).criteria == ()
    decide = lambda: scenarios.decide(site, agency, filed.id, approves=True)  # noqa: E731
    assert codes_of(decide) == ["scores-missing"]
    assert codes_of(lambda: way.score(site, actors, filed, 1)) == ["scored-already"]
    way.score(site, actors, filed, 3)
    assert scenarios.list_scenarios(site, operator).rows[0].status is ScenarioStatus.SCORED
    assert scenarios.get_score_summary(site, operator, filed.id).mean == "80.0"
    other = replace(agency, party=PartyId("elsewhere"))
    assert codes_of(lambda: scenarios.decide(site, other, filed.id, approves=True)) == ["not-found"]
    rejected = scenarios.decide(site, agency, filed.id, approves=False, reason="数据过多")
    assert isinstance(rejected, Scenario)
    assert (rejected.status, rejected.decision_reason) == (ScenarioStatus.REJECTED, "数据过多")


def test_an_assessor_tied_to_a_side_does_not_score(site, actors, grant):
    filed = scenarios.apply(site, actors["operator"], terms=way.scenario_terms(grant, site.now()))
    administrator = Actor(PersonId("a"), PartyId("x"), frozenset({Role.PLATFORM_ADMINISTRATOR}))
    parties.declare_affiliates(site, administrator, PartyId("university"), [PartyId("developer")])
    assert codes_of(lambda: way.score(site, actors, filed, 1)) == ["assessor-conflicted"]
    assert codes_of(lambda: scenarios.score(site, actors["assessor-1"], "nothing", {}, {})) == ["not-found"]


def test_others_answer_not_found(site, actors, grant):
    entitlement = way.entitle(site, actors, grant)
    for login in ("other-operator", "bank"):
        reader = replace(actors[login], roles=frozenset({Role.OPERATOR}))
        assert codes_of(lambda r=reader: scenarios.get_entitlement(site, r, entitlement.id)) == ["not-found"]
        assert codes_of(lambda r=reader: scenarios.get_scenario(site, r, entitlement.scenario.id)) == ["not-found"]
        assert scenarios.list_entitlements(site, reader).rows == scenarios.list_scenarios(site, reader).rows == ()


# ----------------------------------------------------------------------------------------------------------- trace


def test_an_entitlement_is_walked_back_to_the_version_of_the_rows(site, actors, grant):
    entitlement = way.entitle(site, actors, grant)
    trace = audit.trace_back(site, "entitlement", entitlement.id)
    kinds = {step.ref.kind for step in trace.steps}
    assert {"entitlement", "scenario", "grant", "agreement", "plan", "registration"} <= kinds
    forward = audit.trace_forward(site, "resource_version", "version-1")
    assert entitlement.ref in {edge.child for edge in forward.edges}
