"""One scenario, one application, one approval (一场景一申请一审批). Pure.

What is asked for stays within the grant, each column with its necessity; assessors without conflict score blindly;
the approval makes an entitlement that is narrower than the grant in every respect.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period, local_day
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Kind, Permitted, Reason, decide, decide_step, rule
from gongshu.base.ids import ResourceId
from gongshu.base.parameters import Parameters
from gongshu.grants.types import Grant, PriceRule, ProductClass
from gongshu.parties.types import Party
from gongshu.policies import service as policies
from gongshu.policies.types import (
    ColumnPolicy,
    ContributionBounds,
    Protection,
    ResourcePolicy,
    Rounding,
    Thresholds,
    Use,
)
from gongshu.scenarios.types import (
    CriterionResult,
    Entitlement,
    EntitlementStatus,
    Need,
    Scenario,
    ScenarioStatus,
    Score,
    ScoreSummary,
)

S = ScenarioStatus
OPERATOR, ASSESSOR, AGENCY = Role.OPERATOR.value, Role.ASSESSOR.value, Role.IMPLEMENTING_AGENCY.value

SCENARIO_TRANSITIONS: dict[tuple[ScenarioStatus, str], tuple[ScenarioStatus, str]] = {
    (S.SUBMITTED, "score"): (S.SUBMITTED, ASSESSOR),
    (S.SUBMITTED, "complete_scores"): (S.SCORED, ASSESSOR),
    (S.SUBMITTED, "reject"): (S.REJECTED, AGENCY),
    (S.SCORED, "score"): (S.SCORED, ASSESSOR),
    (S.SCORED, "approve"): (S.APPROVED, AGENCY),
    (S.SCORED, "reject"): (S.REJECTED, AGENCY),
}
ENTITLEMENT_TRANSITIONS: dict[tuple[EntitlementStatus, str], tuple[EntitlementStatus, str]] = {
    (EntitlementStatus.ACTIVE, "end"): (EntitlementStatus.ENDED, AGENCY),
}

TITLE_MISSING = rule(
    "scenario-title-missing", Kind.INVALID, zh="没有写明场景名称。", en="The scenario has no title.",
    fix_zh="请填写场景名称。", fix_en="Give it a title.",
)  # fmt: skip
PURPOSE_BEYOND_GRANT = rule(
    "purpose-beyond-grant", Kind.FORBIDDEN, zh="用途“{purpose}”不在授权用途之内。", en="The purpose {purpose} is not one of the grant's.",
    fix_zh="授权用途：{purposes}。", fix_en="Purposes granted: {purposes}.", law="27号 art.14(一), 21",
)  # fmt: skip
PERIOD_BEYOND_GRANT = rule(
    "period-beyond-grant", Kind.FORBIDDEN, zh="场景期限 {start} 至 {end} 不在授权期限之内。",
    en="The period {start} to {end} is not within that of the grant.",
    fix_zh="授权期限：{granted_start} 至 {granted_end}。", fix_en="The grant runs from {granted_start} to {granted_end}.",
    law="27号 art.14(二)",
)  # fmt: skip
PERIOD_WRONG = rule(
    "scenario-period-wrong", Kind.INVALID, zh="场景期限的起止时间不正确。", en="The period of the scenario is wrong.",
    fix_zh="请填写带时区、先起后止、尚未结束的期限。", fix_en="Give a start before an end that has not passed, both with time zone.",
)  # fmt: skip
NEEDS_EMPTY = rule(
    "needs-empty", Kind.INVALID, zh="没有列出所需字段。", en="No column is asked for.",
    fix_zh="请逐字段列出用途和必要性。", fix_en="List columns with uses and necessity.",
)  # fmt: skip
NEED_TWICE = rule(
    "need-twice", Kind.INVALID, zh="字段 {column} 列了两次。", en="The column {column} is asked for twice.",
    fix_zh="请合并为一项。", fix_en="Merge them.",
)  # fmt: skip
NECESSITY_MISSING = rule(
    "necessity-missing", Kind.INVALID, zh="字段 {column} 没有写明必要性。", en="Why the column {column} is needed is not said.",
    fix_zh="请写明该字段为何必不可少，或不申请该字段。", fix_en="Say why the scenario cannot do without it, or drop it.",
    law="个人信息保护法 art.6; 数据安全法 art.32",
)  # fmt: skip
USES_EMPTY = rule(
    "need-uses-empty", Kind.INVALID, zh="字段 {column} 没有写明用途。", en="No use of the column {column} is named.",
    fix_zh="请写明用途，或不申请该字段。", fix_en="Name the uses, or drop the column.",
)  # fmt: skip
NEED_BEYOND_GRANT = rule(
    "need-beyond-grant", Kind.FORBIDDEN, zh="字段 {column}（{resource}）的用途 {uses} 超出授权 {grant}：授权止于 {granted}。",
    en="The uses {uses} of the column {column} ({resource}) go beyond the grant {grant}, which ends at: {granted}.",
    fix_zh="请去掉这些用途，或由实施机构另行授权。", fix_en="Drop these uses; or the agency would have to grant them anew.",
    law="27号 art.14(一), 21",
)  # fmt: skip
DEVELOPER_UNKNOWN = rule(
    "developer-unknown", Kind.INVALID, zh="开发主体 {developer} 未入驻，或没有开发主体角色。",
    en="The developer {developer} is not known here, or does not hold that role.",
    fix_zh="请选择已入驻的开发主体。", fix_en="Choose a developer that is.",
)  # fmt: skip
REDEVELOPMENT_BANNED = rule(
    "redevelopment-banned", Kind.FORBIDDEN, zh="{developer} 是运营机构或其关联方，不得对授权范围内已交付的产品再开发。",
    en="{developer} is the operator or related to it: it must not develop anew from products delivered under the grant.",
    fix_zh="请由与运营机构无关联的开发主体承担，或不以已交付产品为基础。",
    fix_en="Have an unrelated developer do it, or do not build on delivered products.", law="27号 art.6",
)  # fmt: skip
ASSESSOR_CONFLICTED = rule(
    "assessor-conflicted", Kind.FORBIDDEN, zh="评审人所在单位是 {party} 或其关联方，应当回避。",
    en="The assessor's organisation is, or is related to, {party}.",
    fix_zh="请更换无利害关系的评审专家。", fix_en="Have an assessor without a tie score.",
)  # fmt: skip
SCORED_ALREADY = rule(
    "scored-already", Kind.CONFLICT, zh="您已对该场景评分。", en="You have scored this scenario already.",
    fix_zh="评分提交后不可更改。", fix_en="A score stands once it is given.",
)  # fmt: skip
POINTS_WRONG = rule(
    "points-wrong", Kind.INVALID, zh="指标 {criterion} 的分值不正确。", en="The points for {criterion} are wrong.",
    fix_zh="请按评分标准打分：{criteria}。", fix_en="Score each criterion up to its points: {criteria}.",
)  # fmt: skip
SCORE_REASON_MISSING = rule(
    "score-reason-missing", Kind.INVALID, zh="指标 {criterion} 没有写明理由。", en="The reason for {criterion} is missing.",
    fix_zh="请逐项写明理由。", fix_en="Give a reason per criterion.",
)  # fmt: skip
SCORES_MISSING = rule(
    "scores-missing", Kind.CONFLICT, zh="评分 {given} 份，不足 {wanted} 份，不能批准。",
    en="{given} scores are in; approval needs {wanted}.",
    fix_zh="请等待其余专家评分。", fix_en="Wait for the remaining assessors.",
)  # fmt: skip
BELOW_PASS_MARK = rule(
    "below-pass-mark", Kind.CONFLICT, zh="平均分 {mean} 低于合格分 {pass_mark}，不能批准。",
    en="The mean of {mean} points is below the pass mark of {pass_mark}.",
    fix_zh="请驳回并说明理由；申请人可修改后重新申请。", fix_en="Reject it with a reason; the applicant may apply anew.",
)  # fmt: skip
APPROVER_IS_APPLICANT = rule(
    "scenario-approver-of-applicant", Kind.FORBIDDEN, zh="审批人来自申请方或开发主体 {party}。",
    en="The approver belongs to the applicant or the developer, {party}.",
    fix_zh="请由实施机构的其他人员审批。", fix_en="Have somebody else of the agency decide.", law="中办国办意见 (十一)",
)  # fmt: skip
DECISION_REASON_MISSING = rule(
    "scenario-reason-missing", Kind.INVALID, zh="没有写明驳回理由。", en="A rejection needs a reason.",
    fix_zh="请写明理由，供申请人修改。", fix_en="Give the reason, so that the applicant can amend.",
)  # fmt: skip
ENTITLEMENT_NOT_IN_FORCE = rule(
    "entitlement-ended", Kind.FORBIDDEN, zh="使用资格 {entitlement} 不在有效状态：{why_zh}。",
    en="The entitlement {entitlement} is not in force: {why_en}.",
    fix_zh="请与实施机构联系；终止后不得继续使用数据。", fix_en="Ask the implementing agency; nothing may be used after the end.",
    law="27号 art.14(十二)",
)  # fmt: skip


def unknown(kind: str, object_id: str) -> Denied:
    """The answer about an object that is not there, or that the asker may not know of."""
    return Denied((NOT_FOUND.because(kind=kind, id=object_id),))


def criteria_of(parameters: Parameters, day: date) -> dict[str, int]:
    """Return the public criteria and their points in force on ``day``."""
    pairs = (part.partition("=") for part in parameters.text("scenario.criteria", day).split(","))
    return {name.strip(): int(points) for name, _, points in pairs}


def noise_limits_of(parameters: Parameters, day: date) -> policies.NoiseLimits:
    """Return how much noise may cost, and how large a budget may be, on ``day``."""
    return policies.NoiseLimits(
        epsilon_milli_max=parameters.number("gate.noise.epsilon_milli_max", day),
        delta_pico_max=parameters.number("gate.noise.delta_pico_max", day),
        budget_epsilon_milli_max=parameters.number("gate.noise.budget_epsilon_milli_max", day),
        budget_delta_pico_max=parameters.number("gate.noise.budget_delta_pico_max", day),
    )


def protection_of(parameters: Parameters, day: date) -> Protection:
    """Return what every entitlement made on ``day`` demands beside the thresholds, unless the agency states otherwise."""
    rows = parameters.number("gate.bounds.rows_per_group_max", day)
    groups = parameters.number("gate.bounds.groups_per_unit_max", day)
    base = parameters.number("gate.rounding.base", day)
    redact = parameters.number("gate.rounding.redact_max", day)
    return Protection(
        ContributionBounds(rows, groups) if rows else None, Rounding(base, redact_max=redact) if base else None
    )


def summed_columns(needs: Iterable[Need]) -> frozenset[tuple[ResourceId, str]]:
    """Return the columns asked for that may be summed: bounds can be declared of them."""
    return frozenset(
        (need.resource, need.column) for need in needs if Use.TOTAL in need.uses or Use.REVEAL in need.uses
    )


def thresholds_of(parameters: Parameters, day: date, protection: Protection) -> Thresholds:
    """Return what every aggregate of an entitlement made on ``day`` must satisfy."""
    return Thresholds(
        units_min=parameters.number("gate.units_min", day),
        dominance_p_percent=parameters.number("gate.dominance.p_percent", day),
        dominance_top_n=parameters.number("gate.dominance.top_n", day),
        dominance_top_percent=parameters.number("gate.dominance.top_percent", day),
        protection=protection,
    )


# ------------------------------------------------------------------------------------------------------ application


def in_utc(period: Period) -> Period:
    """Return the same period in UTC, so that one instant has one digest; a period without time zone stays as it is."""
    if period.start.tzinfo is None or period.end.tzinfo is None:
        return period
    return Period(period.start.astimezone(UTC), period.end.astimezone(UTC))


def period_faults(period: Period, granted: Period, now: datetime) -> list[Reason]:
    """Return what is wrong with the period asked for; it lies in that of the grant."""
    if period.start.tzinfo is None or period.end.tzinfo is None or period.end <= max(period.start, now):
        return [PERIOD_WRONG.because()]
    if period.lies_in(granted):
        return []

    def last(end: datetime) -> date:
        return local_day(end - timedelta(seconds=1))

    return [
        PERIOD_BEYOND_GRANT.because(
            start=local_day(period.start), end=last(period.end), granted_start=local_day(granted.start),
            granted_end=last(granted.end),
        )
    ]  # fmt: skip


def policy_of(needs: Iterable[Need], resource: str, granted: ResourcePolicy) -> ResourcePolicy:
    """Return the needs of one resource as a policy; masks, row filter and privacy unit are the grant's."""
    columns = tuple(
        ColumnPolicy(need.column, need.uses, granted.of(need.column).mask)
        for need in needs
        if need.resource == resource
    )
    return ResourcePolicy(columns, granted.unit, granted.row_filter)


