"""What a machine says of an output, from counts alone."""

from dataclasses import replace

import pytest

from gongshu.compute.types import ColumnLineage, JobKind, OutputFile
from gongshu.egress.rules import checks
from gongshu.egress.types import (
    CheckLimits,
    CheckVerdict,
    ColumnMeasure,
    FileMeasure,
    HashesMeasure,
    Resemblance,
    TableMeasure,
)
from gongshu.policies.types import Mask, MaskKind
from tests import samples

LIMITS = CheckLimits(rows_max=100, bytes_max=10_000, units_min=10, match_rows_max=20, match_percent_max=5)
POLICIES = {"enterprise": samples.POLICY}
TEXT = ColumnMeasure("region", is_number=False, is_whole=False, identifiers={}, below_min=0, zeros=0, formulas=0)
COUNT = ColumnMeasure("enterprises", is_number=True, is_whole=True, identifiers={}, below_min=0, zeros=0, formulas=0)


def verdicts(measure=None, *, file=samples.FILE, plan=None, resemblances=(), undeclared=()):
    """Return the verdicts that are not ``pass``, by check and target."""
    found = checks.check_output(
        plan or samples.plan(), POLICIES, (measure,) if measure else (), tuple(resemblances), LIMITS,
        declared=(file,) if file else (), undeclared=undeclared,
    )  # fmt: skip
    return {(f.check, f.target): f.verdict.value for f in found if f.verdict is not CheckVerdict.PASS}


def table(*columns, rows=20, **changes):
    return FileMeasure(
        **({"name": "table.parquet", "sha256": "a", "bytes": 100, "table": TableMeasure(rows, columns)} | changes)
    )


def test_an_ordinary_table_passes_and_every_check_is_named():
    found = checks.check_output(
        samples.plan(), POLICIES, (table(TEXT, COUNT),), (Resemblance("table.parquet", "enterprise", 20, 0),), LIMITS,
        declared=(samples.FILE,), undeclared=(),
    )  # fmt: skip
    assert {f.check for f in found} == {
        "file-type", "file-size", "rows", "identifiers", "small-numbers", "formulas", "source-rows",
    }  # fmt: skip
    assert {f.verdict for f in found} == {CheckVerdict.PASS}
    assert not checks.has_failed(found)


@pytest.mark.parametrize("name", ["run.exe", "table.parquet.sh", ".hidden.csv", "up/table.csv", "table.lmdb"])
def test_only_known_file_types_leave(name):
    measure = table(TEXT, name=name)
    assert verdicts(measure, file=replace(samples.FILE, name=name))["file-type", name] == "fail"


def test_a_large_file_a_long_table_and_a_stray_file_fail():
    assert verdicts(table(TEXT, bytes=10_001)) == {("file-size", "table.parquet"): "fail"}
    assert verdicts(table(TEXT, rows=101)) == {("rows", "table.parquet"): "fail"}
    assert verdicts(table(TEXT), undeclared=("notes.txt",)) == {("undeclared-file", "notes.txt"): "fail"}
    assert verdicts(file=None) == {("no-file", ""): "fail"}
    assert verdicts(table(table=None)) == {("readable", "table.parquet"): "fail"}


def test_a_sum_with_negative_parts_is_for_a_person():
    found = checks.check_output(
        samples.plan(), POLICIES, (table(TEXT),), (), LIMITS, declared=(samples.FILE,), undeclared=(),
        has_negative_parts=True,
    )  # fmt: skip
    assert [f.check for f in found if f.verdict is CheckVerdict.REVIEW] == ["dominance"]


def test_a_description_beside_the_table_needs_no_table():
    assert verdicts(FileMeasure("about.json", "a", 10), file=OutputFile("about.json", "a", 10, 0)) == {}


@pytest.mark.parametrize("kind", ["credit_code", "id_card", "phone", "mailbox"])
def test_an_identifier_in_a_text_fails_and_in_a_number_is_for_a_person(kind):
    found = {kind: 1, "other": 0}
    assert verdicts(table(replace(TEXT, identifiers=found))) == {("identifiers", "region"): "fail"}
    assert verdicts(table(replace(COUNT, identifiers=found))) == {("identifiers", "enterprises"): "review"}


def test_an_identifier_that_the_supplier_lets_be_seen_is_for_a_person():
    shown = replace(TEXT, name="theme", identifiers={"phone": 3})
    lineage = (ColumnLineage("theme", frozenset({"enterprise.theme"}), frozenset()),)
    open_plan = samples.plan(query=replace(samples.QUERY, lineage=lineage))
    assert verdicts(table(shown), plan=open_plan) == {("identifiers", "theme"): "review"}
    mixed = (ColumnLineage("theme", frozenset({"enterprise.theme", "enterprise.name"}), frozenset()),)
    assert (
        verdicts(table(shown), plan=samples.plan(query=replace(samples.QUERY, lineage=mixed)))["identifiers", "theme"]
        == "fail"
    )
    elsewhere = (ColumnLineage("theme", frozenset({"other.theme"}), frozenset()),)
    assert (
        verdicts(table(shown), plan=samples.plan(query=replace(samples.QUERY, lineage=elsewhere)))[
            "identifiers", "theme"
        ]
        == "fail"
    )


