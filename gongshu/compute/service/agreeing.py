"""Agreeing on a joint task with another installation: proposal, answer, confirmation, and the job that comes of it.

Letters are files of a few kilobytes. They hold names, thresholds, addresses and certificates, and no row. How they
travel is not our affair: who they come from is proved by their signature and the fingerprint that a person compared.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref, canonical_json
from gongshu.base.ids import EntitlementId, GrantId, JobId, PartyId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.catalog.types import DataType
from gongshu.compute import store
from gongshu.compute.adapters.joint import identity
from gongshu.compute.rules import agreements, jobs, joint
from gongshu.compute.service.governing import Governed, find_entitlement_in, govern_in, named, unknown
from gongshu.compute.service.joint import IDENTITY_SECRET, decide_own
from gongshu.compute.service.submitting import inputs_of
from gongshu.compute.types import (
    Job,
    JobProgress,
    JobStatus,
    JointAgreement,
    JointKind,
    JointLearners,
    JointLetter,
    JointLimits,
    JointProposal,
    JointSide,
    JointStatus,
    JointTask,
)
from gongshu.parties import service as parties
from gongshu.scenarios.types import Entitlement

ID_CHARS_MAX = 80
LETTER_STEPS = frozenset({"answer", "confirmation"})


@dataclass(frozen=True)
class JointHalf:
    """What a developer says of its own side; the rest of a ``JointSide`` is known here."""

    relation: str
    key_column: str
    rows_max: int
    address: str
    value_column: str = ""
    value_scale: int = 0
    is_padded: bool = False


@dataclass(frozen=True)
class JointTerms:
    """What a developer proposes. A limit of 0 means the parameter in force."""

    kind: JointKind
    purpose: str
    learners: JointLearners
    peer_brings_value: bool = False
    key_type: DataType = DataType.TEXT
    connect_seconds: int = 0
    silence_seconds: int = 0
    runtime_seconds: int = 0
    valid_days: int = 0


# --------------------------------------------------------------------------------------------------------- letters


def joint_fingerprint(site: Site, actor: Actor) -> str:
    """Return the fingerprint of this node's certificate, to be read to the peer over another channel."""
    access.require(actor, Permission.DEVELOP_JOINT_AGREE)
    return identity.fingerprint(identity.certificate(site.keys.secret(IDENTITY_SECRET)))


def fingerprint_of(side: JointSide | None) -> str:
    """Return the fingerprint of the certificate that a side names."""
    return "" if side is None else identity.fingerprint(side.certificate)


def read_letter(content: bytes) -> JointLetter | None:
    """Return the letter in a file of a peer, or ``None``. Nothing of it is believed yet."""
    if len(content) > agreements.LETTER_BYTES_MAX:
        return None
    try:
        return msgspec.json.decode(content, type=JointLetter)
    except (msgspec.DecodeError, ValueError):
        return None


def joint_letter(site: Site, actor: Actor, agreement_id: str) -> bytes:
    """Return the letter that the peer needs next, as a file; refused when none is due."""
    access.require(actor, Permission.DEVELOP_JOINT_AGREE)
    agreement = get_joint(site, actor, agreement_id)
    is_due = agreement.status in {JointStatus.PROPOSED, JointStatus.ANSWERED} or (
        agreement.status is JointStatus.AGREED and agreement.number == 0
    )
    if agreement.developer != actor.party or not is_due:
        raise Refused((agreements.LETTER_UNEXPECTED.because(id=agreement.id),))
    task = agreement.task
    proposal = agreement.proposal if task is None else None
    return canonical_json(JointLetter(agreements.FORM, agreement.number, agreement.signature, proposal, task))


# -------------------------------------------------------------------------------------------------------- proposing


def propose_joint(
    site: Site, actor: Actor, entitlement_id: EntitlementId, terms: JointTerms, half: JointHalf
) -> JointAgreement:
    """Propose a joint task under one's own entitlement. ``joint_letter`` gives the file for the peer."""
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        decision = access.guard(
            actor, Permission.DEVELOP_JOINT_AGREE,
            lambda: _decide_proposal(tx, site, actor, entitlement, entitlement_id, terms, half),
        )  # fmt: skip
        _record(tx, site, actor, "joint.propose", named(entitlement_id, entitlement), decision)
        if isinstance(decision, Permitted):
            store.AGREEMENTS.add(tx, decision.value)
    return decision.value_or_raise()