def need_faults(needs: tuple[Need, ...], grant: Grant, wider: dict[tuple[str, str], frozenset[Use]]) -> list[Reason]:
    """Return what is wrong with the needs. ``wider``: uses beyond the grant, by resource and column."""
    policies = {scope.resource: scope.policy for scope in grant.terms.scope}
    reasons: list[Reason] = [] if needs else [NEEDS_EMPTY.because()]
    seen: set[tuple[str, str]] = set()
    for need in needs:
        key = (str(need.resource), need.column)
        column = need.column[:200]
        if key in seen:
            reasons.append(NEED_TWICE.because(column=column))
        seen.add(key)
        if not need.necessity.strip():
            reasons.append(NECESSITY_MISSING.because(column=column))
        if not need.uses:
            reasons.append(USES_EMPTY.because(column=column))
        beyond = need.uses if need.resource not in policies else wider.get(key, frozenset())
        if beyond:
            policy = policies.get(need.resource)
            granted = ", ".join(sorted(policy.of(need.column).uses)) if policy else ""
            reasons.append(
                NEED_BEYOND_GRANT.because(
                    column=column, resource=need.resource[:80], uses=", ".join(sorted(beyond)), grant=grant.id,
                    granted=granted or "—",
                )
            )  # fmt: skip
    return reasons


