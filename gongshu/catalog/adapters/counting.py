"""Counts about the values of a version, in one pass of the engine (two for what is judged on a sample)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from gongshu.catalog.adapters import expressions as sql
from gongshu.catalog.adapters.engine import chunks, one_row
from gongshu.catalog.types import Column, ColumnCounts, DataType, Limits

EARLIEST_DATE = "1900-01-01"
SPREAD = "hash(file_row_number)"  # of the row in its file; a column of that name would only draw another sample


def count_values(
    engine: duckdb.DuckDBPyConnection,
    parts: Sequence[Path],
    columns: Sequence[Column],
    *,
    rows: int,
    today: date,
    limits: Limits,
) -> tuple[ColumnCounts, ...]:
    """Count what classification and quality need to know about each column of a version of ``rows`` rows."""
    files = ", ".join(sql.literal(str(path)) for path in parts)
    source = f"read_parquet([{files}])"
    every = rows // limits.sample_rows
    spread = f"(FROM {source} WHERE {SPREAD} % {every} = 0)" if every > 1 else source
    is_estimate = rows > limits.exact_distinct_rows_max
    found: list[ColumnCounts] = []
    for chunk in chunks(columns):
        counted = _count(engine, chunk, source, lambda c: _of_all(c, columns, today, is_estimate=is_estimate))
        sampled = _count(engine, chunk, spread, _of_sample)
        found.extend(
            ColumnCounts(column=column.name, rows=rows, is_distinct_estimated=is_estimate, **one, **other)
            for column, one, other in zip(chunk, counted, sampled, strict=True)
        )
    return tuple(found)


def _count(
    engine: duckdb.DuckDBPyConnection, columns: Sequence[Column], source: str, counts: Any
) -> list[dict[str, int]]:
    wanted = [counts(column) for column in columns]
    row = iter(one_row(engine, [expression for each in wanted for expression in each.values()], source))
    return [{key: int(next(row) or 0) for key in each} for each in wanted]


def _of_all(column: Column, columns: Sequence[Column], today: date, *, is_estimate: bool) -> dict[str, str]:
    """Return what is counted over every value, by the field of ``ColumnCounts`` it fills."""
    x = sql.identifier(column.name)
    length = f"length({x})" if column.data_type is DataType.TEXT else f"length(CAST({x} AS VARCHAR))"
    counts = {
        "values": f"count({x})",
        "distinct": f"approx_count_distinct({x})" if is_estimate else f"count(DISTINCT {x})",
        "length_min": f"min({length})",
        "length_max": f"max({length})",
    }
    if column.data_type in {DataType.DATE, DataType.TIMESTAMP}:
        outside = f"CAST({x} AS DATE) NOT BETWEEN DATE '{EARLIEST_DATE}' AND DATE '{today.isoformat()}'"
        counts["implausible"] = f"count_if({outside})"
    if column.data_type is not DataType.TEXT or column.derived_from:
        return counts
    derived = next((c.name for c in columns if c.derived_from == column.name), "")
    if derived:
        counts["unparsed"] = f"count_if({x} IS NOT NULL AND {sql.identifier(derived)} IS NULL)"
    return counts | {
        "credit_codes": f"count_if({sql.is_credit_code(x)})",
        "id_cards": f"count_if({sql.is_id_card(x)})",
        "phones": f"count_if({sql.is_phone(x)})",
        "bank_cards": f"count_if({sql.is_bank_card(x)})",
        "mailboxes": f"count_if({sql.is_mailbox(x)})",
        "formulas": f"count_if({sql.is_formula(x)})",
        "padded": f"count_if({sql.is_padded(x)})",
    }


def _of_sample(column: Column) -> dict[str, str]:
    """Return what is counted over a spread sample: patterns that are too slow, or too vague, for every value."""
    x = sql.identifier(column.name)
    if column.data_type is not DataType.TEXT or column.derived_from:
        return {"sampled": f"count({x})"}
    return {
        "sampled": f"count({x})",
        "person_names": f"count_if(length({x}) BETWEEN 2 AND 4 AND {sql.matches(x, sql.PERSON_NAME)})",
        "organisation_names": f"count_if(length({x}) BETWEEN 4 AND 80 AND {sql.matches(x, sql.ORGANISATION_NAME)})",
        "addresses": f"count_if(length({x}) BETWEEN 5 AND 120 AND {sql.matches(x, sql.ADDRESS)})",
        "regions": f"count_if(length({x}) BETWEEN 2 AND 12 AND {sql.matches(x, sql.REGION)})",
        "long_texts": f"count_if(length({x}) >= {sql.LONG_TEXT_CHARS})",
    }


def with_exact_distinct(
    engine: duckdb.DuckDBPyConnection, parts: Sequence[Path], counts: tuple[ColumnCounts, ...], column: str
) -> tuple[ColumnCounts, ...]:
    """Replace the estimate of one column by the exact number: repeated keys are counted, not guessed."""
    if not any(c.column == column and c.is_distinct_estimated for c in counts):
        return counts
    files = ", ".join(sql.literal(str(path)) for path in parts)
    exact = int(one_row(engine, [f"count(DISTINCT {sql.identifier(column)})"], f"read_parquet([{files}])")[0])
    return tuple(replace(c, distinct=exact, is_distinct_estimated=False) if c.column == column else c for c in counts)
