"""Joint computing: what two parties agree on before their nodes meet, and what becomes of what a node tells.

A task is one document. Its canonical form is what both sides digest, what both nodes read, and what the audit log
names; a node takes part in no other. Each side decides for itself, by its own policy: nobody is asked to trust the
peer's decision.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, Rule, decide, rule
from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId
from gongshu.catalog.types import DataType
from gongshu.compute.rules.budget import joint_reason
from gongshu.compute.rules.verification import normalise, text_of
from gongshu.compute.types import JointKind, JointLimits, JointResult, JointSide, JointTask, Relation
from gongshu.policies.service import closed
from gongshu.policies.types import Thresholds, Use

LAW = "docs/decisions/0007-joint-computing.md"
PROTOCOL = "gongshu-joint/2"
LIBRARY = "spu 0.9.5"
NONCE_BYTES = 32
KEY_BYTES = 16
ROWS_MAX = {JointKind.INTERSECTION: 5_000_000, JointKind.COUNT: 1_000_000, JointKind.SUMS: 1_000_000}
SECONDS_MAX = 24 * 3600
SILENCE_SECONDS_MIN = 5
SCALE_MAX = 6
TEXT_CHARACTERS_MAX = 200
NUMBERS = frozenset({DataType.INTEGER, DataType.DECIMAL})


# ------------------------------------------------------------------------------------------------------- refusals


def refusal(code: str, kind: Kind, *, zh: str, en: str, fix_zh: str, fix_en: str) -> Rule:
    """Register a rule of joint computing; its code begins with ``joint-``."""
    return rule(f"joint-{code}", kind, zh=zh, en=en, fix_zh=fix_zh, fix_en=fix_en, law=LAW)


PARTIES_EQUAL = refusal(
    "parties-equal", Kind.INVALID, zh="联合计算的双方是同一主体 {party}。", en="Both sides of the joint task are the party {party}.",
    fix_zh="请填写两个不同的主体。", fix_en="Name two parties; one party's data can be joined in SQL.",
)  # fmt: skip
LEARNERS_UNFIT = refusal(
    "learners-unfit", Kind.INVALID, zh="获知结果的主体须为任务双方之一或双方，且不重复。",
    en="Those who learn the outcome must be one or both of the two parties, each named once.",
    fix_zh="请在双方中指定。", fix_en="Choose among the two.",
)  # fmt: skip
PURPOSE_MISSING = refusal(
    "purpose-missing", Kind.INVALID, zh="请填写联合计算的目的（不超过 {limit} 字）。",
    en="The joint task needs a purpose of at most {limit} characters.",
    fix_zh="与授权协议中的用途一致。", fix_en="Use the purpose of the entitlement.",
)  # fmt: skip
VALUES_UNFIT = refusal(
    "values-unfit", Kind.INVALID, zh="{kind} 任务需要 {wanted} 个数值列，现有 {found} 个。",
    en="A task of kind {kind} needs {wanted} value columns, not {found}.",
    fix_zh="求交和计数任务不带数值列；求和任务恰由一方提供一个数值列。",
    fix_en="Intersections and counts have none; sums have exactly one, of one side.",
)  # fmt: skip
SCALE_UNFIT = refusal(
    "scale-unfit", Kind.INVALID, zh="数值小数位数须在 0 到 {limit} 之间。", en="The value scale must be from 0 to {limit}.",
    fix_zh="例如以分为精度填 2。", fix_en="For example 2 for fen.",
)  # fmt: skip
THRESHOLDS_LOW = refusal(
    "thresholds-low", Kind.FORBIDDEN, zh="任务阈值 {name} 为 {value}，比 {party} 的权限要求（{wanted}）宽松。",
    en="The task's threshold {name} is {value}, looser than {wanted}, which the entitlement of {party} demands.",
    fix_zh="请采用双方要求中较严者。", fix_en="Take the stricter of what the two sides demand.",
)  # fmt: skip
DOMINANCE_UNFIT = refusal(
    "dominance-unfit", Kind.INVALID, zh="联合求和只支持 n 为 1 或 2 的 (n,k) 规则，现为 {value}。",
    en="Joint sums support the (n, k) rule for n of 1 or 2, not {value}.",
    fix_zh="请将 n 设为 1 或 2。", fix_en="Set n to 1 or 2.",
)  # fmt: skip
ROWS_UNFIT = refusal(
    "rows-unfit", Kind.INVALID, zh="{party} 的行数上限 {rows} 不在 {fewest} 到 {most} 之间。",
    en="The limit of rows of {party}, {rows}, is not between {fewest} and {most}.",
    fix_zh="请调整行数上限，或按区域、年份分批。", fix_en="Change the limit, or split the task by region or year.",
)  # fmt: skip
LIMITS_UNFIT = refusal(
    "limits-unfit", Kind.INVALID, zh="时限 {name} 为 {seconds} 秒，须在 {fewest} 到 {most} 之间。",
    en="The limit {name} of {seconds} seconds is not between {fewest} and {most}.",
    fix_zh="请在范围内设定。", fix_en="Choose a value in that range.",
)  # fmt: skip
PROTOCOL_UNKNOWN = refusal(
    "protocol-unknown", Kind.INVALID, zh="本节点只支持协议 {ours}，任务写的是 {theirs}。",
    en="This node speaks {ours}; the task says {theirs}.",
    fix_zh="请双方升级到同一版本后重新提出任务。", fix_en="Bring both nodes to one version and propose the task again.",
)  # fmt: skip
NONCE_UNFIT = refusal(
    "nonce-unfit", Kind.INVALID, zh="任务随机数须为 {digits} 位十六进制。", en="The nonce must be {digits} lower-case hexadecimal digits.",
    fix_zh="由提出方随机产生。", fix_en="Let the proposer draw it.",
)  # fmt: skip
TASK_EXPIRED = refusal(
    "task-expired", Kind.CONFLICT, zh="联合任务已于 {until} 失效。", en="The joint task was good until {until}.",
    fix_zh="请重新提出任务并由双方确认。", fix_en="Propose it again and let both sides agree.",
)  # fmt: skip
NOT_A_SIDE = refusal(
    "not-a-side", Kind.FORBIDDEN, zh="{party} 不是该联合任务的一方。", en="{party} is not a side of this joint task.",
    fix_zh="只有任务双方可以确认和运行。", fix_en="Only the two sides can agree to it and run it.",
)  # fmt: skip
DIGEST_DIFFERS = refusal(
    "digest-differs", Kind.CONFLICT, zh="对方确认的任务摘要与本方不同。", en="The peer agreed to a document of another digest.",
    fix_zh="请核对文档后重新确认。", fix_en="Compare the two documents and agree again.",
)  # fmt: skip
ENTITLEMENT_DIFFERS = refusal(
    "entitlement-differs", Kind.CONFLICT, zh="任务所引用的权限 {id} 不是现行有效的版本。",
    en="The entitlement {id} named in the task is not the one in force.",
    fix_zh="请按现行权限重新提出任务。", fix_en="Propose the task again under the entitlement in force.",
)  # fmt: skip
RELATION_UNKNOWN = refusal(
    "relation-unknown", Kind.INVALID, zh="权限中没有数据表 {relation} 或其列 {column}。",
    en="The entitlement has no relation {relation} with a column {column}.",
    fix_zh="请核对名称。", fix_en="Check the names.",
)  # fmt: skip
KEY_NOT_UNIT = refusal(
    "key-not-unit", Kind.FORBIDDEN, zh="关联键 {column} 不是 {relation} 的隐私主体列，人数阈值无从保证。",
    en="The key {column} is not the privacy unit of {relation}; a threshold on units could not be kept.",
    fix_zh="请以隐私主体列作为关联键。", fix_en="Use the column of the privacy unit as the key.",
)  # fmt: skip
USE_MISSING = refusal(
    "use-missing", Kind.FORBIDDEN, zh="列 {column} 没有“{use}”用途。", en="The column {column} does not have the use {use}.",
    fix_zh="请供数单位或实施机构放开该用途，或改用 count、sums 任务。",
    fix_en="Ask the provider for this use, or use a task of kind count or sums.",
)  # fmt: skip
KEY_MASKED = refusal(
    "key-masked", Kind.FORBIDDEN, zh="列 {column} 带有掩码，求交会让对方得知其原值。",
    en="The column {column} wears a mask; an intersection would show its raw values.",
    fix_zh="请改用 count 或 sums 任务。", fix_en="Use a task of kind count or sums.",
)  # fmt: skip
VALUE_NOT_NUMBER = refusal(
    "value-not-number", Kind.INVALID, zh="数值列 {column} 不是数字。", en="The value column {column} is not a number.",
    fix_zh="请选用整数或小数列。", fix_en="Choose a column of integers or decimals.",
)  # fmt: skip
PEER_ABSENT = refusal(
    "peer-absent", Kind.UNAVAILABLE, zh="对方节点在 {connect} 秒内没有出现。", en="The peer's node did not come within {connect} seconds.",
    fix_zh="请与对方约定时间，核对地址和证书后重试。", fix_en="Agree on a time, check addresses and certificates, and try again.",
)  # fmt: skip
PEER_DIFFERS = refusal(
    "peer-differs", Kind.CONFLICT, zh="对方节点使用的任务、版本或行数与约定不符，未提供任何数据。",
    en="The peer's node speaks of another task, version or number of rows; nothing was shown to it.",
    fix_zh="请双方核对任务摘要和软件版本。", fix_en="Compare the digest of the task and the versions.",
)  # fmt: skip
BROKEN_OFF = refusal(
    "broken-off", Kind.UNAVAILABLE, zh="联合计算中断：对方失联超过 {silence} 秒，或发来不合协议的内容；没有产生结果。",
    en="The run broke off: the peer was silent for {silence} seconds or sent what the protocol does not allow. There is no outcome.",
    fix_zh="请联系对方查明原因，重新提出任务。", fix_en="Find out from the peer what happened and propose the task again.",
)  # fmt: skip
RUNTIME_EXCEEDED = refusal(
    "runtime-exceeded", Kind.LIMIT_EXCEEDED, zh="联合计算超过 {runtime} 秒，已终止。", en="The run took more than {runtime} seconds.",
    fix_zh="请减少行数或放宽时限。", fix_en="Bring fewer rows or agree on a longer limit.",
)  # fmt: skip
INPUT_UNFIT = refusal(
    "input-unfit", Kind.INVALID, zh="本方数据不适用：有效键少于 {fewest} 个或超过约定行数，或数值精度、总额不符。",
    en="Our own data do not fit: fewer than {fewest} keys or more than agreed, values not of the scale, or too large a sum.",
    fix_zh="请核对数据、行数上限和小数位数。", fix_en="Check the data, the limit of rows and the scale.",
)  # fmt: skip
MEMORY_EXCEEDED = refusal(
    "memory-exceeded", Kind.LIMIT_EXCEEDED, zh="联合计算超出内存限额。", en="The run needed more memory than allowed.",
    fix_zh="请减少行数或提高限额。", fix_en="Bring fewer rows or raise the limit.",
)  # fmt: skip
ENVIRONMENT_MISSING = refusal(
    "environment-missing", Kind.UNAVAILABLE, zh="本机没有安装联合计算环境，或不能建立用户命名空间。",
    en="The environment of joint computing is not installed here, or user namespaces cannot be made.",
    fix_zh="请运行 make setup-joint，并安装 bubblewrap。", fix_en="Run make setup-joint and install bubblewrap.",
)  # fmt: skip
INTERRUPTED = refusal(
    "interrupted", Kind.CONFLICT, zh="本方作业进程在双方会合后中断；该协议只能运行一次，没有产生结果。",
    en="Our worker was interrupted after the nodes had met. The agreement was good for that one run; there is no outcome.",
    fix_zh="请重新提出任务并由双方确认。", fix_en="Propose the task again and let both sides agree.",
)  # fmt: skip
NODE_FAILED = refusal(
    "node-failed", Kind.INTERNAL, zh="本方节点未能运行；没有产生结果。", en="Our node did not run; there is no outcome.",
    fix_zh="请联系平台管理员。", fix_en="Tell the platform administrator.",
)  # fmt: skip

FAILURES = {
    found.code: found
    for found in (
        PEER_ABSENT, PEER_DIFFERS, BROKEN_OFF, RUNTIME_EXCEEDED, INPUT_UNFIT, MEMORY_EXCEEDED, ENVIRONMENT_MISSING,
        INTERRUPTED, NODE_FAILED,
    )
}  # fmt: skip
"""How a run can end without an outcome, by the code that the node or its parent tells."""


# ------------------------------------------------------------------------------------------------------ agreement


def decide_task(task: JointTask, now: datetime) -> Decision[JointTask]:
    """Permit a document that makes sense by itself. Both sides ask this, whoever wrote it."""
    first, second = task.sides
    known = {first.party, second.party}
    learners = task.learners
    values = [side for side in task.sides if side.value_column]
    wanted = 1 if task.kind is JointKind.SUMS else 0
    is_hex = len(task.nonce) == 2 * NONCE_BYTES and set(task.nonce) <= set("0123456789abcdef")
    ours, theirs = f"{PROTOCOL}, {LIBRARY}", f"{task.protocol}, {task.library}"
    return decide(
        task,
        PARTIES_EQUAL.because(party=first.party) if len(known) == 1 else None,
        None
        if learners and set(learners) <= known and len(set(learners)) == len(learners)
        else LEARNERS_UNFIT.because(),
        None
        if 0 < len(task.purpose.strip()) <= TEXT_CHARACTERS_MAX
        else PURPOSE_MISSING.because(limit=TEXT_CHARACTERS_MAX),
        None if len(values) == wanted else VALUES_UNFIT.because(kind=task.kind, wanted=wanted, found=len(values)),
        *(None if 0 <= side.value_scale <= SCALE_MAX else SCALE_UNFIT.because(limit=SCALE_MAX) for side in task.sides),
        *(_rows_reason(task, side) for side in task.sides),
        *_limit_reasons(task.limits),
        None if ours == theirs else PROTOCOL_UNKNOWN.because(ours=ours, theirs=theirs),
        None if is_hex else NONCE_UNFIT.because(digits=2 * NONCE_BYTES),
        None if now < task.valid_until else TASK_EXPIRED.because(until=task.valid_until.isoformat()),
        _dominance_reason(task),
    )


def _rows_reason(task: JointTask, side: JointSide) -> Reason | None:
    fewest, most = max(1, task.thresholds.units_min), ROWS_MAX[task.kind]
    if fewest <= side.rows_max <= most:
        return None
    return ROWS_UNFIT.because(party=side.party, rows=side.rows_max, fewest=fewest, most=most)


def _limit_reasons(limits: JointLimits) -> list[Reason]:
    bounds = {
        "connect_seconds": (limits.connect_seconds, 1), "runtime_seconds": (limits.runtime_seconds, 1),
        "silence_seconds": (limits.silence_seconds, SILENCE_SECONDS_MIN),
    }  # fmt: skip
    return [
        LIMITS_UNFIT.because(name=name, seconds=seconds, fewest=fewest, most=SECONDS_MAX)
        for name, (seconds, fewest) in bounds.items()
        if not fewest <= seconds <= SECONDS_MAX
    ]


def _dominance_reason(task: JointTask) -> Reason | None:
    n = task.thresholds.dominance_top_n
    return None if task.kind is not JointKind.SUMS or n in {1, 2} else DOMINANCE_UNFIT.because(value=n)


def decide_side(
    task: JointTask, party: PartyId, entitlement: Ref, thresholds: Thresholds, relations: tuple[Relation, ...]
) -> Decision[JointTask]:
    """Permit what the task asks of ``party``, by its own entitlement: uses of key and value, unit, thresholds.

    An intersection is an output of rows: the key needs ``join`` and ``reveal``, unmasked. Counts and sums need ``join`` of
    the key, sums ``total`` of the value.
    """
    number = task.number_of(party)
    if number is None:
        return Denied((NOT_A_SIDE.because(party=party),))
    side = task.sides[number]
    found = None if side.entitlement == entitlement else ENTITLEMENT_DIFFERS.because(id=side.entitlement.id)
    reasons = [found, joint_reason(thresholds), *_threshold_reasons(task.thresholds, thresholds, party)]
    relation = next((one for one in relations if one.name == side.relation), None)
    types = {} if relation is None else {column.name: column.data_type for column in relation.columns}
    named = [column for column in (side.key_column, side.value_column) if column]
    reasons += [RELATION_UNKNOWN.because(relation=side.relation, column=one) for one in named if one not in types]
    if relation is not None:
        reasons += _column_reasons(task, side, relation, types)
    return decide(task, *reasons)


def _threshold_reasons(given: Thresholds, own: Thresholds, party: PartyId) -> list[Reason]:
    looser = {
        "units_min": (given.units_min, own.units_min, given.units_min < own.units_min),
        "dominance_p_percent": (
            given.dominance_p_percent, own.dominance_p_percent, given.dominance_p_percent < own.dominance_p_percent,
        ),
        "dominance_top_n": (given.dominance_top_n, own.dominance_top_n, given.dominance_top_n < own.dominance_top_n),
        "dominance_top_percent": (
            given.dominance_top_percent, own.dominance_top_percent,
            given.dominance_top_percent > own.dominance_top_percent,
        ),
    }  # fmt: skip
    return [
        THRESHOLDS_LOW.because(name=name, value=value, wanted=wanted, party=party)
        for name, (value, wanted, is_looser) in looser.items()
        if is_looser
    ]


def _column_reasons(task: JointTask, side: JointSide, relation: Relation, types: dict[str, DataType]) -> list[Reason]:
    reasons = []
    key = relation.policy.of(side.key_column)
    needed = {Use.JOIN, Use.REVEAL} if task.kind is JointKind.INTERSECTION else {Use.JOIN}
    reasons += [USE_MISSING.because(column=key.column, use=use) for use in sorted(needed - closed(key.uses))]
    if task.kind is JointKind.INTERSECTION and key.mask is not None:
        reasons.append(KEY_MASKED.because(column=key.column))
    if relation.policy.unit != (side.key_column,):
        reasons.append(KEY_NOT_UNIT.because(column=side.key_column, relation=relation.name))
    if side.value_column:
        value = relation.policy.of(side.value_column)
        if Use.TOTAL not in closed(value.uses):
            reasons.append(USE_MISSING.because(column=value.column, use=Use.TOTAL))
        if types.get(side.value_column, DataType.INTEGER) not in NUMBERS or value.mask is not None:
            reasons.append(VALUE_NOT_NUMBER.because(column=side.value_column))
    return reasons


def decide_digest(task: JointTask, peer_digest: str) -> Decision[JointTask]:
    """Permit what the peer agreed to, if it is this document."""
    return decide(task, None if peer_digest == task.digest else DIGEST_DIFFERS.because())


# ----------------------------------------------------------------------------------------------------------- rows


def recorder(task: JointTask, number: int) -> Callable[[Any, Any], tuple[bytes, int] | None]:
    """Return what makes a key's hash and its value in the smallest unit of one row; ``None`` for a row that does not count.

    A row without a key, or without a value where one is summed, does not reach the aggregate. A value that is not a
    number of the agreed scale raises ``ValueError``.
    """
    side = task.sides[number]

    def record(key: Any, value: Any) -> tuple[bytes, int] | None:
        text = text_of(key)
        normal = "" if text is None else normalise(task.key_type, text)
        if not normal or (side.value_column and value is None):
            return None
        return key_hash(task.nonce, normal), smallest(value, side.value_scale) if side.value_column else 0

    return record


def key_hash(nonce: str, normal: str) -> bytes:
    """Return the hash of a key's normal form under the nonce of a task. SQL can make the same one."""
    return hashlib.sha256(f"{nonce}:{normal}".encode()).digest()[:KEY_BYTES]


