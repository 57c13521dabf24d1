"""Subqueries that stand where a value or a list of values stands."""

from sqlglot import exp

from gongshu.compute.rules.refusals import (
    SUBQUERY_NOT_RELEASED,
)
from gongshu.compute.rules.scopes import Instance, Scope
from gongshu.compute.rules.selects import read_query
from gongshu.compute.rules.terms import (
    Form,
    Term,
    poison,
    quoted,
)


def released_column(scope: Scope, node: exp.Expression, place: str, *, is_single: bool = False) -> Term:
    """Return a subquery of one released column, to be written where a value or a list of values stands."""
    source = read_query(scope.gate, scope.tables, node)
    if source.is_row_level or len(source.columns) != 1 or (is_single and not source.is_single_row):
        scope.gate.findings.add(SUBQUERY_NOT_RELEASED, place=place)
        return poison()
    instance = Instance(scope.gate.fresh("r"), "", source, 0)
    term = instance.term(0)

    def emit(_: Form) -> exp.Expression:
        items = [exp.Alias(this=term.emit(Form.VALUE), alias=quoted("v"))]
        return exp.Subquery(this=exp.Select(expressions=items, from_=exp.From(this=instance.emit())))

    return Term(
        term.data_type, ("subquery", instance.alias), emit, is_released=True, direct=term.direct,
        indirect=term.indirect | source.indirect, has_subquery=True,
    )  # fmt: skip