def test_a_masked_column_is_not_one_that_may_be_seen_as_it_is():
    columns = tuple(replace(c, mask=Mask(MaskKind.NAME)) if c.column == "theme" else c for c in samples.POLICY.columns)
    lineage = (ColumnLineage("theme", frozenset({"enterprise.theme"}), frozenset()),)
    found = checks.check_output(
        samples.plan(query=replace(samples.QUERY, lineage=lineage)), {"enterprise": replace(samples.POLICY, columns=columns)},
        (table(replace(TEXT, name="theme", identifiers={"phone": 3})),), (), LIMITS, declared=(samples.FILE,), undeclared=(),
    )  # fmt: skip
    assert checks.has_failed(found)


def test_a_small_count_fails_and_a_small_other_number_is_for_a_person():
    assert verdicts(table(replace(COUNT, below_min=1))) == {("small-numbers", "enterprises"): "fail"}
    rows = replace(COUNT, name="n", below_min=1)
    counted = (*samples.QUERY.lineage, ColumnLineage("n", frozenset(), frozenset({"enterprise.region"})))
    assert verdicts(table(rows), plan=samples.plan(query=replace(samples.QUERY, lineage=counted))) == {
        ("small-numbers", "n"): "fail"
    }
    month = (ColumnLineage("month", frozenset({"enterprise.region"}), frozenset()),)
    by_month = samples.plan(query=replace(samples.QUERY, lineage=month))
    assert verdicts(table(replace(COUNT, name="month", below_min=9)), plan=by_month) == {
        ("small-numbers", "month"): "review"
    }
    assert verdicts(table(replace(COUNT, name="share", is_whole=False, below_min=9))) == {}


def test_a_count_of_zero_is_for_a_person():
    assert verdicts(table(replace(COUNT, zeros=1))) == {("small-numbers", "enterprises"): "review"}


def test_a_cell_that_a_spreadsheet_would_run_fails():
    assert verdicts(table(replace(TEXT, formulas=1))) == {("formulas", "region"): "fail"}


@pytest.mark.parametrize(
    ("rows", "matching", "is_open", "expected"),
    [
        (100, 0, False, "pass"), (0, 0, False, "pass"), (100, 5, False, "review"), (100, 6, False, "fail"),
        (100, None, True, "fail"), (1000, 20, False, "review"), (1000, 21, False, "fail"), (100, 100, True, "review"),
    ],
)  # fmt: skip
def test_rows_of_a_source_do_not_leave(rows, matching, is_open, expected):
    found = verdicts(table(TEXT), resemblances=[Resemblance("table.parquet", "enterprise", rows, matching, is_open)])
    assert found.get(("source-rows", "table.parquet"), "pass") == expected


def test_only_columns_that_show_one_column_are_compared_with_a_source():
    lineage = (
        ColumnLineage("r", frozenset({"enterprise.region"}), frozenset()),
        ColumnLineage("both", frozenset({"enterprise.region", "enterprise.theme"}), frozenset()),
        ColumnLineage("n", frozenset(), frozenset()),
        ColumnLineage("t", frozenset({"enterprise.theme"}), frozenset()),
        ColumnLineage("x", frozenset({"other.theme"}), frozenset()),
    )
    query = replace(samples.QUERY, lineage=lineage)
    assert checks.columns_to_compare(query, POLICIES, "enterprise") == ({"r": "region", "t": "theme"}, False)
    only_open = replace(samples.QUERY, lineage=lineage[3:4])
    assert checks.columns_to_compare(only_open, POLICIES, "enterprise") == ({"t": "theme"}, True)


def hashes(**counts):
    measured = HashesMeasure(**({"entries": 20, "odd_keys": 0, "odd_values": 0} | counts))
    return FileMeasure("hashes.lmdb", "a", 100, hashes=measured)


@pytest.mark.parametrize("counts", [{"entries": 19}, {"entries": 21}, {"odd_keys": 1}, {"odd_values": 1}])
def test_a_verification_holds_keyed_hashes_and_nothing_else(counts):
    file, plan = OutputFile("hashes.lmdb", "a", 100, 20), samples.plan(JobKind.VERIFICATION)
    assert verdicts(hashes(), file=file, plan=plan) == {}
    assert verdicts(hashes(**counts), file=file, plan=plan) == {("keyed-hashes", "hashes.lmdb"): "fail"}


def test_a_verification_needs_a_definition_with_a_key():
    file = OutputFile("hashes.lmdb", "a", 100, 20)
    keyless = replace(samples.DEFINITION, fields=samples.DEFINITION.fields[1:])
    for definition in (None, keyless):
        plan = samples.plan(JobKind.VERIFICATION, verification=definition)
        assert verdicts(hashes(), file=file, plan=plan) == {("definition", "hashes.lmdb"): "fail"}
