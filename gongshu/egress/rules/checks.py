"""What a machine says of an output before a person looks (27号 art.21): findings from counts, never from values.

A ``fail`` cannot be submitted for review; a ``review`` is for the reviewers to judge; ``pass`` is said too, so that
they see what was looked at. The words are those of ACRO.
"""

from collections.abc import Iterable

from gongshu.compute.types import GovernedQuery, JobKind, JobPlan, OutputFile
from gongshu.egress.rules import programs
from gongshu.egress.types import (
    CheckLimits,
    CheckVerdict,
    ColumnMeasure,
    FileMeasure,
    Finding,
    HashesMeasure,
    Resemblance,
    TableMeasure,
)
from gongshu.policies.types import ResourcePolicy, Use

PASS, REVIEW, FAIL = CheckVerdict.PASS, CheckVerdict.REVIEW, CheckVerdict.FAIL

SUFFIXES: dict[JobKind, tuple[str, ...]] = {
    JobKind.SQL: (".parquet", ".csv", ".json"),
    JobKind.JOINT: (".parquet", ".csv"),
    JobKind.PYTHON: (".parquet", ".csv", ".txt", ".onnx"),
    JobKind.VERIFICATION: (".lmdb", ".mdb", ".parquet", ".json"),
    JobKind.LOOKUP: (".lmdb", ".csv"),
}
"""File types that may leave, by the kind of job. Everything else is refused."""


def has_failed(findings: Iterable[Finding]) -> bool:
    """Whether a check failed, so that nobody can submit or release."""
    return any(finding.verdict is FAIL for finding in findings)


def check_output(
    plan: JobPlan,
    policies: dict[str, ResourcePolicy],
    measures: tuple[FileMeasure, ...],
    resemblances: tuple[Resemblance, ...],
    limits: CheckLimits,
    *,
    declared: tuple[OutputFile, ...],
    undeclared: tuple[str, ...],
    has_negative_parts: bool = False,
) -> tuple[Finding, ...]:
    """Return every finding about the files of a job. ``policies`` are those of its relations, by name.

    ``has_negative_parts``: a sum had negative parts, so that the engine could not decide who dominates it.
    """
    findings = [Finding("undeclared-file", name, FAIL, {}) for name in undeclared]
    if has_negative_parts:
        findings.append(Finding("dominance", "", REVIEW, {}))
    if not declared:
        findings.append(Finding("no-file", "", FAIL, {}))
    rows = {file.name: file.rows for file in declared}
    for measure in measures:
        findings += _check_file(plan.kind, measure, limits)
        table = measure.table
        if plan.kind is JobKind.PYTHON:
            findings += programs.check_program_file(measure, limits)
            if table is not None:
                findings += programs.check_column_names(measure.name, table.columns, table.name_kinds)
                table = programs.table_by_place(measure.name, table)
        if table is not None:
            findings += _check_table(plan, policies, measure.name, table, limits)
        if measure.hashes is not None:
            findings += _check_hashes(plan, measure.name, measure.hashes, rows[measure.name])
    findings += [_check_resemblance(resemblance, limits) for resemblance in resemblances]
    return tuple(findings)


def _check_file(kind: JobKind, measure: FileMeasure, limits: CheckLimits) -> list[Finding]:
    is_allowed = measure.name.endswith(SUFFIXES[kind]) and not measure.name.startswith(".") and "/" not in measure.name
    is_small = measure.bytes <= limits.bytes_max
    size = {"bytes": str(measure.bytes), "bytes_max": str(limits.bytes_max)}
    found = [
        Finding("file-type", measure.name, PASS if is_allowed else FAIL, {"allowed": " ".join(SUFFIXES[kind])}),
        Finding("file-size", measure.name, PASS if is_small else FAIL, size),
    ]
    is_read = any(found is not None for found in (measure.table, measure.hashes, measure.text, measure.model))
    if is_allowed and not measure.name.endswith(".json") and not is_read:
        found.append(Finding("readable", measure.name, FAIL, {}))
    return found


def _check_table(
    plan: JobPlan, policies: dict[str, ResourcePolicy], name: str, table: TableMeasure, limits: CheckLimits
) -> list[Finding]:
    rows = {"rows": str(table.rows), "rows_max": str(limits.rows_max)}
    found = [Finding("rows", name, PASS if table.rows <= limits.rows_max else FAIL, rows)]
    for check, findings in (
        ("identifiers", _identifiers(plan.query, policies, table)),
        ("small-numbers", _small_numbers(plan.query, policies, table, limits)),
        ("formulas", [_formula(column) for column in table.columns if column.formulas]),
    ):
        found += findings or [Finding(check, name, PASS, {"columns": str(len(table.columns))})]
    return found


def _direct(query: GovernedQuery | None, output: str) -> frozenset[str]:
    lineage = query.lineage if query is not None else ()
    return next((line.direct for line in lineage if line.output == output), frozenset())


