"""One scenario, one application, one approval: within the grant, scored blindly, never wider."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.decisions import Denied, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import EntitlementId, GrantId, PartyId, PersonId, ResourceId, ScenarioId
from gongshu.base.money import Tier
from gongshu.grants.types import (
    Grant,
    GrantStatus,
    GrantTerms,
    Mode,
    PriceRule,
    ProductClass,
    ResourceScope,
    Right,
)
from gongshu.parties.types import Party
from gongshu.policies.types import ColumnPolicy, Mask, MaskKind, Protection, ResourcePolicy, Thresholds, Use
from gongshu.scenarios import rules
from gongshu.scenarios.types import (
    Entitlement,
    EntitlementStatus,
    Need,
    Scenario,
    ScenarioStatus,
    ScenarioTerms,
    Score,
)
from gongshu.server.wiring import load_parameters

S = ScenarioStatus
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
R = ResourceId("r")
MASK = Mask(MaskKind.NAME)
POLICY = ResourcePolicy(
    (ColumnPolicy("code", frozenset({Use.COMPARE, Use.JOIN})), ColumnPolicy("name", frozenset({Use.COMPARE}), MASK)),
    ("code",), "year > 2000",
)  # fmt: skip
GRANT_TERMS = GrantTerms(
    agency=PartyId("agency"), operator=PartyId("operator"), mode=Mode.SCENARIO, rights=frozenset(Right),
    purposes=("inclusive_finance",), period=Period(NOW, NOW + timedelta(days=365)),
    scope=(ResourceScope(R, "enterprise", Ref("registration", "reg", "d"), PartyId("bureau"), POLICY),),
    price=PriceRule(600, (Tier(None, "0.6"),), "0.4"), exit_duties=("停止访问",),
)  # fmt: skip
GRANT = Grant(GrantId("grant"), Ref("agreement", "a", "d"), GRANT_TERMS, GrantStatus.ACTIVE, PersonId("x"), NOW)
NEED = Need(R, "code", frozenset({Use.COMPARE}), "核验")
TERMS = ScenarioTerms(
    GrantId("grant"), "普惠金融", "inclusive_finance", ProductClass.INDUSTRIAL, (NEED,), PartyId("developer"),
    Period(NOW, NOW + timedelta(days=90)),
)  # fmt: skip
SCENARIO = Scenario(ScenarioId("s"), PersonId("op"), PartyId("operator"), TERMS, S.SUBMITTED, NOW)
DEVELOPER = Party(PartyId("developer"), "格物", "c", frozenset({Role.DEVELOPER}), "450100")
CRITERIA = rules.criteria_of(load_parameters(), date(2026, 3, 2))
POINTS = dict.fromkeys(CRITERIA, 14)
REASONS = dict.fromkeys(CRITERIA, "符合")
AGENCY = Actor(PersonId("clerk"), PartyId("agency"), frozenset({Role.IMPLEMENTING_AGENCY}))
IN_FORCE = Permitted(GRANT)
ENDED = rules.unknown("grant", "grant")


def codes(decision):
    return [reason.code for reason in decision.reasons]


def scores(*totals):
    """Scores whose points add up to ``totals``."""
    return tuple(
        Score(PersonId(f"p{number}"), PartyId("university"), {"public_value": total}, REASONS)
        for number, total in enumerate(totals)
    )


def at(status, given=()):
    return replace(SCENARIO, status=status, scores=given or scores(80, 80, 80))


def decide_apply(scenario=SCENARIO, *, wider=None, developer=DEVELOPER, is_related=False, in_force=IN_FORCE):
    return rules.decide_apply(
        scenario,
        GRANT,
        in_force=in_force,
        wider=wider or {},
        developer=developer,
        is_developer_related=is_related,
        now=NOW,
    )


def asking(**changed):
    return replace(SCENARIO, terms=replace(TERMS, **changed))


# ------------------------------------------------------------------------------------------------------ application


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"title": " "}, ["scenario-title-missing"]),
        ({"purpose": "advertising"}, ["purpose-beyond-grant"]),
        ({"purpose": ""}, ["purpose-beyond-grant"]),
        ({"needs": ()}, ["needs-empty"]),
        ({"needs": (NEED, NEED)}, ["need-twice"]),
        ({"needs": (replace(NEED, necessity=" "),)}, ["necessity-missing"]),
        ({"needs": (replace(NEED, uses=frozenset()),)}, ["need-uses-empty"]),
        ({"needs": (replace(NEED, resource=ResourceId("other")),)}, ["need-beyond-grant"]),
        ({"period": Period(NOW, NOW + timedelta(days=365))}, []),
        ({"period": Period(NOW, NOW + timedelta(days=366))}, ["period-beyond-grant"]),
        ({"period": Period(NOW - timedelta(days=1), NOW + timedelta(days=9))}, ["period-beyond-grant"]),
        ({"period": Period(NOW, NOW)}, ["scenario-period-wrong"]),
        ({"period": Period(NOW.replace(tzinfo=None), NOW)}, ["scenario-period-wrong"]),
        ({"title": "", "purpose": "x", "needs": ()}, ["scenario-title-missing", "purpose-beyond-grant", "needs-empty"]),
    ],
)  # fmt: skip
def test_an_application_asks_for_nothing_beyond_the_grant(changed, expected):
    assert codes(decide_apply(asking(**changed))) == expected


def test_a_use_beyond_the_grant_is_named_with_column_use_and_where_the_grant_ends():
    wider = {("r", "code"): frozenset({Use.REVEAL, Use.GROUP})}
    (reason,) = decide_apply(wider=wider).reasons
    facts = dict(reason.facts)
    assert (reason.code, facts["column"], facts["uses"], facts["granted"]) == (
        "need-beyond-grant", "code", "group, reveal", "compare, join",
    )  # fmt: skip
    (stranger,) = decide_apply(asking(needs=(replace(NEED, resource=ResourceId("other")),))).reasons
    assert dict(stranger.facts)["granted"] == "—"


@pytest.mark.parametrize(
    ("developer", "is_related", "builds_on", "expected"),
    [
        (DEVELOPER, False, (), []),
        (None, False, (), ["developer-unknown"]),
        (replace(DEVELOPER, roles=frozenset({Role.CONSUMER})), False, (), ["developer-unknown"]),
        (DEVELOPER, True, (), []),
        (DEVELOPER, False, ("product-1",), []),
        (DEVELOPER, True, ("product-1",), ["redevelopment-banned"]),
    ],
)
def test_the_operator_and_its_affiliates_do_not_develop_delivered_products_anew(
    developer, is_related, builds_on, expected
):
    decision = decide_apply(asking(builds_on=builds_on), developer=developer, is_related=is_related)
    assert codes(decision) == expected


def test_nothing_is_applied_for_under_a_grant_that_is_not_in_force():
    assert codes(decide_apply(in_force=ENDED)) == codes(ENDED)


def test_needs_keep_mask_row_filter_and_privacy_unit_of_the_grant():
    needs = (NEED, replace(NEED, column="name"), replace(NEED, resource=ResourceId("other"), column="x"))
    policy = rules.policy_of(needs, "r", POLICY)
    assert (policy.unit, policy.row_filter) == (POLICY.unit, POLICY.row_filter)
    assert policy.columns == (
        ColumnPolicy("code", frozenset({Use.COMPARE})), ColumnPolicy("name", frozenset({Use.COMPARE}), MASK),
    )  # fmt: skip


def test_one_instant_has_one_form():
    assert rules.in_utc(TERMS.period) == TERMS.period
    naive = Period(NOW.replace(tzinfo=None), NOW)
    assert rules.in_utc(naive) is naive


# ---------------------------------------------------------------------------------------------------------- scoring


def test_the_criteria_are_those_of_the_parameters():
    assert CRITERIA == {"public_value": 25, "necessity": 25, "safety": 20, "feasibility": 15, "demand": 15}
    assert sum(CRITERIA.values()) == 100
    day, parameters = date(2026, 3, 2), load_parameters()
    assert rules.protection_of(parameters, day) == Protection()
    assert rules.thresholds_of(parameters, day, Protection()) == Thresholds(10, 10, 2, 90)


def decide_score(scenario, *, points=POINTS, reasons=REASONS, conflicts=(), assessor="p9"):
    score = Score(PersonId(assessor), PartyId("university"), points, reasons)
    return rules.decide_score(scenario, score, conflicts=conflicts, criteria=CRITERIA, scores_min=3)


@pytest.mark.parametrize(
    ("points", "reasons", "expected"),
    [
        (POINTS, REASONS, []),
        (dict.fromkeys(CRITERIA, 0), REASONS, []),
        (CRITERIA, REASONS, []),
        (POINTS | {"public_value": 26}, REASONS, ["points-wrong"]),
        (POINTS | {"public_value": -1}, REASONS, ["points-wrong"]),
        ({"public_value": 20}, REASONS, ["points-wrong"] * 4),
        (POINTS | {"charm": 5}, REASONS, ["points-wrong"]),
        (POINTS, REASONS | {"safety": " "}, ["score-reason-missing"]),
        (POINTS, {}, ["score-reason-missing"] * 5),
    ],
)
def test_each_criterion_is_scored_within_its_points_with_a_reason(points, reasons, expected):
    assert codes(decide_score(SCENARIO, points=points, reasons=reasons)) == expected


def test_the_last_score_wanted_completes_the_scoring_and_more_may_follow():
    case = SCENARIO
    for number, status in enumerate((S.SUBMITTED, S.SUBMITTED, S.SCORED, S.SCORED)):
        case = decide_score(case, assessor=f"p{number}").value_or_raise()
        assert (len(case.scores), case.status) == (number + 1, status)


def test_an_assessor_with_a_tie_or_a_second_try_is_refused():
    assert codes(decide_score(SCENARIO, conflicts=("operator", "agency"))) == ["assessor-conflicted"] * 2
    assert codes(decide_score(at(S.SCORED), assessor="p0")) == ["scored-already"]


@pytest.mark.parametrize("status", [S.APPROVED, S.REJECTED])
def test_nothing_is_scored_after_the_decision(status):
    assert codes(decide_score(at(status))) == ["wrong-status"]


def test_scores_are_blind_until_enough_are_in():
    assessor = Actor(PersonId("p0"), PartyId("university"), frozenset({Role.ASSESSOR}))
    waiting = at(S.SUBMITTED, scores(80, 70))
    assert [score.assessor for score in rules.shown_to(assessor, waiting).scores] == ["p0"]
    assert rules.shown_to(AGENCY, waiting).scores == ()
    assert len(rules.shown_to(AGENCY, at(S.SCORED)).scores) == 3
    summary = rules.summary_of(waiting, CRITERIA, scores_min=3, points_pass=70)
    assert (summary.scores, summary.mean, summary.criteria) == (2, "", ())
    summary = rules.summary_of(at(S.SCORED, scores(82, 76, 71, 79, 68)), CRITERIA, scores_min=3, points_pass=70)
    assert (summary.mean, summary.criteria[0].mean, summary.criteria[0].reasons[0]) == ("75.2", "75.2", "符合")


# --------------------------------------------------------------------------------------------------------- decision


def decide(scenario, *, approves=True, reason="", in_force=IN_FORCE, actor=AGENCY, now=NOW):
    return rules.decide_scenario(
        scenario, actor, approves=approves, reason=reason, in_force=in_force, scores_min=3, points_pass=70, now=now
    )


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("approves", [True, False])
def test_a_decision_is_possible_from_the_statuses_of_the_table_only(status, approves):
    decision = decide(at(status), approves=approves, reason="理由")
    step = rules.SCENARIO_TRANSITIONS.get((status, "approve" if approves else "reject"))
    if step is not None:
        assert decision.value_or_raise().status is step[0]
    else:
        assert codes(decision) == (["scores-missing"] if status is S.SUBMITTED else ["wrong-status"])


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        ((70, 70, 70), []),
        ((70, 70, 69), ["below-pass-mark"]),
        ((82, 76, 71, 79, 68), []),
        ((100, 100, 9), ["below-pass-mark"]),
        ((100, 100, 10), []),
    ],
)
def test_the_mean_reaches_the_pass_mark_exactly(totals, expected):
    assert codes(decide(at(S.SCORED, scores(*totals)))) == expected


@pytest.mark.parametrize("party", ["operator", "developer"])
def test_nobody_of_the_applicants_approves(party):
    actor = replace(AGENCY, party=PartyId(party))
    assert codes(decide(at(S.SCORED), actor=actor)) == ["scenario-approver-of-applicant"]


def test_an_approval_needs_a_grant_in_force_and_time_left_and_a_rejection_its_reason():
    assert codes(decide(at(S.SCORED), in_force=ENDED)) == codes(ENDED)
    assert codes(decide(at(S.SCORED), now=TERMS.period.end)) == ["scenario-period-wrong"]
    assert codes(decide(at(S.SCORED), approves=False, reason=" ")) == ["scenario-reason-missing"]
    assert codes(decide(at(S.SUBMITTED), approves=False, reason="不必要", in_force=ENDED)) == []


def test_the_public_class_is_free():
    assert rules.price_of(GRANT, ProductClass.INDUSTRIAL) == GRANT_TERMS.price
    assert rules.price_of(GRANT, ProductClass.PUBLIC) == replace(GRANT_TERMS.price, ceiling_minor=0)


# ----------------------------------------------------------------------------------------------------- entitlements

ENTITLEMENT = Entitlement(
    EntitlementId("e"), GRANT.ref, SCENARIO.ref, PartyId("operator"), PartyId("developer"), "普惠金融",
    "inclusive_finance", ProductClass.INDUSTRIAL, (), Thresholds(10, 10, 2, 90), GRANT_TERMS.price, TERMS.period,
    EntitlementStatus.ACTIVE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("entitlement", "in_force", "moment", "expected"),
    [
        (ENTITLEMENT, IN_FORCE, NOW, []),
        (ENTITLEMENT, IN_FORCE, TERMS.period.end, ["entitlement-ended"]),
        (ENTITLEMENT, IN_FORCE, NOW - timedelta(seconds=1), ["entitlement-ended"]),
        (replace(ENTITLEMENT, status=EntitlementStatus.ENDED), IN_FORCE, NOW, ["entitlement-ended"]),
        (ENTITLEMENT, ENDED, NOW, ["not-found"]),
        (replace(ENTITLEMENT, status=EntitlementStatus.ENDED), ENDED, NOW, ["entitlement-ended", "not-found"]),
    ],
)
def test_an_entitlement_permits_only_while_it_and_its_grant_do(entitlement, in_force, moment, expected):
    assert codes(rules.decide_usable(entitlement, in_force, moment)) == expected


def test_an_entitlement_ends_once_and_keeps_its_digest():
    ended = rules.decide_end_entitlement(ENTITLEMENT, "授权终止", NOW).value_or_raise()
    assert (ended.status, ended.ended_at, ended.end_reason) == (EntitlementStatus.ENDED, NOW, "授权终止")
    assert ended.ref == ENTITLEMENT.ref
    assert isinstance(rules.decide_end_entitlement(ended, "又", NOW), Denied)


# ------------------------------------------------------------------------------------------------------- visibility


@pytest.mark.parametrize(
    ("party", "role", "sees_filed", "sees_approved", "sees_entitlement"),
    [
        ("operator", Role.OPERATOR, True, True, True),
        ("other-operator", Role.OPERATOR, False, False, False),
        ("developer", Role.DEVELOPER, True, True, True),
        ("other-developer", Role.DEVELOPER, False, False, False),
        ("agency", Role.IMPLEMENTING_AGENCY, True, True, True),
        ("other-agency", Role.IMPLEMENTING_AGENCY, False, False, False),
        ("university", Role.ASSESSOR, True, True, True),
        ("centre", Role.REVIEWER, False, True, True),
        ("audit", Role.AUDITOR, True, True, True),
        ("bank", Role.CONSUMER, False, False, False),
    ],
)
def test_who_may_know_of_scenarios_and_entitlements(party, role, sees_filed, sees_approved, sees_entitlement):
    actor = Actor(PersonId("x"), PartyId(party), frozenset({role}))
    assert rules.sees(actor, SCENARIO, "agency") is sees_filed
    assert rules.sees(actor, at(S.APPROVED), "agency") is sees_approved
    assert rules.sees_entitlement(actor, ENTITLEMENT, "agency") is sees_entitlement
