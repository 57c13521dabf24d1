"""How two parties come to agree: which letter may come when, what makes a task of a proposal, and what is frozen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gongshu.base.decisions import Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import EntitlementId, GrantId, JobId, PartyId, PersonId, ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import agreements, joint
from gongshu.compute.types import (
    JobKind,
    JointAgreement,
    JointKind,
    JointLearners,
    JointLetter,
    JointLimits,
    JointProposal,
    JointSide,
    JointStatus,
    Relation,
    RelationColumn,
)
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use
from tests.rules.test_compute_joint import NOW, codes

OURS, THEIRS = Ref("entitlement", "e1", "d1"), Ref("entitlement", "e2", "d2")
BANK, CITY = PartyId("bank@1"), PartyId("city@2")
FIRST = JointSide(BANK, OURS, "customers", "code", 1_000, address="10.0.0.1:9101", certificate="first")
SECOND = JointSide(CITY, THEIRS, "taxes", "code", 900, "amount", 2, address="10.0.0.2:9101", certificate="second")
THRESHOLDS = Thresholds(10, 10, 2, 90)
PROPOSAL = JointProposal(
    "joint-1", JointKind.SUMS, "普惠金融", FIRST, JointLearners.PROPOSER, True, DataType.TEXT, THRESHOLDS, "0a" * 32,
    NOW + timedelta(days=1), JointLimits(60, 60, 600), joint.PROTOCOL, joint.LIBRARY,
)  # fmt: skip
TASK = agreements.complete(PROPOSAL, SECOND, THRESHOLDS)
KEPT = JointAgreement(
    "joint-1", PROPOSAL, 0, EntitlementId("e1"), PartyId("bank"), PartyId("operator"), GrantId("g"), PersonId("p"), NOW,
    JointStatus.PROPOSED, "00",
)  # fmt: skip
RELATION = Relation(
    "customers", ResourceId("r"), (RelationColumn("code", DataType.TEXT),),
    ResourcePolicy((ColumnPolicy("code", frozenset({Use.JOIN})),), ("code",)),
)  # fmt: skip


def letter(sender=0, **inside):
    return JointLetter(agreements.FORM, sender, "ab", **inside)


@pytest.mark.parametrize(
    ("written", "step"),
    [
        (letter(proposal=PROPOSAL), "proposal"),
        (letter(1, task=TASK), "answer"),
        (letter(task=TASK), "confirmation"),
        (letter(1, proposal=PROPOSAL), ""),
        (letter(2, task=TASK), ""),
        (letter(proposal=PROPOSAL, task=TASK), ""),
        (letter(), ""),
    ],
)
def test_a_letter_is_one_of_three_by_what_is_inside_and_who_wrote_it(written, step):
    assert agreements.step_of(written) == step
    expected = [] if step == "proposal" else ["letter-unexpected"] if step else ["letter-unreadable"]
    assert codes(agreements.decide_letter(written, frozenset({"proposal"}))) == expected


@pytest.mark.parametrize(
    "written",
    [
        None, replace(letter(proposal=PROPOSAL), form="letter/2"), letter(proposal=replace(PROPOSAL, id="../joint-1")),
        letter(proposal=replace(PROPOSAL, id="job-1")), letter(proposal=replace(PROPOSAL, id="joint-" + "a" * 61)),
    ],
)  # fmt: skip
def test_what_is_no_letter_is_not_looked_into(written):
    assert codes(agreements.decide_letter(written, frozenset({"proposal"}))) == ["letter-unreadable"]


def test_the_writer_of_a_letter_is_the_side_that_its_signature_must_be_of():
    assert agreements.writer_of(letter(proposal=PROPOSAL)) == FIRST
    assert agreements.writer_of(letter(1, task=TASK)) == SECOND
    assert agreements.writer_of(letter(task=TASK)) == FIRST
    assert agreements.writer_of(letter(7, task=TASK)) is agreements.writer_of(letter()) is None
    assert agreements.digest_in(letter(proposal=PROPOSAL)) == PROPOSAL.digest
    assert agreements.digest_in(letter(task=TASK)) == TASK.digest
    assert agreements.digest_in(letter()) == ""


@pytest.mark.parametrize(
    ("found", "expected", "is_signed", "reasons"),
    [
        ("ab12", "AB:12", True, []),
        ("ab12", " ab 12\n", True, []),
        ("ab12", "ab13", True, ["fingerprint-differs"]),
        ("", "", True, ["fingerprint-differs"]),  # no certificate at all
        ("ab12", "ab12", False, ["signature-wrong"]),
        ("ab12", "", False, ["fingerprint-differs", "signature-wrong"]),
    ],
)
def test_a_letter_is_of_the_peer_that_a_person_compared(found, expected, is_signed, reasons):
    assert codes(agreements.decide_peer(letter(), found, expected, is_signed=is_signed)) == reasons


@pytest.mark.parametrize(
    ("learners", "expected"),
    [(JointLearners.PROPOSER, (BANK,)), (JointLearners.PEER, (CITY,)), (JointLearners.BOTH, (BANK, CITY))],
)
def test_a_proposal_becomes_a_task_with_the_stricter_thresholds_of_the_two(learners, expected):
    made = agreements.complete(replace(PROPOSAL, learners=learners), SECOND, Thresholds(25, 5, 1, 80))
    assert made.learners == expected
    assert made.thresholds == Thresholds(25, 10, 2, 80)
    assert codes(joint.decide_task(made, NOW)) == []
    assert (made.sides, made.nonce, made.limits) == ((FIRST, SECOND), PROPOSAL.nonce, PROPOSAL.limits)


@pytest.mark.parametrize(
    ("kind", "peer_brings_value", "expected"),
    [
        (JointKind.SUMS, True, []),
        (JointKind.SUMS, False, ["values-unfit"]),
        (JointKind.COUNT, False, []),
        (JointKind.COUNT, True, []),  # who brings values matters for sums only
    ],
)
def test_a_proposal_is_judged_before_the_peer_is_known(kind, peer_brings_value, expected):
    proposal = replace(PROPOSAL, kind=kind, peer_brings_value=peer_brings_value)
    assert codes(agreements.decide_proposal(proposal, OURS, THRESHOLDS, (RELATION,), NOW)) == expected


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("10.0.0.1:9101", True), ("node.example:1", True), ("10.0.0.1", False), ("10.0.0.1:0", False), (":9101", False),
        ("10.0.0.1:65536", False), ("a b:1", False), ("", False), ("-x:1", False), ("x" * 300 + ":1", False),
        ("h:1\n", False),
    ],
)  # fmt: skip
def test_an_address_is_host_and_port(address, is_good):
    assert [one.code for one in agreements.address_reasons(address)] == ([] if is_good else ["joint-address-unfit"])


def test_an_address_belongs_to_one_agreement():
    assert codes(agreements.decide_free_address(FIRST.address, (KEPT,))) == ["address-taken"]
    assert codes(agreements.decide_free_address("10.0.0.1:9102", (KEPT,))) == []
    assert codes(agreements.decide_new(PROPOSAL, is_known=True)) == ["replayed"]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (TASK, []),
        (replace(TASK, thresholds=Thresholds(25, 10, 2, 90)), []),
        (replace(TASK, thresholds=Thresholds(9, 10, 2, 90)), ["digest-differs"]),
        (replace(TASK, nonce="0b" * 32), ["digest-differs"]),
        (replace(TASK, learners=(CITY,)), ["digest-differs"]),
        (replace(TASK, sides=(replace(FIRST, rows_max=999), SECOND)), ["digest-differs"]),
        (replace(TASK, limits=JointLimits(60, 60, 601)), ["digest-differs"]),
    ],
)
def test_an_answer_is_our_proposal_and_the_peers_side_and_nothing_else(task, expected):
    assert codes(agreements.decide_answered(KEPT, task)) == expected


def test_an_agreement_is_spent_once():
    agreed = agreements.decide_joint_step(KEPT, "confirm").value_or_raise()
    met = agreements.decide_joint_step(agreed, "meet").value_or_raise()
    assert (agreed.status, met.status) == (JointStatus.AGREED, JointStatus.SPENT)
    for action in ("meet", "run", "confirm", "withdraw", "answer"):
        assert [one.code for one in agreements.decide_joint_step(met, action).reasons] == ["wrong-status"]
    assert isinstance(agreements.decide_joint_step(agreed, "run"), Permitted)
    assert agreements.is_open(agreed, NOW)
    assert not agreements.is_open(agreed, PROPOSAL.valid_until)
    assert not agreements.is_open(met, NOW)


@pytest.mark.parametrize(
    ("kind", "number", "outputs", "is_aggregate"),
    [
        (JointKind.SUMS, 0, {"units": {"customers.code"}, "total": {"peer.amount"}}, True),
        (JointKind.SUMS, 1, {"units": {"customers.code"}, "total": {"customers.amount"}}, True),
        (JointKind.COUNT, 0, {"units": {"customers.code"}}, True),
        (JointKind.INTERSECTION, 0, {"code": {"customers.code"}}, False),
    ],
)
def test_a_plan_freezes_the_document_and_says_what_the_result_comes_from(kind, number, outputs, is_aggregate):
    task, inputs = replace(TASK, kind=kind), (Ref("resource_version", "v1", "d"),)
    plan = agreements.plan_joint(task, number, RELATION, inputs, 1 << 30)
    assert (plan.kind, plan.code, plan.code_digest) == (JobKind.JOINT, task.document.decode(), task.digest)
    assert (plan.joint, plan.inputs, plan.thresholds) == (task, inputs, task.thresholds)
    assert {line.output: line.direct for line in plan.query.lineage} == {k: frozenset(v) for k, v in outputs.items()}
    assert plan.query.is_aggregate is is_aggregate
    assert plan.limits.runtime_seconds_max == task.limits.runtime_seconds
    assert (
        plan.digest != agreements.plan_joint(replace(task, nonce="0b" * 32), number, RELATION, inputs, 1 << 30).digest
    )


def test_a_side_is_known_as_far_as_it_is():
    assert (KEPT.own, KEPT.peer, KEPT.ref) == (FIRST, None, PROPOSAL.ref)
    answered = replace(KEPT, number=1, task=TASK, job=JobId("job-1"))
    assert (answered.own, answered.peer, answered.ref) == (SECOND, FIRST, TASK.ref)
    assert replace(KEPT, number=1).peer == FIRST
    assert replace(KEPT, number=1).own is None
    assert agreements.party_at(PartyId("bank"), "ab" * 32) == PartyId("bank@abababababababab")
