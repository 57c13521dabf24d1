"""Answering calls from released tables and models. For the gateway: no database, no transaction, one file each.

``complete_…`` looks at a definition when a product is made of it; ``open_…`` opens the released file and returns what
answers. The caller has checked the file's digest. Threads may share what was opened.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.compute.adapters import model_files, models
from gongshu.compute.adapters.released import ReleasedTable, TooMuch, TooSlow
from gongshu.compute.rules import served as rules
from gongshu.compute.types import (
    ModelDefinition,
    QueryDefinition,
    RelationColumn,
    SeriesDefinition,
    SeriesPoint,
    ServedLimits,
)

Asked = Mapping[str, str]
Served = Callable[[Asked], Decision[bytes]]
"""Fields in; out JSON, or why the input is refused. What raises is our fault."""

LIMITS = ServedLimits()

_encode = msgspec.json.Encoder(decimal_format="number").encode


def released_columns(path: Path) -> tuple[RelationColumn, ...]:
    """Return the columns of a released table."""
    return ReleasedTable(path).columns()


def _too_slow() -> Denied:
    return Denied((rules.ANSWER_TOO_SLOW.because(seconds=LIMITS.seconds_max),))


def _too_long() -> Denied:
    return Denied((rules.ANSWER_TOO_LONG.because(rows_max=LIMITS.rows_max, bytes_max=LIMITS.content_bytes_max),))


# ------------------------------------------------------------------------------------------------------------ query


def complete_query(path: Path, definition: QueryDefinition) -> Decision[QueryDefinition]:
    """Accept a statement over the released table at ``path``: the gate knows all of it, and it runs on its examples."""
    table = ReleasedTable(path)
    decision = rules.decide_statement(definition, table.columns())
    if isinstance(decision, Denied):
        return decision
    examples = {parameter.name: parameter.value for parameter in definition.parameters}
    try:
        answered = _ask(table, decision.value, examples)
    except duckdb.Error as error:
        return Denied((rules.QUERY_CANNOT_RUN.because(failure=type(error).__name__),))
    if isinstance(answered, Denied):
        return answered
    return Permitted(replace(decision.value, outputs=answered.value[0]))


Rows = tuple[tuple[RelationColumn, ...], list[tuple[Any, ...]]]


def _ask(table: ReleasedTable, definition: QueryDefinition, fields: Asked) -> Decision[Rows]:
    values = rules.read_values(definition, fields)
    if isinstance(values, Denied):
        return values
    try:
        asked = table.ask(definition.statement, values.value, rows_max=LIMITS.rows_max, seconds_max=LIMITS.seconds_max)
    except TooSlow:
        return _too_slow()
    except TooMuch:
        return _too_long()
    return Permitted(asked)


def open_query(path: Path, definition: QueryDefinition) -> Served:
    """Open a released table and return what answers ``definition``: columns with their types, and rows."""
    table = ReleasedTable(path)

    def answer(fields: Asked) -> Decision[bytes]:
        asked = _ask(table, definition, fields)
        if isinstance(asked, Denied):
            return asked
        columns, rows = asked.value
        described = [{"name": column.name, "type": column.data_type.value} for column in columns]
        content = _encode({"columns": described, "rows": rows})
        return Permitted(content) if len(content) <= LIMITS.content_bytes_max else _too_long()

    return answer


# ------------------------------------------------------------------------------------------------------------ index


def complete_series(path: Path, definition: SeriesDefinition) -> Decision[SeriesDefinition]:
    """Accept a series whose columns are there and hold one value for each period (and dimension)."""
    table = ReleasedTable(path)
    decision = rules.decide_series(definition, table.columns())
    if isinstance(decision, Denied):
        return decision
    points, wrong = _points(table, definition)
    if wrong:
        return Denied((rules.SERIES_PERIODS_INVALID.because(count=wrong, frequency=definition.frequency),))
    return decision if points else Denied((rules.SERIES_EMPTY.because(),))


def _points(table: ReleasedTable, definition: SeriesDefinition) -> tuple[list[SeriesPoint], int]:
    """Return the points in order, and how many rows are none."""
    names = [definition.period, definition.value, *([definition.dimension] if definition.dimension else [])]
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    _, rows = table.ask(f"SELECT {quoted} FROM released", {}, rows_max=1_000_000, seconds_max=60.0)  # noqa: S608
    points, wrong = dict[tuple[str, str], SeriesPoint](), 0
    for period, value, *others in rows:
        if value is None:
            continue
        text, dimension = rules.period_text(period, definition.frequency), str(others[0]) if others else ""
        if not text or (dimension, text) in points:
            wrong += 1
            continue
        points[dimension, text] = SeriesPoint(text, float(value), dimension)
    return [points[key] for key in sorted(points)], wrong


def read_series(path: Path, definition: SeriesDefinition) -> tuple[SeriesPoint, ...]:
    """Return the whole series, for its chart."""
    return tuple(_points(ReleasedTable(path), definition)[0])


def open_series(path: Path, definition: SeriesDefinition) -> Served:
    """Open a released table and return what answers with its series, or the part of it that is asked for."""
    points, _ = _points(ReleasedTable(path), definition)
    head = {
        "unit": definition.unit, "frequency": definition.frequency.value, "base": definition.base or None,
        "dimensions": sorted({point.dimension for point in points if point.dimension}),
    }  # fmt: skip

    def answer(fields: Asked) -> Decision[bytes]:
        bounds = rules.read_bounds(definition, fields)
        if isinstance(bounds, Denied):
            return bounds
        first, last = bounds.value
        wanted = fields.get(rules.DIMENSION_FIELD, "")
        found = [
            point for point in points
            if first <= point.period <= (last or "~") and wanted in {"", point.dimension}
        ]  # fmt: skip
        shown = [[point.period, point.value, *([point.dimension] if definition.dimension else [])] for point in found]
        content = _encode({**head, "points": shown})
        return Permitted(content) if len(content) <= LIMITS.content_bytes_max else _too_long()

    return answer


# ------------------------------------------------------------------------------------------------------------ model


def complete_model(path: Path, definition: ModelDefinition) -> Decision[ModelDefinition]:
    """Accept a model made of known operators, after a trial in a process of its own; name its inputs and outputs."""
    if not models.is_installed():
        return Denied((rules.SERVED_EXTRA_MISSING.because(extra="model"),))
    try:
        parts = model_files.read_parts(path.read_bytes())
        operators = rules.decide_operators(parts.operators)
        if isinstance(operators, Denied):
            return operators
        inputs, outputs = models.try_model(path)
    except (model_files.ModelUnreadable, UnicodeDecodeError) as refused:
        fault = str(refused) if isinstance(refused, model_files.ModelUnreadable) else "not well formed"
        return Denied((rules.MODEL_REFUSED.because(fault=fault),))
    return rules.decide_model(definition, inputs, outputs)


def open_model(path: Path, definition: ModelDefinition) -> Served:
    """Load a released model and return what answers one row: JSON of its outputs."""
    content = path.read_bytes()
    rules.decide_operators(model_files.read_parts(content).operators).value_or_raise()
    model = models.Model(content)

    def answer(fields: Asked) -> Decision[bytes]:
        row = rules.read_row(definition, fields)
        if isinstance(row, Denied):
            return row
        try:
            found = model.run(row.value, definition.outputs, LIMITS.seconds_max)
        except TooSlow:
            return _too_slow()
        return Permitted(_encode({"outputs": found}))

    return answer
