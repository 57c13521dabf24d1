"""The implementation plan (实施方案): twelve parts, a collective decision, and an approver from outside the agency."""

import re
from dataclasses import replace

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, Text, decide, decide_step, rule
from gongshu.grants.types import PLAN_PARTS, CollectiveDecision, Part, Plan, PlanStatus

AGENCY, AUTHORISING = Role.IMPLEMENTING_AGENCY.value, Role.AUTHORISING_BODY.value

PLAN_TRANSITIONS: dict[tuple[PlanStatus, str], tuple[PlanStatus, str]] = {
    (PlanStatus.DRAFT, "rewrite"): (PlanStatus.DRAFT, AGENCY),
    (PlanStatus.DRAFT, "submit"): (PlanStatus.SUBMITTED, AGENCY),
    (PlanStatus.SUBMITTED, "approve"): (PlanStatus.EFFECTIVE, AUTHORISING),
    (PlanStatus.SUBMITTED, "reject"): (PlanStatus.REJECTED, AUTHORISING),
    (PlanStatus.REJECTED, "rewrite"): (PlanStatus.DRAFT, AGENCY),
}

PRODUCT_CLASS_WORDS = {"public": ("公共治理", "公益"), "industrial": ("产业发展", "行业发展")}
"""Words by which part P07 speaks of each class (27号 art.9(七))."""
SHA256 = re.compile(r"[0-9a-f]{64}")

PART_MISSING = rule(
    "part-missing", Kind.INVALID, zh="缺少必备内容 {code}（{title_zh}）。", en="The mandatory part {code} ({title_en}) is missing.",
    fix_zh="请填写 {code}；确无内容的，写明“无”及理由。", fix_en="Fill in {code}; where there is nothing to say, say so and why.",
    law="27号 art.9, 14",
)  # fmt: skip
PART_UNKNOWN = rule(
    "part-unknown", Kind.INVALID, zh="内容 {code} 不在清单内，或出现两次。", en="The part {code} is not on the list, or stands twice.",
    fix_zh="清单：{possible}。", fix_en="The list: {possible}.", law="27号 art.9, 14",
)  # fmt: skip
PRODUCT_CLASS_MISSING = rule(
    "product-class-missing", Kind.INVALID, zh="产品和服务清单（P07）没有说明“{words}”类产品。",
    en="The product list (P07) says nothing about products of the class {words}.",
    fix_zh="请在 P07 中写明该类产品和服务；没有的，写明没有。",
    fix_en="Name the products of this class in P07, or that there are none.", law="27号 art.9(七)",
)  # fmt: skip
TITLE_MISSING = rule(
    "title-missing", Kind.INVALID, zh="缺少名称。", en="The title is missing.",
    fix_zh="请填写名称。", fix_en="Give it a title.", law="27号 art.9(一)",
)  # fmt: skip
MODE_MISSING = rule(
    "mode-missing", Kind.INVALID, zh="没有选择授权运营模式。", en="The mode of the authorization is missing.",
    fix_zh="请选择：整体授权、分领域授权、依场景授权。", fix_en="Choose: whole, domain or scenario.", law="27号 art.9(四)",
)  # fmt: skip
APPROVER_OF_APPLICANT = rule(
    "approver-of-applicant", Kind.FORBIDDEN, zh="审定人来自申请单位 {agency} 自身。",
    en="The approver belongs to the applicant's own organisation, {agency}.",
    fix_zh="请由同级人民政府（授权主体）的其他单位人员审定。",
    fix_en="Have somebody of the authorising body decide, from another organisation.",
    law="27号 art.11; 中办国办意见 (十一)",
)  # fmt: skip
PLAN_DECISION_MISSING = rule(
    "plan-decision-missing", Kind.INVALID, zh="缺少“三重一大”集体决策记录：{what}。",
    en="The collective decision on the plan is not recorded: {what}.",
    fix_zh="请填写决策机构、会议纪要编号和纪要文件摘要（SHA-256）。",
    fix_en="Name the body, the number of the record and the SHA-256 of the filed minutes.", law="27号 art.11",
)  # fmt: skip
REASON_MISSING = rule(
    "reason-missing", Kind.INVALID, zh="没有写明理由。", en="The reason is missing.",
    fix_zh="请写明理由。", fix_en="Give the reason.",
)  # fmt: skip


def part_faults(parts: tuple[Part, ...], wanted: dict[str, Text]) -> list[Reason]:
    """Return every mandatory part that is missing or empty, and every part that does not belong."""
    texts = {part.code: part.text.strip() for part in parts}
    possible = ", ".join(wanted)
    codes = [part.code for part in parts]
    strangers = sorted({code for code in codes if code not in wanted or codes.count(code) > 1})
    return [
        *(
            PART_MISSING.because(code=code, title_zh=title.zh, title_en=title.en)
            for code, title in wanted.items()
            if not texts.get(code)
        ),
        *(PART_UNKNOWN.because(code=code[:20], possible=possible) for code in strangers),
    ]


def decide_rewrite_plan(plan: Plan, written: Plan) -> Decision[Plan]:
    """A draft, or a plan sent back, may be written anew; a plan under decision may not."""
    step = decide_step("plan", PLAN_TRANSITIONS, plan.status, "rewrite")
    return step if isinstance(step, Denied) else Permitted(replace(written, status=step.value))


def decide_submit_plan(plan: Plan) -> Decision[Plan]:
    """A plan is submitted when its twelve parts, its mode and both product classes are there (27号 art.9)."""
    step = decide_step("plan", PLAN_TRANSITIONS, plan.status, "submit")
    reasons = list(step.reasons)
    if not plan.title.strip():
        reasons.append(TITLE_MISSING.because())
    if plan.mode is None:
        reasons.append(MODE_MISSING.because())
    reasons += part_faults(plan.parts, PLAN_PARTS)
    products = next((part.text for part in plan.parts if part.code == "P07"), "")
    if products.strip():
        reasons += [
            PRODUCT_CLASS_MISSING.because(product_class=name, words="/".join(words))
            for name, words in PRODUCT_CLASS_WORDS.items()
            if not any(word in products for word in words)
        ]
    return decide(replace(plan, status=PlanStatus.SUBMITTED), *reasons)


def collective_fault(decision: CollectiveDecision | None) -> str:
    """Return what of a collective decision is missing; empty when it is complete."""
    if decision is None:
        return "body, record_number, minutes_digest"
    missing = []
    if not decision.body.strip():
        missing.append("body")
    if not decision.record_number.strip():
        missing.append("record_number")
    if not SHA256.fullmatch(decision.minutes_digest):
        missing.append("minutes_digest")
    return ", ".join(missing)


def decide_plan(
    plan: Plan, actor: Actor, *, approves: bool, decision: CollectiveDecision | None, reason: str
) -> Decision[Plan]:
    """A plan takes effect by a collective decision, entered by somebody outside the agency (27号 art.11)."""
    step = decide_step("plan", PLAN_TRANSITIONS, plan.status, "approve" if approves else "reject")
    reasons = list(step.reasons)
    if actor.party == plan.agency:
        reasons.append(APPROVER_OF_APPLICANT.because(agency=plan.agency))
    fault = collective_fault(decision)
    if approves and fault:
        reasons.append(PLAN_DECISION_MISSING.because(what=fault))
    if not approves and not reason.strip():
        reasons.append(REASON_MISSING.because())
    status = PlanStatus.EFFECTIVE if approves else PlanStatus.REJECTED
    decided = replace(plan, status=status, decision=decision, decided_by=actor.person, decision_reason=reason.strip())
    return decide(decided, *reasons)