def _is_open(policies: dict[str, ResourcePolicy], base: str) -> bool:
    relation, _, column = base.rpartition(".")
    policy = policies[relation].of(column) if relation in policies else None
    return policy is not None and Use.REVEAL in policy.uses and policy.mask is None


def _may_be_shown(query: GovernedQuery | None, policies: dict[str, ResourcePolicy], output: str) -> bool:
    """Whether every column whose value ``output`` shows has the use ``reveal`` without a mask."""
    direct = _direct(query, output)
    return bool(direct) and all(_is_open(policies, name) for name in direct)


def _identifiers(
    query: GovernedQuery | None, policies: dict[str, ResourcePolicy], table: TableMeasure
) -> list[Finding]:
    """An identifier fails, except in a number (an amount may look like one) or where the supplier lets it be seen."""
    found = []
    for column in table.columns:
        is_doubtful = column.is_number or _may_be_shown(query, policies, column.name)
        for kind, cells in sorted(column.identifiers.items()):
            if cells:
                facts = {"kind": kind, "cells": str(cells)}
                found.append(Finding("identifiers", column.name, REVIEW if is_doubtful else FAIL, facts))
    return found


def _is_count(query: GovernedQuery | None, policies: dict[str, ResourcePolicy], column: ColumnMeasure) -> bool:
    """Whether a whole number is certainly a count: of rows (no column behind it), or of nothing but privacy units."""
    units = {f"{relation}.{unit}" for relation, policy in policies.items() for unit in policy.unit}
    return column.is_whole and query is not None and _direct(query, column.name) <= units


def _small_numbers(
    query: GovernedQuery | None, policies: dict[str, ResourcePolicy], table: TableMeasure, limits: CheckLimits
) -> list[Finding]:
    found = []
    for column in table.columns:
        is_count = _is_count(query, policies, column)
        facts = {"units_min": str(limits.units_min), "below": str(column.below_min), "zeros": str(column.zeros)}
        if column.is_whole and column.below_min:
            found.append(Finding("small-numbers", column.name, FAIL if is_count else REVIEW, facts))
        elif is_count and column.zeros:
            found.append(Finding("small-numbers", column.name, REVIEW, facts))
    return found


def _formula(column: ColumnMeasure) -> Finding:
    return Finding("formulas", column.name, FAIL, {"cells": str(column.formulas)})


def columns_to_compare(
    query: GovernedQuery, policies: dict[str, ResourcePolicy], relation: str
) -> tuple[dict[str, str], bool]:
    """Return which output columns show which column of ``relation``, and whether all of these may be shown as they are."""
    pairs = {line.output: next(iter(line.direct)) for line in query.lineage if len(line.direct) == 1}
    shown = {output: base for output, base in pairs.items() if base.rpartition(".")[0] == relation}
    is_open = all(_is_open(policies, base) for base in shown.values())
    return {output: base.rpartition(".")[2] for output, base in shown.items()}, is_open


def _check_resemblance(found: Resemblance, limits: CheckLimits) -> Finding:
    """Rows that repeat rows of a source are raw data on their way out (27号 art.21): few are for a person to judge."""
    if found.matching is None:
        return Finding("source-rows", found.table, FAIL, {"relation": found.relation, "rows": str(found.rows)})
    is_many = found.matching > limits.match_rows_max or found.matching * 100 > limits.match_percent_max * found.rows
    is_refused = is_many and not found.is_open
    verdict = PASS if not found.matching else FAIL if is_refused else REVIEW
    percent = f"{found.matching * 100 / found.rows:.1f}" if found.rows else "0.0"
    facts = {
        "relation": found.relation, "rows": str(found.rows), "matching": str(found.matching), "percent": percent,
    }  # fmt: skip
    return Finding("source-rows", found.table, verdict, facts)


def _check_hashes(plan: JobPlan, name: str, hashes: HashesMeasure, rows: int) -> list[Finding]:
    """The artifact of a verification or look-up holds keyed hashes and ciphertext only, and its plan says what of what."""
    definition, tags = plan.verification, plan.lookup
    is_clean = not hashes.odd_keys and not hashes.odd_values and hashes.entries == rows
    facts = {
        "entries": str(hashes.entries), "odd_keys": str(hashes.odd_keys), "odd_values": str(hashes.odd_values),
        "declared": str(rows),
    }  # fmt: skip
    has_key = definition is not None and any(field.is_key for field in definition.fields)
    fields = ", ".join(field.name for field in definition.fields) if definition else ""
    if tags is not None:
        has_key = bool(tags.keys)
        fields = f"{', '.join(key.name for key in tags.keys)} → {', '.join(output.name for output in tags.outputs)}"
    return [
        Finding("keyed-hashes", name, PASS if is_clean else FAIL, facts),
        Finding("definition", name, PASS if has_key else FAIL, {"fields": fields}),
    ]