def decide_apply(
    scenario: Scenario, grant: Grant, *, in_force: Decision[Grant], wider: dict[tuple[str, str], frozenset[Use]],
    developer: Party | None, is_developer_related: bool, now: datetime,
) -> Decision[Scenario]:  # fmt: skip
    """An application asks for one purpose, and for no column, use or day beyond the grant."""
    terms = scenario.terms
    reasons = list(in_force.reasons)
    if not terms.title.strip():
        reasons.append(TITLE_MISSING.because())
    if terms.purpose not in grant.terms.purposes:
        purposes = ", ".join(grant.terms.purposes)
        reasons.append(PURPOSE_BEYOND_GRANT.because(purpose=terms.purpose[:80] or "—", purposes=purposes))
    reasons += period_faults(terms.period, grant.terms.period, now)
    reasons += need_faults(terms.needs, grant, wider)
    if developer is None or Role.DEVELOPER not in developer.roles:
        reasons.append(DEVELOPER_UNKNOWN.because(developer=terms.developer[:80]))
    elif terms.builds_on and is_developer_related:
        reasons.append(REDEVELOPMENT_BANNED.because(developer=developer.id))
    return decide(scenario, *reasons)


# ---------------------------------------------------------------------------------------------------------- scoring


def score_faults(points: dict[str, int], reasons_given: dict[str, str], criteria: dict[str, int]) -> list[Reason]:
    """Each criterion is scored from 0 to its points, with a reason, and no other."""
    shown = ", ".join(f"{name}={points_max}" for name, points_max in criteria.items())
    wrong = [name for name, points_max in criteria.items() if not 0 <= points.get(name, -1) <= points_max]
    wrong += sorted(set(points) - set(criteria))
    unreasoned = [name for name in criteria if not reasons_given.get(name, "").strip()]
    return [
        *(POINTS_WRONG.because(criterion=name[:40], criteria=shown) for name in wrong),
        *(SCORE_REASON_MISSING.because(criterion=name) for name in unreasoned),
    ]