def _decide_proposal(  # noqa: PLR0917 - what a decision looks at
    tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement | None, entitlement_id: str, terms: JointTerms,
    half: JointHalf,
) -> Decision[JointAgreement]:  # fmt: skip
    if entitlement is None:
        return unknown(entitlement_id)
    governed = govern_in(tx, site, entitlement)
    if isinstance(governed, Denied):
        return governed
    proposal = JointProposal(
        id=site.ids.make("joint"), kind=terms.kind, purpose=terms.purpose.strip(),
        proposer=_side(tx, site, actor, entitlement, half), learners=terms.learners,
        peer_brings_value=terms.peer_brings_value, key_type=terms.key_type, thresholds=entitlement.thresholds,
        nonce=secrets.token_hex(joint.NONCE_BYTES), valid_until=site.now() + timedelta(days=_days(site, terms)),
        limits=_limits(site, terms), protocol=joint.PROTOCOL, library=joint.LIBRARY,
    )  # fmt: skip
    decision = agreements.decide_proposal(
        proposal, entitlement.ref, governed.value.thresholds, governed.value.relations, site.now()
    )
    free = _free_address(tx, site, half.address)
    if isinstance(decision, Denied) or isinstance(free, Denied):
        return Denied(decision.reasons + free.reasons)
    return Permitted(_open(site, actor, entitlement, proposal, number=0, status=JointStatus.PROPOSED))


def _side(tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement, half: JointHalf) -> JointSide:
    known = parties.find_party_in(tx, actor.party)
    certificate = identity.certificate(site.keys.secret(IDENTITY_SECRET))
    return JointSide(
        party=agreements.party_at(actor.party, identity.fingerprint(certificate)),
        entitlement=entitlement.ref, relation=half.relation, key_column=half.key_column,
        rows_max=half.rows_max, value_column=half.value_column, value_scale=half.value_scale,
        name=actor.party if known is None else known.name, address=half.address.strip(),
        certificate=certificate, is_padded=half.is_padded,
    )  # fmt: skip


def _limits(site: Site, terms: JointTerms) -> JointLimits:
    def seconds(given: int, name: str) -> int:
        return given or site.parameters.number(f"joint.{name}.seconds", site.today())

    return JointLimits(
        seconds(terms.connect_seconds, "connect"), seconds(terms.silence_seconds, "silence"),
        seconds(terms.runtime_seconds, "runtime"),
    )  # fmt: skip


def _days(site: Site, terms: JointTerms) -> int:
    longest = site.parameters.number("joint.validity.days", site.today())
    return min(terms.valid_days, longest) if terms.valid_days > 0 else longest


def _open(
    site: Site, actor: Actor, entitlement: Entitlement, proposal: JointProposal, *, number: int, status: JointStatus
) -> JointAgreement:
    return JointAgreement(
        id=proposal.id, proposal=proposal, number=number, entitlement=entitlement.id, developer=actor.party,
        operator=entitlement.operator, grant=GrantId(entitlement.grant.id), opened_by=actor.person,
        opened_at=site.now(), status=status,
        signature=identity.sign(site.keys.secret(IDENTITY_SECRET), proposal.digest),
    )  # fmt: skip


def _free_address(tx: Transaction, site: Site, address: str) -> Decision[str]:
    def needs(one: JointAgreement) -> bool:
        if agreements.is_open(one, site.now()):
            return True
        job = None if one.job is None else store.JOBS.find(tx, one.job)
        return job is not None and not jobs.is_over(job)

    others = tuple(one for one in store.AGREEMENTS.all(tx, address=address.strip()) if needs(one))
    return agreements.decide_free_address(address.strip(), others)


def _record(  # noqa: PLR0917 - what an entry is made of
    tx: Transaction, site: Site, actor: Actor, action: str, otherwise: Ref, decision: Decision[JointAgreement]
) -> None:
    """Write down a step of an agreement: names, digests and fingerprints."""
    subject = otherwise
    origins: tuple[Ref, ...] = ()
    facts: dict[str, str] = {}
    if isinstance(decision, Permitted):
        agreement = decision.value
        subject = agreement.ref
        own = agreement.own
        origins = () if own is None else (own.entitlement,)
        facts = {"kind": agreement.proposal.kind.value, "side": str(agreement.number)}
        if agreement.peer is not None:
            facts |= {"peer_certificate": fingerprint_of(agreement.peer), "peer_digest": agreement.peer_digest}
    audit.record(tx, site, actor=actor, action=action, subject=subject, decision=decision, origins=origins, facts=facts)


