"""Outputs of Python programs: no machine can say what they hold, so none passes by itself and each file is for people.

What the author sees before release is only what the author said beforehand: no digest, size, count, nor any name that the
program chose (columns are told by their place). Each of them could carry what nobody has reviewed.
"""

from collections.abc import Iterable
from dataclasses import replace

from gongshu.access.types import Actor, Role
from gongshu.compute.types import JobKind, ModelMeasure
from gongshu.egress.types import (
    CheckLimits,
    CheckVerdict,
    ColumnMeasure,
    FileMeasure,
    Finding,
    Output,
    OutputStatus,
    TableMeasure,
    TextMeasure,
)
from gongshu.policies.types import ResourcePolicy, Use

PASS, REVIEW, FAIL = CheckVerdict.PASS, CheckVerdict.REVIEW, CheckVerdict.FAIL
PRINTED = "printed.txt"
LOOKERS = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY, Role.REVIEWER})
"""Roles that see the digests and findings of an output in quarantine."""


def check_program_file(measure: FileMeasure, limits: CheckLimits) -> list[Finding]:
    """Return what is special about a file that a program wrote. It always goes to people."""
    found = [Finding("program-output", measure.name, REVIEW, {})]
    if measure.text is not None:
        found += _check_text(measure.name, measure.text)
    if measure.model is not None:
        found += _check_model(measure.name, measure.model, limits)
    return found


def _check_text(name: str, text: TextMeasure) -> list[Finding]:
    found = [
        Finding("identifiers", name, FAIL, {"kind": kind, "cells": str(lines)})
        for kind, lines in sorted(text.identifiers.items())
    ]
    if text.packed:
        found.append(Finding("packed-text", name, REVIEW, {"runs": str(text.packed)}))
    return found or [Finding("identifiers", name, PASS, {"rows": str(text.lines)})]


def _check_model(name: str, model: ModelMeasure, limits: CheckLimits) -> list[Finding]:
    """A model with more numbers than a review can bear may hold its training rows; texts in it are values of the data."""
    size = {"numbers": str(model.numbers), "numbers_max": str(limits.model_numbers_max)}
    facts = {"operators": ", ".join(model.operators)[:400], "texts": str(model.texts)}
    return [
        Finding("model-size", name, PASS if model.numbers <= limits.model_numbers_max else FAIL, size),
        Finding("model-content", name, REVIEW, facts),
    ]


def table_by_place(name: str, table: TableMeasure) -> TableMeasure:
    """Return the measure with columns called by file and place: their names are the program's own words."""
    return replace(
        table,
        columns=tuple(replace(column, name=f"{name} #{place}") for place, column in enumerate(table.columns, start=1)),
    )


def check_column_names(name: str, columns: tuple[ColumnMeasure, ...], kinds: Iterable[str]) -> list[Finding]:
    """An identifier among the names of the columns fails like one in a cell."""
    return [
        Finding("identifiers", name, FAIL, {"kind": kind, "columns": str(len(columns))}) for kind in sorted(set(kinds))
    ]


def is_open(policy: ResourcePolicy, columns: Iterable[str]) -> bool:
    """Whether the supplier lets all of ``columns`` be seen as they are."""
    found = [policy.of(column) for column in columns]
    return bool(found) and all(Use.REVEAL in one.uses and one.mask is None for one in found)


def columns_needed(text_columns: int, all_columns: int, columns_min: int) -> int:
    """Return how many equal columns make a row of an output a copy; 0 when equality would be chance.

    One column of numbers alone says nothing: counts and amounts coincide.
    """
    needed = min(columns_min, all_columns)
    return 0 if needed == 1 and not text_columns else needed


def told(output: Output) -> tuple[Finding, ...]:
    """Return the findings as they may be told before release: one for each check and declared file, the worst of them.

    Which column of a program's table fails, and how many do, would be as many bits as it has columns.
    """
    if output.kind is not JobKind.PYTHON:
        return output.findings
    worst: dict[tuple[str, str], CheckVerdict] = {}
    for finding in output.findings:
        key = (finding.check, finding.target.partition(" #")[0])
        if key[1] != PRINTED:
            worst[key] = max(worst.get(key, PASS), finding.verdict, key=(PASS, REVIEW, FAIL).index)
        elif finding.verdict is FAIL:
            worst[finding.check, PRINTED] = FAIL
    return tuple(Finding(check, target, verdict, {}) for (check, target), verdict in worst.items())


def as_seen(actor: Actor, output: Output) -> Output:
    """Return the output of a program as ``actor`` may see it before the release."""
    if output.kind is not JobKind.PYTHON or output.status is OutputStatus.RELEASED or actor.roles & LOOKERS:
        return output
    files = tuple(replace(file, sha256="", bytes=0, rows=0) for file in output.files if file.name != PRINTED)
    return replace(output, files=files, findings=told(output))