def key_hash_sql(nonce: str, key_sql: str) -> str:
    """Return SQL for the hash of a key whose normal form is itself, as hexadecimal digits."""
    return f"left(sha256('{nonce}:' || {key_sql}), {2 * KEY_BYTES})"


PLAIN_KEY = "[!-`{-~]+"
"""Printable ASCII without white space and small letters: such a text is its own normal form."""


def smallest(value: Any, scale: int) -> int:
    """Return ``value`` in units of 10^-scale. ``ValueError`` if it is not a whole number of them."""
    try:
        number = Decimal(str(value)).scaleb(scale)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not number.is_finite() or number != number.to_integral_value():
        raise ValueError("not a number of the agreed scale")
    return int(number)


# --------------------------------------------------------------------------------------------------------- outcome


def decide_outcome(
    task: JointTask, party: PartyId, *, code: str = "", passes: bool | None = None, count: int | None = None,
    total: int | None = None, is_signed: bool = False,
) -> Decision[JointResult]:  # fmt: skip
    """Turn what the node told into what this side may know, or into the reason why there is nothing.

    The thresholds were tested by the protocol; the number of units is tested once more here.
    """
    if code:
        return Denied((failure(task, code),))
    if party not in task.learners:
        return Permitted(JointResult(None)) if passes is None else Denied((failure(task, "joint-node-failed"),))
    if passes is None or (passes and (count is None or (task.kind is JointKind.SUMS and total is None))):
        return Denied((failure(task, "joint-node-failed"),))
    if not passes or count is None or count < task.thresholds.units_min:
        return Permitted(JointResult(passes=False))
    valued = next((side for side in task.sides if side.value_column), None)
    amount = None if total is None or valued is None else Decimal(total).scaleb(-valued.value_scale)
    return Permitted(JointResult(True, count, amount, needs_review=is_signed))


def failure(task: JointTask, code: str) -> Reason:
    """Return the reason of a failed run. A code that is not known is that of a failed node."""
    limits = task.limits
    return FAILURES.get(code, NODE_FAILED).because(
        connect=limits.connect_seconds, silence=limits.silence_seconds, runtime=limits.runtime_seconds,
        fewest=task.thresholds.units_min,
    )  # fmt: skip
