"""Who may do what with a resource, and when its files, grades and uses are in order."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Permitted
from gongshu.base.ids import PartyId, PersonId, ResourceId, VersionId
from gongshu.catalog.rules import faults, resources
from gongshu.catalog.types import (
    Column,
    ColumnGrade,
    DataType,
    Fault,
    Limits,
    Manifest,
    Meaning,
    Proposal,
    Resource,
    ResourceVersion,
    SourceFault,
)
from gongshu.policies import service as policies
from gongshu.policies.types import ColumnPolicy, Grade, ResourcePolicy, Use

OURS = Actor(PersonId("p"), PartyId("bureau"), frozenset({Role.SUPPLIER}))
THEIRS = Actor(PersonId("q"), PartyId("other"), frozenset({Role.SUPPLIER}))
AUDITOR = Actor(PersonId("a"), PartyId("office"), frozenset({Role.AUDITOR}))
DEFAULTS = {grade: policies.default_uses(grade) for grade in Grade}
RESOURCE = Resource(
    ResourceId("r"), PartyId("bureau"), "enterprise", "企业", "登记", "B0000", "004", "条例", latest_version=1
)
GRADES = (
    ColumnGrade("code", Meaning.CREDIT_CODE, Grade.DIRECT_IDENTIFIER),
    ColumnGrade("type", Meaning.CATEGORY, Grade.QUASI_IDENTIFIER),
)
VERSION = ResourceVersion(
    VersionId("v"), ResourceId("r"), 1, Manifest(ResourceId("r"), 1, (Column("code", DataType.TEXT), Column("type", DataType.TEXT)), (), ()), "d",
    1, 1, 0, (), (), (), tuple(Proposal(g.column, g.meaning, g.grade, "", "") for g in GRADES), datetime(2026, 3, 2, tzinfo=UTC),
)  # fmt: skip
POLICY = ResourcePolicy(
    (ColumnPolicy("code", frozenset({Use.JOIN})), ColumnPolicy("type", frozenset({Use.GROUP}))), ("code",)
)
CLASSIFIED = replace(RESOURCE, grades=GRADES)


def codes(decision):
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize(("changed", "taken", "expected"), [
    ({}, False, []),
    ({}, True, ["resource-name-taken"]),
    ({"name": "Enterprise"}, True, ["resource-name-malformed"]),
    ({"name": "1a"}, False, ["resource-name-malformed"]),
    ({"name": "a" * 64}, False, ["resource-name-malformed"]),
    ({"name": "a" * 63}, False, []),
    ({"name": "a;drop"}, False, ["resource-name-malformed"]),
    ({"name": "a\n"}, False, ["resource-name-malformed"]),
    ({"title": " ", "legal_basis": ""}, False, ["resource-item-missing"]),
    ({"update_cycle": ""}, False, ["resource-item-missing"]),
    ({"update_cycle": "monthly"}, False, ["update-cycle-unknown"]),
    ({"title": "长" * 201}, False, ["resource-item-too-long"]),
    ({"summary": "长" * 2000}, False, []),
    ({"summary": "长" * 2001}, False, ["resource-item-too-long"]),
    ({"name": "", "title": "", "update_cycle": "x"}, False, ["resource-name-malformed", "resource-item-missing", "update-cycle-unknown"]),
])  # fmt: skip
def test_a_new_resource_needs_a_name_for_sql_and_its_items(changed, taken, expected):
    assert codes(resources.decide_create(replace(RESOURCE, **changed), is_name_taken=taken)) == expected


@pytest.mark.parametrize(("actor", "names", "expected"), [
    (OURS, ("a.csv",), []),
    (THEIRS, ("a.csv",), ["not-the-supplier"]),
    (OURS, (), ["files-missing"]),
    (OURS, ("a", "b", "c"), ["files-too-many"]),
    (OURS, ("a", "a"), ["file-names-repeat"]),
    (THEIRS, (), ["not-the-supplier", "files-missing"]),
])  # fmt: skip
def test_files_come_from_the_supplier_each_with_a_name_of_its_own(actor, names, expected):
    assert codes(resources.decide_ingest(actor, RESOURCE, names, Limits(files_max=2))) == expected


@pytest.mark.parametrize(("actor", "resource", "knows"), [
    (OURS, RESOURCE, True), (THEIRS, RESOURCE, False), (AUDITOR, RESOURCE, True), (THEIRS, replace(RESOURCE, policy=POLICY), True),
])  # fmt: skip
def test_others_know_of_a_resource_once_its_uses_are_set(actor, resource, knows):
    assert resources.knows_of(actor, resource) is knows


def grade(column="type", grade=Grade.QUASI_IDENTIFIER, reason=""):
    return ColumnGrade(column, Meaning.CATEGORY, grade, reason)


@pytest.mark.parametrize(("actor", "grades", "expected"), [
    (OURS, GRADES, []),
    (THEIRS, GRADES, ["not-the-supplier"]),
    (OURS, GRADES[:1], ["grades-incomplete"]),
    (OURS, (), ["grades-incomplete"]),
    (OURS, (*GRADES, grade("ghost")), ["columns-unknown"]),
    (OURS, (*GRADES, GRADES[1]), ["columns-unknown"]),
    (OURS, (GRADES[0], grade(grade=Grade.OPEN)), ["grade-weaker"]),
    (OURS, (GRADES[0], grade(grade=Grade.OPEN, reason="  ")), ["grade-weaker"]),
    (OURS, (GRADES[0], grade(grade=Grade.OPEN, reason="已依法公开")), []),
    (OURS, (GRADES[0], grade(grade=Grade.SENSITIVE)), []),
    (OURS, (GRADES[0], grade(reason="长" * 2001)), ["resource-item-too-long"]),
    (THEIRS, (grade("code", Grade.OPEN), grade("ghost")), ["not-the-supplier", "grades-incomplete", "columns-unknown", "grade-weaker"]),
])  # fmt: skip
def test_every_column_is_graded_and_a_weaker_grade_is_explained(actor, grades, expected):
    decision = resources.decide_grades(actor, RESOURCE, VERSION, tuple(grades), DEFAULTS)
    assert codes(decision) == expected
    if isinstance(decision, Permitted):
        assert decision.value == replace(RESOURCE, grades=tuple(grades))


def test_without_a_version_there_is_nothing_to_grade_or_to_use():
    assert codes(resources.decide_grades(OURS, RESOURCE, None, GRADES, DEFAULTS)) == ["version-missing"]
    assert codes(resources.decide_uses(THEIRS, RESOURCE, None, POLICY, ())) == ["not-the-supplier", "version-missing"]


def test_a_stricter_grade_takes_away_the_uses_it_does_not_have_by_default():
    resource = replace(CLASSIFIED, policy=POLICY)
    decision = resources.decide_grades(OURS, resource, VERSION, (GRADES[0], grade(grade=Grade.SENSITIVE)), DEFAULTS)
    assert isinstance(decision, Permitted)
    assert decision.value.policy is not None
    assert decision.value.policy.of("type").uses == frozenset()
    assert decision.value.policy.of("code") == POLICY.of("code")


def test_the_same_or_a_weaker_grade_leaves_the_uses_as_they_were_confirmed():
    wide = replace(POLICY, columns=(POLICY.columns[0], ColumnPolicy("type", frozenset(Use))))
    resource = replace(CLASSIFIED, policy=wide)
    decision = resources.decide_grades(
        OURS, resource, VERSION, (GRADES[0], grade(grade=Grade.OPEN, reason="公开")), DEFAULTS
    )
    assert isinstance(decision, Permitted)
    assert decision.value.policy == wide


@pytest.mark.parametrize(("actor", "resource", "policy", "unconfirmed", "expected"), [
    (OURS, CLASSIFIED, POLICY, (), []),
    (THEIRS, CLASSIFIED, POLICY, (), ["not-the-supplier"]),
    (OURS, RESOURCE, POLICY, (), ["classification-missing"]),
    (OURS, replace(RESOURCE, grades=GRADES[:1]), POLICY, (), ["classification-missing"]),
    (OURS, CLASSIFIED, replace(POLICY, unit=("ghost",)), (), ["columns-unknown"]),
    (OURS, CLASSIFIED, replace(POLICY, columns=(*POLICY.columns, POLICY.columns[0])), (), ["columns-unknown"]),
    (OURS, CLASSIFIED, replace(POLICY, unit=()), (), ["privacy-unit-missing"]),
    (OURS, CLASSIFIED, POLICY, ("type",), ["use-wider-unconfirmed"]),
    (OURS, CLASSIFIED, replace(POLICY, row_filter="x" * 2001), (), ["row-filter-too-long"]),
])  # fmt: skip
def test_uses_follow_the_grades_or_are_confirmed_by_name(actor, resource, policy, unconfirmed, expected):
    decision = resources.decide_uses(actor, resource, VERSION, policy, unconfirmed)
    assert codes(decision) == expected
    if isinstance(decision, Permitted):
        assert decision.value == replace(resource, policy=policy)


def test_a_wider_column_is_named():
    (reason,) = resources.decide_uses(OURS, CLASSIFIED, VERSION, POLICY, ("type", "code")).reasons
    assert "code、type" in reason.what.zh


@pytest.mark.parametrize("code", sorted(resources.SOURCE_FAULTS))
def test_every_fault_of_a_file_is_named_with_the_file(code):
    reason = resources.reason_of(SourceFault("名单.csv", code, 5))
    assert reason.code == code
    assert "名单.csv" in reason.what.zh
    assert "名单.csv" in reason.what.en


def test_nothing_readable_names_the_reasons():
    assert "a-code, b-code" in resources.nothing_readable(3, ("b-code", "a-code")).what.en
    assert resources.nothing_readable(0, ()).what.zh


def test_every_reason_for_setting_a_line_aside_has_a_text_in_both_languages():
    assert set(faults.TEXTS) == set(Fault)
    assert all(text.zh and text.en for text in faults.TEXTS.values())