def decide_score(
    scenario: Scenario, score: Score, *, conflicts: tuple[str, ...], criteria: dict[str, int], scores_min: int
) -> Decision[Scenario]:
    """An assessor without a tie scores once. ``conflicts``: parties of the case that the assessor's is tied to."""
    step = decide_step("scenario", SCENARIO_TRANSITIONS, scenario.status, "score")
    reasons = [*step.reasons, *score_faults(score.points, score.reasons, criteria)]
    reasons += [ASSESSOR_CONFLICTED.because(party=party) for party in conflicts]
    if any(given.assessor == score.assessor for given in scenario.scores):
        reasons.append(SCORED_ALREADY.because())
    scores = (*scenario.scores, score)
    is_complete = len(scores) >= scores_min
    return decide(replace(scenario, scores=scores, status=S.SCORED if is_complete else S.SUBMITTED), *reasons)


def total_points(scenario: Scenario) -> int:
    """Return the points of all scores together; the mean is this over their number."""
    return sum(sum(score.points.values()) for score in scenario.scores)


def summary_of(scenario: Scenario, criteria: dict[str, int], *, scores_min: int, points_pass: int) -> ScoreSummary:
    """Return averages and reasons per criterion; nothing of them until enough scores are in."""
    count = len(scenario.scores)
    if scenario.status is S.SUBMITTED or not count:
        return ScoreSummary(count, scores_min, points_pass, "", ())
    results = tuple(
        CriterionResult(
            name, f"{sum(score.points.get(name, 0) for score in scenario.scores) / count:.1f}", points_max,
            tuple(score.reasons.get(name, "") for score in scenario.scores),
        )
        for name, points_max in criteria.items()
    )  # fmt: skip
    return ScoreSummary(count, scores_min, points_pass, f"{total_points(scenario) / count:.1f}", results)


