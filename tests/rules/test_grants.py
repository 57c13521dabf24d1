"""Plan, agreement, grant and end: every status, and every reason against."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period, start_of_day
from gongshu.base.decisions import Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import AgreementId, GrantId, PartyId, PersonId, PlanId, ResourceId
from gongshu.base.money import Tier
from gongshu.grants.rules import AGREEMENT_TRANSITIONS, GRANT_TRANSITIONS, PLAN_TRANSITIONS, agreements, plans, terms
from gongshu.grants.rules import grants as rules
from gongshu.grants.types import (
    AGREEMENT_PARTS,
    PLAN_PARTS,
    Agreement,
    AgreementStatus,
    CollectiveDecision,
    Grant,
    GrantStatus,
    GrantTerms,
    Mode,
    Part,
    Plan,
    PlanStatus,
    PriceRule,
    ResourceScope,
    Right,
    ScopeFacts,
    SelectionMethod,
)
from gongshu.parties.types import Party
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DECISION = CollectiveDecision("常务会议", "〔2026〕17号", "0" * 64)
AGENCY = Actor(PersonId("clerk"), PartyId("agency"), frozenset({Role.IMPLEMENTING_AGENCY}))
GOVERNMENT = Actor(PersonId("mayor"), PartyId("government"), frozenset({Role.AUTHORISING_BODY}))
OPERATOR = Actor(PersonId("op"), PartyId("operator"), frozenset({Role.OPERATOR}))
OPERATOR_PARTY = Party(PartyId("operator"), "运营", "c", frozenset({Role.OPERATOR}), "450100")
PLAN_TEXTS = dict.fromkeys(PLAN_PARTS, "已说明") | {"P07": "公益事业：核对；产业发展：核验"}
PLAN = Plan(
    PlanId("plan"), PartyId("agency"), PersonId("clerk"), "方案", Mode.SCENARIO,
    tuple(Part(code, text) for code, text in PLAN_TEXTS.items()), PlanStatus.EFFECTIVE,
)  # fmt: skip
POLICY = ResourcePolicy(
    (ColumnPolicy("code", frozenset({Use.COMPARE})), ColumnPolicy("year", frozenset({Use.GROUP}))), ("code",)
)
SCOPE = ResourceScope(ResourceId("r"), "enterprise", Ref("registration", "reg", "d"), PartyId("bureau"), POLICY)
TERMS = GrantTerms(
    agency=PartyId("agency"), operator=PartyId("operator"), mode=Mode.SCENARIO, rights=frozenset(Right),
    purposes=("inclusive_finance",), period=Period(NOW, NOW + timedelta(days=365)), scope=(SCOPE,),
    price=PriceRule(600, (Tier(20_000_000, "0.5"), Tier(None, "0.6")), "0.4"), exit_duties=("停止访问",),
)  # fmt: skip
AGREEMENT = Agreement(
    AgreementId("agreement"), PLAN.ref, SelectionMethod.NEGOTIATION, PersonId("clerk"), TERMS,
    tuple(Part(code, "已约定") for code in AGREEMENT_PARTS), AgreementStatus.DRAFT,
)  # fmt: skip
FACTS = (ScopeFacts(SCOPE, "", frozenset({"code", "year"})),)
GRANT = Grant(GrantId("grant"), AGREEMENT.ref, TERMS, GrantStatus.ACTIVE, PersonId("clerk"), NOW)


def codes(decision):
    return [reason.code for reason in decision.reasons]


def propose(agreement=AGREEMENT, *, plan=PLAN, operator=OPERATOR_PARTY, facts=FACTS, is_related=False, now=NOW):
    return agreements.decide_propose(agreement, plan, operator, facts, is_related=is_related, years_max=5, now=now)


def with_terms(**changed):
    return replace(AGREEMENT, terms=replace(TERMS, **changed))


# -------------------------------------------------------------------------------------------------- status tables

PLAN_ACTIONS = {
    "rewrite": lambda p: plans.decide_rewrite_plan(p, replace(p, title="新")),
    "submit": plans.decide_submit_plan,
    "approve": lambda p: plans.decide_plan(p, GOVERNMENT, approves=True, decision=DECISION, reason=""),
    "reject": lambda p: plans.decide_plan(p, GOVERNMENT, approves=False, decision=None, reason="不必要"),
}
AGREEMENT_ACTIONS = {
    "propose": propose,
    "sign_for_agency": lambda a: agreements.decide_sign_for_agency(a, AGENCY, DECISION, NOW),
    "sign_for_operator": lambda a: agreements.decide_sign_for_operator(a, OPERATOR, NOW),
    "withdraw": lambda a: agreements.decide_withdraw(a, "有误"),
    "issue": lambda a: rules.decide_issue(GRANT, a, None, FACTS, NOW),
}


@pytest.mark.parametrize("status", list(PlanStatus))
@pytest.mark.parametrize("action", list(PLAN_ACTIONS))
def test_each_action_on_a_plan_is_possible_from_the_statuses_of_the_table_only(status, action):
    decision = PLAN_ACTIONS[action](replace(PLAN, status=status))
    step = PLAN_TRANSITIONS.get((status, action))
    assert codes(decision) == (["wrong-status"] if step is None else [])
    assert step is None or decision.value_or_raise().status is step[0]


@pytest.mark.parametrize("status", list(AgreementStatus))
@pytest.mark.parametrize("action", list(AGREEMENT_ACTIONS))
def test_each_action_on_an_agreement_is_possible_from_the_statuses_of_the_table_only(status, action):
    decision = AGREEMENT_ACTIONS[action](replace(AGREEMENT, status=status))
    step = AGREEMENT_TRANSITIONS.get((status, action))
    assert codes(decision) == (["wrong-status"] if step is None else [])
    if step is not None and action != "issue":
        assert decision.value_or_raise().status is step[0]


@pytest.mark.parametrize("status", list(GrantStatus))
def test_a_grant_ends_once(status):
    decision = rules.decide_end(replace(GRANT, status=status), "期满前终止", NOW)
    assert isinstance(decision, Permitted) is ((status, "end") in GRANT_TRANSITIONS)


def test_the_tables_hold_no_action_that_these_tests_forget():
    assert {action for _, action in PLAN_TRANSITIONS} == set(PLAN_ACTIONS)
    assert {action for _, action in AGREEMENT_TRANSITIONS} == {*AGREEMENT_ACTIONS, "end"}
    assert agreements.end(replace(AGREEMENT, status=AgreementStatus.EFFECTIVE), "终止").status is AgreementStatus.ENDED


# ---------------------------------------------------------------------------------------------------------- plans


@pytest.mark.parametrize("missing", list(PLAN_PARTS))
@pytest.mark.parametrize("text", [None, "", "  "])
def test_each_of_the_twelve_parts_is_mandatory(missing, text):
    parts = tuple(part for part in PLAN.parts if part.code != missing)
    parts = parts if text is None else (*parts, Part(missing, text))
    decision = plans.decide_submit_plan(replace(PLAN, status=PlanStatus.DRAFT, parts=parts))
    assert codes(decision) == ["part-missing"]
    assert dict(decision.reasons[0].facts)["code"] == missing


@pytest.mark.parametrize(
    ("products", "missing"),
    [
        ("公共治理：核对", ["industrial"]),
        ("行业发展：核验", ["public"]),
        ("核验", ["public", "industrial"]),
        ("公益事业：无；产业发展：核验", []),
    ],
)
def test_the_product_list_speaks_of_both_classes(products, missing):
    parts = tuple(replace(part, text=products) if part.code == "P07" else part for part in PLAN.parts)
    decision = plans.decide_submit_plan(replace(PLAN, status=PlanStatus.DRAFT, parts=parts))
    assert [dict(reason.facts)["product_class"] for reason in decision.reasons] == missing
    assert set(codes(decision)) <= {"product-class-missing"}


def test_a_plan_without_title_or_mode_and_with_strange_parts_is_told_everything():
    parts = (*PLAN.parts, Part("P13", "x"), Part("P01", "再次"))
    decision = plans.decide_submit_plan(replace(PLAN, status=PlanStatus.DRAFT, title=" ", mode=None, parts=parts))
    assert codes(decision) == ["title-missing", "mode-missing", "part-unknown", "part-unknown"]


@pytest.mark.parametrize(
    ("decision", "missing"),
    [
        (None, "body, record_number, minutes_digest"),
        (replace(DECISION, body=" "), "body"),
        (replace(DECISION, record_number=""), "record_number"),
        (replace(DECISION, minutes_digest="0" * 63), "minutes_digest"),
        (replace(DECISION, minutes_digest="Z" * 64), "minutes_digest"),
        (DECISION, ""),
    ],
)
def test_a_collective_decision_is_recorded_in_full(decision, missing):
    assert plans.collective_fault(decision) == missing
    submitted = replace(PLAN, status=PlanStatus.SUBMITTED)
    outcome = plans.decide_plan(submitted, GOVERNMENT, approves=True, decision=decision, reason="")
    assert codes(outcome) == (["plan-decision-missing"] if missing else [])
    proposed = replace(AGREEMENT, status=AgreementStatus.PROPOSED)
    signed = agreements.decide_sign_for_agency(proposed, AGENCY, decision, NOW)
    assert codes(signed) == (["agreement-decision-missing"] if missing else [])


def test_an_approver_of_the_applicants_organisation_is_refused_with_the_article():
    submitted = replace(PLAN, status=PlanStatus.SUBMITTED)
    decision = plans.decide_plan(submitted, AGENCY, approves=True, decision=DECISION, reason="")
    assert codes(decision) == ["approver-of-applicant"]
    assert "27号 art.11" in decision.reasons[0].rule.law


def test_a_rejection_needs_a_reason_and_leaves_the_plan_to_be_rewritten():
    submitted = replace(PLAN, status=PlanStatus.SUBMITTED)
    assert codes(plans.decide_plan(submitted, GOVERNMENT, approves=False, decision=None, reason=" ")) == [
        "reason-missing"
    ]


# ------------------------------------------------------------------------------------------------------ agreements


@pytest.mark.parametrize("missing", list(AGREEMENT_PARTS))
def test_each_of_the_thirteen_parts_is_mandatory(missing):
    parts = tuple(part for part in AGREEMENT.parts if part.code != missing)
    decision = propose(replace(AGREEMENT, parts=parts))
    assert codes(decision) == ["part-missing"]
    assert dict(decision.reasons[0].facts)["code"] == missing


@pytest.mark.parametrize("right", list(Right))
def test_each_of_the_three_rights_is_settled(right):
    decision = propose(with_terms(rights=frozenset(Right) - {right}))
    assert codes(decision) == ["right-missing"]
    assert dict(decision.reasons[0].facts)["right"] == right


@pytest.mark.parametrize(
    ("agreement", "expected"),
    [
        (replace(AGREEMENT, selection=None), ["selection-missing"]),
        (with_terms(mode=None), ["mode-missing"]),
        (with_terms(mode=Mode.WHOLE), ["mode-not-of-plan"]),
        (with_terms(purposes=()), ["terms-purpose-missing"]),
        (with_terms(purposes=("a", " ")), ["terms-purpose-missing"]),
        (with_terms(exit_duties=()), ["exit-duty-missing"]),
        (with_terms(exit_duties=("",)), ["exit-duty-missing"]),
        (with_terms(agency=PartyId("other")), ["agency-not-of-plan"]),
    ],
)
def test_whatever_is_missing_is_named(agreement, expected):
    assert codes(propose(agreement)) == expected


@pytest.mark.parametrize("status", [status for status in PlanStatus if status is not PlanStatus.EFFECTIVE])
def test_no_agreement_before_the_plan_is_effective(status):
    assert codes(propose(plan=replace(PLAN, status=status))) == ["plan-not-effective"]


def five_years(**later):
    return Period(start_of_day(NOW.date()), start_of_day(NOW.date().replace(year=2031)) + timedelta(**later))


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (five_years(), []),
        (five_years(seconds=1), ["term-too-long"]),
        (five_years(days=366), ["term-too-long"]),
        (Period(NOW, NOW), ["term-wrong"]),
        (Period(NOW, NOW - timedelta(days=1)), ["term-wrong"]),
        (Period(NOW - timedelta(days=9), NOW), ["term-wrong"]),
        (Period(NOW.replace(tzinfo=None), NOW.replace(tzinfo=None) + timedelta(days=9)), ["term-wrong"]),
    ],
)
def test_a_term_is_at_most_five_years_by_the_calendar(period, expected):
    decision = propose(with_terms(period=period))
    assert codes(decision) == expected
    if expected == ["term-too-long"]:
        assert decision.reasons[0].rule.law == "27号 art.14(二)"
        assert dict(decision.reasons[0].facts)["latest"] == "2031-03-01"


def test_a_term_that_starts_on_a_leap_day_ends_on_the_last_of_february():
    start = start_of_day(NOW.date().replace(year=2028, month=2, day=29))
    assert terms.latest_end(start, 5) == start_of_day(NOW.date().replace(year=2033, month=2, day=28))


def test_one_instant_has_one_form():
    china = timezone(timedelta(hours=8))
    assert terms.in_utc(Period(NOW.astimezone(china), NOW.astimezone(china))).start.tzinfo is UTC
    naive = Period(NOW.replace(tzinfo=None), NOW)
    assert terms.in_utc(naive) is naive


@pytest.mark.parametrize(
    ("operator", "is_related", "operator_id", "whys"),
    [
        (OPERATOR_PARTY, False, "operator", []),
        (None, False, "ghost", ["it is not known here"]),
        (replace(OPERATOR_PARTY, roles=frozenset({Role.DEVELOPER})), False, "operator", ["it does not hold that role"]),
        (OPERATOR_PARTY, True, "operator", ["it is related to the agency"]),
        (replace(OPERATOR_PARTY, id=PartyId("agency")), True, "agency", ["it is the agency itself"]),
        (
            replace(OPERATOR_PARTY, roles=frozenset({Role.OPERATOR, Role.REGISTRAR})),
            False,
            "operator",
            ["it is a registrar"],
        ),
    ],
)
def test_the_operator_is_neither_agency_nor_registrar_nor_related(operator, is_related, operator_id, whys):
    decision = propose(with_terms(operator=PartyId(operator_id)), operator=operator, is_related=is_related)
    assert [dict(reason.facts)["why_en"] for reason in decision.reasons] == whys
    assert set(codes(decision)) <= {"operator-unfit"}


@pytest.mark.parametrize(
    ("price", "faults"),
    [
        (replace(TERMS.price, ceiling_minor=-1), 1),
        (replace(TERMS.price, ceiling_minor=0), 0),
        (replace(TERMS.price, split=()), 1),
        (replace(TERMS.price, split=(Tier(5, "0.5"),)), 1),
        (replace(TERMS.price, split=(Tier(5, "0.5"), Tier(4, "0.5"), Tier(None, "0.6"))), 1),
        (replace(TERMS.price, split=(Tier(None, "1.1"),)), 1),
        (replace(TERMS.price, split=(Tier(None, "half"),)), 1),
        (replace(TERMS.price, treasury_share="-0.1"), 1),
        (replace(TERMS.price, treasury_share="1/0"), 1),
        (replace(TERMS.price, ceiling_minor=-1, split=(Tier(None, ""),), treasury_share=""), 3),
    ],
)
def test_a_price_rule_without_faults(price, faults):
    assert codes(propose(with_terms(price=price))) == ["price-wrong"] * faults


# ----------------------------------------------------------------------------------------------------------- scope


@pytest.mark.parametrize(
    ("scope", "facts", "expected"),
    [
        ((), (), ["scope-empty"]),
        ((SCOPE, SCOPE), FACTS * 2, ["scope-twice"]),
        ((SCOPE,), (ScopeFacts(None, "unknown"),), ["resource-not-registered"]),
        ((SCOPE,), (ScopeFacts(None, "uncoded"),), ["resource-not-registered"]),
        ((SCOPE,), (ScopeFacts(None, "uses-unset"),), ["resource-not-registered"]),
        ((replace(SCOPE, registration=Ref("registration", "old", "d")),), FACTS, ["scope-not-as-registered"]),
        ((replace(SCOPE, supplier=PartyId("x"), name="y"),), FACTS, ["scope-not-as-registered"] * 2),
        ((SCOPE,), (replace(FACTS[0], columns=frozenset({"code"})),), ["scope-column-unknown"]),
        ((SCOPE,), (replace(FACTS[0], wider=(("year", frozenset({Use.GROUP})),), loosens=True),), ["scope-wider"]),
        (
            (SCOPE,), (replace(FACTS[0], columns=frozenset({"code"}), wider=(("year", frozenset({Use.GROUP})),)),),
            ["scope-column-unknown"],
        ),
        ((SCOPE,), (replace(FACTS[0], loosens=True),), ["scope-loosens-protection"]),
        ((replace(SCOPE, policy=replace(POLICY, columns=())),), FACTS, ["scope-empty"]),
        (
            (replace(SCOPE, policy=replace(POLICY, columns=(*POLICY.columns, POLICY.columns[0]))),), FACTS,
            ["scope-twice"],
        ),
    ],
)  # fmt: skip
def test_the_scope_is_registered_and_no_wider_than_the_provider_allows(scope, facts, expected):
    assert codes(propose(with_terms(scope=scope), facts=facts)) == expected
    effective = replace(with_terms(scope=scope), status=AgreementStatus.EFFECTIVE)
    assert codes(rules.decide_issue(GRANT, effective, None, facts, NOW)) == expected


def test_a_wider_use_is_named_with_its_column():
    facts = (replace(FACTS[0], wider=(("year", frozenset({Use.REVEAL, Use.JOIN})),)),)
    (reason,) = propose(facts=facts).reasons
    assert dict(reason.facts) == {"resource": "r", "column": "year", "uses": "join, reveal"}


# ------------------------------------------------------------------------------------------------------ signatures


def test_two_different_persons_sign():
    signed = replace(AGREEMENT, status=AgreementStatus.SIGNED_BY_AGENCY, agency_signer=PersonId("op"))
    assert codes(agreements.decide_sign_for_operator(signed, OPERATOR, NOW)) == ["signer-same"]


def test_nothing_is_signed_withdrawn_or_issued_out_of_time_or_without_reason():
    late = TERMS.period.end
    proposed = replace(AGREEMENT, status=AgreementStatus.PROPOSED)
    signed = replace(AGREEMENT, status=AgreementStatus.SIGNED_BY_AGENCY)
    effective = replace(AGREEMENT, status=AgreementStatus.EFFECTIVE)
    assert codes(agreements.decide_sign_for_agency(proposed, AGENCY, DECISION, late)) == ["term-wrong"]
    assert codes(agreements.decide_sign_for_operator(signed, OPERATOR, late)) == ["term-wrong"]
    assert codes(rules.decide_issue(GRANT, effective, None, FACTS, late)) == ["term-wrong"]
    assert codes(agreements.decide_withdraw(proposed, " ")) == ["reason-missing"]


def test_one_agreement_gives_one_grant():
    effective = replace(AGREEMENT, status=AgreementStatus.EFFECTIVE)
    assert codes(rules.decide_issue(GRANT, effective, GRANT, FACTS, NOW)) == ["grant-issued"]


# ---------------------------------------------------------------------------------------------------- force and end


@pytest.mark.parametrize(
    ("moment", "status", "is_in_force"),
    [
        (NOW, GrantStatus.ACTIVE, True),
        (NOW - timedelta(microseconds=1), GrantStatus.ACTIVE, False),
        (TERMS.period.end - timedelta(microseconds=1), GrantStatus.ACTIVE, True),
        (TERMS.period.end, GrantStatus.ACTIVE, False),
        (NOW, GrantStatus.ENDED, False),
    ],
)
def test_a_grant_is_in_force_within_its_term_until_it_is_ended(moment, status, is_in_force):
    grant = replace(GRANT, status=status)
    decision = rules.decide_in_force(grant, moment)
    assert codes(decision) == ([] if is_in_force else ["grant-not-in-force"])
    assert grant.is_in_force(moment) is is_in_force


def test_a_lapsed_registration_stops_the_grant():
    assert isinstance(rules.decide_still_registered(GRANT, ()), Permitted)
    assert codes(rules.decide_still_registered(GRANT, ("r",))) == ["grant-not-in-force"]


def test_an_end_is_reasoned_and_recorded():
    assert codes(rules.decide_end(GRANT, " ", NOW)) == ["reason-missing"]
    ended = rules.decide_end(GRANT, " 违约 ", NOW).value_or_raise()
    assert (ended.status, ended.ended_at, ended.end_reason, ended.ref) == (GrantStatus.ENDED, NOW, "违约", GRANT.ref)
    record = rules.exit_record_of(ended, "exit", (), NOW)
    assert (record.grant, record.reason) == (GRANT.ref, "违约")


# ------------------------------------------------------------------------------------------------------ visibility


@pytest.mark.parametrize(
    ("party", "role", "sees_draft", "sees_submitted", "sees_terms"),
    [
        ("agency", Role.IMPLEMENTING_AGENCY, True, True, True),
        ("other-agency", Role.IMPLEMENTING_AGENCY, False, False, False),
        ("government", Role.AUTHORISING_BODY, False, True, True),
        ("audit", Role.AUDITOR, False, True, True),
        ("operator", Role.OPERATOR, False, False, True),
        ("other-operator", Role.OPERATOR, False, False, False),
        ("bureau", Role.SUPPLIER, False, False, True),
        ("other-bureau", Role.SUPPLIER, False, False, False),
        ("public", Role.PUBLIC, False, False, False),
    ],
)
def test_who_may_know_of_plans_and_grants(party, role, sees_draft, sees_submitted, sees_terms):
    actor = Actor(PersonId("x"), PartyId(party), frozenset({role}))
    assert rules.sees_plan(actor, replace(PLAN, status=PlanStatus.DRAFT)) is sees_draft
    assert rules.sees_plan(actor, replace(PLAN, status=PlanStatus.SUBMITTED)) is sees_submitted
    assert rules.sees_terms(actor, TERMS) is sees_terms
    assert codes(rules.unknown("grant", "x")) == ["not-found"]
