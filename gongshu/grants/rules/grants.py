"""The grant (授权): issued once, in force until it ends, seen by those involved."""

from dataclasses import replace
from datetime import datetime, timedelta

from gongshu.access.types import Actor, Role
from gongshu.base.days import local_day
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Kind, Permitted, Text, decide, decide_step, rule
from gongshu.grants.rules.agreements import AGREEMENT_TRANSITIONS
from gongshu.grants.rules.plans import REASON_MISSING
from gongshu.grants.rules.terms import over, scope_faults
from gongshu.grants.types import (
    Agreement,
    Disposal,
    ExitRecord,
    Grant,
    GrantStatus,
    GrantTerms,
    Plan,
    PlanStatus,
    ScopeFacts,
)

AGENCY = Role.IMPLEMENTING_AGENCY.value

GRANT_TRANSITIONS: dict[tuple[GrantStatus, str], tuple[GrantStatus, str]] = {
    (GrantStatus.ACTIVE, "end"): (GrantStatus.ENDED, AGENCY),
}


GRANT_ISSUED = rule(
    "grant-issued", Kind.CONFLICT, zh="该协议已签发授权 {grant}。", en="The grant {grant} was issued under this agreement already.",
    fix_zh="请使用已有授权。", fix_en="Use the one that exists.",
)  # fmt: skip
GRANT_NOT_IN_FORCE = rule(
    "grant-not-in-force", Kind.FORBIDDEN, zh="授权 {grant} 不在有效状态：{why_zh}。", en="The grant {grant} is not in force: {why_en}.",
    fix_zh="请与实施机构联系；授权终止后不得继续使用数据。",
    fix_en="Ask the implementing agency; nothing may be used after a grant has ended.", law="27号 art.14(二)(十二)",
)  # fmt: skip


def unknown(kind: str, object_id: str) -> Denied:
    """The answer about an object that is not there, or that the asker may not know of."""
    return Denied((NOT_FOUND.because(kind=kind, id=object_id),))


def decide_issue(
    grant: Grant, agreement: Agreement, issued: Grant | None, facts: tuple[ScopeFacts, ...], now: datetime
) -> Decision[Grant]:
    """A grant is issued once, from an agreement in effect, while everything in its scope is still registered.

    The scope is checked again: a provider that narrowed its uses since must not be overruled.
    """
    step = decide_step("agreement", AGREEMENT_TRANSITIONS, agreement.status, "issue")
    reasons = [*step.reasons, *over(agreement.terms.period, now)]
    if issued is not None:
        reasons.append(GRANT_ISSUED.because(grant=issued.id))
    reasons += scope_faults(agreement.terms, facts)
    return decide(grant, *reasons)


def decide_end(grant: Grant, reason: str, now: datetime) -> Decision[Grant]:
    """A grant ends once, for a stated reason."""
    step = decide_step("grant", GRANT_TRANSITIONS, grant.status, "end")
    is_reasoned = bool(reason.strip())
    ended = replace(grant, status=GrantStatus.ENDED, ended_at=now, end_reason=reason.strip())
    return decide(ended, *step.reasons, None if is_reasoned else REASON_MISSING.because())


def exit_record_of(grant: Grant, record_id: str, disposals: tuple[Disposal, ...], now: datetime) -> ExitRecord:
    """Return the record of an ended grant: what stopped, and what is to be disposed of."""
    return ExitRecord(id=record_id, grant=grant.ref, ended_at=now, reason=grant.end_reason, disposals=disposals)


def decide_in_force(grant: Grant, now: datetime) -> Decision[Grant]:
    """Whether the grant permits anything at ``now``, and if not, why."""
    if grant.status is GrantStatus.ENDED:
        why = Text("已终止", "it was ended")
    elif now < grant.terms.period.start:
        start = local_day(grant.terms.period.start)
        why = Text(f"自 {start} 起生效", f"it starts on {start}")
    elif now >= grant.terms.period.end:
        end = local_day(grant.terms.period.end - timedelta(seconds=1))
        why = Text(f"已于 {end} 到期", f"it ran out on {end}")
    else:
        return Permitted(grant)
    return Denied((GRANT_NOT_IN_FORCE.because(grant=grant.id, why_zh=why.zh, why_en=why.en),))


SEES_EVERYTHING = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY})
"""Roles that see every plan once submitted, and every agreement and grant."""


def sees_plan(actor: Actor, plan: Plan) -> bool:
    """Whether ``actor`` may know of the plan: its agency, and once submitted the authorising body and auditors."""
    is_draft = plan.status is PlanStatus.DRAFT
    return actor.party == plan.agency or (not is_draft and bool(actor.roles & SEES_EVERYTHING))


def sees_terms(actor: Actor, terms: GrantTerms) -> bool:
    """Whether ``actor`` may know of an agreement or grant: both sides, suppliers in its scope, those who oversee."""
    involved = {terms.agency, terms.operator, *(scope.supplier for scope in terms.scope)}
    return actor.party in involved or bool(actor.roles & SEES_EVERYTHING)


def decide_still_registered(grant: Grant, uncoded: tuple[str, ...]) -> Decision[Grant]:
    """A grant permits nothing while the registration of a resource in its scope is cancelled or has run out."""
    names = ", ".join(uncoded)
    reasons = (
        GRANT_NOT_IN_FORCE.because(
            grant=grant.id, why_zh=f"{names} 的登记已失效", why_en=f"the registration of {names} is not valid any more"
        ),
    )
    return Denied(reasons) if uncoded else Permitted(grant)
