"""How two parties come to agree on a joint task, each on an installation of its own.

Three letters: a proposal with the first party's side; an answer with both sides, signed by the second party; a
confirmation, signed by the first. Each side then holds two signatures over one digest, and queues its run. An
agreement is good for one meeting of the two nodes.
"""

import re
from dataclasses import replace
from datetime import datetime

from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, decide, decide_step
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.ids import PartyId
from gongshu.compute.rules import joint
from gongshu.compute.rules.jobs import LIMITS
from gongshu.compute.rules.joint import refusal
from gongshu.compute.types import (
    ColumnLineage,
    GovernedQuery,
    JobKind,
    JobLimits,
    JobPlan,
    JointAgreement,
    JointKind,
    JointLearners,
    JointLetter,
    JointProposal,
    JointSide,
    JointStatus,
    JointTask,
    Projection,
    Relation,
)
from gongshu.policies.types import Thresholds

FORM = "gongshu-joint-letter/1"
LETTER_BYTES_MAX = 65_536
PROPOSED, ANSWERED, AGREED = JointStatus.PROPOSED, JointStatus.ANSWERED, JointStatus.AGREED
SPENT, WITHDRAWN = JointStatus.SPENT, JointStatus.WITHDRAWN

JOINT_TRANSITIONS: dict[tuple[JointStatus, str], tuple[JointStatus, str]] = {
    (PROPOSED, "answer"): (ANSWERED, "developer"),
    (PROPOSED, "confirm"): (AGREED, "developer"),
    (ANSWERED, "confirm"): (AGREED, "developer"),
    (AGREED, "run"): (AGREED, "developer"),  # once more, where the peer did not come
    (AGREED, "meet"): (SPENT, "platform"),
    (PROPOSED, "withdraw"): (WITHDRAWN, "developer"),
    (ANSWERED, "withdraw"): (WITHDRAWN, "developer"),
    (AGREED, "withdraw"): (WITHDRAWN, "developer"),
}
OPEN = frozenset({PROPOSED, ANSWERED, AGREED})

_ID = re.compile(r"joint-[0-9a-z]{1,60}")
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,250}:([0-9]{1,5})")
PORT_MAX = 65_535
MARK_DIGITS = 16