# -------------------------------------------------------------------------------------------------------- answering


def answer_joint(  # noqa: PLR0917 - what an answer is made of
    site: Site, actor: Actor, entitlement_id: EntitlementId, content: bytes, fingerprint: str, half: JointHalf
) -> JointAgreement:
    """Answer a peer's proposal: add one's own side under one's own entitlement, and sign the whole.

    ``fingerprint`` is that of the peer's certificate, as the peer told it over another channel.
    """
    letter = read_letter(content)
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        decision = access.guard(
            actor, Permission.DEVELOP_JOINT_AGREE,
            lambda: _decide_answer(tx, site, actor, entitlement, entitlement_id, letter, fingerprint, half),
        )  # fmt: skip
        _record(tx, site, actor, "joint.answer", _subject_of(letter), decision)
        if isinstance(decision, Permitted):
            store.AGREEMENTS.add(tx, decision.value)
    return decision.value_or_raise()


def _subject_of(letter: JointLetter | None) -> Ref:
    """Name what a letter is about in the log, even when it is refused."""
    inside = None if letter is None else letter.proposal or letter.task
    return inside.ref if inside is not None and agreements.is_id(inside.id) else Ref("joint_proposal", "", "")


def _from_peer(letter: JointLetter, fingerprint: str) -> Decision[JointLetter]:
    writer = agreements.writer_of(letter)
    certificate = "" if writer is None else writer.certificate
    is_signed = identity.is_signed(certificate, agreements.digest_in(letter), letter.signature)
    return agreements.decide_peer(letter, identity.fingerprint(certificate), fingerprint, is_signed=is_signed)


def _decide_answer(  # noqa: PLR0917 - what a decision looks at
    tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement | None, entitlement_id: str,
    letter: JointLetter | None, fingerprint: str, half: JointHalf,
) -> Decision[JointAgreement]:  # fmt: skip
    if entitlement is None:
        return unknown(entitlement_id)
    read = agreements.decide_letter(letter, frozenset({"proposal"}))
    if isinstance(read, Denied):
        return read
    proposal = read.value.proposal
    if proposal is None:
        raise ValueError("a letter of this kind holds a proposal")
    governed = govern_in(tx, site, entitlement)
    if isinstance(governed, Denied):
        return governed
    is_known = store.AGREEMENTS.find(tx, proposal.id) is not None or bool(
        store.AGREEMENTS.count(tx, nonce=proposal.nonce)
    )
    task = agreements.complete(proposal, _side(tx, site, actor, entitlement, half), governed.value.thresholds)
    reasons = (
        _from_peer(read.value, fingerprint).reasons
        + agreements.decide_new(proposal, is_known=is_known).reasons
        + joint.decide_task(task, site.now()).reasons
        + decide_own(task, task.sides[1].party, governed.value)
        + agreements.address_reasons(proposal.proposer.address)
        + agreements.address_reasons(half.address.strip())
        + _free_address(tx, site, half.address).reasons
    )
    if reasons:
        return Denied(reasons)
    agreement = _open(site, actor, entitlement, proposal, number=1, status=JointStatus.PROPOSED)
    answered = agreements.decide_joint_step(agreement, "answer").value_or_raise()
    signature = identity.sign(site.keys.secret(IDENTITY_SECRET), task.digest)
    return Permitted(replace(answered, task=task, signature=signature))


# ------------------------------------------------------------------------------------------------------- confirming


def confirm_joint(site: Site, actor: Actor, content: bytes, fingerprint: str) -> tuple[JointAgreement, Job]:
    """Take the peer's answer or confirmation: both have signed one digest now, and our run waits in the queue.

    The proposer takes the answer, and sends a confirmation; the other side takes that. ``fingerprint`` as in
    ``answer_joint``.
    """
    letter = read_letter(content)
    task_id = _subject_of(letter).id
    with site.db.transaction() as tx:
        kept = store.AGREEMENTS.find(tx, task_id[:ID_CHARS_MAX]) if task_id else None
        mine = kept if kept is not None and kept.developer == actor.party else None
        decision = access.guard(
            actor, Permission.DEVELOP_JOINT_AGREE,
            lambda: _decide_confirm(tx, site, actor, mine, letter, fingerprint, task_id),
        )  # fmt: skip
        _record(tx, site, actor, "joint.agree", _subject_of(letter), decision)
        queued = None
        if isinstance(decision, Permitted) and mine is not None:
            queued = _queue_in(tx, site, actor, decision.value)
            store.AGREEMENTS.save(tx, mine, queued[0])
    decision.value_or_raise()
    if queued is None:
        raise ValueError("a confirmed agreement has a job")
    return queued


