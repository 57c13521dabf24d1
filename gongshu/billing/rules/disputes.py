"""Disputes and adjusting entries: a statement is never edited, what is owed is put right beside it. Pure."""

from dataclasses import replace
from datetime import datetime

from gongshu.base.days import local_day
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, decide, decide_step, rule
from gongshu.base.ids import PartyId
from gongshu.billing.rules.statements import shares_of
from gongshu.billing.types import Adjustment, Confirmation, Dispute, DisputeStatus, Share, Statement
from gongshu.grants.types import PriceRule
from gongshu.metering.types import UsageRecord

OPEN = DisputeStatus.OPEN
TEXT_CHARS_MAX = 2_000
POSITIONS_MAX = 1_000

TRANSITIONS: dict[tuple[DisputeStatus, str], tuple[DisputeStatus, str]] = {
    (OPEN, "accept"): (DisputeStatus.ACCEPTED, "operator"),
    (OPEN, "reject"): (DisputeStatus.REJECTED, "operator"),
    (OPEN, "withdraw"): (DisputeStatus.WITHDRAWN, "consumer"),
}

DISPUTE_TEXT_MISSING = rule(
    "dispute-text-missing", Kind.INVALID, zh="请写明理由（不超过 {limit} 字）。", en="Say why, in at most {limit} characters.",
    fix_zh="例如：三次调用返回超时，请核减。", fix_en="For example: three calls timed out; please deduct them.",
)  # fmt: skip
DISPUTE_POSITION_UNKNOWN = rule(
    "dispute-position-unknown", Kind.INVALID, zh="{count} 条调用记录不属于该账单，例如 {position}。",
    en="{count} records are not of this statement, for example {position}.",
    fix_zh="请填写回执中的 call 编号，且调用时间在账期内。", fix_en="Give the call numbers of receipts within the statement's month.",
)  # fmt: skip
DISPUTE_TOO_MANY_POSITIONS = rule(
    "dispute-too-many-positions", Kind.LIMIT_EXCEEDED, zh="一次最多列出 {limit} 条调用记录。", en="At most {limit} records at once.",
    fix_zh="请分次提出，或用文字说明范围。", fix_en="Raise several, or describe them in words.",
)  # fmt: skip
STATEMENT_CONFIRMED = rule(
    "statement-confirmed", Kind.CONFLICT, zh="账单 {statement} 已确认。", en="The statement {statement} is confirmed.",
    fix_zh="请与运营机构协商，以调整分录处理。", fix_en="Ask the operator for an adjusting entry.",
)  # fmt: skip
STATEMENT_DISPUTED = rule(
    "statement-disputed", Kind.CONFLICT, zh="账单 {statement} 尚有争议未决。", en="The statement {statement} is in dispute.",
    fix_zh="请先了结争议。", fix_en="Settle the dispute first.",
)  # fmt: skip
STATEMENT_SUPERSEDED = rule(
    "statement-superseded", Kind.CONFLICT, zh="账单 {statement} 已被更正账单取代。",
    en="The statement {statement} was corrected by another one.",
    fix_zh="请针对最新的账单办理。", fix_en="Use the newest statement of the month.",
)  # fmt: skip
ADJUSTMENT_AMOUNT_INVALID = rule(
    "adjustment-amount-invalid", Kind.INVALID, zh="调整金额 {amount} 分有误：不能为 0，也不能使应付金额为负（现为 {owed} 分）。",
    en="An adjustment of {amount} fen is wrong: it is not 0 and leaves nothing below 0 ({owed} fen are owed now).",
    fix_zh="请填写合理的增减金额。", fix_en="State what is owed more, or less.",
)  # fmt: skip


