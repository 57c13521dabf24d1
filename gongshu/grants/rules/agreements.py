"""The agreement (授权运营协议): thirteen parts, proposed under an effective plan, signed by the agency and then the operator."""

from dataclasses import replace
from datetime import datetime

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Decision, Kind, decide, decide_step, rule
from gongshu.grants.rules.plans import MODE_MISSING, REASON_MISSING, collective_fault, part_faults
from gongshu.grants.rules.terms import operator_faults, over, price_faults, scope_faults, term_faults
from gongshu.grants.types import (
    AGREEMENT_PARTS,
    Agreement,
    AgreementStatus,
    CollectiveDecision,
    Plan,
    PlanStatus,
    Right,
    ScopeFacts,
)
from gongshu.parties.types import Party

AGENCY, OPERATOR = Role.IMPLEMENTING_AGENCY.value, Role.OPERATOR.value

AGREEMENT_TRANSITIONS: dict[tuple[AgreementStatus, str], tuple[AgreementStatus, str]] = {
    (AgreementStatus.DRAFT, "propose"): (AgreementStatus.PROPOSED, AGENCY),
    (AgreementStatus.PROPOSED, "sign_for_agency"): (AgreementStatus.SIGNED_BY_AGENCY, AGENCY),
    (AgreementStatus.PROPOSED, "withdraw"): (AgreementStatus.ENDED, AGENCY),
    (AgreementStatus.SIGNED_BY_AGENCY, "sign_for_operator"): (AgreementStatus.EFFECTIVE, OPERATOR),
    (AgreementStatus.SIGNED_BY_AGENCY, "withdraw"): (AgreementStatus.ENDED, AGENCY),
    (AgreementStatus.EFFECTIVE, "issue"): (AgreementStatus.EFFECTIVE, AGENCY),
    (AgreementStatus.EFFECTIVE, "end"): (AgreementStatus.ENDED, AGENCY),
}

MODE_NOT_OF_PLAN = rule(
    "mode-not-of-plan", Kind.INVALID, zh="协议的授权模式 {mode} 与实施方案的 {planned} 不一致。",
    en="The agreement's mode {mode} is not the plan's {planned}.",
    fix_zh="请改为 {planned}，或先变更实施方案。", fix_en="Use {planned}, or change the plan first.", law="27号 art.9(四), 13",
)  # fmt: skip
AGREEMENT_DECISION_MISSING = rule(
    "agreement-decision-missing", Kind.INVALID, zh="缺少实施机构对协议的集体决策记录：{what}。",
    en="The agency's collective decision on the agreement is not recorded: {what}.",
    fix_zh="请在签字前填写决策机构、会议纪要编号和纪要文件摘要（SHA-256）。",
    fix_en="Before signing, name the body, the number of the record and the SHA-256 of the filed minutes.",
    law="27号 art.13",
)  # fmt: skip
PLAN_NOT_EFFECTIVE = rule(
    "plan-not-effective", Kind.CONFLICT, zh="实施方案 {plan} 尚未生效（{status}）。", en="The plan {plan} is not effective yet ({status}).",
    fix_zh="请先完成集体决策和审定。", fix_en="Have it decided first.", law="27号 art.11",
)  # fmt: skip
SELECTION_MISSING = rule(
    "selection-missing", Kind.INVALID, zh="没有选择运营机构的确定方式。", en="How the operator was chosen is missing.",
    fix_zh="请选择：公开招标、邀请招标、谈判。", fix_en="Choose: open tender, invited tender or negotiation.", law="27号 art.12",
)  # fmt: skip
RIGHT_MISSING = rule(
    "right-missing", Kind.INVALID, zh="没有约定“{right_zh}”。", en="The right “{right}” is not settled.",
    fix_zh="请写明数据资源持有权、数据加工使用权、数据产品经营权三项。", fix_en="Settle all three: hold, process, operate.",
    law="中办国办意见 (三)",
)  # fmt: skip
PURPOSE_MISSING = rule(
    "terms-purpose-missing", Kind.INVALID, zh="没有写明授权用途。", en="No purpose is named.",
    fix_zh="请至少写明一项用途。", fix_en="Name at least one purpose.", law="27号 art.14(一)",
)  # fmt: skip
EXIT_DUTY_MISSING = rule(
    "exit-duty-missing", Kind.INVALID, zh="没有约定退出时的处置义务。", en="No duty at exit is agreed.",
    fix_zh="请写明停止访问、返还或销毁数据等义务。", fix_en="Name the duties: stop access, return or destroy data.",
    law="27号 art.14(九)(十二)",
)  # fmt: skip
AGENCY_NOT_OF_PLAN = rule(
    "agency-not-of-plan", Kind.INVALID, zh="协议的实施机构 {agency} 不是实施方案的实施机构。",
    en="The agency {agency} of the agreement is not that of the plan.",
    fix_zh="请填写 {planned}。", fix_en="Use {planned}.", law="27号 art.13",
)  # fmt: skip
SIGNER_SAME = rule(
    "signer-same", Kind.FORBIDDEN, zh="双方签字人不能是同一人。", en="One person cannot sign for both sides.",
    fix_zh="请由运营机构的另一人签字。", fix_en="Have another person sign for the operator.", law="27号 art.13",
)  # fmt: skip