def _decide_confirm(  # noqa: PLR0917 - what a decision looks at
    tx: Transaction, site: Site, actor: Actor, kept: JointAgreement | None, letter: JointLetter | None,
    fingerprint: str, task_id: str,
) -> Decision[JointAgreement]:  # fmt: skip
    read = agreements.decide_letter(letter, LETTER_STEPS)
    if isinstance(read, Denied):
        return read
    task = read.value.task
    if kept is None or task is None:
        return Denied((NOT_FOUND.because(kind="joint_agreement", id=task_id[:ID_CHARS_MAX]),))
    if read.value.sender == kept.number:
        return Denied((agreements.LETTER_UNEXPECTED.because(id=kept.id),))
    governed = _governed_in(tx, site, actor, kept)
    if isinstance(governed, Denied):
        return governed
    same = agreements.decide_answered(kept, task) if kept.task is None else joint.decide_digest(kept.task, task.digest)
    step = agreements.decide_joint_step(kept, "confirm")
    reasons = (
        step.reasons + _from_peer(read.value, fingerprint).reasons + same.reasons
        + joint.decide_task(task, site.now()).reasons + decide_own(task, _named(kept, task), governed.value)
        + agreements.address_reasons(task.sides[1 - kept.number].address)
    )  # fmt: skip
    if reasons:
        return Denied(reasons)
    signature = identity.sign(site.keys.secret(IDENTITY_SECRET), task.digest)
    return Permitted(
        replace(
            step.value_or_raise(), task=task, signature=signature, peer_digest=task.digest,
            peer_signature=read.value.signature,
        )
    )  # fmt: skip


def _named(kept: JointAgreement, task: JointTask) -> PartyId:
    """Return what we are called in a task; of an answer that our proposal has not become, what we are called there."""
    return kept.proposal.proposer.party if kept.number == 0 else task.sides[1].party


def _governed_in(tx: Transaction, site: Site, actor: Actor, kept: JointAgreement) -> Decision[Governed]:
    entitlement = find_entitlement_in(tx, actor, kept.entitlement)
    return unknown(kept.entitlement) if entitlement is None else govern_in(tx, site, entitlement)


def _queue_in(tx: Transaction, site: Site, actor: Actor, agreement: JointAgreement) -> tuple[JointAgreement, Job]:
    """Put our run into the queue: the same kind of job as any other, its plan frozen and digested."""
    task, governed = agreement.task, _governed_in(tx, site, actor, agreement).value_or_raise()
    if task is None:
        raise ValueError("an agreement without a task cannot run")
    side = task.sides[agreement.number]
    relation = next(one for one in governed.relations if one.name == side.relation)
    memory = site.parameters.number("joint.memory.bytes_max", site.today())
    plan = agreements.plan_joint(task, agreement.number, relation, inputs_of(governed, (relation.name,)), memory)
    job = Job(
        id=JobId(site.ids.make("job")), plan=plan, entitlement=agreement.entitlement, submitted_by=actor.person,
        developer=actor.party, status=JobStatus.SUBMITTED, submitted_at=site.now(), title=task.purpose,
        operator=agreement.operator, grant=agreement.grant,
    )  # fmt: skip
    audit.record(
        tx, site, actor=actor, action="job.submit", subject=job.ref, decision=Permitted(job),
        origins=(plan.entitlement, *plan.inputs, agreement.ref),
    )  # fmt: skip
    store.JOBS.add(tx, job)
    return replace(agreement, job=job.id), job


def run_joint_again(site: Site, actor: Actor, agreement_id: str) -> tuple[JointAgreement, Job]:
    """Queue our side once more, where the peer's node did not come in time: nothing was said, the agreement still stands."""
    return _step(site, actor, agreement_id, "run")


