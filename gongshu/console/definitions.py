"""What a product answers, as the operator writes it in a form, and what the pages show of it."""

import re
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.types import (
    Frequency,
    ModelDefinition,
    ModelInput,
    QueryDefinition,
    RelationColumn,
    SeriesDefinition,
)
from gongshu.console.forms import Form
from gongshu.egress import service as egress
from gongshu.egress.types import Release, ReportDefinition, ReportSection
from gongshu.products.types import NO_DEFINITION, Definition, ProductKind, ProductVersion

SECTIONS_SHOWN = 4
TABLES = (".parquet", ".csv")
MODEL_LINE = re.compile(r"(.{1,200}?)\s*=\s*([^\[\]=]{1,200}?)\s*(?:\[\s*(\d{1,4})\s*\])?")


def columns_of(site: Site, release: Release) -> tuple[RelationColumn, ...]:
    """Return the columns of the table of a release; none when it has no table."""
    named = [file.name for suffix in TABLES for file in release.files if file.name.endswith(suffix)]
    return compute.released_columns(egress.release_folder(site, release) / named[0]) if named else ()


def read_definition(form: Form, kind: ProductKind | None) -> Definition:
    """Return what the form says of a product of ``kind``; kinds that need nothing said give an empty definition."""
    if kind is ProductKind.QUERY:
        return Definition(query=_read_query(form))
    if kind is ProductKind.INDEX:
        return Definition(
            series=SeriesDefinition(
                form.text("period"), form.text("value"), form.choice("frequency", Frequency) or Frequency.MONTH,
                form.text("unit"), form.text("dimension", is_required=False), form.text("base", is_required=False),
            )
        )  # fmt: skip
    if kind is ProductKind.MODEL:
        return Definition(model=_read_model(form))
    if kind is ProductKind.REPORT:
        return Definition(report=_read_report(form))
    return NO_DEFINITION


def _read_query(form: Form) -> QueryDefinition:
    statement, lines = form.text("statement"), form.lines("parameters")
    form.check()
    return QueryDefinition(statement, compute.read_parameters(lines).value_or_raise())


def _read_model(form: Form) -> ModelDefinition:
    """Read ``name = tensor[place]``, one input per line."""
    inputs = []
    for line in form.lines("inputs"):
        found = MODEL_LINE.fullmatch(line)
        if found is None:
            form.refuse("inputs", "age = X[0]")
        else:
            inputs.append(ModelInput(found[1], found[2], int(found[3] or 0)))
    return ModelDefinition(tuple(inputs))


def _read_report(form: Form) -> ReportDefinition:
    sections = []
    for number in range(SECTIONS_SHOWN):
        heading = form.text(f"heading-{number}", is_required=False)
        if heading:
            rows = form.whole(f"rows-{number}") if form.text(f"rows-{number}", is_required=False) else 50
            text = form.text(f"text-{number}", is_required=False)
            sections.append(ReportSection(heading, text, form.many(f"columns-{number}"), rows))
    return ReportDefinition(form.text("report_title"), form.text("report_period"), form.text("source"), tuple(sections))


def series_of(site: Site, actor: Actor, product: ProductVersion) -> dict[str, Any] | None:
    """Return the chart of an index, to those who may make products of it or sign contracts for it as its operator."""
    series = product.definition.series
    if series is None or actor.party != product.operator or not access.may(actor, Permission.OPERATE_PRODUCT_WRITE):
        return None
    path = site.home / "releases" / product.release_id / product.artifact_name
    if not path.is_file():
        return None
    points = [[point.period, point.value, point.dimension] for point in compute.read_series(path, series)]
    return series_chart(points, series.unit)


def series_chart(points: list[list[Any]], unit: str) -> dict[str, Any]:
    """Return a line for each dimension over the periods of all."""
    periods = sorted({point[0] for point in points})
    names = sorted({point[2] if len(point) > 2 else "" for point in points})
    values = {(point[2] if len(point) > 2 else "", point[0]): point[1] for point in points}
    return {
        "tooltip": {"trigger": "axis"},
        "legend": {"show": len(names) > 1, "bottom": 0},
        "grid": {"left": 48, "right": 16, "top": 32, "bottom": 56 if len(names) > 1 else 32},
        "xAxis": {"type": "category", "data": periods},
        "yAxis": {"type": "value", "scale": True, "name": unit},
        "series": [
            {
                "type": "line", "name": name or unit, "showSymbol": len(periods) < 40, "connectNulls": False,
                "data": [values.get((name, period)) for period in periods],
            }
            for name in names
        ],
    }  # fmt: skip