def decide_raise(
    wanted: Dispute, statement: Statement, records: tuple[UsageRecord | None, ...], *, is_newest: bool,
    confirmation: Confirmation | None,
) -> Decision[Dispute]:  # fmt: skip
    """The consumer objects to its newest statement before confirming it. ``records`` are those at the positions named."""
    start, end = statement.charge_period_start, statement.charge_period_end
    odd = [
        position
        for position, record in zip(wanted.positions, records, strict=False)
        if record is None or record.contract != wanted.contract or not start <= local_day(record.at) < end
    ]
    return decide(
        wanted,
        None if 0 < len(wanted.reason) <= TEXT_CHARS_MAX else DISPUTE_TEXT_MISSING.because(limit=TEXT_CHARS_MAX),
        DISPUTE_TOO_MANY_POSITIONS.because(limit=POSITIONS_MAX) if len(wanted.positions) > POSITIONS_MAX else None,
        DISPUTE_POSITION_UNKNOWN.because(count=len(odd), position=odd[0][:80]) if odd else None,
        None if is_newest else STATEMENT_SUPERSEDED.because(statement=statement.id),
        STATEMENT_CONFIRMED.because(statement=statement.id) if confirmation is not None else None,
    )


def decide_dispute_step(dispute: Dispute, action: str, answer: str, now: datetime) -> Decision[Dispute]:
    """Accept, reject or withdraw. An answer is needed to accept or reject."""
    step = decide_step("dispute", TRANSITIONS, dispute.status, action)
    if isinstance(step, Denied):
        return step
    needs_answer = action != "withdraw" and not 0 < len(answer) <= TEXT_CHARS_MAX
    return decide(
        replace(dispute, status=step.value, answer=answer[:TEXT_CHARS_MAX], decided_at=now),
        DISPUTE_TEXT_MISSING.because(limit=TEXT_CHARS_MAX) if needs_answer else None,
    )


def decide_confirm(
    statement: Statement, disputes: tuple[Dispute, ...], *, is_newest: bool, before: Confirmation | None, now: datetime
) -> Decision[Confirmation]:  # fmt: skip
    """The consumer agrees with its newest statement, once nothing is in dispute."""
    return decide(
        Confirmation(statement.id, statement.ref, statement.consumer, now),
        None if is_newest else STATEMENT_SUPERSEDED.because(statement=statement.id),
        STATEMENT_CONFIRMED.because(statement=statement.id) if before is not None else None,
        STATEMENT_DISPUTED.because(statement=statement.id) if any(d.status is OPEN for d in disputes) else None,
    )


def owed_minor(statement: Statement, adjustments: tuple[Adjustment, ...]) -> int:
    """Return what is owed of a statement with its adjusting entries, in fen."""
    return statement.charge.billed_cost_minor + sum(entry.amount_minor for entry in adjustments)


def decide_adjust(
    statement: Statement, wanted: Adjustment, before: tuple[Adjustment, ...], price: PriceRule, suppliers: tuple[PartyId, ...],
    *, is_newest: bool,
) -> Decision[Adjustment]:  # fmt: skip
    """Change what is owed by an entry whose shares are the differences to the split before it (27号 art.14(七))."""
    owed = owed_minor(statement, before)
    after = owed + wanted.amount_minor
    reasons = [
        None if 0 < len(wanted.reason) <= TEXT_CHARS_MAX else DISPUTE_TEXT_MISSING.because(limit=TEXT_CHARS_MAX),
        None if is_newest else STATEMENT_SUPERSEDED.because(statement=statement.id),
        None
        if wanted.amount_minor and after >= 0
        else ADJUSTMENT_AMOUNT_INVALID.because(amount=wanted.amount_minor, owed=owed),
    ]
    found = tuple(reason for reason in reasons if reason is not None)
    if found:
        return Denied(found)
    old = shares_of(owed, price, suppliers, statement.operator)
    new = shares_of(after, price, suppliers, statement.operator)
    shares = tuple(Share(n.kind, n.party, n.amount_minor - o.amount_minor) for o, n in zip(old, new, strict=True))
    return Permitted(replace(wanted, shares=shares))