# --------------------------------------------------------------------------------------------------------- decision


def decide_scenario(
    scenario: Scenario, actor: Actor, *, approves: bool, reason: str, in_force: Decision[Grant], scores_min: int,
    points_pass: int, now: datetime,
) -> Decision[Scenario]:  # fmt: skip
    """The agency approves what enough assessors passed, while the grant is in force; or rejects, with a reason."""
    reasons: list[Reason] = []
    count = len(scenario.scores)
    if approves and scenario.status is S.SUBMITTED:
        reasons.append(SCORES_MISSING.because(given=count, wanted=scores_min))
    else:
        action = "approve" if approves else "reject"
        reasons += decide_step("scenario", SCENARIO_TRANSITIONS, scenario.status, action).reasons
    if actor.party in {scenario.operator, scenario.terms.developer}:
        reasons.append(APPROVER_IS_APPLICANT.because(party=actor.party))
    if approves:
        reasons += in_force.reasons
        if count and total_points(scenario) < points_pass * count:
            mean = f"{total_points(scenario) / count:.1f}"
            reasons.append(BELOW_PASS_MARK.because(mean=mean, pass_mark=points_pass))
        if scenario.terms.period.end <= now:
            reasons.append(PERIOD_WRONG.because())
    elif not reason.strip():
        reasons.append(DECISION_REASON_MISSING.because())
    status = S.APPROVED if approves else S.REJECTED
    return decide(replace(scenario, status=status, decided_by=actor.person, decision_reason=reason.strip()), *reasons)


def price_of(grant: Grant, product_class: ProductClass) -> PriceRule:
    """Return the price rule of a scenario: the grant's, or free for the public class (65号 §一)."""
    price = grant.terms.price
    return replace(price, ceiling_minor=0) if product_class is ProductClass.PUBLIC else price


# ----------------------------------------------------------------------------------------------------- entitlements


def decide_usable(entitlement: Entitlement, in_force: Decision[Grant], now: datetime) -> Decision[Entitlement]:
    """Whether an entitlement permits anything now, and if not, why: its own end, its period, or its grant."""
    reasons: list[Reason] = []
    if entitlement.status is EntitlementStatus.ENDED:
        reasons.append(
            ENTITLEMENT_NOT_IN_FORCE.because(
                entitlement=entitlement.id, why_zh=f"已终止（{entitlement.end_reason}）",
                why_en=f"it was ended ({entitlement.end_reason})",
            )
        )  # fmt: skip
    elif not entitlement.period.holds(now):
        start, end = local_day(entitlement.period.start), local_day(entitlement.period.end - timedelta(seconds=1))
        reasons.append(
            ENTITLEMENT_NOT_IN_FORCE.because(
                entitlement=entitlement.id, why_zh=f"期限为 {start} 至 {end}", why_en=f"it runs from {start} to {end}"
            )
        )
    return decide(entitlement, *reasons, *in_force.reasons)


def decide_end_entitlement(entitlement: Entitlement, reason: str, now: datetime) -> Decision[Entitlement]:
    """An entitlement ends with its grant, once."""
    step = decide_step("entitlement", ENTITLEMENT_TRANSITIONS, entitlement.status, "end")
    if isinstance(step, Denied):
        return step
    return Permitted(replace(entitlement, status=step.value, ended_at=now, end_reason=reason))


# ------------------------------------------------------------------------------------------------------- visibility

OVERSEES = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.ASSESSOR})


def sees(actor: Actor, scenario: Scenario, agency: str) -> bool:
    """Whether ``actor`` may know of an application: both sides, its developer, those who assess and oversee.

    Reviewers need to read what was approved.
    """
    if actor.party in {scenario.operator, scenario.terms.developer, agency} or actor.roles & OVERSEES:
        return True
    return Role.REVIEWER in actor.roles and scenario.status is S.APPROVED


def shown_to(actor: Actor, scenario: Scenario) -> Scenario:
    """Return the application as ``actor`` may see it: until enough scores are in, nobody sees another's."""
    if scenario.status is not S.SUBMITTED:
        return scenario
    return replace(scenario, scores=tuple(score for score in scenario.scores if score.assessor == actor.person))


def sees_entitlement(actor: Actor, entitlement: Entitlement, agency: str) -> bool:
    """Whether ``actor`` may know of an entitlement."""
    involved = {entitlement.operator, entitlement.developer, agency, *(r.supplier for r in entitlement.resources)}
    return actor.party in involved or bool(actor.roles & (OVERSEES | {Role.REVIEWER}))