def withdraw_joint(site: Site, actor: Actor, agreement_id: str) -> JointAgreement:
    """Withdraw an agreement that has not come to a meeting. The peer's node will find that nobody answers."""
    with site.db.transaction() as tx:
        kept = _own_in(tx, actor, agreement_id)
        decision = access.guard(
            actor, Permission.DEVELOP_JOINT_AGREE,
            lambda: _missing(agreement_id) if kept is None else agreements.decide_joint_step(kept, "withdraw"),
        )  # fmt: skip
        _record(tx, site, actor, "joint.withdraw", _ref_of(kept, agreement_id), decision)
        if isinstance(decision, Permitted) and kept is not None:
            store.AGREEMENTS.save(tx, kept, decision.value)
            _stop_waiting_in(tx, site, actor, decision.value)
    return decision.value_or_raise()


def _stop_waiting_in(tx: Transaction, site: Site, actor: Actor, agreement: JointAgreement) -> None:
    job = None if agreement.job is None else store.JOBS.find(tx, agreement.job)
    if job is None or jobs.is_over(job):
        return
    stopped = jobs.decide_job_step(job, "stop", site.now(), "joint-withdrawn")
    audit.record(tx, site, actor=actor, action="job.stop", subject=job.ref, decision=stopped, origins=(agreement.ref,))
    store.JOBS.save(tx, job, stopped.value_or_raise())


def _own_in(tx: Transaction, actor: Actor, agreement_id: str) -> JointAgreement | None:
    kept = store.AGREEMENTS.find(tx, agreement_id[:ID_CHARS_MAX])
    return kept if kept is not None and kept.developer == actor.party else None


def _ref_of(kept: JointAgreement | None, agreement_id: str) -> Ref:
    return Ref("joint_proposal", agreement_id[:ID_CHARS_MAX], "") if kept is None else kept.ref


def _missing(agreement_id: str) -> Denied:
    return Denied((NOT_FOUND.because(kind="joint_agreement", id=agreement_id[:ID_CHARS_MAX]),))


def _step(site: Site, actor: Actor, agreement_id: str, action: str) -> tuple[JointAgreement, Job]:
    with site.db.transaction() as tx:
        kept = _own_in(tx, actor, agreement_id)

        def decide() -> Decision[JointAgreement]:
            if kept is None:
                return _missing(agreement_id)
            job = None if kept.job is None else store.JOBS.find(tx, kept.job)
            if job is not None and not jobs.is_over(job):
                return Denied((agreements.STILL_RUNNING.because(id=kept.id, job=job.id),))
            governed = _governed_in(tx, site, actor, kept)
            if isinstance(governed, Denied) or kept.task is None:
                return governed if isinstance(governed, Denied) else agreements.decide_joint_step(kept, action)
            reasons = joint.decide_task(kept.task, site.now()).reasons
            step = agreements.decide_joint_step(kept, action)
            return Denied(step.reasons + reasons) if reasons else step

        decision = access.guard(actor, Permission.DEVELOP_JOINT_AGREE, decide)
        _record(tx, site, actor, f"joint.{action}", _ref_of(kept, agreement_id), decision)
        queued = None
        if isinstance(decision, Permitted) and kept is not None:
            queued = _queue_in(tx, site, actor, decision.value)
            store.AGREEMENTS.save(tx, kept, queued[0])
    decision.value_or_raise()
    if queued is None:
        raise ValueError("an agreement that runs has a job")
    return queued


# ---------------------------------------------------------------------------------------------------------- reading


def get_joint(site: Site, actor: Actor, agreement_id: str) -> JointAgreement:
    """Return an agreement that the actor may know of."""
    access.require(actor, Permission.READ_JOB_VIEW)
    with site.db.reading() as tx:
        found = store.AGREEMENTS.find(tx, agreement_id[:ID_CHARS_MAX])
    if found is None or not jobs.sees(actor, found):
        raise Refused(_missing(agreement_id).reasons)
    return found


def list_joint(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[JointAgreement]:
    """Return agreements that the actor may know of, newest first."""
    access.require(actor, Permission.READ_JOB_VIEW)
    with site.db.reading() as tx:
        return page_where(lambda ask: store.AGREEMENTS.page(tx, ask), lambda one: jobs.sees(actor, one), page)


def progress_of(site: Site, actor: Actor, job_id: JobId) -> JobProgress | None:
    """Return how far a job is, if it tells; of one that the actor may know of."""
    access.require(actor, Permission.READ_JOB_VIEW)
    with site.db.reading() as tx:
        job = store.JOBS.find(tx, job_id)
        if job is None or not jobs.sees(actor, job):
            raise Refused((NOT_FOUND.because(kind="job", id=job_id),))
        return store.PROGRESS.find(tx, job_id)