LETTER_UNREADABLE = refusal(
    "letter-unreadable", Kind.INVALID, zh="无法读取对方的文书，或其格式不是 {form}。",
    en="The peer's letter cannot be read, or is not of the form {form}.",
    fix_zh="请向对方索取原文件（不超过 {bytes_max} 字节），不要改动。",
    fix_en="Ask the peer for the file as it was made, at most {bytes_max} bytes.",
)  # fmt: skip
LETTER_UNEXPECTED = refusal(
    "letter-unexpected", Kind.CONFLICT, zh="该文书不适用于协议 {id} 的当前状态。",
    en="This letter is not what the agreement {id} waits for.",
    fix_zh="请导入对方针对本协议出具的最新文书。",
    fix_en="Bring the latest letter that the peer wrote for this agreement.",
)  # fmt: skip
REPLAYED = refusal(
    "replayed", Kind.CONFLICT, zh="提议 {id} 或其随机数在本节点已经用过。",
    en="The proposal {id} or its nonce was used on this node before.",
    fix_zh="请对方重新提出任务；每次运行须有新的协议。",
    fix_en="Let the peer propose anew; each run needs an agreement of its own.",
)  # fmt: skip
SIGNATURE_WRONG = refusal(
    "signature-wrong", Kind.FORBIDDEN, zh="文书的签名与其所附证书不符。",
    en="The letter's signature does not fit the certificate that it names.",
    fix_zh="请核对来源，向对方索取原文件。",
    fix_en="Check where it came from and ask the peer for the original.",
)  # fmt: skip
FINGERPRINT_DIFFERS = refusal(
    "fingerprint-differs", Kind.FORBIDDEN, zh="文书中对方证书的指纹是 {found}，与您填写的不同。",
    en="The letter names a certificate with the fingerprint {found}; you entered another one.",
    fix_zh="请通过电话等另一渠道向对方核对指纹。",
    fix_en="Compare the fingerprint with the peer over another channel, such as the telephone.",
)  # fmt: skip
ADDRESS_UNFIT = refusal(
    "address-unfit", Kind.INVALID, zh="节点地址 {address} 不是“主机:端口”。",
    en="The node's address {address} is not host:port.",
    fix_zh="例如 10.1.2.3:9101。", fix_en="For example 10.1.2.3:9101.",
)  # fmt: skip
ADDRESS_TAKEN = refusal(
    "address-taken", Kind.CONFLICT, zh="本方地址 {address} 已用于未完成的协议 {id}。",
    en="Our address {address} belongs to the agreement {id}, which is not over.",
    fix_zh="请换一个端口，或先完成、撤回该协议。",
    fix_en="Take another port, or finish or withdraw that agreement first.",
)  # fmt: skip
STILL_RUNNING = refusal(
    "still-running", Kind.CONFLICT, zh="协议 {id} 的任务 {job} 尚未结束。",
    en="The job {job} of the agreement {id} is not over.",
    fix_zh="请等待其结束。", fix_en="Wait for it to end.",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- documents


def strictest(one: Thresholds, other: Thresholds) -> Thresholds:
    """Return thresholds that are as strict as both."""
    return Thresholds(
        max(one.units_min, other.units_min), max(one.dominance_p_percent, other.dominance_p_percent),
        max(one.dominance_top_n, other.dominance_top_n), min(one.dominance_top_percent, other.dominance_top_percent),
    )  # fmt: skip


def complete(proposal: JointProposal, side: JointSide, thresholds: Thresholds) -> JointTask:
    """Return the task that a proposal becomes with the peer's side. The stricter thresholds of the two hold."""
    first = proposal.proposer
    learners = {
        JointLearners.PROPOSER: (first.party,), JointLearners.PEER: (side.party,),
        JointLearners.BOTH: (first.party, side.party),
    }  # fmt: skip
    return JointTask(
        id=proposal.id, kind=proposal.kind, purpose=proposal.purpose, sides=(first, side),
        learners=learners[proposal.learners], key_type=proposal.key_type,
        thresholds=strictest(proposal.thresholds, thresholds), nonce=proposal.nonce, valid_until=proposal.valid_until,
        limits=proposal.limits, protocol=proposal.protocol, library=proposal.library,
    )  # fmt: skip


def drafted(proposal: JointProposal) -> JointTask:
    """Return the task as far as it is known: some peer brings as many keys, and the values if it is to."""
    value = "value" if proposal.kind is JointKind.SUMS and proposal.peer_brings_value else ""
    peer = JointSide(PartyId(""), Ref("entitlement", "", ""), "", "", proposal.proposer.rows_max, value)
    return complete(proposal, peer, proposal.thresholds)


def party_at(party: PartyId, fingerprint: str) -> PartyId:
    """Return how a party is called in a document of two installations: each may have one of the same id."""
    return PartyId(f"{party}@{fingerprint[:MARK_DIGITS]}")


def step_of(letter: JointLetter) -> str:
    """Return which letter it is: ``proposal``, ``answer``, ``confirmation``, or ``""``."""
    has_task, has_proposal = letter.task is not None, letter.proposal is not None
    return {
        (0, True, False): "proposal", (1, False, True): "answer", (0, False, True): "confirmation",
    }.get((letter.sender, has_proposal, has_task), "")  # fmt: skip


def is_id(text: str) -> bool:
    """Whether a text is an id of an agreement: a peer may send anything, and an id becomes a key here."""
    return _ID.fullmatch(text) is not None


def writer_of(letter: JointLetter) -> JointSide | None:
    """Return the side that wrote a letter."""
    if letter.proposal is not None:
        return letter.proposal.proposer
    return letter.task.sides[letter.sender] if letter.task is not None and letter.sender in {0, 1} else None


def digest_in(letter: JointLetter) -> str:
    """Return the digest that the letter's signature is over."""
    inside = letter.proposal or letter.task
    return "" if inside is None else inside.digest


# ------------------------------------------------------------------------------------------------------- decisions


def decide_letter(letter: JointLetter | None, wanted: frozenset[str]) -> Decision[JointLetter]:
    """Permit a letter that could be read and is one of those that can come now."""
    unreadable = LETTER_UNREADABLE.because(form=FORM, bytes_max=LETTER_BYTES_MAX)
    if letter is None or letter.form != FORM or not step_of(letter):
        return Denied((unreadable,))
    inside = letter.proposal or letter.task
    if inside is None or not is_id(inside.id):
        return Denied((unreadable,))
    return decide(letter, None if step_of(letter) in wanted else LETTER_UNEXPECTED.because(id=inside.id))


def decide_peer(letter: JointLetter, found: str, expected: str, *, is_signed: bool) -> Decision[JointLetter]:
    """Permit a letter of the peer that we know: its certificate has the fingerprint that we were told, and it signed.

    ``found`` is the fingerprint of the certificate in the letter (empty: unreadable), ``expected`` what a person entered.
    """
    is_same = bool(found) and found == "".join(expected.split()).replace(":", "").lower()
    return decide(
        letter,
        None if is_same else FINGERPRINT_DIFFERS.because(found=found or "—"),
        None if is_signed else SIGNATURE_WRONG.because(),
    )


def decide_proposal(
    proposal: JointProposal, entitlement: Ref, thresholds: Thresholds, relations: tuple[Relation, ...], now: datetime
) -> Decision[JointProposal]:
    """Permit a proposal: what is known of the task makes sense, and our entitlement allows our side."""
    task = drafted(proposal)
    reasons = (
        joint.decide_side(task, proposal.proposer.party, entitlement, thresholds, relations).reasons
        + joint.decide_task(task, now).reasons
        + address_reasons(proposal.proposer.address)
    )
    return Denied(reasons) if reasons else Permitted(proposal)


def address_reasons(address: str) -> tuple[Reason, ...]:
    """Return what is wrong with the address of a node."""
    found = _ADDRESS.fullmatch(address)
    is_good = found is not None and 0 < int(found[1]) <= PORT_MAX
    return () if is_good else (ADDRESS_UNFIT.because(address=address[:100]),)


def decide_free_address(address: str, others: tuple[JointAgreement, ...]) -> Decision[str]:
    """Permit an address that no agreement of ours still needs (``others`` are those that do)."""
    taken = next((one for one in others if one.own is not None and one.own.address == address), None)
    return decide(address, ADDRESS_TAKEN.because(address=address, id=taken.id) if taken else None)


def decide_new(proposal: JointProposal, *, is_known: bool) -> Decision[JointProposal]:
    """Permit a proposal that was never seen here, nor its nonce."""
    return decide(proposal, REPLAYED.because(id=proposal.id) if is_known else None)


def decide_answered(kept: JointAgreement, task: JointTask) -> Decision[JointTask]:
    """Permit the peer's answer: exactly our proposal with its side, and thresholds that are no looser."""
    as_proposed = complete(kept.proposal, task.sides[1], task.thresholds)
    return decide(task, None if as_proposed == task else joint.DIGEST_DIFFERS.because())


def decide_joint_step(agreement: JointAgreement, action: str) -> Decision[JointAgreement]:
    """Take one step of the table."""
    step = decide_step("joint_agreement", JOINT_TRANSITIONS, agreement.status, action)
    return step if isinstance(step, Denied) else Permitted(replace(agreement, status=step.value))


def is_open(agreement: JointAgreement, now: datetime) -> bool:
    """Whether the agreement may still come to a run."""
    return agreement.status in OPEN and now < agreement.proposal.valid_until


# ------------------------------------------------------------------------------------------------------------ plan


def plan_joint(
    task: JointTask, number: int, relation: Relation, inputs: tuple[Ref, ...], memory_bytes_max: int
) -> JobPlan:
    """Freeze our side of an agreed task. What stands in the result, and what it came from, is said as for a query."""
    own, peer = task.sides[number], task.sides[1 - number]
    keys = frozenset({f"{relation.name}.{own.key_column}"})
    outputs: dict[str, frozenset[str]] = (
        {own.key_column: keys} if task.kind is JointKind.INTERSECTION else {"units": keys}
    )
    if task.kind is JointKind.SUMS:
        outputs["total"] = frozenset(
            {f"{relation.name}.{own.value_column}" if own.value_column else f"peer.{peer.value_column}"}
        )
    columns = (own.value_column,) if own.value_column else ()
    query = GovernedQuery(
        sql="", outputs=tuple(outputs), is_aggregate=task.kind is not JointKind.INTERSECTION,
        lineage=tuple(ColumnLineage(name, direct, keys) for name, direct in outputs.items()),
        projections=(Projection(relation.name, relation.resource, columns, raws=(own.key_column,)),),
    )  # fmt: skip
    limits = JobLimits(memory_bytes_max, task.limits.runtime_seconds, own.rows_max, LIMITS.output_bytes_max)
    return JobPlan(
        kind=JobKind.JOINT, entitlement=own.entitlement, code=task.document.decode(),
        code_digest=sha256_hex(task.document), inputs=inputs, query=query, verification=None,
        thresholds=task.thresholds, limits=limits, joint=task,
    )  # fmt: skip
