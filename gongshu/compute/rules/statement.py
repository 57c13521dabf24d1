"""The way through the gate: one statement, a query and nothing else; every output shown must be allowed to be seen."""

from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.compute.rules import differences, noise
from gongshu.compute.rules.parameters import check_used, literals, numbered
from gongshu.compute.rules.parsing import CHARACTERS_MAX, parse_query, with_derived
from gongshu.compute.rules.refusals import (
    NOISE_ROWS,
    REVEAL_MISSING,
    ROWS_BETRAY,
    STATEMENT_TOO_LARGE,
    USE_SPENT,
)
from gongshu.compute.rules.relations import Selected, lineage_of
from gongshu.compute.rules.scopes import Demands, Gate, Source, TooLargeError, fold
from gongshu.compute.rules.selects import read_query
from gongshu.compute.rules.terms import Findings, Term, let_go, written_sql
from gongshu.compute.types import (
    ColumnLineage,
    DerivedRelation,
    GovernedQuery,
    Projection,
    Relation,
    StatementParameter,
)
from gongshu.policies.types import Thresholds, Use

REASONS_MAX = 40


def decide_query(
    relations: tuple[Relation, ...],
    limits: Thresholds,
    sql: str,
    derived: tuple[DerivedRelation, ...] = (),
    parameters: tuple[StatementParameter, ...] = (),
) -> Decision[GovernedQuery]:
    """Permit one statement over ``relations`` and return how it is run, or every reason against it.

    ``derived`` are queries with names that the statement may read like relations. ``parameters`` are the values of
    ``$name``, or of ``?`` by place (``1``, ``2`` …); each is decided as the literal that it is.

    Fails closed: whatever cannot be read, bound or written again is refused.
    """
    findings = Findings()
    tree = parse_query(findings, numbered(findings, sql))
    given = literals(findings, parameters)
    if tree is None:
        return Denied(tuple(findings.reasons))
    gate = Gate({fold(r.name): r for r in relations}, limits, findings, parameters=given)
    try:
        source = read_query(gate, {}, with_derived(findings, tree, derived))
        check_used(gate)
        _check_outputs(gate, source)
        if not findings.reasons:
            query = _write(gate, source)
            if not findings.reasons:
                return Permitted(query)
    except TooLargeError:
        pass
    except RecursionError:
        findings.add(STATEMENT_TOO_LARGE, limit=CHARACTERS_MAX)
    finally:
        let_go(tree)
        gate.drafts.clear()
    return Denied(tuple(findings.reasons[:REASONS_MAX]))


def _check_outputs(gate: Gate, source: Source) -> None:
    """Every output column must have ``reveal``; at row level so must every column that decided which rows there are."""
    if not source.is_row_level:
        return
    if gate.is_noisy and source.kinds:
        gate.findings.add(NOISE_ROWS, place="SELECT")
    for name, term in source.columns:
        _check_output(gate.findings, source, name, term)


def _check_output(findings: Findings, source: Source, name: str, term: Term) -> None:
    if Use.REVEAL not in term.uses:
        lacking = [b for b in term.bases if Use.REVEAL not in b.uses]
        for base in sorted(lacking, key=lambda b: b.name):
            findings.add(REVEAL_MISSING, output=name, column=base.name)
        if not lacking:
            findings.add(USE_SPENT, column=name, use=Use.REVEAL.value, function="")
    for base in sorted(term.hidden, key=lambda b: b.name):
        findings.add(ROWS_BETRAY, output=name, column=base.name, operator="CASE")
    for base in sorted(source.hidden - term.hidden, key=lambda b: b.name):
        findings.add(ROWS_BETRAY, output=name, column=base.name, operator=source.hidden_by or "WHERE")


def _write(gate: Gate, source: Source) -> GovernedQuery:
    names = tuple(name for name, _ in source.columns)
    if not isinstance(source, Selected):
        raise TypeError("a query that was not refused is a SELECT or a union of them")
    sql = written_sql(source.select(names))
    lineage = tuple(ColumnLineage(name, *lineage_of(source, term)) for name, term in source.columns)
    projections = tuple(_projection(gate.relations[fold(name)], gate.demands[name]) for name in sorted(gate.demands))
    stages = differences.stages(tuple(gate.drafts), gate.thresholds)
    return GovernedQuery(
        sql=sql, outputs=names, lineage=lineage, projections=projections, is_aggregate=not source.is_row_level,
        stages=stages, price=noise.price_of(stages), traces=differences.traces(tuple(gate.drafts), stages),
    )  # fmt: skip


def _projection(relation: Relation, demands: Demands) -> Projection:
    return Projection(
        relation.name, relation.resource, tuple(sorted(demands.values)), tuple(sorted(demands.keys)),
        tuple(sorted(demands.raws)), demands.has_unit, demands.has_order,
    )  # fmt: skip