RIGHT_NAMES = {Right.HOLD: "数据资源持有权", Right.PROCESS: "数据加工使用权", Right.OPERATE: "数据产品经营权"}


def decide_propose(
    agreement: Agreement, plan: Plan, operator: Party | None, facts: tuple[ScopeFacts, ...], *,
    is_related: bool, years_max: int, now: datetime,
) -> Decision[Agreement]:  # fmt: skip
    """An agreement follows from an effective plan and holds everything that 27号 art.12–14 ask for."""
    terms = agreement.terms
    reasons = list(decide_step("agreement", AGREEMENT_TRANSITIONS, agreement.status, "propose").reasons)
    if plan.status is not PlanStatus.EFFECTIVE:
        reasons.append(PLAN_NOT_EFFECTIVE.because(plan=plan.id, status=plan.status))
    if terms.agency != plan.agency:
        reasons.append(AGENCY_NOT_OF_PLAN.because(agency=terms.agency[:80], planned=plan.agency))
    if agreement.selection is None:
        reasons.append(SELECTION_MISSING.because())
    if terms.mode is None:
        reasons.append(MODE_MISSING.because())
    elif terms.mode is not plan.mode:
        reasons.append(MODE_NOT_OF_PLAN.because(mode=terms.mode, planned=plan.mode or "—"))
    reasons += [
        RIGHT_MISSING.because(right=right, right_zh=RIGHT_NAMES[right]) for right in Right if right not in terms.rights
    ]
    if not terms.purposes or not all(purpose.strip() for purpose in terms.purposes):
        reasons.append(PURPOSE_MISSING.because())
    if not terms.exit_duties or not all(duty.strip() for duty in terms.exit_duties):
        reasons.append(EXIT_DUTY_MISSING.because())
    reasons += term_faults(terms.period, years_max, now)
    reasons += part_faults(agreement.parts, AGREEMENT_PARTS)
    reasons += operator_faults(operator, terms, is_related=is_related)
    reasons += scope_faults(terms, facts)
    reasons += price_faults(terms.price)
    return decide(replace(agreement, status=AgreementStatus.PROPOSED), *reasons)


def decide_sign_for_agency(
    agreement: Agreement, actor: Actor, decision: CollectiveDecision | None, now: datetime
) -> Decision[Agreement]:
    """The agency signs first, with its own collective decision (27号 art.13)."""
    step = decide_step("agreement", AGREEMENT_TRANSITIONS, agreement.status, "sign_for_agency")
    reasons = [*step.reasons, *over(agreement.terms.period, now)]
    fault = collective_fault(decision)
    if fault:
        reasons.append(AGREEMENT_DECISION_MISSING.because(what=fault))
    signed = replace(agreement, status=AgreementStatus.SIGNED_BY_AGENCY, agency_signer=actor.person, decision=decision)
    return decide(signed, *reasons)


def decide_sign_for_operator(agreement: Agreement, actor: Actor, now: datetime) -> Decision[Agreement]:
    """The operator signs second, by another person; the agreement takes effect."""
    step = decide_step("agreement", AGREEMENT_TRANSITIONS, agreement.status, "sign_for_operator")
    reasons = [*step.reasons, *over(agreement.terms.period, now)]
    if actor.person == agreement.agency_signer:
        reasons.append(SIGNER_SAME.because())
    signed = replace(agreement, status=AgreementStatus.EFFECTIVE, operator_signer=actor.person)
    return decide(signed, *reasons)


def decide_withdraw(agreement: Agreement, reason: str) -> Decision[Agreement]:
    """The agency may take an agreement back until the operator has signed."""
    step = decide_step("agreement", AGREEMENT_TRANSITIONS, agreement.status, "withdraw")
    is_reasoned = bool(reason.strip())
    withdrawn = replace(agreement, status=AgreementStatus.ENDED, end_reason=reason.strip())
    return decide(withdrawn, *step.reasons, None if is_reasoned else REASON_MISSING.because())


def end(agreement: Agreement, reason: str) -> Agreement:
    """Return the agreement as it stands once its grant has ended."""
    return replace(agreement, status=AgreementStatus.ENDED, end_reason=reason)
