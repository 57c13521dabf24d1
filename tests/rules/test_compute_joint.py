"""Joint tasks: what both sides must agree on, what each must be entitled to, and what a node may be believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gongshu.base.decisions import Denied, Permitted
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.ids import PartyId, ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import joint
from gongshu.compute.types import JointKind, JointLimits, JointResult, JointSide, JointTask, Relation, RelationColumn
from gongshu.policies.types import (
    ColumnPolicy,
    ContributionBounds,
    Mask,
    MaskKind,
    Protection,
    ResourcePolicy,
    Rounding,
    Thresholds,
    Use,
)

NOW = datetime(2026, 3, 2, tzinfo=UTC)
BANK, CITY, OTHER = PartyId("bank"), PartyId("city"), PartyId("other")
OURS, THEIRS = Ref("entitlement", "e1", "d1"), Ref("entitlement", "e2", "d2")
THRESHOLDS = Thresholds(10, 10, 2, 90)
BANK_SIDE = JointSide(BANK, OURS, "customers", "code", 1_000)
CITY_SIDE = JointSide(CITY, THEIRS, "taxes", "code", 1_000, "amount", 2)
SUMS = JointTask(
    id="joint-1", kind=JointKind.SUMS, purpose="inclusive finance", sides=(BANK_SIDE, CITY_SIDE), learners=(BANK,),
    key_type=DataType.TEXT, thresholds=THRESHOLDS, nonce="0a" * joint.NONCE_BYTES, valid_until=NOW + timedelta(days=1),
    limits=JointLimits(120, 60, 3600), protocol=joint.PROTOCOL, library=joint.LIBRARY,
)  # fmt: skip
BOTH = replace(SUMS, kind=JointKind.INTERSECTION, sides=(BANK_SIDE, replace(CITY_SIDE, value_column="", value_scale=0)))
COUNT = replace(BOTH, kind=JointKind.COUNT)
COLUMNS = (
    RelationColumn("code", DataType.TEXT), RelationColumn("amount", DataType.DECIMAL), RelationColumn("name", DataType.TEXT),
)  # fmt: skip


def codes(decision):
    return [reason.code.removeprefix("joint-") for reason in decision.reasons]


def relation(key=frozenset({Use.JOIN}), value=frozenset({Use.TOTAL}), unit=("code",), masks=()):
    masked = dict(masks)
    columns = (ColumnPolicy("code", key, masked.get("code")), ColumnPolicy("amount", value, masked.get("amount")))
    return Relation("taxes", ResourceId("r"), COLUMNS, ResourcePolicy(columns, unit))


def with_side(number, **changes):
    sides = list(SUMS.sides)
    sides[number] = replace(sides[number], **changes)
    return replace(SUMS, sides=tuple(sides))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (SUMS, []),
        (BOTH, []),
        (replace(SUMS, learners=(BANK, CITY)), []),
        (with_side(1, party=BANK), ["parties-equal"]),
        (replace(SUMS, learners=()), ["learners-unfit"]),
        (replace(SUMS, learners=(OTHER,)), ["learners-unfit"]),
        (replace(SUMS, learners=(BANK, BANK)), ["learners-unfit"]),
        (replace(SUMS, purpose=" "), ["purpose-missing"]),
        (replace(SUMS, purpose="x" * 201), ["purpose-missing"]),
        (with_side(0, value_column="age"), ["values-unfit"]),
        (with_side(1, value_column=""), ["values-unfit"]),
        (replace(BOTH, sides=SUMS.sides), ["values-unfit"]),
        (COUNT, []),
        (replace(COUNT, sides=SUMS.sides), ["values-unfit"]),
        (replace(COUNT, thresholds=Thresholds(10, 10, 3, 90)), []),
        (with_side(1, value_scale=7), ["scale-unfit"]),
        (with_side(1, value_scale=-1), ["scale-unfit"]),
        (with_side(0, rows_max=9), ["rows-unfit"]),
        (with_side(0, rows_max=1_000_001), ["rows-unfit"]),
        (replace(SUMS, limits=JointLimits(0, 4, 86_401)), ["limits-unfit"] * 3),
        (replace(SUMS, protocol="gongshu-joint/1"), ["protocol-unknown"]),
        (replace(SUMS, library="spu 0.9.4"), ["protocol-unknown"]),
        (replace(SUMS, nonce="0a"), ["nonce-unfit"]),
        (replace(SUMS, nonce="ZZ" * 32), ["nonce-unfit"]),
        (replace(SUMS, valid_until=NOW), ["task-expired"]),
        (replace(SUMS, thresholds=Thresholds(10, 10, 3, 90)), ["dominance-unfit"]),
        (replace(BOTH, thresholds=Thresholds(10, 10, 3, 90)), []),
        (replace(SUMS, learners=(), purpose="", nonce=""), ["learners-unfit", "purpose-missing", "nonce-unfit"]),
    ],
)  # fmt: skip
def test_a_document_makes_sense_by_itself_or_every_reason_is_named(task, expected):
    assert codes(joint.decide_task(task, NOW)) == expected


OPEN = frozenset({Use.JOIN, Use.REVEAL})


@pytest.mark.parametrize(
    ("task", "given", "expected"),
    [
        (SUMS, relation(), []),
        (SUMS, relation(value=frozenset({Use.REVEAL})), []),  # reveal implies total
        (SUMS, relation(key=frozenset({Use.COMPARE})), ["use-missing"]),
        (SUMS, relation(value=frozenset({Use.GROUP})), ["use-missing"]),
        (SUMS, relation(unit=("name",)), ["key-not-unit"]),
        (SUMS, relation(unit=("code", "name")), ["key-not-unit"]),
        (SUMS, relation(masks=[("amount", Mask(MaskKind.BAND, "10"))]), ["value-not-number"]),
        (SUMS, relation(masks=[("code", Mask(MaskKind.KEYED_HASH))]), []),  # join sees the raw value
        (with_side(1, value_column="name"), relation(), ["use-missing", "value-not-number"]),
        (with_side(1, value_column="absent"), relation(), ["relation-unknown", "use-missing"]),
        (with_side(1, relation="absent"), relation(), ["relation-unknown", "relation-unknown"]),
        (BOTH, relation(key=OPEN), []),
        (BOTH, relation(), ["use-missing"]),
        (COUNT, relation(), []),  # a count shows no key
        (COUNT, relation(key=frozenset({Use.REVEAL})), ["use-missing"]),
        (BOTH, relation(key=frozenset()), ["use-missing", "use-missing"]),
        (BOTH, relation(key=OPEN, masks=[("code", Mask(MaskKind.KEYED_HASH))]), ["key-masked"]),
    ],
)
def test_a_side_needs_its_own_entitlement(task, given, expected):
    assert codes(joint.decide_side(task, CITY, THEIRS, THRESHOLDS, (given,))) == expected


def test_a_third_party_and_another_entitlement_are_refused():
    assert codes(joint.decide_side(SUMS, OTHER, OURS, THRESHOLDS, (relation(),))) == ["not-a-side"]
    assert codes(joint.decide_side(SUMS, CITY, OURS, THRESHOLDS, (relation(),))) == ["entitlement-differs"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (Thresholds(11, 10, 2, 90), ["units_min"]),
        (Thresholds(10, 11, 2, 90), ["dominance_p_percent"]),
        (Thresholds(10, 10, 3, 90), ["dominance_top_n"]),
        (Thresholds(10, 10, 2, 89), ["dominance_top_percent"]),
        (Thresholds(9, 9, 1, 91), []),
        (Thresholds(11, 11, 3, 89), ["units_min", "dominance_p_percent", "dominance_top_n", "dominance_top_percent"]),
    ],
)
def test_a_task_is_never_looser_than_a_sides_own_thresholds(own, expected):
    decision = joint.decide_side(SUMS, CITY, THEIRS, own, (relation(),))
    assert [dict(reason.facts)["name"] for reason in decision.reasons] == expected


@pytest.mark.parametrize("protection", [Protection(ContributionBounds(1)), Protection(rounding=Rounding(5))])
def test_a_joint_count_is_exact_and_refused_where_more_is_demanded(protection):
    own = replace(THRESHOLDS, protection=protection)
    assert codes(joint.decide_side(SUMS, CITY, THEIRS, own, (relation(),))) == ["protection-sql-only"]


def test_the_digest_binds_every_field_of_the_document():
    assert sha256_hex(SUMS.document) == SUMS.digest == SUMS.ref.digest
    changed = [
        replace(SUMS, purpose="other"), replace(SUMS, learners=(CITY,)), replace(SUMS, thresholds=Thresholds(5, 0, 1, 100)),
        replace(SUMS, nonce="0b" * 32), with_side(0, entitlement=THEIRS), replace(SUMS, sides=SUMS.sides[::-1]),
        replace(SUMS, limits=JointLimits(1, 5, 1)), replace(SUMS, library="spu 1"),
    ]  # fmt: skip
    assert len({SUMS.digest, *(task.digest for task in changed)}) == len(changed) + 1
    assert codes(joint.decide_digest(SUMS, SUMS.digest)) == []
    assert codes(joint.decide_digest(SUMS, changed[0].digest)) == ["digest-differs"]


def test_spellings_of_a_key_have_one_hash_and_another_nonce_has_others():
    record = joint.recorder(BOTH, 0)
    assert record("ａｂ c1", None) == record("ABC1", None)
    assert record("ABC2", None) != record("ABC1", None)
    assert record(None, None) is record("  ", None) is None
    assert joint.recorder(replace(BOTH, nonce="0b" * 32), 0)("ABC1", None) != record("ABC1", None)


def test_rows_without_a_value_do_not_reach_the_sum():
    record = joint.recorder(SUMS, 1)
    assert record("K", None) is None
    assert record("K", Decimal("12.34"))[1] == 1234
    assert joint.recorder(SUMS, 0)("K", None)[1] == 0


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [(5, 0, 5), (Decimal("-1.50"), 1, -15), ("2.5", 2, 250), (1e3, 0, 1000), (0.1, 1, 1)],
)
def test_values_become_whole_numbers_of_the_smallest_unit(value, scale, expected):
    assert joint.smallest(value, scale) == expected


@pytest.mark.parametrize(("value", "scale"), [("1.25", 1), ("N/A", 0), (float("nan"), 0), (float("inf"), 2), ("", 0)])
def test_values_that_are_no_such_numbers_are_refused(value, scale):
    with pytest.raises(ValueError, match="number"):
        joint.smallest(value, scale)


@pytest.mark.parametrize(
    ("party", "told", "expected"),
    [
        (BANK, {"passes": True, "count": 10, "total": 1234}, JointResult(True, 10, Decimal("12.34"))),
        (
            BANK, {"passes": True, "count": 10, "total": -5, "is_signed": True},
            JointResult(True, 10, Decimal("-0.05"), needs_review=True),
        ),
        (BANK, {"passes": False}, JointResult(False)),
        (BANK, {"passes": False, "count": 99, "total": 1}, JointResult(False)),
        (BANK, {"passes": True, "count": 9, "total": 1}, JointResult(False)),  # the second line
        (CITY, {"passes": None}, JointResult(None)),
    ],
)  # fmt: skip
def test_what_a_node_tells_becomes_what_a_side_may_know(party, told, expected):
    assert joint.decide_outcome(SUMS, party, **told) == Permitted(expected)


def test_an_intersection_has_a_count_and_no_total():
    assert joint.decide_outcome(BOTH, BANK, passes=True, count=12) == Permitted(JointResult(True, 12))


def test_a_count_has_no_total_whatever_the_circuit_adds_up():
    assert joint.decide_outcome(COUNT, BANK, passes=True, count=12, total=0) == Permitted(JointResult(True, 12))


@pytest.mark.parametrize(
    ("party", "told"),
    [
        (BANK, {"passes": None}),
        (BANK, {"passes": True, "count": None, "total": 1}),
        (BANK, {"passes": True, "count": 20, "total": None}),
        (CITY, {"passes": True, "count": 20, "total": 1}),
        (BANK, {"code": "never heard of"}),
    ],
)
def test_a_node_that_says_what_it_cannot_know_has_failed(party, told):
    assert codes(joint.decide_outcome(SUMS, party, **told)) == ["node-failed"]


@pytest.mark.parametrize("code", sorted(joint.FAILURES))
def test_every_failure_is_said_in_both_languages_with_a_fix(code):
    decision = joint.decide_outcome(SUMS, BANK, code=code)
    assert isinstance(decision, Denied)
    (reason,) = decision.reasons
    assert reason.code == code
    assert all((reason.what.zh, reason.what.en, reason.fix.zh, reason.fix.en))
